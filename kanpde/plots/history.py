"""How training went: loss, residual on fresh points and true error, step by step and second by
second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kanpde.plots.palette import BLUE, GREEN, GREY, ORANGE, RED
from kanpde.plots.ticks import powers

if TYPE_CHECKING:
    from kanpde.results.result import Result

Array = NDArray[np.float64]


SHOWN = (
    ("loss", "loss: mean squared residual", BLUE, "-"),
    ("fresh", "the same on fresh points", ORANGE, "--"),
    ("error", "relative L2 error against the exact solution", RED, "-"),
    ("estimate", "the solution's own estimate of its error", GREEN, "--"),
)
"""Columns of a history that are drawn: what the legend calls them, colour and dashes."""

WIDTH_OF_HISTORY, HEIGHT_OF_HISTORY = 11.0, 4.4
"""Inches."""

DOTTED = 60
"""Fewer points of a line than this are marked by dots."""

NAMED = 12
"""More stages than this are marked without their names, which would not fit."""


def plot_history(result: Result) -> Figure:
    """The history against the steps and against time, with the stages marked.

    Args:
        result: Whose history is drawn.

    Returns:
        A figure of two axes.
    """
    # What stands around the axes has a known size; a layout that is found by drawing takes as long
    # as the picture itself.
    figure = Figure(figsize=(WIDTH_OF_HISTORY, HEIGHT_OF_HISTORY))
    figure.suptitle(
        f"{result.settings.get('title') or result.name}\n{result.settings['network']}", fontsize=10
    )
    left, right = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(
        left=0.75 / WIDTH_OF_HISTORY,
        right=1 - 0.12 / WIDTH_OF_HISTORY,
        bottom=0.8 / HEIGHT_OF_HISTORY,
        top=1 - 0.48 / HEIGHT_OF_HISTORY,
        wspace=0.06,
    )
    draw_history(result, left, "step")
    draw_history(result, right, "seconds")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def draw_history(result: Result, axes: Axes, against: str) -> Axes:
    """Draw loss, fresh residual and true error of every step, on a logarithmic scale.

    Args:
        result: Whose history is drawn.
        axes: Where it is drawn.
        against: "step" or "seconds".

    Returns:
        The axes.
    """
    history = result.history
    at = np.array(history.column(against), dtype=float)
    for column, label, colour, dashes in SHOWN:
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
                marker="." if known.sum() < DOTTED else None,
                ms=4,
            )
    axes.set_yscale("log")
    powers(axes.yaxis)
    axes.set_xlabel({"step": "step", "seconds": "seconds of training"}[against])
    axes.grid(alpha=0.25)
    _mark_stages(result, axes, at)
    return axes


def _mark_stages(result: Result, axes: Axes, at: Array) -> None:
    """A line where each stage begins, with its name."""
    stages = np.array(result.history.column("stage"), dtype=int)
    trained = [int(stage) for stage in np.unique(stages)]
    names = _names(result, trained)
    for stage in trained:
        start = float(at[np.argmax(stages == stage)])
        axes.axvline(start, color=GREY, lw=0.8, ls=":", zorder=0)
        if stage in names and len(names) <= NAMED:
            label = axes.annotate(
                names[stage],
                (start, 1),
                (3, -4),
                axes.get_xaxis_transform(),
                "offset points",
                rotation=90,
                va="top",
                ha="left",
                fontsize=7,
                color="#444444",
            )
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8})


def _names(result: Result, trained: list[int]) -> dict[int, str]:
    """The names of stages, without what they all share."""
    known = [stage for stage in trained if stage < len(result.history.stages)]
    titles = {stage: result.history.stages[stage][0].split(", ") for stage in known}
    shared = set.intersection(*map(set, titles.values())) if len(titles) > 1 else set()
    own = {stage: [part for part in title if part not in shared] for stage, title in titles.items()}
    return {stage: ", ".join(own[stage]) or titles[stage][0] for stage in known}
