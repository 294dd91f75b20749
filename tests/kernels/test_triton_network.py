"""Whole networks in Triton against the plain path: compiled where there is a GPU, in Triton's
interpreter elsewhere."""

from itertools import pairwise

import pytest
import torch
from compiled_or_interpreted import DEVICE
from torch.utils._pytree import tree_flatten, tree_map

from kanpde.kernels import network, triton_network, triton_taps, uniform_knots
from kanpde.kernels.taylor import channels

CASES = {
    "2-10-1": (33, (2, 10, 1), 3, 5, (2, 2)),
    "three layers": (17, (2, 3, 5, 2), 2, 3, (2, 1)),
    "one layer": (3, (3, 2), 3, 4, (1,)),
    "one point, order 4": (1, (1, 2, 1), 3, 2, (1, 1, 1, 1)),
    "values only": (20, (2, 17, 1), 1, 2, ()),
    "degree 4, a fine grid": (5, (2, 3, 1), 4, 24, (2, 2)),
    "no points": (0, (2, 3, 1), 3, 4, (2, 2)),
}
"""Points, widths, degree, grid, counts."""


def operands(points, widths, degree, grid, counts, dtype=torch.float64):
    """L, and the arguments of network.forward; the coefficients lie in one piece, as training has
    them."""
    knots = [uniform_knots(w, -1.0, 1.0, grid, degree, dtype, DEVICE) for w in widths[:-1]]
    centers = [torch.linspace(-0.1, 0.2, w).to(DEVICE, dtype) for w in widths[1:-1]]
    scales = [torch.linspace(0.7, 1.2, w).to(DEVICE, dtype) for w in widths[1:-1]]
    shapes = [(p, grid + degree, q) for p, q in pairwise(widths)]
    theta = (0.5 * torch.randn(sum(p * n * q for p, n, q in shapes), dtype=torch.float64)).to(
        DEVICE, dtype
    )
    C = [
        part.view(shape)
        for part, shape in zip(theta.split([p * n * q for p, n, q in shapes]), shapes, strict=True)
    ]
    L, X = (
        torch.randn(points, channels(counts), w, dtype=torch.float64)
        .clamp(-1.1, 1.1)
        .to(DEVICE, dtype)
        for w in (widths[-1], widths[0])
    )
    return L, (X, C, knots, centers, scales, counts)


def everything(kernels, L, given):
    """Output jet, gradient, values and starts of the rows."""
    return [kernels.forward(*given), kernels.adjoint(L, *given), *kernels.pullback(L, *given)]


def exactly(kernel, *given):
    """What the plain path gives in float64, in the precision of what is given."""
    (dtype,) = {t.dtype for t in tree_flatten(given)[0] if is_real(t)}
    found = kernel(*tree_map(lambda t: t.double() if is_real(t) else t, given))
    return tree_map(lambda t: t.to(dtype) if is_real(t) else t, found)


def is_real(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def plainly(L, given):
    """Everything of the plain path."""
    return exactly(lambda *both: everything(network, *both), L, given)


def compare(found, wanted, relative):
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(
            a,
            b,
            rtol=0,
            atol=relative * float(b.abs().max()) if b.numel() and b.is_floating_point() else 0,
        )


@pytest.mark.parametrize("case", CASES)
def test_jets_gradient_and_rows_are_those_of_the_plain_path(case):
    L, given = operands(*CASES[case])
    assert triton_network.in_one_launch(len(L), given[1], given[2])
    compare(everything(triton_network, L, given), plainly(L, given), 1e-12)


def test_the_gradient_is_that_of_autograd():
    L, (X, C, *others) = operands(*CASES["2-10-1"])
    leaves = [c.clone().requires_grad_() for c in C]
    wanted = torch.autograd.grad(network.forward(X, leaves, *others), leaves, L)
    compare(
        [triton_network.adjoint(L, X, C, *others)],
        [torch.cat([g.reshape(-1) for g in wanted])],
        1e-12,
    )


def compare_squares(L, given, relative):
    X, *given, counts = given
    W, b = torch.stack([L, L.flip(0)]), torch.stack([L[:, 0, 0], L[:, -1, -1]])
    compare(
        triton_network.squares(X, *given, W, b, counts),
        exactly(network.squares, X, *given, W, b, counts),
        relative,
    )


def test_squares_of_affine_rows_are_those_of_the_plain_path():
    L, (X, *given, counts) = operands(23, (2, 3, 2), 2, 3, (1,))
    compare_squares(L, (X, *given, counts), 1e-12)
    affine = L[None], L[None, :, 0, 0]
    found = triton_network.rows(X, *given, *affine, counts)
    compare([found], [exactly(network.rows, X, *given, *affine, counts)], 1e-12)


def test_layer_by_layer_in_slabs(monkeypatch):
    monkeypatch.setattr(triton_network, "WIDEST", 0)
    monkeypatch.setattr(triton_network, "NARROW", 0)
    monkeypatch.setattr(triton_network, "SLAB", 10)
    L, given = operands(23, (2, 3, 2), 2, 3, (1,))
    compare(everything(triton_network, L, given), plainly(L, given), 1e-12)
    compare_squares(L, given, 1e-12)


@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_wide_layers_make_their_taps_once(monkeypatch, dtype, relative):
    made = []
    taps = triton_taps.taps
    monkeypatch.setattr(triton_taps, "taps", lambda *given: made.append(given) or taps(*given))
    monkeypatch.setattr(triton_taps, "WIDE", 5)
    monkeypatch.setattr(triton_network, "WIDEST", 2)
    monkeypatch.setattr(triton_network, "NARROW", 2)
    L, given = operands(20, (2, 5, 6, 7, 1), 2, 3, (2, 1), dtype)
    compare_squares(L, given, relative)
    assert len(made) == 3, "one for each layer with many outputs"
    compare(everything(triton_network, L, given), plainly(L, given), relative)


def test_wide_levels_and_other_grids_are_not_taken_in_one_launch():
    _, (_, C, knots, *_) = operands(1, (2, 33, 1), 2, 3, ())
    assert not triton_network.in_one_launch(1, C, knots)
    _, (_, C, knots, *_) = operands(1, (2, 3, 1), 2, 3, ())
    _, (_, finer, knots_of_finer, *_) = operands(1, (2, 3, 1), 2, 4, ())
    assert triton_network.in_one_launch(1, C, knots)
    assert not triton_network.in_one_launch(1, [C[0], finer[1]], [knots[0], knots_of_finer[1]])
    _, (_, C, knots, *_) = operands(1, (2, 3, 1), 7, 3, ())
    assert not triton_network.in_one_launch(1, C, knots), "it would be compiled for long"


def test_float32_stays_float32_and_every_time_the_same():
    L, given = operands(40, (2, 4, 1), 2, 3, (2, 1), torch.float32)
    found = everything(triton_network, L, given)
    assert [t.dtype for t in found] == [torch.float32] * 3 + [torch.int64]
    compare(found, plainly(L, given), 1e-5)
    for a, b in zip(found, everything(triton_network, L, given), strict=True):
        assert torch.equal(a, b)


def test_tensors_may_lie_anywhere():
    L, (X, C, *others) = operands(5, (2, 3, 1), 2, 3, (1,))
    strided = [t.transpose(0, 2).contiguous().transpose(0, 2) for t in (L, X, *C)]
    assert torch.equal(
        triton_network.forward(strided[1], strided[2:], *others),
        triton_network.forward(X, C, *others),
    )
    assert torch.equal(
        triton_network.adjoint(*strided[:2], strided[2:], *others),
        triton_network.adjoint(L, X, C, *others),
    )
