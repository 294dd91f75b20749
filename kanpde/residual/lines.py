"""Lines of a domain on which one argument of an equation moves: a coordinate, or a derivative of an
unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NODES_OF_A_LINE = 129
"""Nodes of a line along a coordinate."""


LINES = 6
"""Lines along a coordinate, besides those through points where an operation is on its rare side."""


RARE = 2
"""Points of the rare side of each operation through which there are lines."""


FACTORS = (1.0, 400.0)
"""The derivatives of unknowns are drawn of these sizes: one of them is an unknown's own, or
temperatures of processes that depend on them exponentially."""


SWEEP = torch.cat([-torch.logspace(6.03, -6, 61), torch.logspace(-5.98, 6.05, 61)]).double()
"""Values of a derivative while it moves."""


@dataclass(frozen=True)
class Lines:
    """Lines on which one argument moves.

    Attributes:
        points: Where the other arguments are, [lines, dims].
        factors: The sizes of the derivatives of unknowns, [lines].
        values: Of the argument that moves, increasing, [lines, nodes].
        kept: Which of these lie in the domain, [lines, nodes].
    """

    points: Tensor
    factors: Tensor
    values: Tensor
    kept: Tensor


def base_of(points: Tensor, sides: Tensor) -> Tensor:
    """The first points, and some on the rare side of each operation."""
    chosen = list(range(min(LINES, len(points))))
    for side in sides.unbind(1):
        values, which, counts = side.unique(return_inverse=True, return_counts=True)
        if len(values) > 1:
            chosen += (which == counts.argmin()).nonzero()[:RARE, 0].tolist()
    return points[list(dict.fromkeys(chosen))]


def along(
    axis: int,
    base: Tensor,
    ends: Tensor,
    inside: Callable[[Tensor], Tensor],
    sizes: Sequence[float] = FACTORS,
) -> Lines:
    """Lines through points along a coordinate, once for every size of the derivatives."""
    low, high = ends[axis].tolist()
    # No node lies on a round number, where a function may have a value of its own.
    nodes = low + (high - low) * torch.linspace(3.7e-5, 1 - 2.3e-5, NODES_OF_A_LINE - 1).to(base)
    values = torch.cat([nodes.expand(len(base), -1), base[:, axis : axis + 1]], 1).sort(1).values
    placed = base[:, None].repeat(1, NODES_OF_A_LINE, 1)
    placed[:, :, axis] = values
    kept = inside(placed.flatten(0, 1)).reshape(values.shape)
    count = len(sizes)
    factors = base.new_tensor(sizes).repeat_interleave(len(base))
    return Lines(base.repeat(count, 1), factors, values.repeat(count, 1), kept.repeat(count, 1))


def sweep(points: Tensor) -> Lines:
    """Lines at points on which a derivative takes values of all sizes."""
    base = points[:2].repeat(len(FACTORS), 1)
    factors = base.new_tensor(FACTORS).repeat_interleave(len(base) // len(FACTORS))
    values = SWEEP.to(base).expand(len(base), -1)
    return Lines(base, factors, values, torch.ones_like(values, dtype=torch.bool))
