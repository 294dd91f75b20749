"""Errors that grow after they are made: what an estimate says without them is better than the
truth."""

from math import pi

import numpy as np
import pytest
import torch
from refined import solved
from torch import cos, sin

from kanpde import Box, Dirichlet, Initial, Problem, Time, d
from kanpde.products.growth import Carried, grown, left
from kanpde.products.progress import Progress


def unstable(rate):
    """y = cos t, from which neighbours part like e^(rate t)."""
    return Problem(
        Time(t=(0, 2)),
        lambda y, t: d(y, t) - rate * (y - cos(t)) + sin(t),
        [Initial(y=1)],
        exact={"y": lambda t: cos(t)},
    )


def unstable_rod(rate):
    """The same in a rod: u = cos t sin πx."""

    def reaction(u, x, t):
        source = rate * cos(t) + sin(t)
        return d(u, t) - d(u, x, x) - (pi**2 + rate) * u + source * sin(pi * x)

    return Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        reaction,
        [Dirichlet(u=0), Initial(u=lambda x: sin(pi * x))],
        exact={"u": lambda x, t: sin(pi * x) * cos(t)},
    )


def error(problem, solution):
    """Root mean square over all of the domain, over the amplitude."""
    grid = [torch.linspace(*ends, 65).double() for ends in problem.domain.bounds.values()]
    points = torch.cartesian_prod(*grid).reshape(-1, len(grid))
    (unknown,) = problem.unknowns
    exact = problem.exact[unknown](dict(zip(problem.coordinates, points.unbind(1), strict=True)))
    return float(((solution(points)[:, 0] - exact) ** 2).mean().sqrt() / exact.abs().max())


@pytest.mark.parametrize("build", [unstable, unstable_rod])
def test_the_estimate_counts_growth(build):
    problem = build(10.0)
    solution, progress = solved(problem, 1e-8, sizes=(1.0,))
    assert progress.estimate > 1e-8
    assert "times after it" in progress.missed[-1]
    assert error(problem, solution) < progress.estimate < 1e-3


@pytest.mark.parametrize("build", [unstable, unstable_rod])
def test_what_does_not_grow_is_not_said_to(build):
    problem = build(-10.0)
    solution, progress = solved(problem, 1e-8, sizes=(1.0,))
    assert not progress.missed
    assert error(problem, solution) < 1e-8


def test_a_change_is_that_of_the_linearised_equation():
    """e^(10 t) from span to span, as well as spans that are made for cos t have that; and a state
    that is written down goes on with it."""
    problem = unstable(10.0)
    _, progress = solved(problem, 1e-8, sizes=(1.0,))
    changes = np.array([one.values[0] for one in progress.carried])
    lengths = np.array([one.length for one in progress.carried])
    np.testing.assert_allclose(changes[1:] / changes[:-1], np.exp(10 * lengths[1:]), rtol=1e-3)
    again = Progress.from_plain(progress.plain())
    assert again.carried == progress.carried


def test_rates_count_as_values_by_as_much_as_they_turn_into_them():
    """An oscillation is no growth, wherever it is looked at."""
    turned = np.linspace(0, 20, 50)
    spans = [
        Carried(1.0, 1e-9, (1.0,), (abs(float(np.cos(a))),), (30 * abs(float(np.sin(a))),))
        for a in turned
    ]
    errors, times = grown(spans, (1.0,))
    assert not errors.any()
    assert times.max() < 2


def test_what_is_left_where_a_span_ends():
    assert left(1e-5, []) == pytest.approx(1e-10)
    assert left(1e-9, [3e-12]) == 3e-12
    assert left(0.0, [0.0]) == 1e-15
