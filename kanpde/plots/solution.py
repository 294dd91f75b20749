"""Pictures of a result. They see arrays only, never a network, and leave no global state: plain
Figures, drawn with Agg.

Colours are safe for the colour-blind: viridis and cividis, and a red-blue diverging map for signed
errors.
"""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kanpde.geometry import Ball, Disk, SpaceTime, many
from kanpde.plots.maps import draw_line, draw_map
from kanpde.plots.outline import outline
from kanpde.plots.palette import BLUE, RED
from kanpde.plots.views import View, cut, error_scale, views
from kanpde.problem.families import said
from kanpde.results.members import shown_members

if TYPE_CHECKING:
    from kanpde.results.fields import Grid
    from kanpde.results.result import Result

Array = NDArray[np.float64]


PANEL = 4.6
"""Inches that a panel is wide."""

LETTERS = 14
"""Of a title, in an inch."""


def plot_solution(result: Result) -> Figure:
    """Solution, reference and error side by side.

    Args:
        result: Whose fields are drawn.

    Returns:
        A figure with a row an unknown; in space of three dimensions three rows each, of its
        mid-planes. Of a family it is a member in the middle.
    """
    if members := shown_members(result):
        at, one = members[len(members) // 2]
        one.settings["title"] = f"{result.settings.get('title') or result.name} [{said(at)}]"
        return plot_solution(one)
    fields, time = result.fields, result.settings.get("time")
    shown = [
        (unknown, view)
        for unknown in result.unknowns
        for view in views(fields.grid, fields.solution[unknown], time)
    ]
    lines = len(shown[0][1].axes) == 1
    compared = bool(fields.reference or fields.exact)
    columns = 1 + compared * (1 if lines else 2)
    heights = [3.1 if lines else _row_height(fields.grid, view) for _, view in shown]
    figure = Figure(figsize=(PANEL * columns + 0.4, sum(heights) + 0.9))
    about = f"{result.settings['network']}, {result.settings['parameters']} parameters"
    title = str(result.settings.get("title") or result.name)
    longest = int(LETTERS * figure.get_figwidth())
    figure.suptitle(
        "\n".join(shorten(line, longest, placeholder=" …") for line in (title, about)),
        fontsize=10,
        y=1 - 0.08 / figure.get_figheight(),
    )
    grid = figure.subplots(len(shown), columns, squeeze=False, height_ratios=heights)
    _lay_out(figure, len(shown), columns, 0.25 if lines else 0.7)
    draw = _draw_lines if lines else _draw_maps
    for row, (unknown, view) in zip(grid, shown, strict=True):
        draw(result, unknown, view, list(row))
    return figure


def _lay_out(figure: Figure, rows: int, columns: int, right: float) -> None:
    """Leave so many inches to the right of each panel, and what names, numbers and titles take on
    the other sides.

    A layout that is found by drawing takes as long as the picture itself.
    """
    left, bottom, title, heading = 0.8, 0.48, 0.45, 0.52
    width, height = figure.get_size_inches()
    across = (width - columns * (left + right)) / columns
    up = (height - heading - rows * (bottom + title)) / rows
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - (heading + title) / height,
        wspace=(left + right) / across,
        hspace=(bottom + title) / up,
    )


def _row_height(grid: Grid, view: View) -> float:
    if not view.equal:
        return 3.3
    spans = [np.ptp(grid[x]) for x in view.axes]
    return float(np.clip(3.4 * spans[1] / spans[0] + 0.5, 1.8, 7.0))


def _draw_lines(result: Result, unknown: str, view: View, row: list[Axes]) -> None:
    """One unknown of one coordinate: the solution with what it is compared with, and the error."""
    fields, x = result.fields, view.axes[0]
    nodes = fields.grid[x]
    draw_line(row[0], x, nodes, fields.solution[unknown], color=BLUE, lw=2, label="network")
    if unknown in fields.reference:
        some = slice(None, None, max(1, len(nodes) // 24))
        circles = {"color": "black", "ls": "", "marker": "o", "ms": 4, "mfc": "none"}
        reference = fields.reference[unknown][some]
        draw_line(row[0], x, nodes[some], reference, label=_reference_title(result), **circles)
    elif unknown in fields.exact:
        dashed = {"color": "black", "ls": "--", "lw": 1}
        draw_line(row[0], x, nodes, fields.exact[unknown], label="exact", **dashed)
    row[0].set_title(f"solution {unknown}", fontsize=9)
    row[0].legend(fontsize=8, frameon=False)
    error = fields.error(unknown)
    if error is not None and len(row) > 1:
        draw_line(row[1], x, nodes, error, color=RED, lw=1.2)
        row[1].set_title(_error_title(result, unknown), fontsize=9)
        row[1].ticklabel_format(axis="y", scilimits=(-2, 3))


def _draw_maps(result: Result, unknown: str, view: View, row: list[Axes]) -> None:
    """One view of one unknown: solution and reference in the same colours, and the error."""
    fields = result.fields
    nodes = [fields.grid[x] for x in view.axes]
    loops = _loops(result, view)

    def draw(axes: Axes, values: Array, norm: Normalize, cmap: str, title: str) -> None:
        draw_map(axes, view.axes, nodes, values, norm, cmap, view.equal, loops)
        axes.set_title(title, fontsize=9)

    solution = cut(view, fields.grid, fields.solution[unknown])
    truth = fields.reference.get(unknown, fields.exact.get(unknown))
    other = None if truth is None else cut(view, fields.grid, truth)
    both = [solution] if other is None else [solution, other]
    norm = Normalize(min(float(np.nanmin(v)) for v in both), max(float(np.nanmax(v)) for v in both))
    fixed = [view.fixed] if view.fixed else []
    if rest := result.settings.get("rest"):
        fixed.append(f"{rest} in the middle")
    at = f" at {', '.join(fixed)}" if fixed else ""
    draw(row[0], solution, norm, "viridis", f"network: {unknown}{at}")
    if other is None:
        return
    known = _reference_title(result) if unknown in fields.reference else "exact solution"
    draw(row[1], other, norm, "viridis", known)
    error = fields.error(unknown)
    assert error is not None
    draw(row[2], *error_scale(cut(view, fields.grid, error)), _error_title(result, unknown))


def _loops(result: Result, view: View) -> list[Array]:
    """The lines at which the colours of a view end: of regions of the plane that are no boxes."""
    plane = len(result.fields.grid) - bool(result.settings.get("time")) == 2
    if not view.equal or not plane or result.problem is None:
        return []
    domain = result.problem.domain
    region = domain.region if isinstance(domain, SpaceTime) else domain
    if many(domain) and isinstance(region, Ball):
        x, y, *_ = region.centre.values()
        return outline(Disk(x=x, y=y, radius=region.radius))
    return [] if many(domain) else outline(domain)


def _reference_title(result: Result) -> str:
    reference = result.reference
    if reference is None:
        return "reference"
    own = f"{reference.estimated_error:.0e}"
    method = f"finite differences, order {reference.order}"
    if not reference.order:
        method = "collocation"
    elif not reference.kind.startswith("finite"):
        method = f"a march of order {reference.order}"
    return f"reference: {method}\nits own error {own}"


def _error_title(result: Result, unknown: str) -> str:
    exact = unknown in result.fields.exact
    gap = (result.errors if exact else result.reference_errors).get(unknown)
    error, peak = (
        (result.relative_l2, result.max_error) if exact else (result.reference_relative_l2, None)
    )
    if gap is not None:
        error, peak = gap.relative, gap.peak
    size = "" if error is None else f"\nrelative L2 {error:.1e}"
    size += "" if peak is None else f", max {peak:.1e}"
    return f"error against {'the exact solution' if exact else 'the reference'}{size}"
