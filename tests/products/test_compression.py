"""Products of splines as one separable KAN: how far it is from the truth in SI units, with fronts,
several unknowns and periodic coordinates; and what it holds exactly."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Initial, Neumann, Periodic, Problem, Time, d, laplacian
from kanpde.networks.canonical import layer_of
from kanpde.networks.restore import restore
from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.compression import compressed, finest
from kanpde.products.factors import Wanted, splines_within
from kanpde.products.solution import TensorSolution
from kanpde.products.tensor import Product
from kanpde.recipes.dimensions import scales_of


def fitted(axes, function, unknowns=1):
    """The product of splines that takes the values of functions at as many points as it has
    coefficients, or more."""
    at = [axis.gauss(axis.degree + 1)[0].ravel() for axis in axes]
    values = function(*np.meshgrid(*at, indexing="ij"))
    values = np.stack(values) if unknowns > 1 else values[None]
    for i, (axis, x) in enumerate(zip(axes, at, strict=True)):
        inverse = np.linalg.pinv(axis.matrix(x).toarray())
        values = np.moveaxis(np.tensordot(inverse, values, (1, i + 1)), 0, i + 1)
    return Product(tuple(axes), np.ascontiguousarray(values))


def splines(low, high, cells, periodic=False):
    return SplineAxis(np.linspace(low, high, cells + 1), 9, periodic)


def apart(problem, found, function):
    """Errors at random points over the variation, by unknown."""
    random = np.random.default_rng(7)
    columns = [random.uniform(*problem.domain.bounds[x], 3000) for x in problem.coordinates]
    truth = function(*columns)
    truth = np.stack(truth, 1) if isinstance(truth, tuple) else truth[:, None]
    values = found(torch.from_numpy(np.stack(columns, 1))).numpy()
    return np.sqrt(((values - truth) ** 2).mean(0)) / truth.std(0)


ROD = Problem(
    Box(x=(0, 0.2)) * Time(t=(0, 300.0)),
    lambda u, x, t: d(u, t) - 1.17e-4 * d(u, x, x),
    [
        Dirichlet(u=300.0, on="x-"),
        Neumann(u=0, on="x+"),
        Initial(u=lambda x: 300 + 20 * torch.sin(math.pi * x / 0.4)),
    ],
)


def warm(x, t):
    rate = 1.17e-4 * (math.pi / 0.4) ** 2
    return 300 + 20 * np.exp(-rate * t) * np.sin(math.pi * x / 0.4)


def marched(function, ends, cells, unknowns=1):
    """Spans of time of products, in coordinates x from 0 to 0.2."""
    spans = pairwise(ends)
    return [
        fitted([splines(0, 0.2, n), Modes(np.array(span, dtype=float), 11)], function, unknowns)
        for span, n in zip(spans, cells, strict=True)
    ]


def test_a_warm_rod_in_spans_of_time_becomes_one_term():
    """The offset of 300 K does not make the loss any easier."""
    solution = TensorSolution(ROD, marched(warm, [0, 80, 200, 300], [7, 9, 8]))
    found = compressed(ROD, solution, 1e-8, scales_of(ROD))
    assert found.network.spec.width == (1,)
    assert found.parameters < 30
    assert apart(ROD, found, warm) < 1e-8
    points = torch.tensor([[0.0, 13.0], [0.07, 0.0]], dtype=torch.float64)
    held = found(points)[:, 0].numpy() - [300.0, warm(0.07, 0.0)]
    assert np.abs(held).max() < 1e-12 * 300
    again = restore(ROD, found.state())
    x = torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x * torch.tensor([0.2, 300.0])
    torch.testing.assert_close(again(x), found(x), rtol=0, atol=0)
    first = compressed(ROD, solution, 1e-8, scales_of(ROD))
    assert torch.equal(first.network.theta, found.network.theta)


def test_cells_follow_a_front():
    """Twenty times as steep as the rest: even cells would need many more parameters."""
    problem = Problem(Box(x=(-1, 1), y=(0, 1)), lambda u, x, y: laplacian(u), [Dirichlet(u=0)])

    def front(x, y):
        return (1 - x**2) * np.tanh(20 * x) * np.sin(math.pi * y)

    product = fitted([splines(-1, 1, 300), splines(0, 1, 12)], front)
    found = compressed(problem, TensorSolution(problem, [product]), 1e-7)
    assert apart(problem, found, front) < 1e-7
    (layer,) = found.network.layers
    assert found.network.spec.width == (1,)
    lengths = layer.axes[0].ends().diff()
    assert layer.axes[0].grid < 70
    assert lengths.max() > 3 * lengths.min()
    assert layer.axes[0].ends()[lengths.argmin()].abs() < 0.1


def test_unknowns_have_ranks_of_their_own_and_one_may_vanish():
    problem = Problem(
        Box(x=(0, 2 * math.pi), y=(0, 1)),
        lambda u, v, w, x, y: (d(u, x) + u, d(v, x) + d(v, y), d(w, x) + d(w, y)),
        [Periodic("x"), Dirichlet(v=0, w=0, on="y-")],
        unknowns=["u", "v", "w"],
    )

    def both(x, y):
        u = 1e5 * (2 + np.sin(x) * np.exp(y) + np.cos(3 * x) * y**2)
        return u, 1e-3 * np.sin(x + y) * y, 0 * x

    product = fitted([splines(0, 2 * math.pi, 30, True), splines(0, 1, 8)], both, 3)
    found = compressed(problem, TensorSolution(problem, [product]), 1e-6)
    layer = layer_of(found.network)
    assert found.network.spec.width == (3, 2, 1)
    assert [axis.closed for axis in layer.axes] == [True, False]
    assert (apart(problem, found, lambda x, y: (*both(x, y)[:2], x))[:2] < 1e-6).all()
    assert found(torch.ones(1, 2).double())[0, 2].abs() < 1e-12


def test_three_coordinates_and_one():
    cube = Problem(
        Box(x=(0, 1), y=(0, 1), z=(0, 1)), lambda u, x, y, z: laplacian(u), [Dirichlet(u=0)]
    )

    def waves(x, y, z):
        bump = x * (1 - x) * y * (1 - y) * z * (1 - z)
        return bump * (np.exp(x - y) + np.sin(3 * z + x))

    product = fitted([splines(0, 1, 5)] * 3, waves)
    found = compressed(cube, TensorSolution(cube, [product]), 1e-7)
    # It is three terms; where rounding hides that from eigenvectors, one more is found.
    assert found.network.spec.width in ((3,), (4,))
    assert apart(cube, found, waves) < 1e-7
    line = Problem(Box(x=(0, 9)), lambda u, x: d(u, x) - u, [Dirichlet(u=0, on="x-")])
    product = fitted([splines(0, 9, 60)], lambda x: np.sin(x) * np.exp(-x / 9))
    found = compressed(line, TensorSolution(line, [product]), 1e-6)
    assert found.parameters < 25
    assert apart(line, found, lambda x: np.sin(x) * np.exp(-x / 9)) < 1e-6


@pytest.mark.parametrize("loss", [1e-3, 1e-7])
def test_terms_are_as_many_as_the_loss_asks_for(loss):
    """A moving bump has no exact sum of products."""
    square = Problem(Box(x=(0, 1), y=(0, 1)), lambda u, x, y: d(u, x) + u, [])

    def bump(x, y):
        return np.exp(-10 * (x - 0.2 - 0.6 * y) ** 2)

    product = fitted([splines(0, 1, 16)] * 2, bump)
    found = compressed(square, TensorSolution(square, [product]), loss)
    assert 0.05 * loss < apart(square, found, bump) < loss
    values = bump(*np.meshgrid(*2 * [(np.arange(400) + 0.5) / 400], indexing="ij"))
    squares = np.linalg.svd(values, compute_uv=False) ** 2 / values.size
    left = np.sqrt(np.cumsum(squares[::-1])[::-1]) / values.std()
    least, most = (int((left > share * loss).sum()) for share in (1, 0.4))
    assert least <= found.network.spec.width[0] <= most


def test_there_is_none_where_none_is_smaller():
    square = Problem(Box(x=(0, 1), y=(0, 1)), lambda u, x, y: d(u, x), [Dirichlet(u=0, on="x-")])
    random = np.random.default_rng(1)
    C = random.standard_normal((1, 19, 19))
    C[:, 0] = 0
    product = Product((splines(0, 1, 10), splines(0, 1, 10)), C)
    assert compressed(square, TensorSolution(square, [product]), 1e-3) is None


def test_a_factor_that_vanishes_is_divided_out():
    """Of x² f only f is fitted, to the error of x² f."""
    axis = splines(0, 1, 20)
    x, w = (part.ravel() for part in axis.gauss(5))
    wanted = Wanted((x**2 * np.exp(3 * x))[:, None], x**2, np.ones((1, 1)), 1.0)
    fit = splines_within(1e-9, [wanted], axis, x, w)
    assert fit.cells.cells <= 4
    y = np.linspace(0, 1, 50)
    off = y**2 * (fit.cells.matrix(y) @ fit.coefficients[0][:, 0] - np.exp(3 * y))
    assert np.abs(off).max() < 1e-8


def test_the_finest_cells_are_nowhere_longer_than_any():
    one, other = splines(0, 1, 10), SplineAxis(np.r_[np.linspace(0, 0.2, 9), 0.5, 1.0], 9)
    ends = finest([one, other])
    assert (ends[0], ends[-1]) == (0, 1)
    middle = (ends[1:] + ends[:-1]) / 2
    for axis in (one, other):
        assert (np.diff(ends) <= np.diff(axis.breaks)[axis.cell_of(middle)] * (1 + 1e-9)).all()
    assert len(ends) <= 18
    np.testing.assert_allclose(finest([one]), one.breaks, atol=1e-15)
