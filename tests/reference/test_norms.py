"""Each unknown has its own error, however small it is beside others, and whatever its offset."""

import numpy as np
import pytest
import torch
from manufactured import true_error

from kanpde import Box, Dirichlet, Initial, Neumann, Problem, Time, d
from kanpde.reference import reference
from kanpde.reference.norms import EPSILON, rms, scales


def side_by_side(offset: float, size: float) -> Problem:
    """Two equations that have nothing in common: v of some size, whose equation is nonlinear,
    beside u of an offset."""
    return Problem(
        Box(x=(0, 1)),
        [lambda u, x: d(u, x, x), lambda v, x: d(v, x, x) - 6 / size * v**2],
        [
            Dirichlet(u=offset, on="x-"),
            Dirichlet(u=offset + 1, on="x+"),
            Dirichlet(v=size, on="x-"),
            Dirichlet(v=size / 4, on="x+"),
        ],
        exact={"u": lambda x: offset + x, "v": lambda x: size / (1 + x) ** 2},
    )


@pytest.mark.parametrize("offset", [0.0, 300.0, 1e6])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_newton_goes_on_until_every_unknown_has_settled(offset, size):
    problem = side_by_side(offset, size)
    found = reference(problem)
    assert true_error(problem, found) < 3 * found.estimated_error
    assert found.estimated_errors["v"] < 1e-10
    assert found.scales["u"] == pytest.approx(np.sqrt(1 / 12), rel=0.05)


def test_steps_in_time_are_short_enough_for_every_unknown():
    """Growth by Verhulst's equation, beside a temperature in its own units."""
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 30)),
        [
            lambda T, x, t: d(T, t) - d(T, x, x) - 1,
            lambda v, x, t: d(v, t) - d(v, x, x) - v * (1 - v),
        ],
        [Neumann(T=0, v=0), Initial(T=1e5, v=0.01)],
        exact={"T": lambda t: 1e5 + t, "v": lambda t: 1 / (1 + 99 * (-t).exp())},
    )
    found = reference(problem)
    assert true_error(problem, found) < 3 * found.estimated_error < 1e-7


def test_an_unknown_that_vanishes_is_nothing_but_rounding():
    """v has nothing that moves it: its right-hand side cancels."""
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.1)),
        [
            lambda u, x, t: d(u, t) - d(u, x, x),
            lambda u, v, x, t: (
                d(v, t) - d(v, x, x) - u + torch.exp(-(torch.pi**2) * t) * torch.sin(torch.pi * x)
            ),
        ],
        [Dirichlet(u=0, v=0), Initial(u=lambda x: torch.sin(torch.pi * x), v=0)],
        exact={
            "u": lambda x, t: torch.exp(-(torch.pi**2) * t) * torch.sin(torch.pi * x),
            "v": lambda x: 0 * x,
        },
    )
    found = reference(problem)
    assert 0 < rms(found.values["v"][None])[0] < 1e-14
    assert true_error(problem, found) < 3 * found.estimated_error < 1e-11


def test_scales():
    x = np.linspace(0, 1, 101)
    values = np.stack([300 + np.sin(np.pi * x), np.full(101, 4.0), 0 * x, 1e-17 * np.cos(40 * x)])
    noise = np.array([1e-13, 1e-16, 0.0, 1e-17])
    spread, constant, unknown, vanishing = scales(values, noise)
    assert spread == pytest.approx(np.std(values[0]))
    assert (constant, unknown) == (4.0, 1.0)
    assert vanishing == pytest.approx(1e-17 / EPSILON)
    assert rms(np.array([[3e200, 4e200], [np.inf, 0.0]])).tolist() == [
        pytest.approx(np.sqrt(12.5) * 1e200),
        np.inf,
    ]
