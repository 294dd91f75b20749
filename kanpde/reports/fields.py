"""The fields of a result for a report: the network's solution, what it is compared with, and the
error, as maps or lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from kanpde.plots import views as plots
from kanpde.reports.chart import Chart, Series
from kanpde.reports.maps import Map

if TYPE_CHECKING:
    from kanpde.results.result import Result

Array = NDArray[np.float64]

MOMENTS = 3
"""Times at which a solution in two coordinates of space is shown besides its last."""


def pictures(result: Result) -> str:
    """All unknowns as pictures, each with a heading where there are several.

    Args:
        result: The result.

    Returns:
        HTML.
    """
    found = []
    for unknown in result.unknowns:
        body = "".join(_views(result, unknown))
        heading = f"<h3>{escape(unknown)}</h3>" if len(result.unknowns) > 1 else ""
        found.append(f"{heading}{body}")
    return "".join(found)


def _views(result: Result, unknown: str) -> Iterator[str]:
    fields, time = result.fields, result.settings.get("time")
    units = result.settings.get("units", {})
    if len(fields.grid) == 1:
        yield _lines(result, unknown)
        return
    for view in plots.views(fields.grid, fields.solution[unknown], time):
        names = tuple(_named(x, units) for x in view.axes)
        nodes = tuple(fields.grid[x] for x in view.axes)
        maps = [
            Map(title, (names[0], names[1]), (nodes[0], nodes[1]), values, *ends, equal=view.equal)
            for title, values, ends in _compared(result, unknown, view)
        ]
        error = _error(result, unknown, view, names, nodes)
        maps += [] if error is None else [error]
        kind = " three" if len(maps) > 2 else ""
        yield f'<div class="figures{kind}">{"".join(m.html() for m in maps)}</div>'
    if time and len(fields.grid) == 3:
        yield _moments(result, unknown, time)


def _compared(
    result: Result, unknown: str, view: plots.View
) -> list[tuple[str, Array, tuple[float, float]]]:
    """The solution and what it is compared with, on one scale of colours."""
    fields = result.fields
    at = f" at {view.fixed}" if view.fixed else ""
    shown = [(f"{unknown}, network{at}", plots.cut(view, fields.grid, fields.solution[unknown]))]
    if unknown in fields.reference:
        shown.append(
            (
                f"{unknown}, reference{at}",
                plots.cut(view, fields.grid, fields.reference[unknown]),
            )
        )
    elif unknown in fields.exact:
        shown.append((f"{unknown}, exact{at}", plots.cut(view, fields.grid, fields.exact[unknown])))
    ends = float(min(np.nanmin(v) for _, v in shown)), float(max(np.nanmax(v) for _, v in shown))
    return [(title, values, ends) for title, values in shown]


def _error(
    result: Result,
    unknown: str,
    view: plots.View,
    names: tuple[str, ...],
    nodes: tuple[Array, ...],
) -> Map | None:
    error = result.fields.error(unknown)
    if error is None:
        return None
    against = "exact" if unknown in result.fields.exact else "reference"
    shown, norm, _ = plots.error_scale(
        np.nan_to_num(cut := plots.cut(view, result.fields.grid, error))
    )
    logarithmic = isinstance(norm, LogNorm)
    values = np.where(np.isnan(cut), np.nan, shown)
    title = f"error against {against}{', size' if logarithmic else ''}"
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    return Map(
        title,
        (names[0], names[1]),
        (nodes[0], nodes[1]),
        values,
        low,
        high,
        signed=not logarithmic,
        log=logarithmic,
        equal=view.equal,
    )


def _moments(result: Result, unknown: str, time: str) -> str:
    """The solution at times from the start on, on one scale of colours."""
    fields = result.fields
    values = fields.solution[unknown]
    names = [x for x in fields.grid if x != time]
    ends = float(np.nanmin(values)), float(np.nanmax(values))
    moments = np.unique(np.linspace(0, len(fields.grid[time]) - 1, MOMENTS + 1).astype(int))[:-1]
    nodes = fields.grid[names[0]], fields.grid[names[1]]
    maps = [
        Map(
            f"{unknown} at {time} = {fields.grid[time][k]:.3g}",
            (names[0], names[1]),
            nodes,
            values[..., k],
            *ends,
        ).html()
        for k in moments
    ]
    return f'<h3>{escape(unknown)} in time</h3><div class="figures three">{"".join(maps)}</div>'


def bands(result: Result) -> str:
    """The fields that an inverse problem has found, with twice their standard error on either side.

    Args:
        result: The result.

    Returns:
        HTML, with a chart for each field that depends on one coordinate.
    """
    charts = []
    for band in getattr(getattr(result, "estimates", None), "fields", ()):
        if len(band.grid) != 1:
            continue
        ((x, nodes),) = band.grid.items()
        lines = [
            ("estimate", band.values, 0, 0),
            ("plus or minus two standard errors", band.values + 2 * band.standard_error, 5, 2),
            ("", band.values - 2 * band.standard_error, 5, 2),
        ]
        lines += [("true", band.exact, 1, 1)] if band.exact is not None else []
        series = [
            Series(
                name,
                list(zip(nodes.tolist(), values.tolist(), strict=True)),
                colour=colour,
                dash=dash,
            )
            for name, values, colour, dash in lines
        ]
        charts.append(Chart(x, band.name, series, (False, False)).html())
    return f'<div class="figures">{"".join(charts)}</div>' if charts else ""


def _lines(result: Result, unknown: str) -> str:
    fields = result.fields
    (x,) = fields.grid
    units = result.settings.get("units", {})
    nodes = fields.grid[x].tolist()
    series = [Series("network", list(zip(nodes, fields.solution[unknown].tolist(), strict=True)))]
    for name, kind, values in (
        ("reference", 1, fields.reference),
        ("exact", 2, fields.exact),
    ):
        if unknown in values and (name != "exact" or unknown not in fields.reference):
            series.append(
                Series(
                    name,
                    list(zip(nodes, values[unknown].tolist(), strict=True)),
                    colour=kind,
                    dash=kind,
                )
            )
    charts = [Chart(_named(x, units), _named(unknown, units), series, (False, False))]
    error = fields.error(unknown)
    if error is not None:
        against = "the exact solution" if unknown in fields.exact else "the reference"
        charts.append(
            Chart(
                _named(x, units),
                f"error against {against}",
                [Series("error", list(zip(nodes, error.tolist(), strict=True)), colour=1)],
                (False, False),
            )
        )
    return f'<div class="figures">{"".join(chart.html() for chart in charts)}</div>'


def _named(name: str, units: Mapping[str, str]) -> str:
    return f"{name} [{units[name]}]" if name in units else name
