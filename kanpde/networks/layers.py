"""What a kink, a jump or a contradiction of the start becomes when time goes on.

Under u_t = κ u_xx the start |ξ|, with ξ the distance from the kink, becomes ξ erf z + 2 √(κτ/π)
exp(-z²), with z = ξ / √(4κτ) and τ the time since the start; a step becomes an error function
(Carslaw and Jaeger 1959, chapter 2). What such a start and what becomes of it differ by is a layer:
zero when time begins, and as singular there as the solution. A lift that has the kink of its data
for all time is right again when the layer is added; what is left for the network is smooth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.geometry.implicit import Columns

SHORTEST_TIME = 1e-30
"""Time since the start, in units of the span, below which it counts as so much."""

ON_THE_PLACE = 1e-13
"""Distance, relative to the domain, within which a point lies on a singularity."""


@dataclass(frozen=True)
class StartLayer:
    """The difference between a singular start and what becomes of it.

    Attributes:
        axis: Position of the coordinate across which the start is singular.
        length: Of the domain along that coordinate.
        place: The first value of the coordinate beyond the singularity; the end of the coordinate
            where the start contradicts a boundary value.
        time: Position of the time.
        start: When time begins.
        span: How long it lasts.
        diffusivity: κ of the equation there.
        jump: Of the value when one goes along the coordinate; at an end, the
            boundary value less the start.
        bend: The jump of the slope.
        at_end: Whether it is at an end.
    """

    axis: int
    length: float
    place: float
    time: int
    start: float
    span: float
    diffusivity: float
    jump: float
    bend: float = 0.0
    at_end: bool = False

    def __call__(self, columns: Columns) -> Tensor:
        """The layer at points; when time begins, its limit from later times.

        Args:
            columns: The points by their coordinates, [points] each.

        Returns:
            Its values, [points].
        """
        x = columns[self.axis]
        beyond = x >= self.place
        distance = torch.where(beyond, x - self.place, self.place - x)
        time = (columns[self.time] - self.start).clamp_min(SHORTEST_TIME * self.span)
        width = (4 * self.diffusivity * time).sqrt()
        z = distance / width
        tail = torch.special.erfc(z)
        if self.at_end:
            return self.jump * tail
        bell = width / math.sqrt(math.pi) * torch.exp(-(z**2))
        sign = torch.where(beyond, -torch.ones_like(x), torch.ones_like(x))
        return self.jump / 2 * sign * tail + self.bend / 2 * (bell - distance * tail)


def beside(layers: Sequence[StartLayer], columns: Columns) -> Columns:
    """Points that lie on a singularity of the start as points just beyond it, where the data have
    one slope and not a mean of two.

    Args:
        layers: Those of the singularities.
        columns: The points by their coordinates, [points] each.
    """
    columns = list(columns)
    for layer in layers:
        if not layer.at_end:
            x, step = columns[layer.axis], ON_THE_PLACE * layer.length
            columns[layer.axis] = x + step * ((x - layer.place).abs() < step)
    return columns


def together(layers: Sequence[StartLayer], columns: Columns) -> Tensor:
    """The sum of layers at points.

    Args:
        layers: At least one.
        columns: The points by their coordinates, [points] each.

    Returns:
        Its values, [points].
    """
    return torch.stack([layer(columns) for layer in layers]).sum(0)


def begun(layers: Sequence[StartLayer], columns: Columns) -> Tensor:
    """The sum of layers at points, nothing when time begins: in a corner where a boundary value
    contradicts the start, the start holds.

    Args:
        layers: At least one.
        columns: The points by their coordinates, [points] each.

    Returns:
        Its values, [points].
    """
    found = together(layers, columns)
    later = columns[layers[0].time] > layers[0].start
    return torch.where(later, found, torch.zeros_like(found))
