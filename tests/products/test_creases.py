"""Sources and materials that jump at places of one coordinate: derivatives of solutions jump there,
and splines have just as many continuous derivatives."""

import numpy as np
import pytest
import torch
from refined import solved
from scipy.interpolate import BSpline

import kanpde
from kanpde import Box, Dirichlet, Initial, Problem, Time, d, laplacian
from kanpde.exports import splines
from kanpde.problem.switches import creases
from kanpde.products.axes import SplineAxis
from kanpde.products.estimates import evenly, halved, refined, roughness
from kanpde.products.progress import Beyond
from kanpde.products.solution import TensorSolution
from kanpde.products.tensor import Product

CREASED = (0.4, 1.7)


def creased(degree=5, smooth=1, wraps=False, cells=14):
    """Splines on (0, 3) with two creases."""
    return evenly(SplineAxis(np.array([0.0, 3.0]), degree, wraps, CREASED, smooth), cells)


def values(solution, *columns):
    """The first unknown at points."""
    points = torch.from_numpy(np.stack(np.broadcast_arrays(*columns), 1).astype(float))
    return solution(points)[:, 0].numpy()


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("wraps", [False, True], ids=["clamped", "periodic"])
@pytest.mark.parametrize("smooth", [0, 1, 3])
def test_splines_with_creases_are_those_of_scipy(smooth, wraps, order):
    axis, x = creased(5, smooth, wraps), np.random.default_rng(0).uniform(0, 3, 60)
    wide_size = len(axis.knots) - axis.degree - 1
    one = BSpline(axis.knots, np.eye(wide_size), axis.degree)
    wide = one(x, nu=order)
    expected = np.zeros((len(x), axis.size))
    np.add.at(expected.T, np.arange(wide_size) % axis.size, wide.T)
    found = axis.matrix(x, order).toarray()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("smooth", [0, 1, 2])
def test_as_many_derivatives_are_continuous_at_creases_as_are_said_to_be(smooth):
    axis = creased(6, smooth)
    assert set(CREASED) <= set(axis.breaks)
    for place in CREASED:
        cell = int(axis.cell_of(np.array([place]))[0])
        x, sides = np.array([place]), []
        for order in range(smooth + 2):
            sides = [axis.matrix(x, order, np.array([c])).toarray() for c in (cell - 1, cell)]
            jump, size = np.abs(sides[0] - sides[1]).max(), np.abs(sides).max()
            assert (jump < 1e-11 * size) == (order <= smooth)


def test_cells_that_are_placed_anew_keep_the_creases():
    axis = creased()
    some = np.zeros(axis.cells, dtype=bool)
    some[2] = True
    rough = np.linspace(1, 1e6, axis.cells)
    for other in (halved(axis, some), evenly(axis, 30), refined(axis, rough, 1e-6, 100)):
        assert other.creases == CREASED
        assert other.at_creases.sum() == 2
        assert (np.diff(other.breaks) > 0).all()
        assert other.cells > axis.cells


def test_a_derivative_that_jumps_at_a_crease_is_no_roughness():
    axis, x = creased(5), np.linspace(0, 3, 400)
    bent = np.clip(x - CREASED[0], 0, None) ** 5
    c = np.linalg.lstsq(axis.matrix(x).toarray(), bent, rcond=None)[0]
    found = roughness(Product((axis,), c[None]), 0, np.array([1.0]))
    assert found.max() < 1, "the fifth derivative jumps from 0 to 120 over a quarter"


def test_errors_are_over_what_unknowns_come_to_in_the_end():
    assert Beyond(0.0, 1.0, 1e-6, (1.0, 2.0)).over((10.0, 4.0)) == pytest.approx(5e-7)


def test_a_product_with_creases_is_read_from_plain_values_and_exported():
    axis = creased()
    product = Product((axis,), np.random.default_rng(1).normal(size=(1, axis.size)))
    again = Product.from_plain(product.plain())
    x = np.linspace(0, 3, 101)
    first, second = (one.on_grid(0, [x], (1,)) for one in (product, again))
    np.testing.assert_array_equal(first, second)
    problem = Problem(Box(x=(0, 3)), lambda u, x: d(u, x, x), [Dirichlet(u=0)])
    found = splines.values(TensorSolution(problem, (product,)), [torch.from_numpy(x)])
    np.testing.assert_allclose(found[:, 0], product.on_grid(0, [x], (0,)), rtol=0, atol=1e-13)


def test_creases_are_where_sources_jump_along_lines():
    square = Box(x=(0, 1), y=(0, 2))

    def posed(source):
        return Problem(square, lambda u, x, y: laplacian(u) + source(x, y), [Dirichlet(u=0)])

    patch = posed(lambda x, y: torch.where((x > 0.3) & (x < 0.62) & (y > 0.5), 1.0, 0.0))
    disk = posed(lambda x, y: torch.where((x - 0.5) ** 2 + (y - 1) ** 2 < 0.1, 1.0, 0.0))
    slanted = posed(lambda x, y: torch.where(x + y < 1.3, 1.0, 0.0))
    np.testing.assert_allclose(creases(patch, "x"), (0.3, 0.62), atol=1e-12)
    np.testing.assert_allclose(creases(patch, "y"), (0.5,), atol=1e-12)
    for problem in (disk, slanted):
        assert creases(problem, "x") == creases(problem, "y") == ()


def test_a_beam_with_a_load_on_a_part_of_it():
    """Clamped at the left, free at the right; a load of 4 kN/m from 0.5 m to 1.2 m."""
    stiff, a, b, length = 2.1e5, 0.5, 1.2, 2.0

    def beam(w, x):
        return stiff * d(w, x, x, x, x) - torch.where((x > a) & (x < b), 4e3, 0.0)

    def exact(x):
        # Macaulay's brackets: the moments of the load, integrated twice.
        def load(x):
            return 4e3 * (np.clip(x - a, 0, None) ** 4 - np.clip(x - b, 0, None) ** 4) / 24

        force, moment = 4e3 * (b - a), 4e3 * (b - a) * (a + b) / 2
        return (load(x) - force * x**3 / 6 + moment * x**2 / 2) / stiff

    free = [
        kanpde.Condition(lambda w, x: d(w, x, x), on="x+"),
        kanpde.Condition(lambda w, x: d(w, x, x, x), on="x+"),
    ]
    clamped = [Dirichlet(w=0, on="x-"), kanpde.Neumann(w=0, on="x-")]
    solution, progress = solved(Problem(Box(x=(0, length)), beam, clamped + free), 1e-8)
    x = np.linspace(0, length, 201)
    assert not progress.missed
    assert np.abs(values(solution, x) - exact(x)).max() < 1e-8 * np.ptp(exact(x)) / 2


def test_a_wall_of_two_materials_in_mixed_form():
    def flux(T, q, x):
        return q + torch.where(x < 0.1, 1.38, 400.0) * d(T, x)

    def balance(q, x):
        return d(q, x)

    problem = Problem(
        Box(x=(0, 0.3)),
        [flux, balance],
        [Dirichlet(T=293.15, on="x-"), Dirichlet(T=273.15, on="x+")],
        unknowns=["T", "q"],
    )
    solution, progress = solved(problem, 1e-8)
    resistances = 0.1 / 1.38, 0.2 / 400
    between = 293.15 - 20 * resistances[0] / sum(resistances)
    x = np.linspace(0, 0.3, 301)
    assert not progress.missed
    exact = np.interp(x, [0, 0.1, 0.3], [293.15, between, 273.15])
    assert np.abs(values(solution, x) - exact).max() < 1e-8 * 10


def test_a_rod_that_is_heated_in_part():
    """In SI units; against Fourier's series, in which the start is a layer at each crease."""
    length, a, rate = 0.2, 1e-4, 2.0

    def heated(T, x, t):
        return d(T, t) - a * d(T, x, x) - torch.where((x > 0.05) & (x < 0.1), rate, 0.0)

    problem = Problem(
        Box(x=(0, length)) * Time(t=(0, 100)),
        heated,
        [Initial(T=293.15), Dirichlet(T=293.15)],
    )
    solution, progress = solved(problem, 1e-6, sizes=(15.0,))
    assert not progress.missed
    k = np.pi / length * np.arange(1, 20_001)
    given = 2 / length * rate * (np.cos(0.05 * k) - np.cos(0.1 * k)) / k
    x = np.linspace(0, length, 101)
    for t in (0.01, 1.0, 100.0):
        exact = 293.15 + np.sin(np.outer(x, k)) @ (-given * np.expm1(-a * k**2 * t) / (a * k**2))
        assert np.abs(values(solution, x, np.full_like(x, t)) - exact).max() < 19e-6
