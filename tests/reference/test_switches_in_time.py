"""Marches past times at which equations switch, and away from a rest that moves late."""

import math

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Initial, Neumann, Problem, Time, d
from kanpde.reference import reference
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.grid import Grid
from kanpde.reference.work import Work


@pytest.mark.parametrize("on", [0.75, 1 / 3], ids=["on a time given out", "between two"])
def test_an_oscillator_is_pushed_from_some_time_on(on):
    """y'' + 9 y = 1 from then on: (1 - cos 3 τ) / 9."""
    problem = Problem(
        Box(t=(0, 2)),
        lambda y, t: d(y, t, t) + 9 * y - torch.where(t > on, 1.0, 0.0),
        [Dirichlet(y=0, on="t-"), Neumann(y=0, on="t-")],
    )
    found = reference(problem, cells=64)
    late = np.maximum(found.coordinates["t"] - on, 0.0)
    assert np.abs(found.values["y"] - (1 - np.cos(3 * late)) / 9).max() < 1e-13
    assert found.estimated_error < 1e-12


def test_backwards_from_the_end():
    problem = Problem(
        Box(t=(0, 2)),
        lambda y, t: d(y, t) - torch.where(t < 1.1, 1.0, 0.0),
        [Dirichlet(y=0, on="t+")],
    )
    found = reference(problem, cells=64)
    assert np.abs(found.values["y"] - np.minimum(found.coordinates["t"] - 1.1, 0)).max() < 1e-13


@pytest.mark.parametrize("method", ["Radau IIA", "DOP853"])
def test_a_rod_is_heated_from_some_time_on(method):
    on, rate = 0.3, math.pi**2
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.5)),
        lambda u, x, t: d(u, t) - d(u, x, x) - (t >= on) * torch.sin(math.pi * x),
        [Dirichlet(u=0), Initial(u=0)],
    )
    times, grid = np.linspace(0, 0.5, 8), Grid({"x": (0.0, 1.0)}, (14,), 12)
    found, _, _ = solve_evolution(problem, grid, times, 1e-12, method=method)
    late = np.maximum(times - on, 0.0)
    truth = np.outer(np.sin(math.pi * grid.axis("x")), -np.expm1(-rate * late) / rate)
    assert np.abs(found[0] - truth).max() < 1e-11


def test_steps_do_not_creep_up_to_a_switch(monkeypatch):
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.5)),
        lambda u, x, t: d(u, t) - d(u, x, x) - (t >= 0.3) * torch.sin(math.pi * x),
        [Dirichlet(u=0), Initial(u=0)],
    )

    def spent():
        work, grid = Work(), Grid({"x": (0.0, 1.0)}, (12,), 4)
        solve_evolution(problem, grid, np.linspace(0, 0.5, 3), 1e-12, work, method="DOP853")
        return work.done

    known = spent()
    monkeypatch.setattr("kanpde.reference.evolution.switches", lambda problem, x: ())
    assert known < 0.8 * spent()


def test_what_moves_only_once_another_has():
    """Robertson's reaction (1966): b is made of a, then c of b² alone, which does not move at all
    at the first iteration of a step. The values at the end are those of Hairer and Wanner."""

    def reaction(a, b, c, t):
        first, second, third = 0.04 * a, 1e4 * b * c, 3e7 * b**2
        return d(a, t) + first - second, d(b, t) - first + second + third, d(c, t) - third

    problem = Problem(Box(t=(0, 40)), [reaction], [Dirichlet(a=1, b=0, c=0, on="t-")])
    found = reference(problem, cells=64)
    last = [found.values[u][-1] for u in "abc"]
    assert np.allclose(last, [0.7158270687194, 9.185534764558e-6, 0.2841637457458], rtol=1e-9)
    assert found.estimated_error < 1e-12
