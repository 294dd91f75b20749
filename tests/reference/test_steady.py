"""Steady problems: observed order for every kind of condition and dimension, within 0.1, and the
same test on wrong schemes."""

import manufactured
import numpy as np
import pytest
from manufactured import KINDS, error, one_order_short, slope
from orders import holds

from kanpde import Box, Dirichlet, Neumann, Problem, d, laplacian
from kanpde.reference import grid as grids
from kanpde.reference.stencils import matrix, weights

ORDERS = (2, 4)
HIGH = (6, 8)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_order_in_one_dimension(kind, order):
    holds(slope(manufactured.reaction_1d(kind), 256, order), order)


@pytest.mark.parametrize("order", HIGH)
@pytest.mark.parametrize("kind", KINDS)
def test_high_order_in_one_dimension(kind, order):
    """On nodes graded towards the ends, where there are ends."""
    holds(slope(manufactured.reaction_1d(kind), 56, order, ratio=(2, 3), rounding=5e-13), order)


@pytest.mark.parametrize(
    ("kind", "order", "cells"),
    [
        ("Dirichlet", 6, 36),
        ("Neumann", 6, 40),
        ("Robin", 6, 40),
        ("Periodic", 6, 24),
        ("Dirichlet", 8, 44),
        ("Neumann", 8, 36),
        ("Robin", 8, 36),
        ("Periodic", 8, 24),
    ],
)
def test_high_order_in_two_dimensions(kind, order, cells):
    corner = kind in ("Neumann", "Robin")
    problem = (manufactured.plane_of_growing_waves if corner else manufactured.plane)(kind)
    holds(slope(problem, cells, order, ratio=(2, 3), rounding=1e-13), order)


@pytest.mark.parametrize(
    ("name", "order", "cells", "rounding"),
    [
        ("cubic", 6, 40, 1e-13),
        ("cubic", 8, 48, 1e-13),
        ("coupled", 6, 32, 1e-13),
        ("coupled", 8, 40, 1e-13),
        ("conductivity", 8, 48, 1e-13),
        ("clamped_beam", 6, 40, 2e-11),
    ],
)
def test_high_order_of_other_equations(name, order, cells, rounding):
    problem = getattr(manufactured, name)()
    holds(slope(problem, cells, order, ratio=(2, 3), rounding=rounding), order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_order_in_two_dimensions(kind, order):
    """With a mixed derivative; for Neumann and Robin, on two faces that share a corner."""
    problem, cells = (
        (manufactured.plane_neumann_corner(kind), 32)
        if kind in ("Neumann", "Robin")
        else (manufactured.plane(kind), 64)
    )
    holds(slope(problem, cells, order), order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["Neumann", "Periodic"])
def test_order_in_three_dimensions(kind, order):
    """Dirichlet on the other faces."""
    ratio = {2: (1, 2), 4: (2, 3)}[order]
    holds(slope(manufactured.space(kind), 12, order, ratio), order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("cubic", 64),
        ("quasilinear", 64),
        ("conductivity", 64),
        ("coupled", 128),
        ("transport", 64),
        ("clamped_beam", 64),
    ],
)
def test_order_of_other_equations(name, cells, order):
    holds(slope(getattr(manufactured, name)(), cells, order), order)


@pytest.mark.parametrize("order", ORDERS)
def test_clamped_plate(order):
    """Both orders are still approached from different sides on affordable grids, so the errors are
    pinned instead."""
    errors = [error(manufactured.clamped_plate(), n, order) for n in (16, 32, 64)]
    assert errors[0] / errors[1] > 2**1.5
    assert errors[1] / errors[2] > 2**1.75
    assert errors[2] < {2: 2e-3, 4: 8e-6}[order]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lower_order_is_seen(kind, order, monkeypatch):
    """The tests above notice stencils that are one order short."""
    monkeypatch.setattr(grids, "matrix", one_order_short)
    assert slope(manufactured.reaction_1d(kind), 256, order) < order - 0.5


@pytest.mark.parametrize("order", HIGH)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lower_high_order_is_seen(kind, order, monkeypatch):
    monkeypatch.setattr(grids, "matrix", one_order_short)
    assert slope(manufactured.reaction_1d(kind), 40, order) < order - 0.5


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["Neumann", "Robin"])
def test_a_closure_of_lower_order_is_seen(kind, order, monkeypatch):
    """They notice that only the one-sided first derivative at the very ends is one order short."""

    def short(x, m, p, period):
        found, n = matrix(x, m, p, period).tolil(), len(x)
        if m == 1:
            w = weights(np.arange(p, dtype=float), 1) / (x[1] - x[0])
            found[0, : p + 1], found[n - 1, n - p - 1 :] = 0, 0
            found[0, :p], found[n - 1, n - p :] = w, -w[::-1]
        return found.tocsr()

    monkeypatch.setattr(grids, "matrix", short)
    assert slope(manufactured.reaction_1d(kind), 256, order) < order - 0.5


def test_pieces_of_a_face():
    """Dirichlet on one half of a face, Neumann on the other."""
    problem = Problem(
        Box(x=(0, 1), y=(0, 1)),
        [laplacian_of_u],
        [
            Dirichlet(u=saddle, on=("x-", "x+", "y-")),
            Dirichlet(u=saddle, on="y+", where=lambda x: x < 0.5),
            Neumann(u=lambda x, y: -2 * y, on="y+", where=lambda x: x >= 0.5),
        ],
        exact={"u": saddle},
    )
    assert error(problem, 16, 2) < 1e-12  # stencils of order 2 are exact on a quadratic


def test_fourth_order_is_exact_on_quartics():
    """Every stencil that takes part, at the ends too, is exact on polynomials of degree 4."""
    problem = Problem(
        Box(x=(0, 1)),
        [lambda u, x: d(u, x, x) + d(u, x) - 12 * x**2 - 4 * x**3],
        [Dirichlet(u=0, on="x-"), Neumann(u=4, on="x+")],
        exact={"u": lambda x: x**4},
    )
    assert error(problem, 16, 4) < 1e-12


def saddle(x, y):
    return x**2 - y**2


def laplacian_of_u(u, x, y):
    return laplacian(u) + 0 * x


def test_two_solutions_by_the_start():
    """Newton's method from the harmonic start finds the lower of Bratu's two solutions: u(1/2) =
    0.1405 for λ = 1."""
    problem = Problem(Box(x=(0, 1)), [lambda u, x: d(u, x, x) + u.exp()], [Dirichlet(u=0)])
    found = manufactured.solve_steady(problem, manufactured.grid(problem, 64, 4))[0][0]
    assert found[32] == pytest.approx(0.14053921440, abs=1e-8)
