"""Group-rational activations as registered operators (see rational.py).

    rational_jet(X, coefficients, counts) -> Y rational_jet_adjoint(L, X, coefficients, counts,
    back=True) -> (adjoint of X, adjoint of the coefficients) rational_jet_jacobian(L, X,
    coefficients, counts, back=True) -> (adjoint of X, rows [points, groups, 9])
    rational_network_squares(X, theta, widths, groups, W, b, counts) -> (r, gradient of Σ r²): a
    whole network of such activations,
        each with a linear map behind it, where r = b + Σ W·Y (see rational_network.py)

The first is differentiable once, by the second; differentiating the second is refused by torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanpde.kernels import rational, rational_network
from kanpde.kernels.network_ops import check_affine
from kanpde.kernels.operators import operator
from kanpde.kernels.ops import check_counts
from kanpde.kernels.paths import path
from kanpde.kernels.taylor import channels


def check_rational(X: Tensor, coefficients: Tensor, counts: Sequence[int]) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that is no group-rational
    activation on jets."""
    check_counts(counts)
    if X.ndim != 3 or X.shape[1] != channels(counts):
        raise ValueError(
            f"X: got shape {list(X.shape)}; expected [points, {channels(counts)}, units]"
        )
    if (
        coefficients.ndim != 2
        or coefficients.shape[1] != rational.COEFFICIENTS
        or not 1 <= len(coefficients) <= X.shape[2]
    ):
        raise ValueError(
            f"coefficients: got shape {list(coefficients.shape)}; expected [1 to {X.shape[2]}"
            f" groups, {rational.COEFFICIENTS}]"
        )
    if (
        not X.is_floating_point()
        or coefficients.dtype != X.dtype
        or coefficients.device != X.device
    ):
        raise TypeError(
            f"X, coefficients: got {X.dtype} on {X.device} and {coefficients.dtype} on"
            f" {coefficients.device}; expected one floating type and device"
        )


def _check_lift(L: Tensor, X: Tensor) -> None:
    if L.shape != X.shape or L.dtype != X.dtype or L.device != X.device:
        raise ValueError(
            f"L: got {L.dtype} {list(L.shape)} on {L.device}; expected {X.dtype} {list(X.shape)} on"
            f" {X.device}, as X"
        )


def _fake_rational_jet(X: Tensor, coefficients: Tensor, counts: Sequence[int]) -> Tensor:
    return torch.empty_like(X, memory_format=torch.contiguous_format)


def _setup_context(ctx, inputs, output) -> None:
    X, coefficients, ctx.counts = inputs
    ctx.save_for_backward(X, coefficients)


def _backward(ctx, L: Tensor):
    X, coefficients = ctx.saved_tensors
    back, gradient = rational_jet_adjoint(L.contiguous(), X, coefficients, ctx.counts)
    return back, gradient, None


@operator(fake=_fake_rational_jet, setup_context=_setup_context, backward=_backward)
def rational_jet(X: Tensor, coefficients: Tensor, counts: Sequence[int]) -> Tensor:
    """Rational functions on jets, one a group of units (see rational.py).

    Args:
        X: The input jet, [points, channels, units].
        coefficients: Of each group.
        counts: Directions that reach order 1, 2, …; there are 1 + Σ counts channels.

    Returns:
        The output jet, [points, channels, units].

    Raises:
        ValueError: A shape or the channel layout is wrong; the message names the argument.
        TypeError: A type or a device is wrong; the message names the argument.
    """
    check_rational(X, coefficients, counts)
    return rational.forward(X, coefficients, counts)


def _fake_rational_jet_adjoint(
    L: Tensor, X: Tensor, coefficients: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(X, memory_format=torch.contiguous_format) if back else X.new_empty(0)
    ), torch.empty_like(coefficients)


@operator(fake=_fake_rational_jet_adjoint)
def rational_jet_adjoint(
    L: Tensor, X: Tensor, coefficients: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor]:
    """Adjoints of the input jet (empty unless `back`) and of the coefficients from the adjoint L of
    the output."""
    check_rational(X, coefficients, counts)
    _check_lift(L, X)
    return rational.adjoint(L, X, coefficients, counts, back)


def _fake_rational_jet_jacobian(
    L: Tensor, X: Tensor, coefficients: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(X, memory_format=torch.contiguous_format) if back else X.new_empty(0)
    ), X.new_empty(len(X), *coefficients.shape)


@operator(fake=_fake_rational_jet_jacobian)
def rational_jet_jacobian(
    L: Tensor, X: Tensor, coefficients: Tensor, counts: Sequence[int], back: bool = True
) -> tuple[Tensor, Tensor]:
    """Adjoint of the input jet, and one row [groups, 9] a point."""
    check_rational(X, coefficients, counts)
    _check_lift(L, X)
    return rational.pullback(L, X, coefficients, counts, back)


def check_rational_network(
    X: Tensor, theta: Tensor, widths: Sequence[int], groups: Sequence[int], counts: Sequence[int]
) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that is no network of
    rational activations."""
    check_counts(counts)
    if (
        len(widths) < 2
        or len(groups) != len(widths) - 1
        or any(not 1 <= g <= w for g, w in zip(groups, widths, strict=False))
    ):
        raise ValueError(
            f"groups: got {tuple(groups)} for widths {tuple(widths)}; expected 1 to so many of"
            " every level but the last"
        )
    if X.ndim != 3 or X.shape[1] != channels(counts) or X.shape[2] != widths[0]:
        raise ValueError(
            f"X: got shape {list(X.shape)}; expected [points, {channels(counts)}, {widths[0]}]"
        )
    if list(theta.shape) != [rational_network.size(widths, groups)]:
        raise ValueError(
            f"theta: got shape {list(theta.shape)}; expected"
            f" [{rational_network.size(widths, groups)}]"
        )
    if not X.is_floating_point() or theta.dtype != X.dtype or theta.device != X.device:
        raise TypeError(
            f"X, theta: got {X.dtype} on {X.device} and {theta.dtype} on {theta.device}; expected"
            " one floating type and device"
        )


def _fake_rational_network_squares(
    X: Tensor,
    theta: Tensor,
    widths: Sequence[int],
    groups: Sequence[int],
    W: Tensor,
    b: Tensor,
    counts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(b, memory_format=torch.contiguous_format), torch.empty_like(theta)


@operator(fake=_fake_rational_network_squares)
def rational_network_squares(
    X: Tensor,
    theta: Tensor,
    widths: Sequence[int],
    groups: Sequence[int],
    W: Tensor,
    b: Tensor,
    counts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Rows r = b + Σ W·Y [equations, points] of the output jet Y, and the gradient of Σ r² by
    theta.

    W [equations, points, channels, outputs], b [equations, points]; theta: by level, coefficients
    [groups, 9], then the weights [inputs, outputs] and the biases [outputs] of the linear map.
    """
    check_rational_network(X, theta, widths, groups, counts)
    check_affine(W, b, X, X.new_empty(widths[-2], 0, widths[-1]))
    if path(X).name == "cpu":
        from kanpde.kernels import cpu_rational

        return cpu_rational.squares(X, theta, widths, groups, W, b, counts)
    return rational_network.squares(X, theta, widths, groups, W, b, counts)
