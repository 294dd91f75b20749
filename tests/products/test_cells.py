"""Normal equations added up cell by cell, against products of whole matrices."""

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Neumann, Periodic, Problem, Robin, d, laplacian
from kanpde.products.axes import SplineAxis
from kanpde.products.held import held
from kanpde.products.newton import least_squares
from kanpde.products.normal import normal

LINE = Problem(
    Box(x=(0, 1)),
    [lambda u, v, x: d(u, x, x) + x * u * v, lambda u, v, x: d(v, x, x) - u**2],
    [Dirichlet(u=0, on="x-"), Neumann(u=1, on="x+"), Robin(v=0, a=1, b=2)],
)
SQUARE = Problem(
    Box(x=(0, 1), y=(0, 2)),
    lambda u, x, y: laplacian(u) + y * u**2,
    [Neumann(u=0, on="x+"), Dirichlet(u=0, on="x-"), Robin(u=3, on=("y-", "y+"))],
)
WRAPPED = Problem(
    Box(x=(0, 1), y=(0, 2)),
    lambda u, x, y: laplacian(u) + torch.sin(2 * torch.pi * x) * u * d(u, y),
    [Periodic("x"), Dirichlet(u=0, on=("y-", "y+"))],
)
CUBE = Problem(Box(x=(0, 1), y=(0, 2), z=(0, 1)), lambda u: laplacian(u) + u**2, [Dirichlet(u=0)])

CASES = {
    "line": (LINE, 4, (9,)),
    "square": (SQUARE, 3, (9, 6)),
    "wrapped": (WRAPPED, 3, (17, 5)),
    "cube": (CUBE, 2, (4, 3, 4)),
}


def posed(case):
    """The squares on some unequal cells, and coefficients that are not zero."""
    problem, degree, cells = CASES[case]
    axes = []
    for x, n in zip(problem.coordinates, cells, strict=True):
        low, high = problem.domain.bounds[x]
        breaks = low + (high - low) * np.linspace(0, 1, n + 1) ** 1.2
        axes.append(SplineAxis(breaks, degree, x in problem.periodic))
    squares = least_squares(problem, axes, held(problem, axes, {}))
    return squares, np.random.default_rng(0).normal(size=squares.index.shape)


@pytest.mark.parametrize("case", CASES)
def test_they_are_the_products_of_whole_matrices(case):
    squares, C = posed(case)
    weights = [1.0, *(3.0 + k for k in range(len(squares.rows) - 1))]
    found = normal(squares.rows, C, squares.index, weights)
    A, slope, loss = np.zeros((squares.free, squares.free)), np.zeros(squares.free), 0.0
    for weight, rows in zip(weights, squares.rows, strict=True):
        r, g = rows.linear(C)
        columns = []
        for k in range(squares.free):
            unit = (squares.index == k).astype(float)
            columns.append(rows.pushed(g, unit).ravel())
        J = np.stack(columns, 1)
        A, slope = A + weight * J.T @ J, slope + weight * J.T @ r.ravel()
        loss += weight * float((r**2).sum())
    dense = np.zeros_like(A)
    for k, column in enumerate(found.columns):
        own = column[: len(A) - k]
        dense[k : k + len(own), k] = dense[k, k : k + len(own)] = own
    np.testing.assert_allclose(dense, A, rtol=0, atol=1e-12 * np.abs(A).max())
    np.testing.assert_allclose(found.slope, slope, rtol=0, atol=1e-12 * np.abs(slope).max())
    assert found.loss == pytest.approx(loss)


@pytest.mark.parametrize("case", ["square", "wrapped"])
def test_they_have_the_same_bits_on_several_threads(case):
    squares, C = posed(case)
    weights = [1.0] * len(squares.rows)
    one, *others = (on_threads(n, squares, C, weights) for n in (1, 2, 3))
    for other in others:
        assert np.array_equal(one.columns, other.columns)
        assert np.array_equal(one.slope, other.slope)


def on_threads(count, squares, C, weights):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return normal(squares.rows, C, squares.index, weights)
    finally:
        torch.set_num_threads(before)
