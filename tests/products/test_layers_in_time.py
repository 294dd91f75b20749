"""Starts that contradict the conditions by a derivative: a flux that is turned on, a slab that is
quenched. Solutions begin with layers like the root of the time."""

import numpy as np
import pytest
import torch
from refined import solved
from scipy.optimize import brentq

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Problem,
    Robin,
    Time,
    d,
    normal_derivative,
)
from kanpde.problem.switches import switches
from kanpde.recipes.dimensions import sizes_of

LENGTH, CONDUCTIVITY, CAPACITY = 0.1, 40.0, 3.6e6
"""Of a steel plate, in m, W/(m K) and J/(m³ K)."""


def conduction(T, x, t):
    return CAPACITY * d(T, t) - CONDUCTIVITY * d(T, x, x)


def heated(condition):
    box = Box(x=(0, LENGTH)) * Time(t=(0, 300.0))
    return Problem(box, conduction, [Neumann(T=0, on="x-"), condition, Initial(T=293.15)])


def warmed(x, t, flux):
    """A plate that takes up a flux at x = LENGTH from t = 0 on, by its cosine series."""
    a, moved = CONDUCTIVITY / CAPACITY, np.maximum(t, 0.0)
    rise = flux * moved / (CAPACITY * LENGTH)
    rise = rise + flux * LENGTH / CONDUCTIVITY * ((x / LENGTH) ** 2 / 2 - 1 / 6)
    for n in range(1, 200):
        left = np.exp(-a * moved * (n * np.pi / LENGTH) ** 2)
        wave = (-1) ** n * np.cos(n * np.pi * x / LENGTH) * left
        rise = rise - 2 * flux * LENGTH / CONDUCTIVITY * wave / (n * np.pi) ** 2
    return 293.15 + np.where(t > 0, rise, 0.0)


def found_on(solution, problem, first):
    """Values on a grid of points, from some time on, and the points."""
    (low, high), (_, end) = problem.domain.bounds.values()
    x, t = np.meshgrid(np.linspace(low, high, 33), np.linspace(first, end, 33), indexing="ij")
    points = torch.from_numpy(np.stack([x.ravel(), t.ravel()], 1))
    return solution(points).numpy()[:, 0].reshape(x.shape), x, t


def test_a_quenched_slab():
    """Against its eigenfunctions; what the estimate says of the first instant bounds what is off
    there."""
    h = 5 * CONDUCTIVITY / LENGTH
    problem = heated(Robin(T=h * 300.0, a=h, b=CONDUCTIVITY, on="x+"))
    solution, progress = solved(problem, 1e-8, sizes=sizes_of(problem))
    found, x, t = found_on(solution, problem, 0.1)
    truth = np.full_like(x, 300.0)
    for n in range(120):
        low, high = n * np.pi + 1e-12, (n + 0.5) * np.pi - 1e-12
        z = brentq(lambda z: z * np.sin(z) - 5 * np.cos(z), low, high, xtol=1e-15)
        share = 4 * np.sin(z) / (2 * z + np.sin(2 * z))
        left = np.exp(-(z**2) * CONDUCTIVITY / CAPACITY * t / LENGTH**2)
        truth += (293.15 - 300.0) * share * left * np.cos(z * x / LENGTH)
    assert np.abs(found - truth).max() < 1e-7 * np.ptp(truth)
    assert 1e-8 < progress.estimate < 1e-2
    assert progress.missed[0].startswith("t = 0 to ")
    assert all(one.end < 0.1 for one in progress.beyond)


@pytest.mark.parametrize("began", [0.0, 100.0])
def test_a_flux_that_is_turned_on(began):
    flux = 2e4

    def taken_up(T, x, t):
        return CONDUCTIVITY * d(T, x) - torch.where(t > began, flux, 0.0)

    problem = heated(Condition(taken_up, on="x+"))
    solution, progress = solved(problem, 1e-8, sizes=sizes_of(problem))
    found, x, t = found_on(solution, problem, began + 1.0)
    truth = warmed(x, t - began, flux)
    assert np.abs(found - truth).max() < 1e-8 * np.ptp(truth)
    assert progress.estimate < 1e-3


def test_what_the_first_instant_leaves_for_ever_is_in_the_estimate():
    """y = √t: an error of the first span stays."""
    problem = Problem(
        Box(t=(0, 2)),
        lambda y, t: d(y, t) - 0.5 / t**0.5,
        [Dirichlet(y=0, on="t-")],
    )
    solution, progress = solved(problem, 1e-8, sizes=(1.4,))
    t = torch.linspace(0.1, 2, 20, dtype=torch.float64)[:, None]
    error = float((solution(t) - t**0.5).abs().max() / 2**0.5)
    assert 1e-8 < error < progress.estimate < 1e-3


def test_a_start_that_jumps_is_no_such_layer():
    """A value that jumps does not become better where the first span is shorter."""
    with pytest.warns(Warning, match="discontinuous"):
        problem = Problem(
            Box(x=(0, 1)) * Time(t=(0, 0.1)),
            lambda u, x, t: d(u, t) - d(u, x, x),
            [Dirichlet(u=1, on="x-"), Dirichlet(u=0, on="x+"), Initial(u=0)],
        )
    _, progress = solved(problem, 1e-3)
    assert progress.estimate > 1e-2


def turned_on(t):
    return torch.where(t > 100.0, 2e4, 0.0)


@pytest.mark.parametrize(
    "condition",
    [
        Condition(lambda T, x, t: CONDUCTIVITY * d(T, x) - turned_on(t), on="x+"),
        Condition(lambda T, t: CONDUCTIVITY * normal_derivative(T) - turned_on(t), on="x+"),
        Robin(T=lambda t: turned_on(t), a=10.0, b=CONDUCTIVITY, on="x+"),
        Neumann(T=lambda t: turned_on(t), on="x+"),
    ],
    ids=["condition", "normal", "robin", "neumann"],
)
def test_conditions_that_switch_are_seen(condition):
    assert switches(heated(condition), "t") == pytest.approx((100.0,))
    assert switches(heated(condition), "x") == ()
