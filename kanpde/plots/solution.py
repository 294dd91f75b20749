"""Pictures of a result. They see arrays only, never a network, and leave no global state: plain
Figures, drawn with Agg.

Colours are safe for the colour-blind: viridis and cividis, a red-blue diverging map for signed
errors, Okabe and Ito's palette (2008) for lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kanpde.plots.outline import clip, filled, outline

if TYPE_CHECKING:
    from kanpde.results.fields import Grid
    from kanpde.results.result import Result

Array = NDArray[np.float64]

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
_PEAKED = 30.0
"""An error whose peak is so many times its median is drawn by magnitude on a logarithmic scale."""


def plot_solution(result: Result) -> Figure:
    """Solution, reference and error side by side, one row an unknown (three rows in space of three
    dimensions: its mid-planes)."""
    fields = result.fields
    views = [
        (unknown, view)
        for unknown in result.unknowns
        for view in _views(fields.grid, fields.solution[unknown], result.settings.get("time"))
    ]
    lines = len(views[0][1].axes) == 1
    columns = (1 if lines else 1 + bool(fields.reference or fields.exact)) + bool(
        fields.reference or fields.exact
    )
    heights = [3.1 if lines else _row_height(fields.grid, view) for _, view in views]
    figure = Figure(figsize=(4.6 * columns + 0.4, sum(heights) + 0.9), layout="constrained")
    figure.suptitle(
        f"{result.settings.get('title') or result.name}\n{result.settings['network']},"
        f" {result.settings['parameters']} parameters",
        fontsize=10,
    )
    grid = figure.subplots(len(views), columns, squeeze=False, height_ratios=heights)
    for row, (unknown, view) in zip(grid, views, strict=True):
        (_draw_lines if lines else _draw_maps)(result, unknown, view, list(row))
    return figure


def plot_history(result: Result) -> Figure:
    """Loss, residual on fresh points and true error against the steps and against time, with the
    stages marked."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.suptitle(
        f"{result.settings.get('title') or result.name}\n{result.settings['network']}", fontsize=10
    )
    left, right = figure.subplots(1, 2, sharey=True)
    draw_history(result, left, "step")
    draw_history(result, right, "seconds")
    figure.legend(
        *left.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    return figure


def draw_line(axes: Axes, name: str, nodes: Array, values: Array, **style: object) -> Axes:
    """One field of one coordinate."""
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
    """One field of two coordinates as colours, values [first, second], the first coordinate to the
    right; with a colour bar.

    loops: closed lines [points, 2] that bound the region (see outline.py): the colours end there.
    Nodes with NaN are left white.
    """
    shown = np.ma.masked_invalid(filled(values) if len(loops) else values)
    mesh = axes.pcolormesh(
        nodes[0], nodes[1], shown.T, norm=norm, cmap=cmap, shading="gouraud", rasterized=True
    )
    if len(loops):
        mesh.set_clip_path(clip(list(loops)), axes.transData)
        for loop in loops:
            axes.plot(*loop.T, color="black", lw=0.8)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1], rotation=0, labelpad=8)
    axes.set_aspect("equal" if equal else "auto")
    bar = axes.figure.colorbar(mesh, cax=axes.inset_axes((1.03, 0.0, 0.045, 1.0)))
    bar.ax.tick_params(labelsize=8)
    if not isinstance(norm, LogNorm):
        bar.formatter.set_powerlimits((-2, 3))  # type: ignore[attr-defined]
    return axes


def draw_history(result: Result, axes: Axes, against: str) -> Axes:
    """Loss, fresh residual and true error of every step against "step" or "seconds"."""
    history = result.history
    at = np.array(history.column(against), dtype=float)
    shown = (
        ("loss", "loss: mean squared residual", BLUE, "-"),
        ("fresh", "the same on fresh points", ORANGE, "--"),
        ("error", "relative L2 error against the exact solution", RED, "-"),
    )
    for column, label, colour, dashes in shown:
        values = np.array(history.column(column), dtype=float)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(values) & (values > 0)
        if known.any():
            axes.plot(
                at[known],
                values[known],
                dashes,
                color=colour,
                label=label,
                lw=1.4,
                marker="." if known.sum() < 60 else None,
                ms=4,
            )
    axes.set_yscale("log")
    axes.set_xlabel({"step": "step", "seconds": "seconds of training"}[against])
    axes.grid(alpha=0.25)
    _mark_stages(result, axes, at)
    return axes


@dataclass(frozen=True)
class _View:
    """What is drawn of a field: the coordinates that span the picture, the index of all axes, and
    the fixed coordinates in words."""

    axes: tuple[str, ...]
    index: tuple[int | slice, ...]
    fixed: str
    equal: bool


def _views(grid: Grid, values: Array, time: str | None) -> Iterator[_View]:
    names = list(grid)
    space = [x for x in names if x != time]
    if len(names) == 1:
        pairs: list[tuple[str, ...]] = [(names[0],)]
    elif len(space) == 1 and time:
        pairs = [(time, space[0])]
    elif len(space) == 3:
        pairs = [(space[0], space[1]), (space[0], space[2]), (space[1], space[2])]
    else:
        pairs = [(space[0], space[1])]
    for shown in pairs:
        fixed = {
            x: len(grid[x]) - 1 if x == time else _plane(values, names.index(x))
            for x in names
            if x not in shown
        }
        words = ", ".join(f"{x} = {grid[x][i]:.3g}" for x, i in fixed.items())
        yield _View(
            shown, tuple(fixed.get(x, slice(None)) for x in names), words, time not in shown
        )


def _plane(values: Array, axis: int) -> int:
    """The middle plane, or, where the field (nearly) vanishes on it, the one on which it is
    largest."""
    others = tuple(a for a in range(values.ndim) if a != axis)
    size = np.sqrt(np.nan_to_num(np.nanmean(values**2, axis=others)))
    middle = len(size) // 2
    return middle if size[middle] >= 0.2 * size.max() else int(size.argmax())


def _cut(view: _View, grid: Grid, values: Array) -> Array:
    """The field on a view, its axes in the view's order."""
    kept = [x for x, i in zip(grid, view.index, strict=True) if isinstance(i, slice)]
    cut = values[view.index]
    return cut if tuple(kept) == view.axes else cut.T


def _row_height(grid: Grid, view: _View) -> float:
    if not view.equal:
        return 3.3
    spans = [np.ptp(grid[x]) for x in view.axes]
    return float(np.clip(3.4 * spans[1] / spans[0] + 0.5, 1.8, 7.0))


def _draw_lines(result: Result, unknown: str, view: _View, row: list[Axes]) -> None:
    fields, x = result.fields, view.axes[0]
    nodes = fields.grid[x]
    draw_line(row[0], x, nodes, fields.solution[unknown], color=BLUE, lw=2, label="network")
    if unknown in fields.reference:
        some = slice(None, None, max(1, len(nodes) // 24))
        draw_line(
            row[0],
            x,
            nodes[some],
            fields.reference[unknown][some],
            color="black",
            ls="",
            marker="o",
            ms=4,
            mfc="none",
            label=_reference_title(result),
        )
    elif unknown in fields.exact:
        draw_line(
            row[0], x, nodes, fields.exact[unknown], color="black", ls="--", lw=1, label="exact"
        )
    row[0].set_title(f"solution {unknown}", fontsize=9)
    row[0].legend(fontsize=8, frameon=False)
    error = fields.error(unknown)
    if error is not None and len(row) > 1:
        draw_line(row[1], x, nodes, error, color=RED, lw=1.2)
        row[1].set_title(_error_title(result, unknown), fontsize=9)
        row[1].ticklabel_format(axis="y", scilimits=(-2, 3))


def _draw_maps(result: Result, unknown: str, view: _View, row: list[Axes]) -> None:
    fields = result.fields
    nodes = [fields.grid[x] for x in view.axes]
    at = f" at {view.fixed}" if view.fixed else ""
    solution = _cut(view, fields.grid, fields.solution[unknown])
    truth = fields.reference.get(unknown, fields.exact.get(unknown))
    other = None if truth is None else _cut(view, fields.grid, truth)
    both = [solution] if other is None else [solution, other]
    norm = Normalize(min(float(np.nanmin(v)) for v in both), max(float(np.nanmax(v)) for v in both))
    loops = (
        outline(result.problem.domain)
        if view.equal
        and len(fields.grid) - bool(result.settings.get("time")) == 2
        and result.problem
        else []
    )
    draw_map(row[0], view.axes, nodes, solution, norm, "viridis", view.equal, loops).set_title(
        f"network: {unknown}{at}", fontsize=9
    )
    if other is None:
        return
    draw_map(row[1], view.axes, nodes, other, norm, "viridis", view.equal, loops).set_title(
        _reference_title(result) if unknown in fields.reference else "exact solution", fontsize=9
    )
    error = fields.error(unknown)
    assert error is not None
    shown, norm, cmap = _error_scale(_cut(view, fields.grid, error))
    draw_map(row[2], view.axes, nodes, shown, norm, cmap, view.equal, loops).set_title(
        _error_title(result, unknown), fontsize=9
    )


def _error_scale(error: Array) -> tuple[Array, Normalize, str]:
    """Signed on a diverging scale; where it is concentrated, as under a front, by magnitude on a
    logarithmic one."""
    size = np.abs(error)
    peak, median = float(np.nanmax(size)), float(np.nanmedian(size))
    if peak > 0 and peak > _PEAKED * median:
        low = max(peak * 1e-6, median * 0.1)
        return np.maximum(size, low), LogNorm(low, peak), "cividis"
    return error, Normalize(-peak or -1.0, peak or 1.0), "RdBu_r"


def _reference_title(result: Result) -> str:
    reference = result.reference
    if reference is None:
        return "reference"
    return (
        f"finite differences, order {reference.order}\ntheir own error"
        f" {reference.estimated_error:.0e}"
    )


def _error_title(result: Result, unknown: str) -> str:
    if unknown in result.fields.exact:
        against, error = "the exact solution", result.relative_l2
        peak = "" if result.max_error is None else f", max {result.max_error:.1e}"
    else:
        against, error, peak = "finite differences", result.reference_relative_l2, ""
    return f"error against {against}" + (
        "" if error is None else f"\nrelative L2 {error:.1e}{peak}"
    )


def _mark_stages(result: Result, axes: Axes, at: Array) -> None:
    stages = np.array(result.history.column("stage"), dtype=int)
    trained = [int(stage) for stage in np.unique(stages)]
    titles = {
        stage: result.history.stages[stage][0].split(", ")
        for stage in trained
        if stage < len(result.history.stages)
    }
    shared = set.intersection(*map(set, titles.values())) if len(titles) > 1 else set()
    for stage in trained:
        start = float(at[np.argmax(stages == stage)])
        axes.axvline(start, color=GREY, lw=0.8, ls=":", zorder=0)
        if stage in titles and len(titles) <= 12:
            title = (
                ", ".join(part for part in titles[stage] if part not in shared) or titles[stage][0]
            )
            across = axes.get_xaxis_transform()
            label = axes.annotate(
                title,
                (start, 1),
                (3, -4),
                across,
                "offset points",
                rotation=90,
                va="top",
                ha="left",
                fontsize=7,
                color="#444444",
            )
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8})


views, cut, error_scale = _views, _cut, _error_scale
"""For other pictures of the same fields: reports."""
