"""One field in one pair of axes: as a line, or as colours with a bar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import NonUniformImage
from numpy.typing import NDArray

from kanpde.plots.outline import clip, filled
from kanpde.plots.ticks import few, powers

Array = NDArray[np.float64]


def draw_line(axes: Axes, name: str, nodes: Array, values: Array, **style: object) -> Axes:
    """Draw a field of one coordinate.

    Args:
        axes: Where it is drawn.
        name: Of the coordinate.
        nodes: Where the values are, [nodes].
        values: Of the field, [nodes].
        style: As `axes.plot` takes it.

    Returns:
        The axes.
    """
    axes.plot(nodes, values, **style)  # type: ignore[arg-type]
    axes.set_xlabel(name)
    axes.margins(x=0)
    axes.grid(alpha=0.25)
    return axes


def draw_map(
    axes: Axes,
    names: Sequence[str],
    nodes: Sequence[Array],
    values: Array,
    norm: Normalize,
    cmap: str,
    equal: bool,
    loops: Sequence[Array] = (),
) -> Axes:
    """Draw a field of two coordinates as colours, with a bar that says which value they have.

    Args:
        axes: Where it is drawn.
        names: Of the two coordinates; the first runs to the right.
        nodes: Of the two coordinates.
        values: Of the field, [first, second]; nodes with NaN are left white.
        norm: The scale of the colours.
        cmap: The colours.
        equal: Whether both coordinates have one scale.
        loops: Closed lines [points, 2] that bound the region (see outline.py): the colours end
            there.

    Returns:
        The axes.
    """
    shown = np.ma.masked_invalid(filled(values) if len(loops) else values)
    ends = [tuple(at[[0, -1]]) for at in nodes]
    image = NonUniformImage(
        axes, interpolation="bilinear", norm=norm, cmap=cmap, extent=(*ends[0], *ends[1])
    )
    image.set_data(nodes[0], nodes[1], shown.T)
    axes.add_image(image)
    axes.set(xlim=ends[0], ylim=ends[1])
    if len(loops):
        image.set_clip_path(clip(list(loops)), axes.transData)
        for loop in loops:
            axes.plot(*loop.T, color="black", lw=0.8)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1], rotation=0, labelpad=8)
    axes.set_aspect("equal" if equal else "auto")
    few(axes.xaxis)
    few(axes.yaxis)
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((1.03, 0.0, 0.045, 1.0)))
    bar.ax.tick_params(labelsize=8)
    if isinstance(norm, LogNorm):
        powers(bar.ax.yaxis)
    else:
        few(bar.ax.yaxis)
        bar.formatter.set_powerlimits((-2, 3))  # type: ignore[attr-defined]
    return axes
