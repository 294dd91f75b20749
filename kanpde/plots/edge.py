"""One edge function of a network, large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kanpde.plots.palette import BLUE, GREY, RED

if TYPE_CHECKING:
    from kanpde.results.portrait import Drawing


def plot_edge(drawing: Drawing, layer: int, source: int, target: int) -> Figure:
    """One edge function with its formula, where it has one, and with the density of the activations
    that it sees.

    Args:
        drawing: The network.
        layer: Which layer, counted from 0.
        source: Which of its inputs.
        target: Which of its outputs.

    Returns:
        A figure of one pair of axes, and a second one for the density.
    """
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    draw_edge(drawing, layer, source, target, figure.subplots())
    return figure


def draw_edge(drawing: Drawing, layer: int, source: int, target: int, axes: Axes) -> Axes:
    """Draw one edge function over the range of its activations; below it, filled, how densely they
    lie.

    Args:
        drawing: The network.
        layer: Which layer, counted from 0.
        source: Which of its inputs.
        target: Which of its outputs.
        axes: Where it is drawn.

    Returns:
        The axes.
    """
    inputs, outputs = drawing.edges[layer]
    formula = drawing.formulas.get((layer, source, target))
    colour = RED if formula else BLUE
    axes.plot(inputs[source], outputs[source, target], color=colour, lw=2, zorder=3)
    axes.set_xlabel(drawing.inputs[source] if layer == 0 else f"unit {source + 1} of level {layer}")
    title = f"edge {source + 1} to {target + 1} of layer {layer + 1}"
    if formula:
        title += f": {formula}"
    if drawing.importance and np.isfinite(share := drawing.importance[layer][source, target]):
        title += f"\n{share:.0%} of the output"
    axes.set_title(title, fontsize=9)
    axes.margins(x=0)
    axes.grid(alpha=0.25)
    if drawing.density:
        axes.set_xlim(inputs[source][0], inputs[source][-1])
        _draw_density(drawing.density[layer][source], axes)
    return axes


def _draw_density(density: np.ndarray, axes: Axes) -> None:
    """A histogram of activations in [-1, 1], behind what is drawn, in the lowest quarter."""
    heap = axes.twinx()
    ends = np.linspace(-1, 1, len(density) + 1)
    heap.fill_between(
        ends, np.append(density, density[-1]), step="post", color=GREY, alpha=0.3, lw=0
    )
    heap.set_ylim(0, 4 * max(float(density.max()), 1e-12))
    heap.set_yticks([])
    heap.set_ylabel("activations", fontsize=8, color=GREY, loc="bottom")
    heap.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
