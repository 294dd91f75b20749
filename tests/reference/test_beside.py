"""References of what conditions determine beside a solution, found with all of it at once."""

import math

import numpy as np
import pytest
import torch
from torch import cos, exp, pi, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Field,
    Initial,
    Neumann,
    Parameter,
    Problem,
    Time,
    d,
    laplacian,
    mean,
)
from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.reference.beside import at_once, check_met, solve_beside
from kanpde.reference.solution import reference
from kanpde.reference.spectral import grid_of

RATE = 0.3 * math.pi**2
ROD = Box(x=(0, 1)) * Time(t=(0, 1))


def both():
    """A source f(x) by final values, and the diffusivity by one at half time: not linear."""
    return Problem(
        ROD,
        [lambda u, f, k, x, t: d(u, t) - k * d(u, x, x) - f],
        [
            Dirichlet(u=0),
            Initial(u=0),
            Condition(lambda u, x: u(t=1) - (1 - math.exp(-RATE)) / RATE * sin(pi * x), on="t-"),
            Condition(lambda u: u(x=0.5, t=0.5) - (1 - math.exp(-RATE / 2)) / RATE),
        ],
        parameters=[Field("f", of="x"), Parameter("k", initial=0.5, positive=True)],
    )


def wall():
    """A wall in SI units, heated at one side for a day: the flux there by the temperature at the
    other side, which is insulated."""
    length, conductivity, capacity, day = 0.3, 1.2, 1.8e6, 24 * 3600.0
    rate = conductivity / capacity * (2 / length) ** 2

    def u(x, t):
        return 290 + 20 * exp(rate * t) * torch.cosh(2 * (x - length) / length)

    return Problem(
        Box(x=(0, length)) * Time(t=(0, day)),
        [lambda T, x, t: capacity * d(T, t) - conductivity * d(T, x, x)],
        [
            Condition(lambda T, q, x: conductivity * d(T, x) + q, on="x-"),
            Neumann(T=0, on="x+"),
            Condition(lambda T, x, t: T - u(x, t), on="x+"),
            Initial(T=lambda x: u(x, torch.zeros_like(x))),
        ],
        parameters=[Field("q", of="t", initial=50)],
    )


def conductivity():
    """k(x) in (k u_x)_x by final values: not linear, and k at the ends is only felt inside."""

    def exact(x, t):
        return exp(-t) * (1 + x**2) + x

    def source(x, t):
        flux = 2 * exp(-t) * x + 1
        return -exp(-t) * (1 + x**2) - cos(2 * x) * flux - (1 + 0.5 * sin(2 * x)) * 2 * exp(-t)

    return Problem(
        ROD,
        [lambda u, k, x, t: d(u, t) - d(k * d(u, x), x) - source(x, t)],
        [
            Dirichlet(u=exact),
            Initial(u=lambda x: 1 + x**2 + x),
            Condition(lambda u, x: u(t=1) - exact(x, torch.ones_like(x)), on="t-"),
        ],
        parameters=[Field("k", of="x", positive=True)],
    )


def balance():
    """Fluxes through all sides: the sink for which there is a solution, whose mean is given."""
    return Problem(
        Box(x=(0, 1), y=(0, 2)),
        [lambda u, c, x, y: laplacian(u) + pi**2 * cos(pi * x) - c],
        [
            Neumann(u=0, on=("x-", "x+", "y-")),
            Neumann(u=3, on="y+"),
            Condition(lambda u: mean(u) - 5),
        ],
        parameters=[Parameter("c")],
    )


TRUTH = {
    both: {"f": lambda x, t: np.sin(np.pi * x) + 0 * t, "k": 0.3},
    wall: {"q": lambda x, t: 0 * x + 160 * math.sinh(2) * np.exp(1.2 / 1.8e6 / 0.15**2 * t)},
    conductivity: {"k": lambda x, t: 1 + 0.5 * np.sin(2 * x) + 0 * t},
    balance: {"c": 1.5, "u": lambda x, y: 5 + np.cos(np.pi * x) + 0.75 * y**2 - 1},
}


@pytest.mark.parametrize("problem", TRUTH)
def test_references_find_what_conditions_determine(problem):
    found = reference(problem())
    axes = np.meshgrid(*found.coordinates.values(), indexing="ij")
    for name, truth in TRUTH[problem].items():
        if callable(truth):
            off = np.sqrt(np.mean((found.values[name] - truth(*axes)) ** 2))
        else:
            off = abs(found.numbers[name] - truth)
        assert off / found.scales[name] <= found.estimated_errors[name] < 3e-8


def twice(u, f, g, x, t):
    """Two sources of which only the sum is felt."""
    return d(u, t) - 0.3 * d(u, x, x) - f - g


def at(time):
    """The temperatures then are given."""
    return Condition(lambda u, x: u(t=time) - time * sin(pi * x), on="t-")


def test_coefficients_of_which_only_the_sum_is_felt_have_no_reference():
    fields = [Field("f", of="x"), Field("g", of="x")]
    conditions = [Dirichlet(u=0), Initial(u=0), at(0.5), at(1.0)]
    with pytest.raises(SolutionDoubtful, match="u, f, g can move"):
        reference(Problem(ROD, [twice], conditions, parameters=fields), effort="quick")


def test_what_is_not_smooth_has_no_reference():
    with pytest.warns(match="a jump of 1"):
        problem = Problem(
            ROD,
            [lambda u, f, x, t: d(u, t) - 0.3 * d(u, x, x) - f],
            [Dirichlet(u=0), Initial(u=1), at(1.0)],
            parameters=[Field("f", of="x")],
        )
    with pytest.raises(ReferenceUnavailable, match="where both are smooth"):
        reference(problem)
    with pytest.raises(ReferenceUnavailable, match="parameters f are unknown"):
        reference(problem, order=4)


def test_a_compromise_is_no_solution():
    problem = at_once(balance())
    grid = grid_of(problem, (12, 14), {})
    found, _ = solve_beside(problem, grid)
    check_met(problem, grid, found)
    found[0] += 1e-3
    with pytest.raises(SolutionDoubtful, match=r"contradict each other: Condition\(<lambda>\)"):
        check_met(problem, grid, found)
