"""Pictures of estimates: intervals and correlations of numbers, fields with their standard errors.
They see arrays only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from kanpde.plots.maps import draw_line, draw_map
from kanpde.plots.palette import BLUE, GREY, RED

if TYPE_CHECKING:
    from kanpde.inverse.estimates import Band, Estimate, Estimates
    from kanpde.results.result import Result


def plot_estimates(result: Result) -> Figure:
    """Numbers and fields that were estimated, with their uncertainty.

    The first row shows numbers with their intervals relative to their size, and their correlations;
    then there is a row a field.

    Args:
        result: Whose estimates are drawn; it has some.

    Returns:
        The figure.
    """
    found = result.estimates
    assert found is not None
    numbers = bool(found.numbers)
    heights = [max(1.6, 0.5 * len(found.numbers) + 1.2)] * numbers + [
        3.2 if len(b.grid) == 1 else 3.6 for b in found.fields
    ]
    figure = Figure(figsize=(10.5, sum(heights) + 0.7), layout="constrained")
    figure.suptitle(
        f"{result.settings.get('title') or result.name}\n{result.settings['network']}", fontsize=10
    )
    rows = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if numbers:
        left, right = rows[0].subplots(1, 2, width_ratios=(2, 1))
        draw_intervals(found.numbers, left)
        draw_correlations(found, right)
    for row, band in zip(rows[int(numbers) :], found.fields, strict=True):
        if len(band.grid) == 1:
            draw_band(band, row.subplots())
        elif len(band.grid) == 2:
            draw_field(band, list(row.subplots(1, 2 + (band.exact is not None))))
        else:
            row.text(
                0.5,
                0.5,
                f"{band.name} of {', '.join(band.grid)}: mean standard error"
                f" {band.standard_error.mean():.2g}",
                ha="center",
            )
    return figure


def draw_intervals(numbers: tuple[Estimate, ...], axes: Axes) -> Axes:
    """One line a number: its interval, and its true value where that is known.

    Both are in per cent of the estimate.

    Args:
        numbers: The estimates.
        axes: Where they are drawn.

    Returns:
        The axes.
    """
    for i, e in enumerate(numbers):
        size = abs(e.value) or 1.0
        low, high = (100 * (end - e.value) / size for end in e.interval)
        if np.isfinite([low, high]).all():
            axes.plot(
                [low, high],
                [i, i],
                color=BLUE,
                lw=3,
                solid_capstyle="butt",
                alpha=0.5,
                label="95 % interval" if i == 0 else None,
            )
        axes.plot(0, i, "o", color=BLUE, label="estimate" if i == 0 else None)
        if e.truth is not None:
            axes.plot(
                100 * (e.truth - e.value) / size,
                i,
                "x",
                color=RED,
                ms=8,
                mew=2,
                label="true value" if i == 0 else None,
            )
    axes.set_yticks(range(len(numbers)), [f"{e.name} = {e.value:.5g}" for e in numbers])
    axes.set_ylim(len(numbers) - 0.4, -0.6)
    axes.axvline(0, color=GREY, lw=0.8, ls=":", zorder=0)
    axes.set_xlabel("difference from the estimate in %")
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return axes


def draw_correlations(found: Estimates, axes: Axes) -> Axes:
    """Correlations of the numbers, with their values written in.

    Args:
        found: The estimates.
        axes: Where they are drawn.

    Returns:
        The axes.
    """
    names = [e.name for e in found.numbers]
    known = found.correlation.shape == (len(names), len(names))
    shown = found.correlation if known else np.full((len(names), len(names)), np.nan)
    axes.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
    for i, k in np.ndindex(*shown.shape):
        if known:
            axes.text(
                k,
                i,
                f"{shown[i, k]:.2f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if abs(shown[i, k]) > 0.6 else "black",
            )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_title("correlation", fontsize=9)
    return axes


def draw_band(band: Band, axes: Axes) -> Axes:
    """A field of one coordinate, with twice its standard error to both sides.

    Args:
        band: The field.
        axes: Where it is drawn.

    Returns:
        The axes.
    """
    ((x, nodes),) = band.grid.items()
    axes.fill_between(
        nodes,
        band.values - 2 * band.standard_error,
        band.values + 2 * band.standard_error,
        color=BLUE,
        alpha=0.25,
        lw=0,
        label="± 2 standard errors",
    )
    draw_line(axes, x, nodes, band.values, color=BLUE, lw=1.6, label="estimate")
    if band.exact is not None:
        draw_line(axes, x, nodes, band.exact, color="black", ls="--", lw=1, label="exact")
    axes.set_ylabel(band.name)
    axes.legend(fontsize=8, frameon=False)
    return axes


def draw_field(band: Band, row: list[Axes]) -> None:
    """A field of two coordinates and its standard error.

    Its error is drawn as well where the exact field is known.

    Args:
        band: The field.
        row: Where field, standard error and, if there is one, error are drawn, from left to right.
    """
    axes, nodes = list(band.grid), list(band.grid.values())
    draw_map(row[0], axes, nodes, band.values, Normalize(), "viridis", True).set_title(
        band.name, fontsize=9
    )
    known = band.standard_error[np.isfinite(band.standard_error)]
    top = float(known.max()) if known.size else 1.0
    draw_map(
        row[1], axes, nodes, band.standard_error, Normalize(0, top), "cividis", True
    ).set_title("standard error", fontsize=9)
    if band.exact is not None:
        error = band.values - band.exact
        most = float(np.abs(error).max()) or 1.0
        draw_map(row[2], axes, nodes, error, Normalize(-most, most), "RdBu_r", True).set_title(
            f"error, relative L2 {band.relative_l2:.1e}", fontsize=9
        )
