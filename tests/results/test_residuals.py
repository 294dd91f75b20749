"""Residuals over the size of their terms: by hand, in other units, with offsets, on pieces and over
spans of time."""

from math import pi

import pytest
import torch
from torch import exp, sin

from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Initial,
    Interface,
    Neumann,
    Pieces,
    Problem,
    Recipe,
    Time,
    d,
    laplacian,
)
from kanpde.geometry.sampling import inside_points
from kanpde.networks.spans import Spans
from kanpde.results.residuals import JUDGED_POINTS, JUDGED_SEED, met


def untrained(problem, spec=None, seed=0):
    """A solution that meets the exact conditions and nothing else."""
    space = Recipe(spec or KAN((3,), 5, 4), 50, "lm:1").space(problem)
    return space.solution(space.initial(torch.Generator().manual_seed(seed)))


def rms(values):
    return float(values.square().mean().sqrt())


def test_a_residual_is_judged_by_the_size_of_its_terms():
    """|r| / (|r at the mean| + Σ |∂r/∂u_a| |u_a - mean|), root mean squares."""
    problem = Problem(
        domain=Box(x=(0, 1)),
        equations=[lambda u, x: 2 * d(u, x, x) - 5 * u + 4 * x],
        conditions=[Dirichlet(u=3, on="x-"), Dirichlet(u=4, on="x+")],
    )
    solution = untrained(problem)
    at = inside_points(problem.domain, JUDGED_POINTS, JUDGED_SEED)
    u, uxx = solution.derivatives(at, [("u", (0,)), ("u", (2,))]).T
    m = u.mean()
    wanted = rms(2 * uxx - 5 * u + 4 * at[:, 0]) / (
        rms(4 * at[:, 0] - 5 * m) + 2 * rms(uxx) + 5 * rms(u - m)
    )
    (found,) = met(problem, solution).equations.values()
    assert found == pytest.approx(wanted, rel=1e-12)


def cooling(offset=0.0, size=1.0, second=1.0, factor=1.0):
    """T'' = k (T - T0) between two temperatures, in any units, with any zero point."""

    def heat(T, x):
        return factor * (d(T, x, x) - 9 / second**2 * (T - offset))

    return Problem(
        Box(x=(0, second)),
        [heat],
        [
            Dirichlet(T=offset + size, on="x-", weight=1),
            Neumann(T=-size / second, on="x+", weight=1),
        ],
    )


@pytest.mark.parametrize(
    "units", [{"offset": 300.0}, {"size": 1e-6}, {"second": 1e6}, {"factor": 1e-12}]
)
def test_no_unit_factor_or_offset_counts(units):
    """The same function in other units: the same numbers."""

    plain, other = cooling(), cooling(**units)
    offset, size = units.get("offset", 0.0), units.get("size", 1.0)
    solution = untrained(plain)
    found = met(plain, solution)
    moved = untrained(other)
    network = solution.network
    frame = moved.frame

    def scaled(points, needs):
        made = frame(points, needs)
        inner = solution.frame(points / units.get("second", 1.0), needs)
        values = inner.derivatives(network.forward(inner.X, inner.counts)[-1]) * size
        for a, (_, index) in enumerate(needs):
            values[:, a] /= units.get("second", 1.0) ** index[0]
            values[:, a] += 0.0 if index[0] else offset
        return Given(made, values)

    class Given:
        def __init__(self, made, values):
            self.X, self.counts, self.values = made.X, made.counts, values

        def derivatives(self, jet):
            return self.values

    moved.frame = scaled
    again = met(other, moved)
    for kind in ("equations", "conditions"):
        wanted, got = getattr(found, kind), getattr(again, kind)
        assert list(got.values()) == pytest.approx(list(wanted.values()), rel=1e-4)


def test_where_all_terms_vanish_rounding_is_no_residual():
    """u'' = 0: of a straight line, and of a constant."""
    for value in (1.0, 300.0):
        problem = Problem(
            Box(x=(0, 2)),
            [lambda u, x: d(u, x, x)],
            [Dirichlet(u=1, on="x-"), Dirichlet(u=value, on="x+")],
        )
        solution = untrained(problem)
        network = solution.network
        last = network.layers[-1].size
        theta = network.theta.clone()
        theta[-last:] = 1e-14 * torch.randn(last, dtype=theta.dtype)
        network.theta = theta
        assert 0 < met(problem, solution).worst < 1e-2
        theta[-last:] = (value if value > 1 else 0.1) * torch.randn(last, dtype=theta.dtype)
        network.theta = theta
        assert met(problem, solution).worst > 0.1


def test_every_piece_and_every_interface_counts():
    domain = Pieces(left=Box(x=(0, 1), y=(0, 1)), right=Box(x=(1, 2), y=(0, 1)))

    def conduction(u):
        return laplacian(u)

    problem = Problem(
        domain,
        {"left": [conduction], "right": [lambda u: laplacian(u) - 5]},
        [Dirichlet(u=1), Interface(u=0, flux={"left": 1.0, "right": 40.0})],
    )
    found = met(problem, untrained(problem))
    assert len(found.equations) == 2
    assert any("in left" in name for name in found.equations)
    assert any("flux" in label for label in found.conditions)
    assert max(found.equations.values()) > 0.1
    assert set(found.amplitudes) == {"u"}


def test_the_worst_span_counts():
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 2)),
        [lambda u, x, t: d(u, t) - d(u, x, x) - exp(-t) * x],
        [Dirichlet(u=0), Initial(u=lambda x: sin(pi * x))],
    )
    halves = [problem.during(0, 1), problem.during(1, 2)]
    spans = [untrained(half, seed=k) for k, half in enumerate(halves)]
    alone = [met(half, one).worst for half, one in zip(halves, spans, strict=True)]
    found = met(problem, Spans(spans)).worst
    assert found == pytest.approx(max(alone), rel=0.5)


def zero(u, x):
    return d(u, x, x) - u


def test_what_nothing_drives_is_zero_and_rounding_no_residual():
    """Alone, and beside an unknown that is driven."""
    alone = Problem(Box(x=(0, 1)), [zero], [Dirichlet(u=0)])
    beside = Problem(
        Box(x=(0, 1)),
        [lambda u, v, x: d(u, x, x) + sin(pi * x), lambda u, v, x: d(v, x, x) - v * u],
        [Dirichlet(u=0, v=0)],
    )
    for problem, unknown in ((alone, "u"), (beside, "v")):
        solution = untrained(problem)
        network, last = solution.network, solution.network.layers[-1].size
        theta = network.theta.clone()
        # the outputs' coefficients follow each other
        theta[-last:].view(-1, len(problem.unknowns))[:, -1] *= 1e-14
        if unknown == "u":
            theta[-last:] *= 1e-14
        network.theta = theta
        value = (unknown, (0,))
        at = inside_points(problem.domain, 64, 1)
        size = rms(solution.derivatives(at, [value]))
        assert 0 < size < 1e-10
        found = met(problem, solution)
        assert list(found.equations.values())[-1] < 1e-8
        assert found.amplitudes[unknown] > 1e-3


def test_what_is_small_and_driven_is_not_zero():
    """Currents of 1e-12 A: half of them is a residual of that size."""
    problem = Problem(Box(x=(0, 1)), [zero], [Dirichlet(u=1e-12)])
    solution = untrained(problem)
    theta = solution.network.theta.clone()
    theta[-solution.network.layers[-1].size :] *= 1e-12
    solution.network.theta = theta
    assert met(problem, solution).worst > 0.1
