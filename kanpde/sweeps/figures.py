"""Pictures of a sweep, from its table alone: error against parameters, against seconds, and grid
extension step by step.

Series differ by colour (Okabe and Ito's palette, safe for the colour-blind), and by marker and
dashes, so that they do in grey too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from kanpde.plots.palette import GREY
from kanpde.plots.png import write_png
from kanpde.runs.atomic import replace_file
from kanpde.sweeps.rows import SweepTable, TrialRow
from kanpde.sweeps.scaling import Law, by_size, fit, series, theory

SERIES_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SERIES_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SERIES_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)))

# `figure.savefig` draws everything twice.
PICTURE_FORMATS: dict[str, Callable[[Figure, IO[bytes]], object]] = {
    "png": partial(write_png, dpi=200),
    "pdf": lambda figure, file: FigureCanvasPdf(figure).print_pdf(file),
    "svg": lambda figure, file: FigureCanvasSVG(figure).print_svg(file),
}


def draw(table: SweepTable, folder: Path) -> list[Path]:
    """Write all pictures of a sweep, for the screen and as vectors, replacing what is there.

    Args:
        table: The table of the sweep.
        folder: The folder that they go into.

    Returns:
        Their paths.
    """
    pictures: dict[str, Callable[[SweepTable], Figure]] = {
        "error-parameters": plot_parameters,
        "error-seconds": plot_seconds,
    }
    if any(len({stage.grid for stage in row.stages if stage.grid}) > 1 for row in table.rows):
        pictures["error-steps"] = plot_staircase
    found = []
    for name, plot in pictures.items():
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kanpde", "pdf.fonttype": 42}):
            figure = plot(table)
            for kind, write in PICTURE_FORMATS.items():
                path = folder / f"{name}.{kind}"
                replace_file(path, partial(write, figure))
                # It is laid out once, not before each drawing.
                figure.set_layout_engine("none")
                found.append(path)
    return found


def plot_parameters(table: SweepTable) -> Figure:
    """Draw the error against the number of parameters.

    Shows medians and range over the seeds, fitted slopes, the theory's, and finite differences.

    Args:
        table: The table of the sweep.
    """
    figure, axes = _figure(table, "number of parameters")
    for i, (name, rows) in enumerate(series(table.rows).items()):
        law = fit(rows)
        label = name if law is None else f"{name}: slope {_slope(law)}"
        _medians(axes, rows, label, i)
        if law is not None:
            sizes = np.array([law.low, law.high])
            axes.plot(
                sizes,
                law.constant * sizes**law.slope,
                color=SERIES_COLOURS[i % len(SERIES_COLOURS)],
                lw=3.5,
                alpha=0.25,
                solid_capstyle="round",
                zorder=1,
            )
        _guide(axes, rows, law)
    orders: dict[int, list[tuple[int, float]]] = {}
    for d in table.differences:
        if math.isfinite(d.error) and d.error > 0:
            orders.setdefault(d.order, []).append((d.unknowns, d.error))
    for k, (order, points) in enumerate(sorted(orders.items())):
        label, grey = f"finite differences, order {order}, by unknowns", str(0.35 + 0.12 * (k % 4))
        axes.plot(
            *np.array(sorted(points)).T,
            color=grey,
            ls=SERIES_DASHES[(k + 1) % len(SERIES_DASHES)],
            lw=1,
            marker="+",
            ms=5,
            label=label,
        )
    _finish(figure, axes, table)
    return figure


def plot_seconds(table: SweepTable) -> Figure:
    """Draw the error against seconds of training.

    Shows a point for each trial, and for each series what no trial beats in both.

    Args:
        table: The table of the sweep.
    """
    figure, axes = _figure(table, "seconds of training")
    for i, (name, rows) in enumerate(series(table.rows).items()):
        known = [
            (row.seconds, row.error)
            for row in rows
            if math.isfinite(row.error) and row.error > 0 and math.isfinite(row.seconds)
        ]
        if not known:
            continue
        front = pareto(known)
        axes.plot(
            *zip(*known, strict=True),
            ls="",
            marker=SERIES_MARKERS[i % len(SERIES_MARKERS)],
            ms=4,
            color=SERIES_COLOURS[i % len(SERIES_COLOURS)],
            alpha=0.45,
            mec="none",
        )
        axes.plot(
            *zip(*front, strict=True),
            drawstyle="steps-post",
            lw=1.6,
            label=f"{name}: best so far",
            **_style(i),
        )
    done = [
        d for d in table.differences if math.isfinite(d.error) and d.error > 0 and d.seconds > 0
    ]
    if done:
        axes.plot(
            *zip(*pareto([(d.seconds, d.error) for d in done]), strict=True),
            drawstyle="steps-post",
            color=GREY,
            ls=":",
            marker="+",
            label="finite differences: best so far",
        )
    _finish(figure, axes, table)
    return figure


def plot_staircase(table: SweepTable) -> Figure:
    """Draw the error when each training stage ends, against the step.

    Shows a stair for each grid (Liu et al. 2024, figure 2.3), of the largest network of each
    series.

    Args:
        table: The table of the sweep.
    """
    figure, axes = _figure(table, "step of training")
    axes.set_xscale("linear")
    for i, (name, rows) in enumerate(series(table.rows).items()):
        stairs = [row for row in rows if len({s.grid for s in row.stages if s.grid}) > 1]
        if not stairs:
            continue
        largest = max(row.parameters for row in stairs)
        for k, row in enumerate(r for r in stairs if r.parameters == largest):
            known = [s for s in row.stages if math.isfinite(s.error) and s.error > 0]
            label = f"{name}, {row.network}" if k == 0 else None
            axes.plot(
                [s.step for s in known],
                [s.error for s in known],
                drawstyle="steps-pre",
                lw=1.4,
                alpha=1 if k == 0 else 0.4,
                label=label,
                **_style(i),
            )
            if k == 0:
                for s in known:
                    axes.annotate(
                        f"{s.grid}",
                        (s.step, s.error),
                        xytext=(3, 4),
                        textcoords="offset points",
                        fontsize=8,
                    )
    axes.set_title("numbers: intervals of the grid", fontsize=9, loc="left")
    _finish(figure, axes, table)
    return figure


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both cost and error.

    Args:
        points: Pairs of cost and error.

    Returns:
        Those that are left, by cost.
    """
    found: list[tuple[float, float]] = []
    for cost, error in sorted(points):
        if not found or error < found[-1][1]:
            found.append((cost, error))
    return found


def _slope(law: Law) -> str:
    return (
        f"{law.slope:.1f} ± {law.uncertainty:.1f}"
        if math.isfinite(law.uncertainty) and law.uncertainty < 100
        else f"{law.slope:.1f}"
    )


def _medians(axes: Axes, rows: Sequence[TrialRow], label: str, i: int) -> None:
    found = by_size(rows)
    if not found:
        return
    sizes, (middle, low, high) = list(found), np.array(list(found.values())).T
    colour = SERIES_COLOURS[i % len(SERIES_COLOURS)]
    axes.fill_between(sizes, low, high, color=colour, alpha=0.12, lw=0)
    axes.errorbar(
        sizes,
        middle,
        [middle - low, high - middle],
        lw=1.5,
        elinewidth=0.8,
        capsize=2,
        label=label,
        **_style(i),
    )


def _style(i: int) -> dict[str, Any]:
    """Of the i-th series: all that tells it from the others, in colour and in grey."""
    return {
        "color": SERIES_COLOURS[i % len(SERIES_COLOURS)],
        "ls": SERIES_DASHES[i % len(SERIES_DASHES)],
        "marker": SERIES_MARKERS[i % len(SERIES_MARKERS)],
        "ms": 5,
    }


def _guide(axes: Axes, rows: Sequence[TrialRow], law: Law | None) -> None:
    """The theory's slope, through the law's first error."""
    slope = theory(rows)
    if law is None or slope is None:
        return
    sizes = np.array([law.low, law.high])
    axes.plot(
        sizes,
        law.at(law.low) * (sizes / law.low) ** slope,
        color=GREY,
        lw=1,
        ls=(0, (1, 2)),
        zorder=0,
    )
    end = law.at(law.low) * (sizes[1] / law.low) ** slope
    axes.annotate(
        f"theory, ${slope}$",
        (sizes[1], end),
        fontsize=8,
        color="#555555",
        ha="right",
        va="top",
        annotation_clip=True,
    )


def _figure(table: SweepTable, across: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(across)
    judged = {row.judged for row in table.rows if row.judged}
    axes.set_ylabel(
        f"relative $L^2$ error{' against the reference' if judged == {'reference'} else ''}"
    )
    axes.grid(alpha=0.25, which="major")
    return figure, axes


def _finish(figure: Figure, axes: Axes, table: SweepTable) -> None:
    errors = [row.error for row in table.rows if math.isfinite(row.error) and row.error > 0]
    if errors:
        axes.set_ylim(min(errors) / 5, max(errors) * 5)
    about = table.about
    figure.suptitle(str(about.get("title") or about.get("problem") or ""), fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    # networks first
    order = sorted(range(len(labels)), key=lambda k: labels[k].startswith("finite differences"))
    shown = [handles[k] for k in order], [labels[k] for k in order]
    figure.legend(
        *shown,
        loc="outside lower center",
        ncols=2 if len(labels) > 3 else 1,
        fontsize=8,
        frameon=False,
        title=provenance(table),
        title_fontsize=7,
    )


def provenance(table: SweepTable) -> str:
    """Seeds and machine of a sweep, in a line.

    Args:
        table: The table of the sweep.
    """
    seeds = sorted({row.seed for row in table.rows})
    found = table.about.get("provenance", {})
    several = f"median and range over {len(seeds)} seeds"
    parts = [several if len(seeds) > 1 else f"seed {seeds[0] if seeds else '-'}"]
    parts += [str(found[key]) for key in ("processor", "gpu") if found.get(key)]
    parts += [f"{found['cores']} cores"] if found.get("cores") else []
    parts += [f"torch {found['torch']}"] if found.get("torch") else []
    parts += [f"commit {found['commit']}"] if found.get("commit") else []
    parts += [str(found["date"])[:10]] if found.get("date") else []
    return ", ".join(parts)
