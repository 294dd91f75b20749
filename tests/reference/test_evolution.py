"""Evolutions of first and second order in time: observed order in space within 0.1, and the same
test on wrong schemes."""

from math import pi

import manufactured
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from manufactured import KINDS, grid, one_order_short, slope
from orders import holds, observed
from scipy.integrate import solve_ivp
from torch import cos, exp, sin

from kanpde import Box, Dirichlet, Initial, Neumann, Problem, Time, d, laplacian
from kanpde.errors import SolutionEnds
from kanpde.problem.file import load
from kanpde.reference import grid as grids
from kanpde.reference import radau, reference
from kanpde.reference.affine import AffineSystem
from kanpde.reference.collocation import CollocationGrid
from kanpde.reference.constancy import vary
from kanpde.reference.evolution import _largest, solve_evolution
from kanpde.reference.initial import initial
from kanpde.reference.semidiscrete import SemiDiscrete
from kanpde.reference.solution import WORK_BY_EFFORT
from kanpde.reference.system import System
from kanpde.reference.work import OutOfWork

ORDERS = (2, 4)
HIGH = (6, 8)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["heat", "wave"])
def test_order(name, kind, order):
    holds(slope(getattr(manufactured, name)(kind), 64, order), order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["Dirichlet", "Periodic"])
def test_order_of_advection(kind, order):
    holds(slope(manufactured.advection(kind), 64, order), order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("heat_plane", 16),
        ("membrane", 32),
        ("schroedinger", 64),
        ("telegraph", 32),
        ("radiating", 64),
    ],
)
def test_order_of_other_equations(name, cells, order):
    holds(slope(getattr(manufactured, name)(), cells, order), order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["heat", "wave"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lower_order_is_seen(name, kind, order, monkeypatch):
    """The tests above notice stencils that are one order short."""
    monkeypatch.setattr(grids, "matrix", one_order_short)
    assert slope(getattr(manufactured, name)(kind), 64, order) < order - 0.3


@pytest.mark.parametrize("name", ["heat_plane", "telegraph", "radiating", "schroedinger"])
def test_jacobian(name):
    """∂f/∂y against central differences of f, for first and second order in time and nonlinear
    conditions."""
    problem = getattr(manufactured, name)()
    system = SemiDiscrete(problem, grid(problem, 12, 4))
    rng = np.random.default_rng(0)
    y, v = system.initial(), rng.standard_normal(system.size)
    eps = 1e-5
    difference = (system(0.2, y + eps * v) - system(0.2, y - eps * v)) / (2 * eps)
    assert system.jacobian(0.2, y) @ v == pytest.approx(
        difference, rel=1e-6, abs=1e-6 * np.abs(difference).max()
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_stability(kind, order):
    """With its boundaries eliminated, the second derivative keeps real eigenvalues below zero; so
    waves do not grow."""
    problem = manufactured.heat(kind)
    system = SemiDiscrete(problem, grid(problem, 64, order))
    eigenvalues = np.linalg.eigvals(system.jacobian(0.0, system.initial()).toarray())
    # The Robin condition 2u - u_x at x- and u + 3u_x at x+ damps; none of the kinds feeds energy
    # in.
    assert eigenvalues.real.max() < 1e-9 * np.abs(eigenvalues).max()
    assert np.abs(eigenvalues.imag).max() < 1e-6 * np.abs(eigenvalues).max()


@pytest.mark.parametrize("order", HIGH)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["heat", "wave"])
def test_high_order(name, kind, order):
    """Waves meet rounding on coarser grids, because their accelerations come from values."""
    cells, rounding = {"heat": (42, 6e-13), "wave": (36, 2e-12)}[name]
    if kind == "Periodic":
        cells, rounding = 24, 5e-14
    problem = getattr(manufactured, name)(kind, end=1)
    holds(slope(problem, cells, order, ratio=(2, 3), rounding=rounding), order)


@pytest.mark.parametrize(
    ("kind", "order", "cells"), [("Dirichlet", 6, 48), ("Periodic", 6, 32), ("Periodic", 8, 28)]
)
def test_high_order_of_advection(kind, order, cells):
    holds(slope(manufactured.advection(kind), cells, order, rounding=1e-13), order)


@pytest.mark.parametrize("order", [*HIGH, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_high_orders_are_stable(kind, order):
    """On graded nodes the second derivative has real eigenvalues below zero at every order, as on
    equidistant ones to order 4."""
    problem = manufactured.heat(kind)
    system = SemiDiscrete(problem, grid(problem, 48, order))
    eigenvalues = np.linalg.eigvals(system.jacobian(0.0, system.initial()).toarray())
    assert eigenvalues.real.max() < 1e-9 * np.abs(eigenvalues).max()
    assert np.abs(eigenvalues.imag).max() < 1e-6 * np.abs(eigenvalues).max()


@pytest.mark.parametrize("order", [*HIGH, 12])
def test_advection_does_not_grow(order):
    problem = manufactured.advection("Dirichlet")
    system = SemiDiscrete(problem, grid(problem, 64, order))
    assert np.linalg.eigvals(system.jacobian(0.0, system.initial()).toarray()).real.max() < 0


@pytest.mark.parametrize("order", HIGH)
def test_equidistant_nodes_would_grow(order, monkeypatch):
    """Why nodes are graded: with the same closures on equidistant ones, advection grows and the
    heat equation oscillates."""
    monkeypatch.setattr(grids, "graded", lambda cells: np.linspace(0, 1, cells + 1))
    advection, heat = (
        SemiDiscrete(p, grid(p, 64, order))
        for p in (manufactured.advection("Dirichlet"), manufactured.heat("Dirichlet"))
    )
    assert np.linalg.eigvals(advection.jacobian(0.0, advection.initial()).toarray()).real.max() > 1
    assert np.abs(np.linalg.eigvals(heat.jacobian(0.0, heat.initial()).toarray()).imag).max() > 100


def slope_in_time(order, counts, short=0.0):
    """Observed order between two numbers of equal steps to t = 2; short: of an error h^9 that is
    added in each step, one order too low."""
    problem = manufactured.swinging(order)
    system = System(problem, grid(problem, 4, 2))
    errors = []
    for count in counts:
        run = radau.Radau(system, np.ones(system.size), np.zeros(system.size), 0.0, 1e-13)
        run._allowed = np.inf
        for k in range(count):
            run.U = run.U * (1 + short * (2 / count) ** 9)
            run.advance(2 * (k + 1) / count)
        errors.append(abs(run.U[0] - (np.exp(-2 * np.sin(2)) if order == 1 else np.cos(10))))
    return observed(errors, 1 / np.array(counts), rounding=1e-13)


@pytest.mark.parametrize(("order", "counts"), [(1, (4, 6)), (2, (12, 18))])
def test_order_in_time(order, counts):
    holds(slope_in_time(order, counts), radau.ORDER)
    assert slope_in_time(order, counts, short=0.1) < radau.ORDER - 0.5


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("name", ["heat", "wave"])
def test_affine_equations_are_evaluated_ahead(name, spectral, monkeypatch):
    """The same states as from the residual itself, with stops and shorter steps among them, for
    fewer evaluations."""
    problem, found = getattr(manufactured, name)("Robin"), []
    space = CollocationGrid({"x": problem.domain.bounds["x"]}, (16,), 16)
    evaluate, calls = System.residual, []
    monkeypatch.setattr(System, "residual", lambda *given: calls.append(1) or evaluate(*given))
    for constant in (System.constant, lambda self: None):
        monkeypatch.setattr(System, "constant", constant)
        system = System(problem, space if spectral else grid(problem, 24, 4))
        start = [v.ravel() for v in initial(problem, system.grid)]
        calls.clear()
        states, steps, _ = radau.integrate(
            system, start[0], start[1], [0.0, 0.3, 1.0], 1e-9, 0, (0.1, 0.6)
        )
        found.append((states, steps, len(calls)))
    (ahead, steps, few), (known, same, many) = found
    np.testing.assert_allclose(ahead, known, rtol=0, atol=1e-11 * np.abs(known).max())
    assert steps == same
    assert few < many / 2


def pulsed(dimensions):
    """A loss that is fifty times stronger for a hundredth of the time."""
    domain = Box(**dict.fromkeys("xy"[:dimensions], (0, 1))) * Time(t=(0, 0.5))

    def equation(u, t):
        return d(u, t) - 0.1 * laplacian(u) + (1 + 50 * exp(-(((t - 0.3717) / 0.004) ** 2))) * u

    return Problem(domain, [equation], [Neumann(u=0), Initial(u=lambda x: 1 + cos(pi * x))])


@pytest.mark.parametrize(("dimensions", "method"), [(1, "Radau IIA"), (1, "DOP853"), (2, "DOP853")])
def test_partials_that_vary_for_a_moment_are_seen(dimensions, method):
    problem = pulsed(dimensions)
    space = grid(problem, 16, 6)
    found = solve_evolution(problem, space, np.linspace(0, 0.5, 3), 1e-9, method=method)[0]
    lost = np.exp(-0.5 - 0.2 * np.sqrt(pi))
    mean = space.even(space.close(found[..., -1])).mean()
    assert mean == pytest.approx(lost, rel=1e-6)


def test_what_is_constant_is_known_in_three_ways():
    """By the operations of a residual, by its partials at many instants, and by what it comes to
    where it is evaluated."""
    (pulse,), problem = pulsed(1).equations, pulsed(1)
    nodes = {"x": torch.linspace(0, 1, 9).double()}
    assert vary(pulse, nodes, "t", (0.0, 1.0))
    (heat,) = manufactured.heat("Dirichlet").equations
    assert heat.asks_for("t", {**nodes, "t": nodes["x"]})
    assert not vary(heat, nodes, "t", (0.0, 1.0))
    (still,) = Problem(problem.domain, lambda u, x, t: d(u, t) - x * u, Initial(u=1)).equations
    assert not still.asks_for("t", {**nodes, "t": nodes["x"]})
    far = Problem(problem.domain, lambda u, x, t: d(u, t) - exp(-2500 / u), Initial(u=1))
    assert System(far, grid(far, 8, 2)).constant() is None
    system = System(problem, grid(problem, 8, 2))
    fields = [np.ones((system.size, 1))] * 2
    ahead = AffineSystem(system, system.slopes(fields, 0.1), np.array([1.0]))
    assert ahead(fields, 0.1, 0.01, 3) is not None
    assert ahead(fields, 0.36, 0.01, 3) is None


def test_rates_that_vanish_far_from_the_solution_are_not_affine(monkeypatch):
    """Arrhenius' law: at the values that are tried, between 0 and 1, nothing burns."""

    def burning(T, x, t):
        return d(T, t) - d(T, x, x) - 4e3 * exp(-2500 / T) * (600 - T)

    conditions = [Neumann(T=0), Initial(T=400)]
    problem = Problem(Box(x=(0, 1)) * Time(t=(0, 1)), [burning], conditions)
    monkeypatch.setitem(WORK_BY_EFFORT, "quick", 0.7)
    found = reference(problem, effort="quick")
    truth = solve_ivp(
        lambda t, T: 4e3 * np.exp(-2500 / T) * (600 - T), (0, 1), [400.0], rtol=1e-10, atol=1e-8
    )
    assert found.values["T"][0, -1] == pytest.approx(truth.y[0, -1], rel=1e-7)


def test_integrators_agree():
    """Both on one stiff problem, so that either may be chosen."""
    problem = manufactured.heat("Neumann")
    times = np.linspace(0, 0.25, 5)
    implicit, explicit = (
        solve_evolution(problem, grid(problem, 24, 4), times, 1e-10, method=method)[0]
        for method in ("Radau IIA", "DOP853")
    )
    assert explicit == pytest.approx(implicit, abs=1e-8)


def test_the_largest_eigenvalue_of_what_has_none_but_zero_is_bounded():
    """ARPACK finds nothing to build on there."""
    nilpotent = sp.diags([np.full(24, 3.0)], [1], format="csc")
    assert 0 <= _largest(nilpotent) <= 3
    assert _largest(sp.csc_matrix((25, 25))) == 0


@pytest.mark.parametrize(
    ("problem", "cells", "expected"),
    [
        (manufactured.heat("Dirichlet"), 64, "Radau IIA"),
        (manufactured.membrane(), 16, "DOP853"),
        (manufactured.heat_plane(), 32, "Radau IIA"),
    ],
)
def test_choice_of_integrator(problem, cells, expected):
    assert (
        expected
        in solve_evolution(problem, grid(problem, cells, 4), np.linspace(0, 0.01, 3), 1e-6)[1]
    )


@pytest.mark.parametrize("name", ["absorbing", "benjamin_bona_mahony", "pressed"])
def test_constraints_and_mixed_derivatives(name):
    """A condition and an equation with derivatives in time, and an unknown without one, are rows
    like any other."""
    problem = getattr(manufactured, name)()
    assert manufactured.error(problem, 48, 8) < 2e-9


def test_constant_coefficients_are_found():
    """An equation without data in time is integrated as y' = A y + b; one with them is not."""
    assert (
        SemiDiscrete(manufactured.membrane(), grid(manufactured.membrane(), 8, 2))._linear
        is not None
    )
    assert (
        SemiDiscrete(manufactured.telegraph(), grid(manufactured.telegraph(), 8, 2))._linear is None
    )


@pytest.mark.parametrize("pace", [1e-6, 1.0, 1e6])
def test_weak_nonlinearity_is_not_taken_for_constant_coefficients(pace):
    """However fast or slow everything is: what counts is its share of the largest coefficient."""

    def nearly_heat(u, x, t):
        return d(u, t) - pace * (d(u, x, x) - 1e-7 * u**3)

    def heat(u, x, t):
        return d(u, t) - pace * d(u, x, x)

    found = []
    for equation in (nearly_heat, heat):
        problem = Problem(
            Box(x=(0, 1)) * Time(t=(0, 1 / pace)),
            [equation],
            [Dirichlet(u=0), Initial(u=lambda x: sin(pi * x))],
        )
        found.append(SemiDiscrete(problem, grid(problem, 8, 2))._linear is not None)
    assert found == [False, True]


def test_a_solution_that_blows_up_ends_at_one_time_on_two_grids():
    """u_t = u_xx + u² from 20 sin πx: the time is that of plain differences, which SciPy marches
    until they are ten thousand times as large."""
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.2)),
        lambda u, x, t: d(u, t) - d(u, x, x) - u**2,
        [Dirichlet(u=0, on=("x-", "x+")), Initial(u=lambda x: 20 * sin(pi * x))],
    )
    with pytest.raises(SolutionEnds, match="it blows up there, on two grids") as found:
        reference(problem, effort="quick")
    cells = 64
    x = np.arange(1, cells) / cells

    def rate(t, u):
        padded = np.pad(u, 1)
        return cells**2 * (padded[2:] - 2 * u + padded[:-2]) + u**2

    def large(t, u):
        return u.max() - 2e5

    large.terminal = True
    march = solve_ivp(rate, (0, 0.2), 20 * np.sin(pi * x), events=large, rtol=1e-8)
    assert abs(found.value.ends - march.t[-1]) < 0.01 * march.t[-1]


def test_a_grid_that_is_too_coarse_does_not_say_that_a_solution_blows_up(monkeypatch):
    """Chaos that begins: coarse grids grow without bound before t = 1/2, the next one goes on."""
    problem = load("kuramoto_sivashinsky1d")[0]
    monkeypatch.setitem(WORK_BY_EFFORT, "quick", 1.0)
    with pytest.raises(OutOfWork, match="the work that it may take is used up") as found:
        reference(problem, effort="quick")
    assert "blows up" not in str(found.value)
