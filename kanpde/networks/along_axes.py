"""Derivatives along many coordinates, each for itself: their cost grows as the number of
coordinates, not as its square.

A network of edge functions adds functions of single coordinates first. A direction along one of
them passes one edge function of each unit, so that the first layer takes points alone, [points, 1,
coordinates], and gives the jet of its output; the layers above it see an ordinary jet. The leaves
of such a jet take a few of its channels each, and are kept as these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kanpde.geometry.vector import FEW
from kanpde.kernels.taylor import channels
from kanpde.residual.calculus import Leaf, below

if TYPE_CHECKING:
    from kanpde.networks.boundary import ExactBoundary


class AxisMap(NamedTuple):
    """What each leaf takes of an output jet along all axes.

    Attributes:
        factors: By which channels are multiplied, [points, leaves, taken].
        channels: Which channels these are, [leaves, taken].
        counts: How many directions have Taylor coefficients of each order: all axes of every one.
    """

    factors: Float[Tensor, "points leaves taken"]
    channels: Int[Tensor, "leaves taken"]
    counts: tuple[int, ...]


def suits(needs: Sequence[Leaf], dims: int) -> bool:
    """Whether there are many coordinates, and every derivative is along one of them.

    Args:
        needs: The leaves, each an output and how often by every coordinate.
        dims: Number of coordinates.
    """
    return dims > FEW and all(sum(n > 0 for n in index) <= 1 for _, index in needs)


def is_along_axes(X: Float[Tensor, "points _given inputs"], counts: Sequence[int]) -> bool:
    """Whether a jet is given by points alone.

    Args:
        X: The input jet.
        counts: How many directions carry order 1, 2, …
    """
    return X.shape[1] < channels(counts)


def axis_map(
    scale: Float[Tensor, " dims"],
    boundaries: Mapping[str, ExactBoundary],
    factors: Mapping[str, Mapping[tuple[int, ...], Tensor]],
    needs: Sequence[Leaf],
    points: Float[Tensor, "points dims"],
) -> AxisMap:
    """What each leaf takes of the output jet, by Leibniz' rule.

    Args:
        scale: The derivative of what the network sees by each coordinate.
        boundaries: Factor and lift of every output, by name.
        factors: Derivatives of the factors, [points], by unknown and index.
        needs: The leaves, each an output and how often by every coordinate.
        points: Where.
    """
    dims, highest = len(scale), max((sum(index) for _, index in needs), default=0)
    exact = any(boundaries[u].exact for u, _ in needs)
    taken = highest + 1 if exact else 1
    found = points.new_zeros(len(points) if exact else 1, len(needs), taken)
    which = torch.zeros(len(needs), taken, dtype=torch.long)
    for a, (unknown, index) in enumerate(needs):
        order = sum(index)
        axis = index.index(order) if order else 0
        for column, beta in enumerate(below(index) if exact else [index]):
            k = sum(beta)
            which[a, column] = 1 + dims * (k - 1) + axis if k else 0
            taylor = math.factorial(k) * scale[axis] ** k
            if not boundaries[unknown].exact:
                found[:, a, column] = taylor if k == order else 0.0
                continue
            rest = tuple(n - m for n, m in zip(index, beta, strict=True))
            found[:, a, column] = math.comb(order, k) * taylor * factors[unknown][rest]
    return AxisMap(found.expand(len(points), -1, -1), which, (dims,) * highest)


def axis_jet(
    b: Float[Tensor, "points inputs orders size"], C: Float[Tensor, "inputs size outputs"]
) -> Float[Tensor, "points channels outputs"]:
    """The output jet of a layer of edge functions.

    Args:
        b: Taylor coefficients of the basis at the points, by order.
        C: The coefficients of the edge functions.
    """
    edges = torch.einsum("npvj,pjq->vnpq", b, C)
    return torch.cat([edges[0].sum(1, keepdim=True), *edges[1:]], 1)


def axis_adjoint(
    L: Float[Tensor, "points channels outputs"], b: Float[Tensor, "points inputs orders size"]
) -> Float[Tensor, "inputs size outputs"]:
    """The gradient of Σ L·Y by the coefficients.

    Args:
        L: The adjoint of the output jet.
        b: Taylor coefficients of the basis at the points, by order.
    """
    return torch.einsum("npvj,npvq->pjq", b, _by_input(L, b))


def axis_rows(
    L: Float[Tensor, "points channels outputs"], b: Float[Tensor, "points inputs orders size"]
) -> Float[Tensor, "points parameters"]:
    """The same point by point: the rows of a Jacobian.

    Args:
        L: The adjoint of the output jet.
        b: Taylor coefficients of the basis at the points, by order.
    """
    return torch.einsum("npvj,npvq->npjq", b, _by_input(L, b)).flatten(1)


def _by_input(L: Tensor, b: Tensor) -> Float[Tensor, "points inputs orders outputs"]:
    """The adjoint of every edge function's own Taylor coefficients."""
    points, inputs, orders, _ = b.shape
    value = L[:, :1, None].expand(-1, inputs, -1, -1)
    if orders == 1:
        return value
    slopes = L[:, 1:].reshape(points, orders - 1, inputs, -1).transpose(1, 2)
    return torch.cat([value, slopes], 2)
