"""Where the units and edges of a network stand in its picture, in inches: rows of units from the
inputs at the bottom to the outputs at the top, and between two of them the boxes of the edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from kanpde.results.portrait import Drawing

Place = tuple[float, float]

MOST_UNITS = 24
"""Units of a level of an MLP that are drawn."""

BROADEST = 14.5
"""Inches that a network's picture is wide at most."""

NARROWEST = 4.0
"""Inches that it is wide at least."""

READABLE = 0.28
"""Inches of a small plot below which the plots of a level are drawn in more rows."""


@dataclass(frozen=True)
class NetworkLayout:
    """Places of units and boxes.

    Attributes:
        width: Of the picture.
        shown: Units that are drawn, by level.
        bottoms: Heights of the levels.
        sizes: Edge lengths of the boxes, by layer; none where edges are lines only.
        columns: How many boxes stand side by side above a unit, by layer.
        products: How many units are products, by level.
    """

    width: float
    shown: tuple[int, ...]
    bottoms: tuple[float, ...]
    sizes: tuple[float, ...]
    columns: tuple[int, ...]
    products: tuple[int, ...]

    @property
    def height(self) -> float:
        return self.bottoms[-1]

    def nodes(self, level: int) -> list[Place]:
        """Where the units of a level stand.

        Args:
            level: Which level, counted from 0 at the inputs.

        Returns:
            A place (to the right, up) a unit, in inches.
        """
        return [
            (self.width * (i + 0.5) / self.shown[level], self.bottoms[level])
            for i in range(self.shown[level])
        ]

    def ports(self, level: int) -> list[Place]:
        """Where the edges to a level end: at its sums, and at the two sums below each of its
        products.

        Args:
            level: Which level, counted from 0 at the inputs.

        Returns:
            A place (to the right, up) a sum, in inches.
        """
        nodes, count = self.nodes(level), self.products[level]
        sums, products = nodes[: len(nodes) - count], nodes[len(nodes) - count :]
        apart = min(0.16, 0.2 * self.width / len(nodes))
        return [*sums, *((x + side * apart, y - 0.3) for x, y in products for side in (-1, 1))]

    def box(self, layer: int, source: int, k: int, count: int) -> Place:
        """The middle of one of the boxes above a unit.

        Args:
            layer: Which layer, counted from 0.
            source: Which of its inputs the boxes stand above.
            k: Which of the boxes, counted from 0.
            count: How many boxes there are above the unit.

        Returns:
            The place (to the right, up), in inches.
        """
        size, columns = self.sizes[layer], self.columns[layer]
        block = self.width / self.shown[layer]
        row, column = divmod(k, columns)
        rows, beside = math.ceil(count / columns), min(columns, count - row * columns)
        step = min(block * 0.94 / columns, 2.2 * size)
        # Products have their two sums below them: the boxes leave room for those.
        top = self.bottoms[layer + 1] - 0.3 * bool(self.products[layer + 1])
        return (
            block * (source + 0.5) + (column - (beside - 1) / 2) * step,
            (self.bottoms[layer] + top) / 2 + ((rows - 1) / 2 - row) * 1.22 * size,
        )


def layout_of(drawing: Drawing) -> NetworkLayout:
    """Where everything stands in the picture of a network.

    Args:
        drawing: The network as arrays.
    """
    products = drawing.products or (0,) * len(drawing.widths)
    if not drawing.edges:
        shown = tuple(min(width, MOST_UNITS) for width in drawing.widths)
        bottoms = tuple(1.3 * level for level in range(len(shown)))
        return NetworkLayout(max(NARROWEST, 0.4 * max(shown)), shown, bottoms, (), (), products)
    most = [int(max(present(drawing, k).sum(1).max(), 1)) for k in range(len(drawing.edges))]
    wanted = max(0.62 * count * units for count, units in zip(most, drawing.widths, strict=False))
    width = float(np.clip(wanted, NARROWEST, BROADEST))
    columns: list[int] = []
    sizes: list[float] = []
    heights = [0.0]
    for layer, count in enumerate(most):
        block = width / drawing.widths[layer]
        beside = _beside(count, block)
        size = min(0.5, 0.82 * block / beside)
        columns.append(beside)
        sizes.append(size)
        boxes = 1.22 * size * math.ceil(count / beside)
        sums = 0.3 * bool(products[layer + 1])
        heights.append(heights[-1] + 0.9 + 0.06 * width + boxes + sums)
    if drawing.ranks:
        heights.append(heights[-1] + 0.8 + 0.04 * width)
    return NetworkLayout(
        width, drawing.widths, tuple(heights), tuple(sizes), tuple(columns), products
    )


def _beside(count: int, block: float) -> int:
    """How many of so many boxes stand side by side above a unit that has so many inches: as many
    as stay readable."""
    for rows in range(1, count + 1):
        columns = math.ceil(count / rows)
        if 0.82 * block / columns >= READABLE:
            return columns
    return 1


def present(drawing: Drawing, layer: int) -> NDArray[np.bool_]:
    """Which edges of a layer are there: those that were not pruned.

    Args:
        drawing: The network as arrays.
        layer: Which layer, counted from 0.

    Returns:
        True for edges that are there, [inputs, outputs].
    """
    if drawing.importance:
        return np.isfinite(drawing.importance[layer])
    return np.ones(drawing.edges[layer][1].shape[:2], dtype=bool)
