"""Evolutions of first and second order in time: observed order in space within 0.1, and the same test on wrong schemes."""

import manufactured
import numpy as np
import pytest
from manufactured import KINDS, grid, slope

from kanpde.reference import grid as grids
from kanpde.reference.evolution import INTEGRATORS, _Watched, choose
from kanpde.reference.semidiscrete import SemiDiscrete
from kanpde.reference.stencils import matrix

ORDERS = (2, 4)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["heat", "wave"])
def test_order(name, kind, order):
    assert slope(getattr(manufactured, name)(kind), 64, order) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["Dirichlet", "Periodic"])
def test_order_of_advection(kind, order):
    assert slope(manufactured.advection(kind), 64, order) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "cells"), [("heat_plane", 16), ("membrane", 32), ("schroedinger", 64), ("telegraph", 32), ("radiating", 64)])
def test_order_of_other_equations(name, cells, order):
    assert slope(getattr(manufactured, name)(), cells, order) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["heat", "wave"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lower_order_is_seen(name, kind, order, monkeypatch):
    """The tests above notice stencils that are one order short."""
    monkeypatch.setattr(grids, "matrix", lambda n, h, m, p, periodic: matrix(n, h, m, p, periodic) * (1 + (h ** (p - 1) if m else 0)))
    assert slope(getattr(manufactured, name)(kind), 64, order) < order - 0.3


@pytest.mark.parametrize("name", ["heat_plane", "telegraph", "radiating", "schroedinger"])
def test_jacobian(name):
    """∂f/∂y against central differences of f, for first and second order in time and nonlinear conditions."""
    problem = getattr(manufactured, name)()
    system = SemiDiscrete(problem, grid(problem, 12, 4))
    rng = np.random.default_rng(0)
    y, v = system.initial(), rng.standard_normal(system.size)
    eps = 1e-5
    difference = (system(0.2, y + eps * v) - system(0.2, y - eps * v)) / (2 * eps)
    assert system.jacobian(0.2, y) @ v == pytest.approx(difference, rel=1e-6, abs=1e-6 * np.abs(difference).max())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_stability(kind, order):
    """With its boundaries eliminated, the second derivative keeps real eigenvalues below zero; so waves do not grow."""
    problem = manufactured.heat(kind)
    system = SemiDiscrete(problem, grid(problem, 64, order))
    eigenvalues = np.linalg.eigvals(system.jacobian(0.0, system.initial()).toarray())
    # The Robin condition 2u - u_x at x- and u + 3u_x at x+ damps; none of the kinds feeds energy in.
    assert eigenvalues.real.max() < 1e-9 * np.abs(eigenvalues).max()
    assert np.abs(eigenvalues.imag).max() < 1e-6 * np.abs(eigenvalues).max()


def test_integrators_agree():
    """All four on one stiff problem, so that any of them may be chosen."""
    problem = manufactured.heat("Neumann")
    system = SemiDiscrete(problem, grid(problem, 24, 4))
    times = np.linspace(0, 1, 5)
    states = [integrate(_Watched(system, 60.0), system.initial(), times, 1e-9, 1e-9) for integrate in INTEGRATORS.values()]
    for other in states[1:]:
        assert other == pytest.approx(states[0], abs=1e-7)


@pytest.mark.parametrize(
    ("problem", "cells", "expected"),
    [
        (manufactured.heat("Dirichlet"), 64, "VODE"),
        (manufactured.wave("Dirichlet"), 64, "DOP853"),
        (manufactured.membrane(), 16, "DOP853"),
        (manufactured.heat_plane(), 32, "BDF"),
        (manufactured.schroedinger(), 256, "Radau"),
    ],
)
def test_choice_of_integrator(problem, cells, expected):
    system = SemiDiscrete(problem, grid(problem, cells, 4))
    assert choose(system, system.initial()) == expected


def test_constant_coefficients_are_found():
    """An equation without data in time is integrated as y' = A y + b; one with them is not."""
    assert SemiDiscrete(manufactured.membrane(), grid(manufactured.membrane(), 8, 2))._linear is not None
    assert SemiDiscrete(manufactured.telegraph(), grid(manufactured.telegraph(), 8, 2))._linear is None
