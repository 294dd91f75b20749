"""Spans in two coordinates and time, whose modes are uncoupled, against a band and closed forms."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Initial, Neumann, Periodic, Problem, Robin, Time, d, laplacian
from kanpde.products.adaptive import adaptive
from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.balance import row_sizes
from kanpde.products.held import held
from kanpde.products.newton import Iterate, least_squares
from kanpde.products.posed import initial_values
from kanpde.products.progress import Progress, Settings


def hill(x, y):
    return torch.sin(np.pi * x) * torch.sin(np.pi * y) ** 2


def drift():
    """Warmth that spreads, is carried along and lost through one side."""
    return Problem(
        Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
        lambda u, x, y, t: d(u, t) + 2 * d(u, x) + y * d(u, y) - 0.05 * laplacian(u),
        [
            Dirichlet(u=0, on="x-"),
            Neumann(u=0, on="x+"),
            Robin(u=0, on="y-"),
            Dirichlet(u=0, on="y+"),
            Initial(u=lambda x, y: torch.sin(np.pi / 2 * x) * (1 - y) * (1 + 2 * y)),
        ],
    )


def waves():
    return Problem(
        Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
        lambda u, x, y, t: d(u, t, t) + 0.3 * d(u, t) - (1 + x) * laplacian(u),
        [Dirichlet(u=0), Initial(u=lambda x, y: 0 * x, u_t=hill)],
    )


def slow_flow():
    """Velocities and a pressure, which has no rate."""
    return Problem(
        Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
        lambda u, v, p, x, y, t: (
            d(u, t) + d(p, x) - 0.1 * laplacian(u),
            d(v, t) + d(p, y) - 0.1 * laplacian(v),
            d(u, x) + d(v, y),
        ),
        [
            Dirichlet(u=0, v=0, on=("x-", "x+", "y-")),
            Dirichlet(u=lambda x, y, t: t * x * (1 - x), v=0, on="y+"),
            Dirichlet(p=0, on="y-", where=lambda x: x < 0.1),
            Initial(u=lambda x, y: 0 * x, v=lambda x, y: 0 * x),
        ],
    )


def span(problem, length=0.1):
    """The least squares of a short span on a few cells."""
    axes = [
        SplineAxis(np.linspace(0, 1, 7), 4, x in problem.periodic) for x in problem.coordinates[:2]
    ]
    order = max(problem.order(u, "t") for u in problem.unknowns)
    axes = (*axes, Modes(np.array([0, length]), 5, order))
    given = held(problem, axes, initial_values(problem, "t"))
    return given, least_squares(problem, axes, given)


@pytest.mark.parametrize("posed", [drift, waves, slow_flow])
def test_a_step_is_that_of_a_factor_in_a_band(posed):
    given, squares = span(posed())
    in_a_band, uncoupled = Iterate(given.C), Iterate(given.C)
    nearly = squares.uncoupled(given.C)
    for _ in range(3):
        in_a_band = squares.advance(in_a_band, 1e-10)
        uncoupled = squares.advance(uncoupled, 1e-10, nearly)
    sizes = np.abs(in_a_band.C).max((1, 2, 3), keepdims=True)
    assert np.abs((uncoupled.C - in_a_band.C) / sizes).max() < 1e-8
    np.testing.assert_allclose(uncoupled.stiffness, in_a_band.stiffness, rtol=0.2)


@pytest.mark.parametrize(("posed", "most"), [(drift, 24), (waves, 24)])
def test_few_iterations_are_enough(posed, most):
    given, squares = span(posed())
    nearly = squares.uncoupled(given.C)
    first = squares.advance(Iterate(given.C), 1e-8, nearly)
    assert 1 < first.iterations <= most


def test_an_equation_without_rates_is_as_heavy_as_rates():
    _, squares = span(slow_flow())
    inside = squares.rows[0]
    # Rates to 6 / 0.05 are resolved; the derivatives along the box are those of half a wave.
    assert inside.sizes == pytest.approx((1, 1, np.pi / (6 / 0.05)))
    assert row_sizes(span(drift())[1].rows[0], span(drift())[0].C) == (1,)


def plate():
    """A plate of steel in SI units, 300 K warm, cooled at one edge and insulated at two."""
    width, height, spread, rise = 0.2, 0.1, 1.2e-5, 40.0
    k, q = np.pi / 2 / width, np.pi / height

    def exact(x, y, t):
        fall = torch.exp(-spread * (k**2 + q**2) * t)
        return 300 + rise * fall * torch.sin(k * x) * torch.cos(q * y)

    return Problem(
        Box(x=(0, width), y=(0, height)) * Time(t=(0, 100.0)),
        lambda u, x, y, t: d(u, t) - spread * laplacian(u),
        [
            Dirichlet(u=300, on="x-"),
            Neumann(u=0, on=("x+", "y-", "y+")),
            Initial(u=lambda x, y: exact(x, y, 0 * x)),
        ],
        exact={"u": exact},
    )


def travelling():
    """A nonlinear wave that goes around."""

    def exact(x, y, t):
        return 2 + torch.sin(2 * np.pi * (x - 0.3 * t)) * torch.cos(2 * np.pi * y)

    def equation(u, x, y, t):
        s, c = torch.sin(2 * np.pi * (x - 0.3 * t)), torch.cos(2 * np.pi * (x - 0.3 * t))
        q, k = torch.cos(2 * np.pi * y), 2 * np.pi
        source = -0.3 * k * c * q + (2 + s * q) * k * c * q
        return d(u, t) + u * d(u, x) - source

    return Problem(
        Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 0.2)),
        equation,
        [Periodic("x", "y"), Initial(u=lambda x, y: exact(x, y, 0 * x))],
        exact={"u": exact},
    )


def worst(problem, solution):
    """Largest error at random points over the amplitude."""
    generator = np.random.default_rng(3)
    columns = [generator.uniform(*problem.domain.bounds[x], 2000) for x in problem.coordinates]
    points = torch.from_numpy(np.stack(columns, 1))
    exact = problem.exact_values(points)["u"].numpy()
    return np.abs(solution(points)[:, 0].numpy() - exact).max() / (np.ptp(exact) / 2)


@pytest.mark.parametrize("posed", [plate, travelling])
def test_the_tolerance_is_met_and_a_run_goes_on_with_the_same_bits(posed):
    problem, settings = posed(), Settings(1e-5, degree=6, modes=7)
    way = adaptive(problem, settings)
    progress, progresses = way.begin(), []
    while not progress.finished:
        progress = way.advance(progress)
        progresses.append(progress)
    assert not progress.missed
    assert worst(problem, way.solution(progress)) < 1e-5
    again = adaptive(problem, settings)
    # From a step before which nothing was inverted anew: what had been must follow from the state.
    same = [one for one, later in pairwise(progresses) if later.base is one.base is not None]
    kept = [one for one in same if one.at is not None and not one.at.done]
    gone_on = Progress.from_plain(kept[-1].plain())
    while not gone_on.finished:
        gone_on = again.advance(gone_on)
    for one, other in zip(progress.spans, gone_on.spans, strict=True):
        np.testing.assert_array_equal(one.C, other.C)
