"""Systems of first order: the orders of all unknowns count together, and waves that come in."""

import numpy as np
import pytest
import torch
from manufactured import true_error

from kanpde import Box, Condition, Dirichlet, Initial, Problem, Time, d
from kanpde.errors import ReferenceUnavailable
from kanpde.reference import reference

MU, EPSILON = 4e-7 * np.pi, 8.8541878128e-12
LIGHT = 1 / np.sqrt(MU * EPSILON)


def cavity(*conditions):
    """Maxwell's equations between mirrors, a metre apart."""
    return Problem(
        Box(x=(0, 1)) * Time(t=(0, 1 / LIGHT)),
        [
            lambda E, H, x, t: MU * d(H, t) + d(E, x),
            lambda E, H, x, t: EPSILON * d(E, t) + d(H, x),
        ],
        [*conditions, Initial(E=lambda x: torch.sin(torch.pi * x), H=0)],
        exact={
            "E": lambda x, t: torch.sin(torch.pi * x) * torch.cos(torch.pi * LIGHT * t),
            "H": lambda x, t: (
                -np.sqrt(EPSILON / MU) * torch.cos(torch.pi * x) * torch.sin(torch.pi * LIGHT * t)
            ),
        },
    )


def organ_pipe():
    """Sound in a pipe that is closed at both ends."""
    density, speed = 1.2, 343.0
    return Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.01)),
        [
            lambda v, p, x, t: density * d(v, t) + d(p, x),
            lambda v, p, x, t: d(p, t) + density * speed**2 * d(v, x),
        ],
        [Dirichlet(v=0), Initial(v=lambda x: 0.01 * torch.sin(torch.pi * x), p=1e5)],
        exact={
            "v": lambda x, t: 0.01 * torch.sin(torch.pi * x) * torch.cos(torch.pi * speed * t),
            "p": lambda x, t: (
                1e5
                - 0.01 * density * speed * torch.cos(torch.pi * x) * torch.sin(torch.pi * speed * t)
            ),
        },
    )


def line():
    """A telegraph line that ends in its own resistance: what goes in does not come back."""
    L, C, T = 2.5e-7, 1e-10, 2e-8
    slowness, resistance = np.sqrt(L * C), np.sqrt(L / C)

    def pulse(s):
        return torch.exp(-(((s - T / 2) / (0.12 * T)) ** 2))

    return Problem(
        Box(x=(0, 1)) * Time(t=(0, T)),
        [lambda V, J, x, t: L * d(J, t) + d(V, x), lambda V, J, x, t: C * d(V, t) + d(J, x)],
        [
            Dirichlet(V=lambda t: pulse(t), on="x-"),
            Condition(lambda V, J: V - resistance * J, on="x+"),
            Initial(
                V=lambda x: pulse(-slowness * x), J=lambda x: pulse(-slowness * x) / resistance
            ),
        ],
        exact={
            "V": lambda x, t: pulse(t - slowness * x),
            "J": lambda x, t: pulse(t - slowness * x) / resistance,
        },
    )


@pytest.mark.parametrize("problem", [cavity(Dirichlet(E=0)), organ_pipe(), line()])
def test_waves_between_ends(problem):
    found = reference(problem, cells=128)
    assert true_error(problem, found) < 3 * found.estimated_error < 1e-4


def test_more_conditions_than_waves_that_come_in():
    with pytest.raises(ReferenceUnavailable, match=r"2 conditions on x- .* where 1 wave"):
        reference(cavity(Dirichlet(E=0, H=0, on="x-")))


@pytest.mark.parametrize("ends", [("x-", "x+"), ("x+", "x-")])
def test_a_steady_system_has_room_for_the_conditions_of_all_its_unknowns(ends):
    """u'' = 1 as two equations, with both conditions on u."""
    problem = Problem(
        Box(x=(0, 1)),
        [lambda u, v, x: d(u, x) - v, lambda u, v, x: d(v, x) - 1],
        [Dirichlet(u=0, on=end) for end in ends],
        unknowns=["u", "v"],
        exact={"u": lambda x: x * (x - 1) / 2, "v": lambda x: x - 0.5},
    )
    found = reference(problem)
    assert true_error(problem, found) < 3 * found.estimated_error < 1e-9


def test_a_clamped_beam_as_two_equations():
    problem = Problem(
        Box(x=(0, 1)),
        [lambda u, w, x: d(u, x, x) - w, lambda w, x: d(w, x, x) - 24],
        [Dirichlet(u=0), Condition(lambda u, x: d(u, x), on=("x-", "x+"))],
        unknowns=["u", "w"],
        exact={"u": lambda x: x**2 * (1 - x) ** 2, "w": lambda x: 2 - 12 * x + 12 * x**2},
    )
    found = reference(problem)
    assert true_error(problem, found) < 3 * found.estimated_error < 1e-10
