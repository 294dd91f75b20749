"""Which jet gives which derivatives: directions, mixed derivatives by polarisation, jets of
coordinates and functions.

The layout of a jet's channels, and the algebra on it, are in kernels/taylor.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.vector import FEW
from kanpde.kernels.activation import sine_taylor
from kanpde.kernels.taylor import channels, compose

Index = tuple[int, ...]

GRAPHS = 4_000_000
"""Points times the square of the number of coordinates, of which nested derivatives are held at a
time where there are many."""


@dataclass(frozen=True)
class Directions:
    """The directions that a jet is expanded along, those of higher order first.

    Attributes:
        vectors: Integer vectors in the coordinates of the network's input.
        orders: The order along each.
    """

    vectors: tuple[Index, ...]
    orders: tuple[int, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many directions carry order 1, 2, …"""
        return tuple(
            sum(o >= j for o in self.orders) for j in range(1, max(self.orders, default=0) + 1)
        )

    @property
    def channels(self) -> int:
        """Number of channels of a jet."""
        return channels(self.counts)

    def channel(self, vector: Index, order: int) -> int:
        """Where the Taylor coefficient of an order along a direction lies.

        Args:
            vector: The direction.
            order: The order; 0 is the value, the same for all directions.

        Returns:
            The number of the channel.
        """
        return 0 if order == 0 else 1 + sum(self.counts[: order - 1]) + self.vectors.index(vector)


def directions_for(
    indices: Iterable[Index],
) -> tuple[Directions, Float[np.ndarray, "indices channels"]]:
    """Directions that suffice for the given derivatives.

    A mixed derivative of order m is a combination of m-th derivatives along integer directions
    whose entries sum to m (Griewank, Utke and Walther 2000, "Evaluating higher derivative tensors
    by forward propagation of univariate Taylor series").

    Args:
        indices: The derivatives: how often by every coordinate.

    Returns:
        The directions, and the matrix [indices, channels] that takes channels to these derivatives.
    """
    indices = list(indices)
    combinations = [_polarised(index) for index in indices]
    need: dict[Index, int] = {}
    for index, combination in zip(indices, combinations, strict=True):
        for vector in combination:
            if any(vector):
                need[vector] = max(need.get(vector, 0), sum(index))
    ranked = sorted(need.items(), key=lambda item: -item[1])
    directions = Directions(tuple(v for v, _ in ranked), tuple(o for _, o in ranked))
    matrix = np.zeros((len(indices), directions.channels))
    for row, (index, combination) in enumerate(zip(indices, combinations, strict=True)):
        for vector, weight in combination.items():
            matrix[row, directions.channel(vector, sum(index))] += weight
    return directions, matrix


def _polarised(index: Index) -> dict[Index, float]:
    """Weights by direction such that Σ w · (Taylor coefficient of order |index| along it) is the
    derivative."""
    order, axes = sum(index), [i for i, n in enumerate(index) if n]
    if order == 0:
        return {(0,) * len(index): 1.0}
    candidates = _compositions(order, len(axes))
    powers = np.array(
        [
            [
                math.prod(v**g for v, g in zip(c, gamma, strict=True))
                / math.prod(map(math.factorial, gamma))
                for c in candidates
            ]
            for gamma in candidates
        ]
    )
    wanted = np.array([float(gamma == tuple(index[a] for a in axes)) for gamma in candidates])
    weights = np.linalg.solve(powers, wanted)
    found: dict[Index, float] = {}
    for candidate, weight in zip(candidates, weights, strict=True):
        if abs(weight) > 1e-12 * np.abs(weights).max():
            common = math.gcd(*candidate)
            vector = [0] * len(index)
            for axis, entry in zip(axes, candidate, strict=True):
                vector[axis] = entry // common
            found[tuple(vector)] = found.get(tuple(vector), 0.0) + weight * common**order
    return found


def _compositions(total: int, parts: int) -> list[Index]:
    if parts == 1:
        return [(total,)]
    return [
        (first, *rest)
        for first in range(total, -1, -1)
        for rest in _compositions(total - first, parts - 1)
    ]


def coordinate_jet(
    points: Float[Tensor, "points dims"], directions: Directions
) -> Float[Tensor, "points channels dims"]:
    """The jet of the coordinates themselves.

    It holds the point, then each direction as its first Taylor coefficient.

    Args:
        points: Where, [points, dims].
        directions: Along which the jet is expanded.

    Returns:
        The jet, [points, channels, dims].
    """
    jet = points.new_zeros(len(points), directions.channels, points.shape[1])
    jet[:, 0] = points
    for i, vector in enumerate(directions.vectors):
        jet[:, 1 + i] = points.new_tensor(vector)
    return jet


def periodic_jet(
    jet: Float[Tensor, "points channels dims"],
    frequencies: Sequence[float | None],
    counts: Sequence[int],
) -> Float[Tensor, "points channels inputs"]:
    """Replace each coordinate x that has a frequency ω by the pair cos ωx, sin ωx.

    Args:
        jet: The jet of the coordinates, [points, channels, dims].
        frequencies: ω of every coordinate, or None where it stays.
        counts: How many directions of the jet carry order 1, 2, …

    Returns:
        The jet, [points, channels, inputs].
    """
    columns = []
    for i, omega in enumerate(frequencies):
        column = jet[:, :, i : i + 1]
        if omega is None:
            columns.append(column)
            continue
        angle = omega * column
        columns += [
            compose(sine_taylor(angle[:, 0], len(counts), phase), angle, counts)
            for phase in (math.pi / 2, 0.0)
        ]
    return torch.cat(columns, 2)


def nested_derivatives(
    function: Callable[[Sequence[Tensor]], Tensor],
    points: Float[Tensor, "points dims"],
    indices: Iterable[Index],
) -> dict[Index, Float[Tensor, " points"]]:
    """Derivatives of a plain pointwise function by nested autograd: slow and true.

    The columns stay apart, so that a derivative along one takes nothing along the others.

    Args:
        function: A function of columns [points], one a coordinate.
        points: Where, [points, dims].
        indices: The derivatives: how often by every coordinate.

    Returns:
        The derivatives [points], by index.
    """
    wanted = set(indices)
    most = max(1, GRAPHS // points.shape[1] ** 2)
    if points.shape[1] > FEW and len(points) > most:
        parts = [nested_derivatives(function, part, wanted) for part in points.split(most)]
        return {index: torch.cat([part[index] for part in parts]) for index in wanted}
    found: dict[Index, Tensor] = {}
    columns = [column.detach().clone().requires_grad_() for column in points.T]
    with torch.enable_grad():
        tree: dict[Index, Tensor] = {(0,) * len(columns): function(columns)}
        for index in sorted(wanted, key=sum):
            found[index] = _derivative(tree, index, columns).detach()
    return found


def _derivative(tree: dict[Index, Tensor], index: Index, columns: Sequence[Tensor]) -> Tensor:
    if index not in tree:
        axis = max(i for i, n in enumerate(index) if n)
        lower = _derivative(tree, (*index[:axis], index[axis] - 1, *index[axis + 1 :]), columns)
        gradient = None
        if lower.requires_grad:
            (gradient,) = torch.autograd.grad(
                lower.sum(), columns[axis], create_graph=True, allow_unused=True
            )
        tree[index] = torch.zeros_like(columns[axis]) if gradient is None else gradient
    return tree[index]
