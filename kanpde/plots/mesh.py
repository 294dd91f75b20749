"""Pictures of tensor products of splines: their cells and spans of time, coloured by what the
solution says of its own error there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kanpde.plots.palette import GREY
from kanpde.plots.ticks import few, powers

if TYPE_CHECKING:
    from kanpde.results.meshes import CellsDrawn, MeshDrawing

WIDTH_OF_PANEL, HEIGHT_OF_MESH = 5.0, 4.6
"""Inches."""

LEAST_ERROR = 1e-17
"""What is drawn in the place of an estimate that is smaller still."""

LINES_AT_MOST = 400
"""More lines across a panel than this are left out: they would cover the colours."""

LETTERS_AN_INCH = 13
"""Of a title, in an inch of the figure's width."""

ERROR_COLOURS = "viridis"


def plot_mesh(drawing: MeshDrawing, title: str) -> Figure:
    """The cells of every two coordinates, or of every one over time, side by side.

    Args:
        drawing: The cells as arrays.
        title: What stands above them.

    Returns:
        A figure of one pair of axes for each two coordinates, and a bar of colours.
    """
    pairs = panels(drawing)
    width = WIDTH_OF_PANEL * len(pairs) + 1.0
    figure = Figure(figsize=(width, HEIGHT_OF_MESH))
    lines = [
        part for line in title.split("\n") for part in wrap(line, int(LETTERS_AN_INCH * width))
    ]
    figure.suptitle("\n".join(lines), fontsize=10, y=1 - 0.08 / HEIGHT_OF_MESH)
    norm, every = _norm(drawing, pairs), figure.subplots(1, len(pairs), squeeze=False)[0]
    # A layout that is found by drawing takes as long as the picture itself.
    left, right, bottom = 0.75, 1.35, 0.55
    top = HEIGHT_OF_MESH - 0.24 - 0.17 * len(lines)
    across = (width - right) / len(pairs) - left
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / HEIGHT_OF_MESH,
        top=top / HEIGHT_OF_MESH,
        wspace=left / across,
    )
    for axes, pair in zip(every, pairs, strict=True):
        draw_mesh(drawing, pair, axes, norm)
    place = ((width - right + 0.2) / width, bottom / HEIGHT_OF_MESH)
    size = (0.18 / width, (top - bottom) / HEIGHT_OF_MESH)
    bar = figure.colorbar(ScalarMappable(norm, ERROR_COLOURS), cax=figure.add_axes((*place, *size)))
    bar.set_label("estimated error, over the variation", fontsize=9)
    powers(bar.ax.yaxis)
    return figure


def panels(drawing: MeshDrawing) -> list[tuple[int, int | None]]:
    """Which two coordinates are drawn: of an evolution each one over time, else all pairs; one
    coordinate alone as a strip.

    Args:
        drawing: The cells as arrays.
    """
    count = len(drawing.coordinates)
    if count == 1:
        return [(0, None)]
    if drawing.evolving:
        return [(i, count - 1) for i in range(count - 1)]
    return list(combinations(range(count), 2))


def draw_mesh(
    drawing: MeshDrawing, pair: tuple[int, int | None], axes: Axes, norm: LogNorm
) -> Axes:
    """Draw the cells along two coordinates, each in the colour of the larger of its two estimates.

    Args:
        drawing: The cells as arrays.
        pair: Numbers of the coordinate to the right and of that upwards; None for a strip.
        axes: Where it is drawn.
        norm: From estimates to colours.

    Returns:
        The axes.
    """
    across, up = pair
    for span in drawing.spans:
        x, y, errors = span.breaks[across], _breaks(span, up), _errors(span, across, up)
        axes.pcolormesh(x, y, errors, norm=norm, cmap=ERROR_COLOURS, rasterized=True)
        axes.add_collection(_lines(x, y, len(drawing.spans)))
    axes.set_xlabel(drawing.coordinates[across])
    axes.set_ylabel("" if up is None else drawing.coordinates[up])
    few(axes.xaxis)
    if up is None:
        axes.set_yticks([])
    else:
        few(axes.yaxis)
    axes.margins(0)
    return axes


def _errors(span: CellsDrawn, across: int, up: int | None) -> NDArray[np.float64]:
    """The larger of the two estimates of each cell [up, across]; nan outside of the domain."""
    own = np.zeros(1) if up is None else span.errors[up]
    found = np.maximum(np.maximum(span.errors[across][None], own[:, None]), LEAST_ERROR)
    return found if span.within is None else np.where(span.within.T, found, np.nan)


def _breaks(span: CellsDrawn, up: int | None) -> NDArray[np.float64]:
    return np.array([0.0, 1.0]) if up is None else span.breaks[up]


def _lines(x: NDArray[np.float64], y: NDArray[np.float64], spans: int) -> LineCollection:
    """The edges of the cells, as far as there is room for them."""
    lines = []
    if len(x) <= LINES_AT_MOST:
        lines += [[(a, y[0]), (a, y[-1])] for a in x]
    if len(y) * spans <= LINES_AT_MOST:
        lines += [[(x[0], b), (x[-1], b)] for b in y]
    return LineCollection(lines, colors=GREY, linewidths=0.25)


def _norm(drawing: MeshDrawing, pairs: Sequence[tuple[int, int | None]]) -> LogNorm:
    """From the smallest estimate that is shown to the largest, at least one power of ten."""
    lowest, highest = math.inf, LEAST_ERROR
    for span in drawing.spans:
        for across, up in pairs:
            errors = _errors(span, across, up)
            lowest = min(lowest, float(np.nanmin(errors)))
            highest = max(highest, float(np.nanmax(errors)))
    return LogNorm(min(lowest, highest / 10), highest)
