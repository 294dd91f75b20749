"""Directions, polarisation, jets of coordinates and of elementary functions."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from plain import along, jet_along

from kanpde.kernels.activation import sine_taylor, tanh_taylor
from kanpde.networks.jets import (
    Directions,
    coordinate_jet,
    directions_for,
    nested_derivatives,
    periodic_jet,
)


def multi_indices(dims, order=4):
    return [index for index in product(range(order + 1), repeat=dims) if sum(index) <= order]


@pytest.mark.parametrize("dims", [1, 2, 3, 4])
def test_polarisation_is_exact_for_every_derivative_to_order_4(dims):
    """On powers of a linear form (k·x)^m/m!, whose Taylor coefficient of order m along v is
    (k·v)^m/m!: they span the polynomials."""
    indices = multi_indices(dims)
    directions, matrix = directions_for(indices)
    assert matrix.shape == (len(indices), directions.channels)
    assert max(directions.orders) == 4
    for k in np.random.default_rng(dims).standard_normal((20, dims)):
        for m in range(5):
            jet = np.zeros(directions.channels)
            if m == 0:
                jet[0] = 1
            else:
                for v, order in zip(directions.vectors, directions.orders, strict=True):
                    if order >= m:
                        jet[directions.channel(v, m)] = np.dot(k, v) ** m / math.factorial(m)
            wanted = [
                np.prod(k ** np.array(index)) if sum(index) == m else 0.0 for index in indices
            ]
            np.testing.assert_allclose(
                matrix @ jet, wanted, rtol=1e-11, atol=1e-11 * np.abs(k).max() ** m
            )


@pytest.mark.parametrize("index", [i for dims in (1, 2, 3, 4) for i in multi_indices(dims)])
def test_each_derivative_alone(index):
    directions, matrix = directions_for([index])
    k = np.linspace(0.7, -1.3, len(index))
    jet = np.zeros(directions.channels)
    jet[0] = 1
    for v, order in zip(directions.vectors, directions.orders, strict=True):
        for m in range(1, order + 1):
            jet[directions.channel(v, m)] = np.dot(k, v) ** m / math.factorial(m)
    np.testing.assert_allclose(matrix @ jet, [np.prod(k ** np.array(index))], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("indices", "counts"),
    [
        ([(0, 0)], ()),
        ([(1, 0), (0, 1)], (2,)),
        ([(2, 0), (0, 1)], (2, 1)),
        ([(2, 0), (0, 2)], (2, 2)),
        ([(2, 0), (1, 1), (0, 2)], (3, 3)),
        ([(2, 0, 0), (0, 2, 0), (0, 0, 2)], (3, 3)),
        ([(2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1)], (6, 6)),
        ([(4, 0), (2, 2), (0, 4)], (5, 5, 5, 5)),
        ([(4,), (1,)], (1, 1, 1, 1)),
        ([(3, 0), (0, 1)], (2, 1, 1)),
    ],
)
def test_no_more_directions_than_needed(indices, counts):
    """A derivative of order m in n coordinates needs as many directions as there are monomials of
    degree m."""
    directions, matrix = directions_for(indices)
    assert directions.counts == counts
    assert list(directions.orders) == sorted(directions.orders, reverse=True)
    assert directions.channels == 1 + sum(counts) == matrix.shape[1]
    assert len(set(directions.vectors)) == len(directions.vectors)
    assert all(math.gcd(*v) == 1 for v in directions.vectors)


def test_channels_lie_order_by_order():
    directions = Directions(((1, 0), (0, 1), (1, 1)), (3, 2, 1))
    assert directions.counts == (3, 2, 1)
    assert directions.channel((1, 1), 0) == 0
    assert [directions.channel(v, 1) for v in directions.vectors] == [1, 2, 3]
    assert [directions.channel(v, 2) for v in directions.vectors[:2]] == [4, 5]
    assert directions.channel((1, 0), 3) == 6


def test_coordinate_jet_is_a_line():
    points = torch.rand(3, 2, dtype=torch.float64)
    directions = Directions(((1, 0), (1, 2)), (2, 1))
    jet = coordinate_jet(points, directions)
    assert torch.equal(jet[:, 0], points)
    assert torch.equal(jet[:, 1], torch.tensor([[1.0, 0.0]] * 3, dtype=torch.float64))
    assert torch.equal(jet[:, 2], torch.tensor([[1.0, 2.0]] * 3, dtype=torch.float64))
    assert not jet[:, 3].any()


@pytest.mark.parametrize(
    ("taylor", "plain"),
    [
        (tanh_taylor, torch.tanh),
        (sine_taylor, torch.sin),
        (lambda x, order: sine_taylor(x, order, math.pi / 2), torch.cos),
        (lambda x, order: sine_taylor(x, order, 0.3), lambda x: torch.sin(x + 0.3)),
    ],
    ids=["tanh", "sin", "cos", "shifted sin"],
)
def test_taylor_coefficients_to_order_5(taylor, plain):
    x = torch.linspace(-4, 4, 41, dtype=torch.float64)[:, None]
    wanted = along(plain, [x, torch.ones_like(x)], 5)
    found = taylor(x, 5)
    assert len(found) == 6
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("counts", [(), (3,), (2, 1), (3, 2, 2, 1)])
def test_periodic_coordinates_become_cosine_and_sine(counts):
    jet = torch.randn(5, 1 + sum(counts), 3, dtype=torch.float64)
    omega = 1.7

    def plain(x):
        return torch.stack(
            [x[:, 0], torch.cos(omega * x[:, 1]), torch.sin(omega * x[:, 1]), x[:, 2]], 1
        )

    torch.testing.assert_close(
        periodic_jet(jet, [None, omega, None], counts),
        jet_along(plain, jet, counts),
        rtol=1e-12,
        atol=1e-12,
    )


def test_periodic_jet_repeats_to_rounding():
    directions, _ = directions_for([(2,)])
    left, right = (
        periodic_jet(
            coordinate_jet(torch.full((1, 1), x, dtype=torch.float64), directions),
            [math.pi],
            directions.counts,
        )
        for x in (-1.0, 1.0)
    )
    torch.testing.assert_close(left, right, rtol=0, atol=1e-14 * math.pi**2)


def test_nested_derivatives_of_a_polynomial():
    points = torch.rand(7, 2, dtype=torch.float64)
    x, y = points.T
    found = nested_derivatives(
        lambda p: p[0] ** 3 * p[1] ** 2 + p[0],
        points,
        [(0, 0), (2, 1), (1, 0), (0, 3), (4, 0), (3, 2)],
    )
    wanted = {
        (0, 0): x**3 * y**2 + x,
        (2, 1): 12 * x * y,
        (1, 0): 3 * x**2 * y**2 + 1,
        (0, 3): 0 * x,
        (4, 0): 0 * x,
        (3, 2): 12 + 0 * x,
    }
    assert found.keys() == wanted.keys()
    for index, values in wanted.items():
        torch.testing.assert_close(found[index], values, rtol=1e-13, atol=1e-13)
        assert not found[index].requires_grad


def test_nested_derivatives_where_nothing_depends_on_a_coordinate():
    points = torch.rand(4, 2, dtype=torch.float64)
    found = nested_derivatives(
        lambda p: torch.full_like(p[0], 2.0), points, [(0, 0), (1, 0), (0, 2)]
    )
    assert torch.equal(found[0, 0], torch.full((4,), 2.0, dtype=torch.float64))
    assert not found[1, 0].any()
    assert not found[0, 2].any()
    with torch.no_grad():
        assert torch.equal(
            nested_derivatives(lambda p: p[1] ** 2, points, [(0, 2)])[0, 2],
            torch.full((4,), 2.0, dtype=torch.float64),
        )


def test_the_value_alone_needs_no_direction():
    directions, matrix = directions_for([(0, 0)])
    assert (directions.vectors, directions.channels, matrix.tolist()) == ((), 1, [[1.0]])
