"""Beams and other equations of higher order on a line, on grids as fine as the load asks for."""

import numpy as np
import pytest
import torch
from manufactured import true_error
from scipy.integrate import solve_ivp

from kanpde import Box, Condition, Dirichlet, Neumann, Problem, d
from kanpde.reference import reference
from kanpde.reference.norms import rms

STIFFNESS, LENGTH, WEIGHT = 2e11 * 8e-6, 5.0, 1e4
"""Of a steel beam, in SI units, and the largest load per metre."""


def smeared(x):
    """A load over 1 % of the length."""
    return WEIGHT * torch.exp(-(((x / LENGTH - 0.4) / 0.01) ** 2))


def clamped(x, s):
    """Bending of a beam of unit length and stiffness that is clamped at both ends, by a unit load
    at s."""
    a, b = np.minimum(x, s), np.maximum(x, s)
    return a**2 * (1 - b) ** 2 * (3 * b - a - 2 * a * b) / 6


def cantilever(x, s):
    """The same of one that is clamped at the left end alone."""
    a = np.minimum(x, s)
    return a**2 * (3 * np.maximum(x, s) - a) / 6


FREE = [
    Condition(lambda u, x: STIFFNESS * d(u, x, x), on="x+"),
    Condition(lambda u, x: STIFFNESS * d(u, x, x, x), on="x+"),
]


@pytest.mark.parametrize(
    ("conditions", "green"),
    [
        ([Dirichlet(u=0), Neumann(u=0)], clamped),
        ([Dirichlet(u=0, on="x-"), Neumann(u=0, on="x-"), *FREE], cantilever),
    ],
)
def test_a_beam_under_a_load_that_is_nearly_a_point(conditions, green):
    """Judged by Green's function."""
    problem = Problem(
        Box(x=(0, LENGTH)),
        [lambda u, x: STIFFNESS * d(u, x, x, x, x) - smeared(x)],
        conditions,
    )
    found = reference(problem)
    x, (s, w) = found.coordinates["x"] / LENGTH, np.polynomial.legendre.leggauss(600)
    s = 0.4 + 0.08 * s
    load = smeared(torch.from_numpy(s * LENGTH)).numpy() * 0.08 * w
    exact = green(x[:, None], s) @ load * LENGTH**4 / STIFFNESS
    error = rms((found.values["u"] - exact)[None])[0] / found.scales["u"]
    assert error < 1e-9
    assert found.estimated_error < 1e-9
    assert found.doubt == ""


def test_blasius():
    """The boundary layer on a plate, of third order. At the wall f'' is known to many digits for a
    plate without end, which 16 is to 1e-20."""
    problem = Problem(
        Box(x=(0, 16)),
        [lambda f, x: d(f, x, x, x) + 0.5 * f * d(f, x, x)],
        [
            Dirichlet(f=0, on="x-"),
            Neumann(f=0, on="x-"),
            Condition(lambda f, x: d(f, x) - 1, on="x+"),
        ],
    )
    found = reference(problem)
    exact = solve_ivp(
        lambda x, y: [y[1], y[2], -0.5 * y[0] * y[2]],
        (0, 16),
        [0, 0, 0.332057336215196],
        t_eval=found.coordinates["x"],
        rtol=2.3e-14,
        atol=1e-15,
        method="DOP853",
    ).y[0]
    error = rms((found.values["f"] - exact)[None])[0] / found.scales["f"]
    assert error < 3 * found.estimated_error < 1e-8


ENDS = [Dirichlet(u=0, on="x-"), Dirichlet(u=1, on="x+"), Neumann(u=0, on="x-")]


@pytest.mark.parametrize(
    "fourth",
    [
        Condition(lambda u, x: d(u, x) - 4, on="x+"),
        Condition(lambda u, x: d(u, x, x), on="x-"),
    ],
)
def test_conditions_at_either_end(fourth):
    problem = Problem(
        Box(x=(0, 1)),
        [lambda u, x: d(u, x, x, x, x) + 100 * u**3 - 24 - 100 * x**12],
        [*ENDS, fourth],
        exact={"u": lambda x: x**4},
    )
    found = reference(problem)
    assert true_error(problem, found) < 3 * found.estimated_error < 1e-9


def test_both_conditions_at_one_end_of_a_line():
    """As a system of all nodes at once, which `order=` asks for."""
    problem = Problem(
        Box(x=(0, 10)),
        [lambda y, x: d(y, x, x) + 2 * y],
        [Dirichlet(y=1, on="x-"), Neumann(y=0, on="x-")],
        exact={"y": lambda x: torch.cos(2**0.5 * x)},
    )
    found = reference(problem, order=12)
    assert true_error(problem, found) < 3 * found.estimated_error < 1e-9
