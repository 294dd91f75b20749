"""Pictures of networks, as Liu et al. 2024 and 2024b draw them: edge functions as small plots,
fainter where they matter less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from kanpde.plots.layout import NetworkLayout, Place, layout_of, present
from kanpde.plots.mesh import plot_mesh
from kanpde.plots.palette import BLUE, GREY, RED
from kanpde.results.meshes import MeshDrawing

if TYPE_CHECKING:
    from kanpde.results.portrait import Drawing
    from kanpde.results.result import Result

Array = NDArray[np.float64]

TITLE_WIDTH = 4.6
"""Inches that the title of a network takes."""

FAINTEST = 0.1
"""Opacity of an edge that does not matter."""


def plot_network(result: Result) -> Figure:
    """The network of a result: a KAN with its edge functions, a tensor product of splines as its
    cells, any other as a graph of its units.

    Args:
        result: Whose network is drawn.

    Returns:
        A figure of one pair of axes; of cells, of one for each two coordinates.
    """
    drawing = result.drawing
    if isinstance(drawing, MeshDrawing):
        return plot_mesh(drawing, _title(result))
    layout = layout_of(drawing)
    figure = Figure(figsize=(layout.width + 0.6, layout.height + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(_title(result), fontsize=10)
    draw_network(drawing, axes)
    return figure


def plot_pruned(before: Result, after: Result) -> Figure:
    """The networks of two results side by side, at the same scale.

    Args:
        before: Drawn on the left.
        after: Drawn on the right.

    Returns:
        A figure of two pairs of axes, in which an inch is an inch of the layout.
    """
    drawings = [drawing_of(result) for result in (before, after)]
    layouts = [layout_of(drawing) for drawing in drawings]
    high = max(layout.height for layout in layouts)
    panels = [max(layout.width + 0.2, TITLE_WIDTH) for layout in layouts]
    width, height = sum(panels) + 0.4, high + 1.6
    figure = Figure(figsize=(width, height))
    for word, result, drawing, layout, panel, left in zip(
        ("before", "after"),
        (before, after),
        drawings,
        layouts,
        panels,
        (0.0, panels[0] + 0.4),
        strict=True,
    ):
        wide, tall = layout.width + 0.2, high + 0.95
        middle = left + (panel - wide) / 2
        axes = figure.add_axes((middle / width, 0.05 / height, wide / width, tall / height))
        axes.set_title(f"{word}: {_title(result)}", fontsize=10)
        draw_network(drawing, axes).set_ylim(-0.5, high + 0.45)
    return figure


def drawing_of(result: Result) -> Drawing:
    """The layers of a result that has some, as a network that can be pruned has.

    Args:
        result: The result.
    """
    assert not isinstance(result.drawing, MeshDrawing)
    return result.drawing


def _title(result: Result) -> str:
    error = getattr(result, "relative_l2", None)
    size = f"{result.settings['parameters']:,} parameters"
    accuracy = "" if error is None else f", relative L2 error {error:.1e}"
    return f"{result.drawing.title}\n{size}{accuracy}"


def draw_network(drawing: Drawing, axes: Axes) -> Axes:
    """Draw units, edges and, for a KAN, each edge function in a box of its own; symbolic ones in
    another colour, absent ones left out.

    Args:
        drawing: The network as arrays.
        axes: Where it is drawn.

    Returns:
        The axes, in inches of the layout.
    """
    layout = layout_of(drawing)
    for layer in range(len(drawing.widths) - 1):
        if layer < len(drawing.edges):
            _draw_edges(axes, layout, layer, drawing)
        elif drawing.ranks:
            _draw_sums(axes, layout, drawing)
        else:
            lines = [(a, b) for a in layout.nodes(layer) for b in layout.nodes(layer + 1)]
            wires = LineCollection(lines, colors=GREY, linewidths=0.5, alpha=0.5, zorder=1)
            axes.add_collection(wires)
    for level, width in enumerate(drawing.widths):
        _draw_units(axes, layout, level, width, multiply=bool(drawing.ranks) and level == 1)
    _name(axes, layout.nodes(0), drawing.inputs, -0.16, "top")
    _name(axes, layout.nodes(len(drawing.widths) - 1), drawing.outputs, 0.16, "bottom")
    if not drawing.edges:
        words = "units and connections; there are no edge functions to draw"
        axes.text(layout.width / 2, -0.62, words, ha="center", fontsize=8, color=GREY)
    axes.set_xlim(-0.1, layout.width + 0.1)
    axes.set_ylim(-0.5 if drawing.edges else -0.75, layout.height + 0.45)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return axes


MOST_NAMES = 40
"""Names side by side; of more, every second or third is written."""


def _name(
    axes: Axes, places: Sequence[Place], names: Sequence[str], offset: float, align: str
) -> None:
    every = -(-len(names) // MOST_NAMES)
    for (x, y), name in list(zip(places, names, strict=False))[::every]:
        axes.text(x, y + offset, name, ha="center", va=align, fontsize=12, style="italic")


def _opacity(drawing: Drawing, layer: int) -> Array:
    """Of every edge, 0.1 to 1: by its share of the outputs or, where that is not known, by its
    range; over the layer's largest."""
    ranges = np.ptp(drawing.edges[layer][1], axis=2)
    size = np.nan_to_num(drawing.importance[layer]) if drawing.importance else ranges
    return FAINTEST + (1 - FAINTEST) * np.tanh(3 * size / (size.max() or 1.0)) / math.tanh(3)


def _draw_edges(axes: Axes, layout: NetworkLayout, layer: int, drawing: Drawing) -> None:
    """The boxes of a layer with their curves, the wires to and from them, and formulas."""
    inputs, outputs = drawing.edges[layer]
    starts, ends, half = layout.nodes(layer), layout.ports(layer + 1), layout.sizes[layer] / 2
    opacity, there = _opacity(drawing, layer), present(drawing, layer)
    wires, curves, boxes, colours, shades = [], [], [], [], []
    # What matters comes on top.
    for p, q in sorted(np.argwhere(there).tolist(), key=lambda pq: float(opacity[pq[0], pq[1]])):
        targets = np.flatnonzero(there[p]).tolist()
        x, y = layout.box(layer, p, targets.index(q), len(targets))
        alpha, formula = float(opacity[p, q]), drawing.formulas.get((layer, p, q))
        wires += [[starts[p], (x, y - half)], [(x, y + half), ends[q]]]
        boxes.append(Rectangle((x - half, y - half), 2 * half, 2 * half))
        across, up = x + 0.84 * half * _unit(inputs[p]), y + 0.8 * half * _unit(outputs[p, q])
        curves.append(np.stack([across, up], 1))
        shades.append((0.0, 0.0, 0.0, alpha))
        colours.append((*to_rgb(RED if formula else BLUE), alpha))
        if formula and half >= 0.2:
            _write_formula(axes, x, y - half, formula)
    # In several rows, wires pass behind other boxes: they are fainter there.
    faint = 1.0 if layout.columns[layer] >= int(there.sum(1).max(initial=0)) else 0.6
    dim = [(*shade[:3], faint * shade[3]) for shade in shades for _ in range(2)]
    axes.add_collection(LineCollection(wires, colors=dim, linewidths=0.8, zorder=1))
    axes.add_collection(
        PatchCollection(boxes, facecolor="white", edgecolor=shades, linewidth=0.7, zorder=2)
    )
    thick = 1.5 if half > 0.2 else 1.1
    axes.add_collection(
        LineCollection(curves, colors=colours, linewidths=thick, zorder=3, capstyle="round")
    )


def _write_formula(axes: Axes, x: float, y: float, formula: str) -> None:
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(x, y, formula, ha="center", va="center", fontsize=7, color=RED, zorder=6, bbox=paper)


def _unit(values: Array) -> Array:
    """Values moved and scaled to [-1, 1]; a constant to 0."""
    span = float(np.ptp(values))
    return (values - values.min()) * (2 / span) - 1 if span > 0 else np.zeros_like(values)


def _draw_sums(axes: Axes, layout: NetworkLayout, drawing: Drawing) -> None:
    """Wires from the units that multiply to the output that adds them, fainter where they matter
    less."""
    outputs = [q for q, rank in enumerate(drawing.ranks) for _ in range(rank)]
    ends = layout.nodes(2)
    lines = [(a, ends[q]) for a, q in zip(layout.nodes(1), outputs, strict=True)]
    shades = [(0.0, 0.0, 0.0, float(alpha)) for alpha in _opacity(drawing, 0)[0]]
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.8, zorder=1))


def _draw_units(
    axes: Axes, layout: NetworkLayout, level: int, width: int, multiply: bool = False
) -> None:
    """Inputs as dots, sums as + and products as × in circles, the latter with their two sums below
    unless they `multiply` their edges themselves."""
    places, products = layout.nodes(level), layout.products[level]
    sums = 0 if multiply else len(places) - products
    if level == 0 or not layout.sizes:
        _scatter(axes, places, 42, "black")
    else:
        _draw_signs(axes, places[:sums], "+")
        _draw_signs(axes, places[sums:], "×")
    if level and layout.sizes and products:
        below = layout.ports(level)[sums:]
        joins = [[below[k], places[sums + k // 2]] for k in range(len(below))]
        axes.add_collection(LineCollection(joins, colors="black", linewidths=1.0, zorder=1))
        _scatter(axes, below, 16, "black")
    if width > len(places):
        axes.text(layout.width + 0.05, layout.bottoms[level], f"… {width}", va="center", fontsize=9)


def _scatter(axes: Axes, places: Sequence[Place], size: float, colour: str) -> None:
    at = np.array(places)
    axes.scatter(at[:, 0], at[:, 1], s=size, color=colour, zorder=4)


def _draw_signs(axes: Axes, places: Sequence[Place], sign: str) -> None:
    """Circles with + or × in them."""
    if not places:
        return
    at = np.array(places)
    axes.scatter(
        at[:, 0], at[:, 1], s=105, facecolor="white", edgecolor="black", linewidth=1.0, zorder=4
    )
    r = 0.048
    one, two = ((r, 0), (0, r)) if sign == "+" else ((r, r), (r, -r))
    strokes = [
        [(x - right, y - up), (x + right, y + up)] for x, y in places for right, up in (one, two)
    ]
    axes.add_collection(
        LineCollection(strokes, colors="black", linewidths=1.2, zorder=5, capstyle="round")
    )
