"""Pictures of networks, as Liu et al. 2024 and 2024b draw them: edge functions as small plots,
fainter where they matter less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from kanpde.plots.solution import BLUE, GREY, RED

if TYPE_CHECKING:
    from kanpde.results.portrait import Drawing
    from kanpde.results.result import Result

Array = NDArray[np.float64]
Place = tuple[float, float]

MOST_UNITS = 24
"""Units of a level of an MLP that are drawn."""

WIDEST = 14.5
"""Inches that a network's picture is wide at most."""

TITLE = 4.6
"""Inches that the title of a network takes."""

READABLE = 0.28
"""Inches of a small plot below which the plots of a level are drawn in more rows."""

FAINTEST = 0.1
"""Opacity of an edge that does not matter."""


def plot_network(result: Result) -> Figure:
    """The network of a result: a KAN with its edge functions, any other as a graph of its units."""
    drawing = result.drawing
    layout = _layout(drawing)
    figure = Figure(figsize=(layout.width + 0.6, layout.height + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(_title(result), fontsize=10)
    draw_network(drawing, axes)
    return figure


def plot_pruned(before: Result, after: Result) -> Figure:
    """The networks of two results side by side, at the same scale."""
    layouts = [_layout(result.drawing) for result in (before, after)]
    high = max(layout.height for layout in layouts)
    panels = [max(layout.width + 0.2, TITLE) for layout in layouts]
    width, height = sum(panels) + 0.4, high + 1.6
    figure = Figure(figsize=(width, height))
    for word, result, layout, panel, left in zip(
        ("before", "after"), (before, after), layouts, panels, (0.0, panels[0] + 0.4), strict=True
    ):
        inches = (
            left + (panel - layout.width - 0.2) / 2,
            0.05,
            layout.width + 0.2,
            high + 0.95,
        )  # an inch is an inch of the layout in both
        axes = figure.add_axes(
            (inches[0] / width, inches[1] / height, inches[2] / width, inches[3] / height)
        )
        axes.set_title(f"{word}: {_title(result)}", fontsize=10)
        draw_network(result.drawing, axes).set_ylim(-0.5, high + 0.45)
    return figure


def _title(result: Result) -> str:
    error = getattr(result, "relative_l2", None)
    return f"{result.drawing.title}\n{result.settings['parameters']:,} parameters" + (
        "" if error is None else f", relative L2 error {error:.1e}"
    )


def plot_edge(drawing: Drawing, layer: int, source: int, target: int) -> Figure:
    """One edge function with its formula, where it has one, and with the density of the activations
    that it sees."""
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    draw_edge(drawing, layer, source, target, figure.subplots())
    return figure


def draw_edge(drawing: Drawing, layer: int, source: int, target: int, axes: Axes) -> Axes:
    """One edge function over the range of its activations; below it, filled, how densely they
    lie."""
    inputs, outputs = drawing.edges[layer]
    formula = drawing.formulas.get((layer, source, target))
    axes.plot(
        inputs[source], outputs[source, target], color=RED if formula else BLUE, lw=2, zorder=3
    )
    axes.set_xlabel(drawing.inputs[source] if layer == 0 else f"unit {source + 1} of level {layer}")
    share = (
        f"\n{drawing.importance[layer][source, target]:.0%} of the output"
        if drawing.importance and np.isfinite(drawing.importance[layer][source, target])
        else ""
    )
    axes.set_title(
        f"edge {source + 1} to {target + 1} of layer"
        f" {layer + 1}{f': {formula}' if formula else ''}{share}",
        fontsize=9,
    )
    axes.margins(x=0)
    axes.grid(alpha=0.25)
    if drawing.density:
        density = drawing.density[layer][source]
        heap = axes.twinx()
        axes.set_xlim(inputs[source][0], inputs[source][-1])
        heap.fill_between(
            np.linspace(-1, 1, len(density) + 1),
            np.append(density, density[-1]),
            step="post",
            color=GREY,
            alpha=0.3,
            lw=0,
        )
        heap.set_ylim(0, 4 * max(float(density.max()), 1e-12))
        heap.set_yticks([])
        heap.set_ylabel("activations", fontsize=8, color=GREY, loc="bottom")
        heap.set_zorder(axes.get_zorder() - 1)
        axes.patch.set_visible(False)
    return axes


def draw_network(drawing: Drawing, axes: Axes) -> Axes:
    """Units, edges and, for a KAN, each edge function in a box of its own; symbolic ones in another
    colour, absent ones left out."""
    layout = _layout(drawing)
    for layer in range(len(drawing.widths) - 1):
        if drawing.edges:
            _draw_edges(axes, layout, layer, drawing)
        else:
            lines = [(a, b) for a in layout.nodes(layer) for b in layout.nodes(layer + 1)]
            axes.add_collection(
                LineCollection(lines, colors=GREY, linewidths=0.5, alpha=0.5, zorder=1)
            )
    for level, width in enumerate(drawing.widths):
        _draw_units(axes, layout, level, width, level == 0)
    for names, level, offset, align in (
        (drawing.inputs, 0, -0.16, "top"),
        (drawing.outputs, len(drawing.widths) - 1, 0.16, "bottom"),
    ):
        for (x, y), name in zip(layout.nodes(level), names, strict=False):
            axes.text(x, y + offset, name, ha="center", va=align, fontsize=12, style="italic")
    if not drawing.edges:
        axes.text(
            layout.width / 2,
            -0.62,
            "units and connections; there are no edge functions to draw",
            ha="center",
            fontsize=8,
            color=GREY,
        )
    axes.set_xlim(-0.1, layout.width + 0.1)
    axes.set_ylim(-0.5 if drawing.edges else -0.75, layout.height + 0.45)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return axes


@dataclass(frozen=True)
class _Layout:
    """Places in inches: rows of units from the inputs at the bottom to the outputs at the top, and
    between two of them the boxes.

    shown: units that are drawn, by level; bottoms: heights of the levels; sizes: edge lengths of
    the boxes, by layer; columns: how many boxes stand side by side above a unit; products: of each
    level, how many units are products.
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
        return [
            (self.width * (i + 0.5) / self.shown[level], self.bottoms[level])
            for i in range(self.shown[level])
        ]

    def ports(self, level: int) -> list[Place]:
        """Where the edges to a level end: at its sums, and at the two sums below each of its
        products."""
        nodes, count = self.nodes(level), self.products[level]
        sums, products = nodes[: len(nodes) - count], nodes[len(nodes) - count :]
        apart = min(0.16, 0.2 * self.width / len(nodes))
        return [*sums, *((x + side * apart, y - 0.3) for x, y in products for side in (-1, 1))]

    def box(self, layer: int, source: int, k: int, count: int) -> Place:
        """The middle of the k-th of so many boxes above a unit."""
        block, size, columns = (
            self.width / self.shown[layer],
            self.sizes[layer],
            self.columns[layer],
        )
        row, column = divmod(k, columns)
        rows, beside = math.ceil(count / columns), min(columns, count - row * columns)
        step = min(block * 0.94 / columns, 2.2 * size)
        middle = (
            self.bottoms[layer] + self.bottoms[layer + 1] - 0.3 * bool(self.products[layer + 1])
        ) / 2
        return (
            block * (source + 0.5) + (column - (beside - 1) / 2) * step,
            middle + ((rows - 1) / 2 - row) * 1.22 * size,
        )


def _layout(drawing: Drawing) -> _Layout:
    products = drawing.products or (0,) * len(drawing.widths)
    if not drawing.edges:
        shown = tuple(min(width, MOST_UNITS) for width in drawing.widths)
        return _Layout(
            max(4.0, 0.4 * max(shown)),
            shown,
            tuple(1.3 * level for level in range(len(shown))),
            (),
            (),
            products,
        )
    most = [
        int(max(_present(drawing, layer).sum(1).max(), 1)) for layer in range(len(drawing.edges))
    ]
    width = float(
        np.clip(
            max(0.62 * count * units for count, units in zip(most, drawing.widths, strict=False)),
            4.0,
            WIDEST,
        )
    )
    columns, sizes, bottoms = [], [], [0.0]
    for layer, count in enumerate(most):
        block = width / drawing.widths[layer]
        beside = next(
            (
                n
                for n in (math.ceil(count / rows) for rows in range(1, count + 1))
                if 0.82 * block / n >= READABLE
            ),
            1,
        )
        size = min(0.5, 0.82 * block / beside)
        columns.append(beside)
        sizes.append(size)
        bottoms.append(
            bottoms[-1]
            + 0.9
            + 0.06 * width
            + 1.22 * size * math.ceil(count / beside)
            + 0.3 * bool(products[layer + 1])
        )
    return _Layout(width, drawing.widths, tuple(bottoms), tuple(sizes), tuple(columns), products)


def _present(drawing: Drawing, layer: int) -> NDArray[np.bool_]:
    shape = drawing.edges[layer][1].shape[:2]
    return (
        np.isfinite(drawing.importance[layer]) if drawing.importance else np.ones(shape, dtype=bool)
    )


def _opacity(drawing: Drawing, layer: int) -> Array:
    """Of every edge, 0.1 to 1: by its share of the outputs or, where that is not known, by its
    range; over the layer's largest."""
    ranges = np.ptp(drawing.edges[layer][1], axis=2)
    size = np.nan_to_num(drawing.importance[layer]) if drawing.importance else ranges
    return FAINTEST + (1 - FAINTEST) * np.tanh(3 * size / (size.max() or 1.0)) / math.tanh(3)


def _draw_edges(axes: Axes, layout: _Layout, layer: int, drawing: Drawing) -> None:
    inputs, outputs = drawing.edges[layer]
    starts, ends, half = layout.nodes(layer), layout.ports(layer + 1), layout.sizes[layer] / 2
    opacity = _opacity(drawing, layer)
    present = _present(drawing, layer)
    wires, curves, boxes, colours, shades = [], [], [], [], []
    for p, q in sorted(
        np.argwhere(present).tolist(), key=lambda pq: float(opacity[pq[0], pq[1]])
    ):  # what matters comes on top
        targets = np.flatnonzero(present[p]).tolist()
        x, y = layout.box(layer, p, targets.index(q), len(targets))
        alpha, formula = float(opacity[p, q]), drawing.formulas.get((layer, p, q))
        wires += [[starts[p], (x, y - half)], [(x, y + half), ends[q]]]
        boxes.append(Rectangle((x - half, y - half), 2 * half, 2 * half))
        curves.append(
            np.stack([x + 0.84 * half * _unit(inputs[p]), y + 0.8 * half * _unit(outputs[p, q])], 1)
        )
        shades.append((0.0, 0.0, 0.0, alpha))
        colours.append((*_rgb(RED if formula else BLUE), alpha))
        if formula and half >= 0.2:
            axes.text(
                x,
                y - half,
                formula,
                ha="center",
                va="center",
                fontsize=7,
                color=RED,
                zorder=6,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )
    faint = (
        1.0 if layout.columns[layer] >= int(present.sum(1).max(initial=0)) else 0.6
    )  # wires that pass behind other boxes
    axes.add_collection(
        LineCollection(
            wires,
            colors=[(*s[:3], faint * s[3]) for s in shades for _ in range(2)],
            linewidths=0.8,
            zorder=1,
        )
    )
    axes.add_collection(
        PatchCollection(boxes, facecolor="white", edgecolor=shades, linewidth=0.7, zorder=2)
    )
    axes.add_collection(
        LineCollection(
            curves,
            colors=colours,
            linewidths=1.5 if half > 0.2 else 1.1,
            zorder=3,
            capstyle="round",
        )
    )


def _rgb(colour: str) -> tuple[float, float, float]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def _unit(values: Array) -> Array:
    """Values moved and scaled to [-1, 1]; a constant to 0."""
    span = float(np.ptp(values))
    return (values - values.min()) * (2 / span) - 1 if span > 0 else np.zeros_like(values)


def _draw_units(axes: Axes, layout: _Layout, level: int, width: int, first: bool) -> None:
    """Inputs as dots, sums as + and products as × in circles, the latter with their two sums
    below."""
    places, products = layout.nodes(level), layout.products[level]
    if first or not layout.sizes:
        _scatter(axes, places, 42, "black")
    else:
        for k, (x, y) in enumerate(places):
            _sign(axes, x, y, "×" if k >= len(places) - products else "+")
        if products:
            below = layout.ports(level)[len(places) - products :]
            joins = [[below[k], places[len(places) - products + k // 2]] for k in range(len(below))]
            axes.add_collection(LineCollection(joins, colors="black", linewidths=1.0, zorder=1))
            _scatter(axes, below, 16, "black")
    if width > len(places):
        axes.text(layout.width + 0.05, layout.bottoms[level], f"… {width}", va="center", fontsize=9)


def _scatter(axes: Axes, places: Sequence[Place], size: float, colour: str) -> None:
    at = np.array(places)
    axes.scatter(at[:, 0], at[:, 1], s=size, color=colour, zorder=4)


def _sign(axes: Axes, x: float, y: float, sign: str) -> None:
    axes.scatter([x], [y], s=105, facecolor="white", edgecolor="black", linewidth=1.0, zorder=4)
    r = 0.048
    strokes = (
        [[(x - r, y), (x + r, y)], [(x, y - r), (x, y + r)]]
        if sign == "+"
        else [[(x - r, y - r), (x + r, y + r)], [(x - r, y + r), (x + r, y - r)]]
    )
    axes.add_collection(
        LineCollection(strokes, colors="black", linewidths=1.2, zorder=5, capstyle="round")
    )
