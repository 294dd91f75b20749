"""Truncated Taylor algebra on jets, against nested autograd and against products of polynomials."""

import math

import pytest
import torch
from plain import jet_along

from kanpde.kernels.activation import sine_taylor
from kanpde.kernels.taylor import blocks, channels, compose, correlate, powers

COUNTS = [
    (),
    (1,),
    (3,),
    (2, 1),
    (2, 2),
    (3, 1, 1),
    (2, 2, 2),
    (3, 2, 1),
    (1, 1, 1, 1),
    (3, 2, 2, 1),
    (4, 3, 2, 1),
    (5, 5, 5, 5),
    (4, 4, 1, 1),
]


def random_jet(counts, units=3, points=4):
    return torch.randn(points, channels(counts), units, dtype=torch.float64)


def exp_taylor(x, order):
    return [torch.exp(x) / math.factorial(nu) for nu in range(order + 1)]


@pytest.mark.parametrize("counts", COUNTS)
def test_blocks_are_the_orders(counts):
    jet = random_jet(counts)
    parts = blocks(jet, counts)
    assert [part.shape[1] for part in parts] == [1, *counts]
    assert torch.equal(torch.cat(parts, 1), jet)


@pytest.mark.parametrize("counts", COUNTS)
def test_compose_is_the_jet_of_the_composition(counts):
    jet = random_jet(counts)
    for taylor, plain in ((exp_taylor, torch.exp), (sine_taylor, torch.sin)):
        torch.testing.assert_close(
            compose(taylor(jet[:, 0], len(counts)), jet, counts),
            jet_along(plain, jet, counts),
            rtol=1e-12,
            atol=1e-12,
        )


@pytest.mark.parametrize("counts", COUNTS)
def test_correlate_is_the_adjoint_of_compose(counts):
    jet = random_jet(counts).requires_grad_()
    adjoint = random_jet(counts)
    composed = compose(exp_taylor(jet[:, 0], len(counts)), jet, counts)
    (wanted,) = torch.autograd.grad((composed * adjoint).sum(), jet)
    derivative = compose(
        exp_taylor(jet[:, 0], len(counts)), jet, counts
    )  # exp is its own derivative
    torch.testing.assert_close(
        correlate(adjoint, derivative, counts), wanted, rtol=1e-12, atol=1e-12
    )


def test_correlate_takes_the_jet_of_the_derivative_not_of_the_function():
    counts = (3, 2, 2, 1)
    jet, adjoint = random_jet(counts).requires_grad_(), random_jet(counts)
    (wanted,) = torch.autograd.grad(
        (compose(sine_taylor(jet[:, 0], 4), jet, counts) * adjoint).sum(), jet
    )
    cosine = compose(sine_taylor(jet[:, 0], 4, math.pi / 2), jet, counts)
    torch.testing.assert_close(correlate(adjoint, cosine, counts), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("counts", COUNTS)
def test_powers_are_products_of_truncated_series(counts):
    jet, order = random_jet(counts), len(counts)
    found = powers(jet, counts)
    assert len(found) == order + 1
    start = [1, *(1 + sum(counts[:j]) for j in range(order))]
    for i in range(counts[0] if counts else 0):
        along = [j for j in range(1, order + 1) if i < counts[j - 1]]
        delta = torch.stack([torch.zeros_like(jet[:, 0]), *(jet[:, start[j] + i] for j in along)])
        product = torch.zeros_like(delta)
        product[0] = 1
        for nu in range(order + 1):
            have = torch.stack([found[nu][:, 0], *(found[nu][:, start[j] + i] for j in along)])
            torch.testing.assert_close(have, product, rtol=1e-13, atol=1e-13)
            product = torch.stack(
                [
                    sum(
                        (product[k] * delta[m - k] for k in range(m + 1)),
                        torch.zeros_like(jet[:, 0]),
                    )
                    for m in range(len(delta))
                ]
            )


def test_an_order_sums_over_the_channels_it_has():
    assert [channels(c) for c in ((), (1,), (3, 2, 2, 1))] == [1, 2, 9]
