"""The kernels as registered operators, with fakes and autograd: forward jet, adjoint, per-point
Jacobian and its products.

    spline_jet(X, C, knots, counts) -> Y spline_jet_adjoint(L, X, C, knots, counts, back=True) ->
    (adjoint of X, adjoint of C) spline_jet_jacobian(L, X, C, knots, counts, back=True) -> (adjoint
    of X, cell, block) activation_jet, activation_jet_adjoint: tanh, sin and SiLU on jets
    runs_times, runs_transposed_times, runs_gram: products with such rows, which second-order
    training needs

Without `back` the adjoint of X is left out (an empty tensor): the first layer of a network does not
need it.

Shapes and the mathematics are in plain.py. The first is differentiable once, by the second;
differentiating the second is refused by torch, as it has no formula registered, so a double
backward is never silently wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from kanpde.kernels import activation
from kanpde.kernels.activation import COMPILED, TAYLOR
from kanpde.kernels.operators import operator
from kanpde.kernels.paths import path
from kanpde.kernels.pieces import degree_of
from kanpde.kernels.taylor import channels

MAX_DEGREE = 9
MAX_ORDER = 4


def check_counts(counts: Sequence[int]) -> None:
    """Raise ValueError where counts is no channel layout."""
    if (
        len(counts) > MAX_ORDER
        or any(a < b for a, b in pairwise(counts))
        or any(n < 1 for n in counts)
    ):
        raise ValueError(
            f"counts: got {tuple(counts)}; expected at most {MAX_ORDER} positive numbers that do"
            " not increase"
        )


def check(X: Tensor, C: Tensor, knots: Tensor, counts: Sequence[int]) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that the layer cannot
    take."""
    check_counts(counts)
    if X.ndim != 3 or X.shape[1] != channels(counts):
        raise ValueError(
            f"X: got shape {list(X.shape)}; expected [points, {channels(counts)}, inputs]"
        )
    if C.ndim != 3 or C.shape[0] != X.shape[2]:
        raise ValueError(
            f"C: got shape {list(C.shape)}; expected [{X.shape[2]}, functions, outputs]"
        )
    if knots.ndim != 2 or knots.shape[0] != X.shape[2]:
        raise ValueError(
            f"knots: got shape {list(knots.shape)}; expected [{X.shape[2]}, functions + degree + 1]"
        )
    if not 1 <= degree_of(C, knots) <= MAX_DEGREE:
        raise ValueError(
            f"knots: got {knots.shape[1]} for {C.shape[1]} functions, which is degree"
            f" {degree_of(C, knots)}; expected degree 1 to {MAX_DEGREE}"
        )
    if C.shape[1] <= degree_of(C, knots):
        raise ValueError(
            f"C: got {C.shape[1]} functions of degree {degree_of(C, knots)}; expected more"
            " functions than the degree"
        )
    if not X.is_floating_point() or X.dtype != C.dtype or X.dtype != knots.dtype:
        raise TypeError(
            f"X, C, knots: got dtypes {X.dtype}, {C.dtype} and {knots.dtype}; expected one floating"
            " type"
        )
    if X.device != C.device or X.device != knots.device:
        raise ValueError(
            f"X, C, knots: got devices {X.device}, {C.device} and {knots.device}; expected one"
        )


def check_adjoint(L: Tensor, X: Tensor, C: Tensor) -> None:
    """Raise ValueError or TypeError where L cannot be the adjoint of the output."""
    shape = [X.shape[0], X.shape[1], C.shape[2]]
    if list(L.shape) != shape:
        raise ValueError(f"L: got shape {list(L.shape)}; expected {shape}, that of the output")
    if L.dtype != X.dtype or L.device != X.device:
        raise TypeError(f"L: got {L.dtype} on {L.device}; expected {X.dtype} on {X.device}")


def _fake_spline_jet(X: Tensor, C: Tensor, knots: Tensor, counts: Sequence[int]) -> Tensor:
    check(X, C, knots, counts)
    return X.new_empty(X.shape[0], X.shape[1], C.shape[2])


def _setup_context(ctx, inputs, output) -> None:
    X, C, knots, ctx.counts = inputs
    ctx.save_for_backward(X, C, knots)


def _backward(ctx, L: Tensor):
    X, C, knots = ctx.saved_tensors
    back, gradient = spline_jet_adjoint(L.contiguous(), X, C, knots, ctx.counts)
    return back, gradient, None, None


@operator(fake=_fake_spline_jet, setup_context=_setup_context, backward=_backward)
def spline_jet(X: Tensor, C: Tensor, knots: Tensor, counts: Sequence[int]) -> Tensor:
    """A layer of splines on jets; README.md has the formulas.

    Args:
        X: The input jet, [points, channels, inputs].
        C: Coefficients, [inputs, functions, outputs].
        knots: Of each input, increasing, [inputs, functions + degree + 1].
        counts: Directions that reach order 1, 2, …; there are 1 + Σ counts channels.

    Returns:
        The output jet, [points, channels, outputs].

    Raises:
        ValueError: A shape or the channel layout is wrong; the message names the argument.
        TypeError: A type or a device is wrong; the message names the argument.
    """
    check(X, C, knots, counts)
    return path(X).jet.forward(X, C, knots, counts)


def _fake_spline_jet_adjoint(
    L: Tensor, X: Tensor, C: Tensor, knots: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(X) if back else X.new_empty(0), torch.empty_like(C)


@operator(fake=_fake_spline_jet_adjoint)
def spline_jet_adjoint(
    L: Tensor, X: Tensor, C: Tensor, knots: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet and of the coefficients from the adjoint L [points, channels,
    outputs] of the output."""
    check(X, C, knots, counts)
    check_adjoint(L, X, C)
    return path(X).jet.adjoint(L, X, C, knots, counts, back)


def _fake_spline_jet_jacobian(
    L: Tensor, X: Tensor, C: Tensor, knots: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    points, inputs = X.shape[0], X.shape[2]
    block = X.new_empty(points, inputs, degree_of(C, knots) + 1, C.shape[2])
    return (
        torch.empty_like(X) if back else X.new_empty(0),
        X.new_empty(points, inputs, dtype=torch.int64),
        block,
    )


@operator(fake=_fake_spline_jet_jacobian)
def spline_jet_jacobian(
    L: Tensor, X: Tensor, C: Tensor, knots: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Adjoint of the input jet, and per point the derivative of its own Σ L·Y by the coefficients
    that it depends on: the first of them, cell [points, inputs], and block [points, inputs, degree
    + 1, outputs]."""
    check(X, C, knots, counts)
    check_adjoint(L, X, C)
    return path(X).jet.pullback(L, X, C, knots, counts, back)


def _fake_activation_jet(
    kind: str, X: Tensor, center: Tensor, scale: Tensor, counts: Sequence[int]
) -> Tensor:
    return torch.empty_like(X)


def _setup_activation(ctx, inputs, output) -> None:
    ctx.kind, X, _, scale, ctx.counts = inputs
    ctx.save_for_backward(X, scale)


def _activation_backward(ctx, L: Tensor):
    X, scale = ctx.saved_tensors
    return (
        None,
        activation_jet_adjoint(ctx.kind, L.contiguous(), X, scale, ctx.counts),
        None,
        None,
        None,
    )


@operator(fake=_fake_activation_jet, setup_context=_setup_activation, backward=_activation_backward)
def activation_jet(
    kind: str, X: Tensor, center: Tensor, scale: Tensor, counts: Sequence[int]
) -> Tensor:
    """Output jet of y = (f(x) - center) / scale, [points, channels, units]; kind: of f, "tanh",
    "sin" or "silu" (see activation.py)."""
    check_activation(kind, X, center, scale, counts)
    act = path(X).activation if kind in COMPILED else activation
    return act.forward(kind, X, center, scale, counts)


def _fake_activation_jet_adjoint(
    kind: str, L: Tensor, X: Tensor, scale: Tensor, counts: Sequence[int]
) -> Tensor:
    return torch.empty_like(X)


@operator(fake=_fake_activation_jet_adjoint)
def activation_jet_adjoint(
    kind: str, L: Tensor, X: Tensor, scale: Tensor, counts: Sequence[int]
) -> Tensor:
    """Adjoint of the input jet."""
    check_activation(kind, X, scale, scale, counts)
    if L.shape != X.shape or L.dtype != X.dtype or L.device != X.device:
        raise ValueError(
            f"L: got {L.dtype} {list(L.shape)} on {L.device}; expected {X.dtype} {list(X.shape)} on"
            f" {X.device}, as X"
        )
    act = path(X).activation if kind in COMPILED else activation
    return act.adjoint(kind, L, X, scale, counts)


def check_activation(
    kind: str, X: Tensor, center: Tensor, scale: Tensor, counts: Sequence[int]
) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that is no activation on
    jets."""
    if kind not in TAYLOR:
        raise ValueError(f"kind: got {kind!r}; expected {' or '.join(TAYLOR)}")
    check_counts(counts)
    if X.ndim != 3 or X.shape[1] != channels(counts):
        raise ValueError(
            f"X: got shape {list(X.shape)}; expected [points, {channels(counts)}, units]"
        )
    for name, t in (("center", center), ("scale", scale)):
        if list(t.shape) != [X.shape[2]]:
            raise ValueError(f"{name}: got shape {list(t.shape)}; expected {[X.shape[2]]}")
        if t.dtype != X.dtype or t.device != X.device or not X.is_floating_point():
            raise TypeError(
                f"X, {name}: got {X.dtype} on {X.device} and {t.dtype} on {t.device}; expected one"
                " floating type and device"
            )


def _fake_runs_times(values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor) -> Tensor:
    return values.new_empty(len(values))


@operator(fake=_fake_runs_times)
def runs_times(values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor) -> Tensor:
    """J v [rows] for a matrix given by runs of columns (see runs.py)."""
    check_runs(values, starts, lengths, len(v))
    return path(values).runs.times(values, starts, lengths, v)


def _fake_runs_transposed_times(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> Tensor:
    return values.new_empty(columns)


@operator(fake=_fake_runs_transposed_times)
def runs_transposed_times(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> Tensor:
    """Jᵀ r [columns]."""
    check_runs(values, starts, lengths, columns)
    return path(values).runs.transposed_times(values, starts, lengths, columns, r)


def _fake_runs_gram(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    return values.new_empty(columns, columns)


@operator(fake=_fake_runs_gram)
def runs_gram(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """JᵀJ [columns, columns] below and on the diagonal; what stands above is not set."""
    check_runs(values, starts, lengths, columns)
    return path(values).runs.gram(values, starts, lengths, columns)


def _fake_runs_normal(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return values.new_empty(columns, columns), values.new_empty(columns), values.new_empty(())


@operator(fake=_fake_runs_normal)
def runs_normal(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """JᵀJ as of runs_gram, Jᵀr [columns] and r·r."""
    check_runs(values, starts, lengths, columns)
    return path(values).runs.normal(values, starts, lengths, columns, r)


def _fake_runs_pulled(
    values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor, a: Tensor, factor: float
) -> Tensor:
    return torch.empty_like(v)


@operator(fake=_fake_runs_pulled)
def runs_pulled(
    values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor, a: Tensor, factor: float
) -> Tensor:
    """Jᵀ (factor (a - J v)) [columns]."""
    check_runs(values, starts, lengths, len(v))
    return path(values).runs.pulled(values, starts, lengths, v, a, factor)


def check_runs(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that is no matrix by
    runs."""
    if any(n < 1 for n in lengths) or sum(lengths) > columns:
        raise ValueError(
            f"lengths: got {tuple(lengths)}; expected positive numbers of at most {columns} columns"
            " together"
        )
    if list(values.shape[1:]) != [sum(lengths)]:
        raise ValueError(f"values: got shape {list(values.shape)}; expected [rows, {sum(lengths)}]")
    if list(starts.shape) != [len(values), len(lengths)]:
        raise ValueError(
            f"starts: got shape {list(starts.shape)}; expected {[len(values), len(lengths)]}"
        )
    if starts.dtype != torch.int64 or not values.is_floating_point():
        raise TypeError(
            f"values, starts: got {values.dtype} and {starts.dtype}; expected a floating type and"
            " int64"
        )
    if (
        len(values) and lengths and starts.device.type == "cpu"
    ):  # elsewhere it would wait for the device
        low, high = int(starts.min()), int((starts + starts.new_tensor(lengths)).max())
        if low < 0 or high > columns:
            raise ValueError(
                f"starts: got runs from column {low} to {high}; expected them within {columns}"
                " columns"
            )
