"""The spline layer in Triton against the plain path: compiled where there is a GPU, in Triton's
interpreter elsewhere."""

import math

import numpy as np
import pytest
import torch
from compiled_or_interpreted import CUDA, DEVICE

from kanpde.kernels import plain, spline_jet, triton_jet
from kanpde.kernels.taylor import channels

LOW, HIGH = -1.0, 1.5

CASES = {
    "one point": (1, 1, 1, 3, 5, ()),
    "a first derivative": (2, 1, 3, 1, 3, (1,)),
    "laplacian": (127, 3, 3, 3, 5, (2, 2)),
    "wide outputs": (3, 2, 17, 3, 2, (2, 1)),
    "wide inputs": (3, 17, 1, 2, 4, (1, 1)),
    "several blocks of points": (300, 1, 3, 5, 6, (2, 1)),
    "degree 7, all orders": (33, 2, 2, 7, 5, (3, 2, 2, 1)),
    "degree 9": (33, 2, 3, 9, 4, (2, 2)),
    "degree 1 has fewer derivatives than asked for": (20, 2, 2, 1, 4, (2, 2, 2, 2)),
    "degree 4, third order": (20, 1, 4, 4, 3, (2, 1, 1)),
    "a fine grid": (65, 2, 2, 6, 64, (1, 1)),
    "one interval": (9, 2, 3, 3, 1, (2, 2)),
    "more outputs than a program takes": (20, 2, 140, 2, 2, (1,)),
    "wide": (21, 17, 35, 3, 2, (3, 2)),
    "wide, third order": (5, 5, 32, 2, 3, (2, 1, 1)),
}
"""Points, inputs, outputs, degree, grid, counts."""


def layer(points, inputs, outputs, degree, grid, counts, dtype=torch.float64, margin=0.2):
    """L, X, C, knots, counts at random, inside and outside of the grid; other uneven knots for
    every input. What is not a number stays so."""
    s = torch.arange(-degree, grid + degree + 1, dtype=torch.float64) / grid
    pulls = torch.linspace(-0.5, 0.7, inputs, dtype=torch.float64)[:, None]
    knots = LOW + (HIGH - LOW) * (s + pulls / (2 * torch.pi) * torch.sin(2 * torch.pi * s))
    X = torch.randn(points, channels(counts), inputs, dtype=torch.float64)
    X[:, 0] = (
        LOW - margin + (HIGH - LOW + 2 * margin) * torch.rand(points, inputs, dtype=torch.float64)
    )
    C = torch.randn(inputs, grid + degree, outputs, dtype=torch.float64)
    L = torch.randn(points, channels(counts), outputs, dtype=torch.float64)
    return *(t.to(DEVICE, dtype) for t in (L, X, C, knots)), counts


def close(found, wanted, relative=1e-12):
    """Relative to the largest number, which must be one."""
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    if wanted.numel():
        assert (found - wanted).abs().max() <= relative * max(wanted.abs().max(), 1e-30)


def everything(kernels, L, X, C, knots, counts):
    """Output jet, adjoint of the input, gradient, the adjoint again, cells, blocks."""
    return [
        kernels.forward(X, C, knots, counts),
        *kernels.adjoint(L, X, C, knots, counts),
        *kernels.pullback(L, X, C, knots, counts, True),
    ]


@pytest.mark.parametrize("case", CASES)
def test_float64_is_that_of_the_plain_path(case):
    given = layer(*CASES[case])
    for found, wanted in zip(
        everything(triton_jet, *given), everything(plain, *given), strict=True
    ):
        if wanted.is_floating_point():
            close(found, wanted)
        else:
            assert torch.equal(found, wanted), "cells"


@pytest.mark.parametrize("case", ["laplacian", "wide outputs", "a fine grid"])
def test_float32_stays_float32(case):
    given = layer(*CASES[case], dtype=torch.float32)
    exact = [t.double() if isinstance(t, torch.Tensor) else t for t in given]
    for found, wanted in zip(
        everything(triton_jet, *given), everything(plain, *exact), strict=True
    ):
        assert found.dtype == (torch.float32 if wanted.is_floating_point() else torch.int64)
        if wanted.is_floating_point():
            close(found.double(), wanted, 1e-5)


def test_without_back_only_the_coefficients_get_an_adjoint():
    L, X, C, knots, counts = layer(*CASES["laplacian"])
    inward, gradient = triton_jet.adjoint(L, X, C, knots, counts, back=False)
    close(gradient, plain.adjoint(L, X, C, knots, counts)[1])
    none, cells, block = triton_jet.pullback(L, X, C, knots, counts, False)
    _, wanted_cells, wanted = plain.pullback(L, X, C, knots, counts, False)
    close(block, wanted)
    assert torch.equal(cells, wanted_cells)
    assert inward.numel() == none.numel() == 0


@pytest.mark.parametrize("points", [0, 1, 31])
def test_nothing_at_no_points(points):
    given = layer(points, 2, 3, 3, 4, (2, 1))
    for found, wanted in zip(
        everything(triton_jet, *given), everything(plain, *given), strict=True
    ):
        assert found.shape == wanted.shape
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 3, 7])
def test_on_knots_and_at_both_ends(degree):
    grid = 10  # knots at -1, -0.75, …: they and the step are exact in binary
    knots = torch.linspace(
        LOW - 0.25 * degree,
        HIGH + 0.25 * degree,
        grid + 2 * degree + 1,
        dtype=torch.float64,
        device=DEVICE,
    )[None]
    L, X, C, _, counts = layer(grid + 1, 1, 2, degree, grid, (1, 1))
    X[:, 0, 0] = torch.linspace(LOW, HIGH, grid + 1)
    for found, wanted in zip(
        everything(triton_jet, L, X, C, knots, counts),
        everything(plain, L, X, C, knots, counts),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_a_value_that_is_not_finite_stays_in_its_point():
    L, X, C, knots, counts = layer(70, 2, 2, 3, 5, (1, 1))
    clean = everything(triton_jet, L, X, C, knots, counts)
    for n, bad in enumerate((math.nan, math.inf, -math.inf)):
        X[n, 0, 1] = bad
    with np.errstate(invalid="ignore", over="ignore"):  # the interpreter computes with NumPy
        found = everything(triton_jet, L, X, C, knots, counts)
    assert not found[0][:3, 0].isfinite().any()
    assert not found[5][:3, 1].isfinite().flatten(1).all(1).any()
    for which in (0, 1, 3, 5):
        assert torch.equal(found[which][3:], clean[which][3:])


def test_the_same_input_gives_the_same_bits():
    given = layer(300, 2, 3, 3, 4, (2, 1))
    first = everything(triton_jet, *given)
    assert triton_jet.chunks_of(300, 1, 8, 16)[1] > 1, "a gradient of more than one partial sum"
    for a, b in zip(first, everything(triton_jet, *given), strict=True):
        assert torch.equal(a, b)


def test_tensors_need_not_be_contiguous():
    L, X, C, knots, counts = layer(*CASES["laplacian"])
    wanted = everything(triton_jet, L, X, C, knots, counts)
    strided = [t.transpose(0, 2).contiguous().transpose(0, 2) for t in (L, X, C)]
    assert not any(t.is_contiguous() for t in strided)
    for a, b in zip(
        everything(triton_jet, *strided, knots.T.contiguous().T, counts), wanted, strict=True
    ):
        assert torch.equal(a, b)


def test_autograd_and_its_checks_through_the_operator(monkeypatch):
    monkeypatch.setenv("KANPDE_KERNELS", "triton")
    L, X, C, knots, counts = layer(3, 2, 1, 5, 2, (2, 1))
    X.requires_grad_(), C.requires_grad_()
    wanted = torch.autograd.grad(plain.forward(X, C, knots, counts), (X, C), L)
    for a, b in zip(
        torch.autograd.grad(spline_jet(X, C, knots, counts), (X, C), L), wanted, strict=True
    ):
        close(a, b)
    torch.library.opcheck(spline_jet, (X, C, knots, counts))


def test_knots_that_do_not_increase_are_named():
    L, X, C, knots, counts = layer(*CASES["laplacian"])
    for call in (
        lambda k: triton_jet.forward(X, C, k, counts),
        lambda k: triton_jet.adjoint(L, X, C, k, counts),
        lambda k: triton_jet.pullback(L, X, C, k, counts, True),
    ):
        with pytest.raises(ValueError, match=r"^knots: got .*expected knots that increase"):
            call(knots.flip(1).contiguous())


@pytest.mark.skipif(not CUDA, reason="needs a GPU")
def test_a_million_points():
    """Offsets beyond 32 bits: 1e6 points, 5 channels, 500 outputs."""
    L, X, C, knots, counts = layer(1000, 1, 500, 3, 5, (2, 2))
    X = X.repeat(1000, 1, 1)
    Y = triton_jet.forward(X, C, knots, counts)
    assert Y.numel() > 2**31
    assert torch.equal(Y[-1000:], Y[:1000])
    gradient = triton_jet.adjoint(L.repeat(1000, 1, 1), X, C, knots, counts, back=False)[1]
    close(gradient, 1000 * plain.adjoint(L, X[:1000], C, knots, counts)[1], 1e-11)
