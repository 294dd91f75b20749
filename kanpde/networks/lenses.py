"""Coordinates that look closely at holes: two more inputs of a network for each hole, which see it
as large as the domain.

A hole of radius a about c gives the inputs (x - c) / √(|x - c|² + s²), s = BLUR · a: near the hole
they are the coordinates, enlarged by the size of the domain over that of the hole, and far from it
the direction in which it lies. Their squares sum to a function of the distance, so that one layer
of a KAN already has functions of the distance and of the direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry import Domain, Hole, holes
from kanpde.geometry.implicit import Columns
from kanpde.networks.jets import Directions, nested_derivatives

BLUR = 2.0
"""Length over which the inputs bend over, in radii of the hole."""


@dataclass(frozen=True)
class Lens:
    """The inputs about a hole.

    Attributes:
        hole: The hole.
    """

    hole: Hole

    def __call__(self, columns: Columns) -> list[Tensor]:
        """The inputs at points.

        Args:
            columns: The points by their coordinates of space, [points] each.

        Returns:
            One input a coordinate of space, [points] each.
        """
        away = [column - c for column, c in zip(columns, self.hole.center, strict=False)]
        far = sum(
            (a * a for a in away), torch.full_like(away[0], (BLUR * self.hole.radius) ** 2)
        ).sqrt()
        return [a / far for a in away]


def lenses_of(domain: Domain) -> list[Lens]:
    """One lens for each hole.

    Args:
        domain: Which has the holes.
    """
    return [Lens(hole) for hole in holes(domain)]


def lens_jets(
    found: Sequence[Lens],
    points: Float[Tensor, "points dims"],
    scale: Float[Tensor, " dims"],
    directions: Directions,
) -> Float[Tensor, "points channels inputs"]:
    """The jets of the inputs of all lenses.

    Args:
        found: The lenses.
        points: Where, [points, dims].
        scale: Of the coordinates in which the directions are, over those of the points, [dims].
        directions: Along which the jets are expanded.

    Returns:
        The jets, [points, channels, inputs].
    """
    columns = []
    orders = range(max(directions.orders, default=0) + 1)
    indices = [
        index for index in product(orders, repeat=points.shape[1]) if sum(index) <= orders[-1]
    ]
    for lens in found:
        for k in range(len(lens.hole.center)):
            derivatives = nested_derivatives(partial(_one, lens, k), points, indices)
            jet = points.new_zeros(len(points), directions.channels)
            jet[:, 0] = derivatives[(0,) * points.shape[1]]
            for vector, order in zip(directions.vectors, directions.orders, strict=True):
                along = [v / float(s) for v, s in zip(vector, scale, strict=True)]
                for index in indices:
                    if 0 < sum(index) <= order and (
                        weight := math.prod(
                            a**n / math.factorial(n) for a, n in zip(along, index, strict=True)
                        )
                    ):
                        jet[:, directions.channel(vector, sum(index))] += (
                            weight * derivatives[index]
                        )
            columns.append(jet)
    return torch.stack(columns, 2)


def _one(lens: Lens, k: int, columns: Columns) -> Tensor:
    return lens(columns)[k]
