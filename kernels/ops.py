"""The spline layer on jets as registered operators: forward, adjoint and per-point Jacobian, with fakes and autograd.

    spline_jet(X, C, low, high, degree, counts) -> Y
    spline_jet_adjoint(L, X, C, low, high, degree, counts, back=True) -> (adjoint of X, adjoint of C)
    spline_jet_jacobian(L, X, C, low, high, degree, counts, back=True) -> (adjoint of X, rows)

Without `back` the adjoint of X is left out (an empty tensor): the first layer of a network does not need it.

Shapes and the mathematics are in reference.py. The first is differentiable once, by the second; differentiating the
second is refused by torch, as it has no formula registered, so a double backward is never silently wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from kanpde.kernels import reference
from kanpde.kernels.taylor import channels

MAX_DEGREE = 7
MAX_ORDER = 4


def check(X: Tensor, C: Tensor, low: float, high: float, degree: int, counts: Sequence[int]) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that the layer cannot take."""
    if not 1 <= degree <= MAX_DEGREE:
        raise ValueError(f"degree: got {degree}; expected 1 to {MAX_DEGREE}")
    if len(counts) > MAX_ORDER or any(a < b for a, b in pairwise(counts)) or any(n < 1 for n in counts):
        raise ValueError(f"counts: got {tuple(counts)}; expected at most {MAX_ORDER} positive numbers that do not increase")
    if not low < high:
        raise ValueError(f"low, high: got {low:g}, {high:g}; expected low < high")
    if X.ndim != 3 or X.shape[1] != channels(counts):
        raise ValueError(f"X: got shape {list(X.shape)}; expected [points, {channels(counts)}, inputs]")
    if C.ndim != 3 or C.shape[0] != X.shape[2] or C.shape[1] <= degree:
        raise ValueError(f"C: got shape {list(C.shape)}; expected [{X.shape[2]}, more than {degree}, outputs]")
    if not X.is_floating_point() or X.dtype != C.dtype:
        raise TypeError(f"X, C: got dtypes {X.dtype} and {C.dtype}; expected one floating type")
    if X.device != C.device:
        raise ValueError(f"X, C: got devices {X.device} and {C.device}; expected one")


def check_adjoint(L: Tensor, X: Tensor, C: Tensor) -> None:
    """Raise ValueError or TypeError where L cannot be the adjoint of the output."""
    shape = [X.shape[0], X.shape[1], C.shape[2]]
    if list(L.shape) != shape:
        raise ValueError(f"L: got shape {list(L.shape)}; expected {shape}, that of the output")
    if L.dtype != X.dtype or L.device != X.device:
        raise TypeError(f"L: got {L.dtype} on {L.device}; expected {X.dtype} on {X.device}")


@torch.library.custom_op("kanpde::spline_jet", mutates_args=())
def spline_jet(X: Tensor, C: Tensor, low: float, high: float, degree: int, counts: Sequence[int]) -> Tensor:
    """Output jet [points, channels, outputs] of the layer. Raises ValueError or TypeError for bad arguments."""
    check(X, C, low, high, degree, counts)
    return reference.forward(X, C, low, high, degree, counts)


@spline_jet.register_fake
def _(X: Tensor, C: Tensor, low: float, high: float, degree: int, counts: Sequence[int]) -> Tensor:
    check(X, C, low, high, degree, counts)
    return X.new_empty(X.shape[0], X.shape[1], C.shape[2])


@torch.library.custom_op("kanpde::spline_jet_adjoint", mutates_args=())
def spline_jet_adjoint(L: Tensor, X: Tensor, C: Tensor, low: float, high: float, degree: int, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet and of the coefficients from the adjoint L [points, channels, outputs] of the output."""
    check(X, C, low, high, degree, counts)
    check_adjoint(L, X, C)
    return reference.adjoint(L, X, C, low, high, degree, counts, back)


@spline_jet_adjoint.register_fake
def _(L: Tensor, X: Tensor, C: Tensor, low: float, high: float, degree: int, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Tensor]:
    return torch.empty_like(X) if back else X.new_empty(0), torch.empty_like(C)


@torch.library.custom_op("kanpde::spline_jet_jacobian", mutates_args=())
def spline_jet_jacobian(L: Tensor, X: Tensor, C: Tensor, low: float, high: float, degree: int, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Tensor]:
    """Adjoint of the input jet, and per point the derivative of its own Σ L·Y by all coefficients, [points, C.numel()]."""
    check(X, C, low, high, degree, counts)
    check_adjoint(L, X, C)
    return reference.jacobian(L, X, C, low, high, degree, counts, back)


@spline_jet_jacobian.register_fake
def _(L: Tensor, X: Tensor, C: Tensor, low: float, high: float, degree: int, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Tensor]:
    return torch.empty_like(X) if back else X.new_empty(0), X.new_empty(X.shape[0], C.numel())


def _setup_context(ctx, inputs, output) -> None:
    X, C, *ctx.layout = inputs
    ctx.save_for_backward(X, C)


def _backward(ctx, L: Tensor):
    X, C = ctx.saved_tensors
    back, gradient = spline_jet_adjoint(L.contiguous(), X, C, *ctx.layout)
    return back, gradient, None, None, None, None


spline_jet.register_autograd(_backward, setup_context=_setup_context)
