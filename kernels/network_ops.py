"""A whole spline network as registered operators: output jet, gradient, and rows of the Jacobian
(see network.py).

    network_jet(X, C, knots, centers, scales, counts) -> Y network_jet_adjoint(L, X, C, knots,
    centers, scales, counts) -> gradient network_jet_jacobian(L, X, C, knots, centers, scales,
    counts) -> (values, starts) network_jet_squares(X, C, knots, centers, scales, W, b, counts) ->
    (r, gradient of Σ r²), where r = b + Σ W·Y; network_jet_rows, with the same arguments -> r

They are not differentiable by autograd: the adjoint is an operator of its own, and differentiating
raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from kanpde.kernels.network import lengths
from kanpde.kernels.operators import operator
from kanpde.kernels.ops import check, check_activation, check_adjoint
from kanpde.kernels.paths import path
from kanpde.kernels.taylor import channels


def check_network(
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    counts: Sequence[int],
) -> None:
    """Raise ValueError or TypeError, naming the argument, for anything that is no network."""
    if not len(C) == len(knots) == len(centers) + 1 == len(scales) + 1:
        raise ValueError(
            f"C, knots, centers, scales: got {len(C)}, {len(knots)}, {len(centers)} and"
            f" {len(scales)}; expected as many knots as C, and one less of the others"
        )
    check(X, C[0], knots[0], counts)
    for (before, c), at, center, scale in zip(pairwise(C), knots[1:], centers, scales, strict=True):
        inner = X.new_empty(0, channels(counts), before.shape[2])
        check_activation("tanh", inner, center, scale, counts)
        check(inner, c, at, counts)


def check_affine(W: Tensor, b: Tensor, X: Tensor, C: Tensor) -> None:
    """Raise ValueError or TypeError, naming the argument, where W and b are no affine function of
    the output."""
    if b.ndim != 2 or b.shape[1] != len(X):
        raise ValueError(f"b: got shape {list(b.shape)}; expected [equations, {len(X)}]")
    shape = [len(b), len(X), X.shape[1], C.shape[2]]
    if list(W.shape) != shape:
        raise ValueError(f"W: got shape {list(W.shape)}; expected {shape}")
    if W.dtype != X.dtype or b.dtype != X.dtype:
        raise TypeError(f"W, b: got dtypes {W.dtype} and {b.dtype}; expected that of X, {X.dtype}")
    if W.device != X.device or b.device != X.device:
        raise ValueError(
            f"W, b: got devices {W.device} and {b.device}; expected that of X, {X.device}"
        )


def _fake_network_jet(
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    counts: Sequence[int],
) -> Tensor:
    return X.new_empty(X.shape[0], X.shape[1], C[-1].shape[2])


@operator(fake=_fake_network_jet)
def network_jet(
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    counts: Sequence[int],
) -> Tensor:
    """A network of spline layers on jets, with an activation between two layers.

    Args:
        X: The input jet, [points, channels, inputs].
        C: Coefficients of each layer, [inputs, functions, outputs].
        knots: Of each layer's inputs.
        centers: Of the activations' values, by unit.
        scales: Of the activations' values, by unit.
        counts: Directions that reach order 1, 2, …; there are 1 + Σ counts channels.

    Returns:
        The output jet, [points, channels, outputs].

    Raises:
        ValueError: A shape or the channel layout is wrong; the message names the argument.
        TypeError: A type or a device is wrong; the message names the argument.
    """
    check_network(X, C, knots, centers, scales, counts)
    return path(X).network.forward(X, C, knots, centers, scales, counts)


def _fake_network_jet_adjoint(
    L: Tensor,
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    counts: Sequence[int],
) -> Tensor:
    return X.new_empty(sum(c.numel() for c in C))


@operator(fake=_fake_network_jet_adjoint)
def network_jet_adjoint(
    L: Tensor,
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    counts: Sequence[int],
) -> Tensor:
    """The gradient of Σ L·Y by all coefficients, flat, from the adjoint L of the output."""
    check_network(X, C, knots, centers, scales, counts)
    check_adjoint(L, X, C[-1])
    return path(X).network.adjoint(L, X, C, knots, centers, scales, counts)


def _fake_network_jet_jacobian(
    L: Tensor,
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    counts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    return X.new_empty(len(X), sum(lengths(C, knots))), X.new_empty(
        len(X), sum(len(c) for c in C), dtype=torch.int64
    )


@operator(fake=_fake_network_jet_jacobian)
def network_jet_jacobian(
    L: Tensor,
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    counts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """The gradient of each point's own Σ L·Y as runs of columns: values, and where the runs start
    (see runs.py)."""
    check_network(X, C, knots, centers, scales, counts)
    check_adjoint(L, X, C[-1])
    return path(X).network.pullback(L, X, C, knots, centers, scales, counts)


def _fake_network_jet_squares(
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    W: Tensor,
    b: Tensor,
    counts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(b, memory_format=torch.contiguous_format), X.new_empty(
        sum(c.numel() for c in C)
    )


@operator(fake=_fake_network_jet_squares)
def network_jet_squares(
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    W: Tensor,
    b: Tensor,
    counts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Rows r = b + Σ W·Y [equations, points] of the output jet Y, and the gradient of Σ r² by all
    coefficients, flat.

    W [equations, points, channels, outputs], b [equations, points].
    """
    check_network(X, C, knots, centers, scales, counts)
    check_affine(W, b, X, C[-1])
    return path(X).network.squares(X, C, knots, centers, scales, W, b, counts)


def _fake_network_jet_rows(
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    W: Tensor,
    b: Tensor,
    counts: Sequence[int],
) -> Tensor:
    return torch.empty_like(b, memory_format=torch.contiguous_format)


@operator(fake=_fake_network_jet_rows)
def network_jet_rows(
    X: Tensor,
    C: Sequence[Tensor],
    knots: Sequence[Tensor],
    centers: Sequence[Tensor],
    scales: Sequence[Tensor],
    W: Tensor,
    b: Tensor,
    counts: Sequence[int],
) -> Tensor:
    """The rows r of network_jet_squares alone."""
    check_network(X, C, knots, centers, scales, counts)
    check_affine(W, b, X, C[-1])
    return path(X).network.rows(X, C, knots, centers, scales, W, b, counts)
