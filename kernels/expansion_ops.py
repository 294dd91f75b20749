"""Layers of any basis as registered operators (see expansion.py): output jet, adjoint, per-point
Jacobian.

    expansion_jet(X, C, cell, b, counts) -> Y
    expansion_jet_adjoint(L, X, C, cell, b, counts, back=True) -> (adjoint of X, adjoint of C)
    expansion_jet_jacobian(L, X, C, cell, b, counts, back=True) -> (adjoint of X, block)

b [points, inputs, orders, alive] are the Taylor coefficients of the functions at the values of X:
of the orders up to len(counts), and with `back` one more. Autograd knows the first operator, whose
b it takes for what it is, a function of X: it needs that one order more there. Differentiating the
adjoint is refused by torch, so a double backward is never silently wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanpde.kernels import expansion
from kanpde.kernels.operators import operator
from kanpde.kernels.ops import check_adjoint, check_counts
from kanpde.kernels.taylor import channels


def check_expansion(
    X: Tensor, C: Tensor, cell: Tensor, b: Tensor, counts: Sequence[int], back: bool = False
) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that the layer cannot
    take."""
    check_counts(counts)
    if X.ndim != 3 or X.shape[1] != channels(counts):
        raise ValueError(
            f"X: got shape {list(X.shape)}; expected [points, {channels(counts)}, inputs]"
        )
    points, _, inputs = X.shape
    if C.ndim != 3 or C.shape[0] != inputs:
        raise ValueError(f"C: got shape {list(C.shape)}; expected [{inputs}, functions, outputs]")
    if (
        b.ndim != 4
        or list(b.shape[:2]) != [points, inputs]
        or b.shape[2] < len(counts) + 1 + back
        or b.shape[3] > C.shape[1]
    ):
        raise ValueError(
            f"b: got shape {list(b.shape)}; expected [{points}, {inputs}, {len(counts) + 1 + back}"
            f" or more, at most {C.shape[1]}]"
        )
    if list(cell.shape) != [points, inputs] or cell.dtype != torch.int64:
        raise ValueError(
            f"cell: got {cell.dtype} {list(cell.shape)}; expected int64 {[points, inputs]}"
        )
    for name, t in (("C", C), ("b", b)):
        if not X.is_floating_point() or t.dtype != X.dtype or t.device != X.device:
            raise TypeError(
                f"X, {name}: got {X.dtype} on {X.device} and {t.dtype} on {t.device}; expected one"
                " floating type and device"
            )


def _fake_expansion_jet(
    X: Tensor, C: Tensor, cell: Tensor, b: Tensor, counts: Sequence[int]
) -> Tensor:
    return X.new_empty(X.shape[0], X.shape[1], C.shape[2])


def _setup_context(ctx, inputs, output) -> None:
    X, C, cell, b, ctx.counts = inputs
    ctx.save_for_backward(X, C, cell, b)


def _backward(ctx, L: Tensor):
    X, C, cell, b = ctx.saved_tensors
    back, gradient = expansion_jet_adjoint(
        L.contiguous(), X, C, cell, b, ctx.counts, ctx.needs_input_grad[0]
    )
    return back if ctx.needs_input_grad[0] else None, gradient, None, None, None


@operator(fake=_fake_expansion_jet, setup_context=_setup_context, backward=_backward)
def expansion_jet(X: Tensor, C: Tensor, cell: Tensor, b: Tensor, counts: Sequence[int]) -> Tensor:
    """A layer of any basis on jets, of which few functions are non-zero at a point.

    Args:
        X: The input jet, [points, channels, inputs].
        C: Coefficients, [inputs, functions, outputs].
        cell: The first non-zero function, [points, inputs].
        b: Taylor coefficients of the non-zero functions, [points, inputs, order + 1, width].
        counts: Directions that reach order 1, 2, …; there are 1 + Σ counts channels.

    Returns:
        The output jet, [points, channels, outputs].

    Raises:
        ValueError: A shape or the channel layout is wrong; the message names the argument.
        TypeError: A type or a device is wrong; the message names the argument.
    """
    check_expansion(X, C, cell, b, counts)
    return expansion.forward(X, C, cell, b, counts).contiguous()


def _fake_expansion_jet_adjoint(
    L: Tensor,
    X: Tensor,
    C: Tensor,
    cell: Tensor,
    b: Tensor,
    counts: Sequence[int],
    back: bool = True,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(X) if back else X.new_empty(0), torch.empty_like(C)


@operator(fake=_fake_expansion_jet_adjoint)
def expansion_jet_adjoint(
    L: Tensor,
    X: Tensor,
    C: Tensor,
    cell: Tensor,
    b: Tensor,
    counts: Sequence[int],
    back: bool = True,
) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet (empty unless `back`) and of the coefficients from the adjoint L of
    the output."""
    check_expansion(X, C, cell, b, counts, back)
    check_adjoint(L, X, C)
    inward, gradient = expansion.adjoint(L, X, C, cell, _used(b, counts, back), counts, back)
    return inward.contiguous(), gradient.contiguous()


def _fake_expansion_jet_jacobian(
    L: Tensor,
    X: Tensor,
    C: Tensor,
    cell: Tensor,
    b: Tensor,
    counts: Sequence[int],
    back: bool = True,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(X) if back else X.new_empty(0), X.new_empty(
        X.shape[0], X.shape[2], b.shape[3], C.shape[2]
    )


@operator(fake=_fake_expansion_jet_jacobian)
def expansion_jet_jacobian(
    L: Tensor,
    X: Tensor,
    C: Tensor,
    cell: Tensor,
    b: Tensor,
    counts: Sequence[int],
    back: bool = True,
) -> tuple[Tensor, Tensor]:
    """Adjoint of the input jet, and the block [points, inputs, alive, outputs] of every point's row
    of the Jacobian."""
    check_expansion(X, C, cell, b, counts, back)
    check_adjoint(L, X, C)
    inward, block = expansion.pullback(L, X, C, cell, _used(b, counts, back), counts, back)
    return inward.contiguous(), block.contiguous()


def _used(b: Tensor, counts: Sequence[int], back: bool) -> Tensor:
    return b[:, :, : len(counts) + 1 + back]
