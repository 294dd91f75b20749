"""Errors of a family by the values of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from kanpde.plots.palette import BLUE, GREEN, GREY, ORANGE, RED
from kanpde.problem.families import said
from kanpde.results.members import shown_members

if TYPE_CHECKING:
    from kanpde.results.result import Result

OF_UNKNOWNS = (BLUE, ORANGE, GREEN, RED)
"""Of unknowns, one after another."""

SMALLEST_DRAWN = 1e-17
"""An error that is drawn on a scale of powers, at least."""


def plot_members(result: Result) -> Figure:
    """The error of every unknown at the values at which the family was judged, with the judge's
    own error.

    Args:
        result: Of a family.
    """
    members = shown_members(result)
    figure = Figure(figsize=(7.0, 4.2))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.22, top=0.86)
    exact = bool(result.errors)
    at = list(range(len(members)))
    for k, unknown in enumerate(result.unknowns):
        gaps = [(one.errors if exact else one.reference_errors).get(unknown) for _, one in members]
        known = [(i, gap) for i, gap in zip(at, gaps, strict=True) if gap is not None]
        if not known:
            continue
        places = [i for i, _ in known]
        errors = [max(gap.relative, SMALLEST_DRAWN) for _, gap in known]
        colour = OF_UNKNOWNS[k % len(OF_UNKNOWNS)]
        axes.plot(places, errors, "o-", color=colour, label=f"error of {unknown}")
        own = [gap.own / (gap.size or 1.0) for _, gap in known]
        if any(own):
            own = [max(size, SMALLEST_DRAWN) for size in own]
            axes.plot(places, own, "s--", color=GREY, ms=4, label=f"the reference's own, {unknown}")
    axes.set_yscale("log")
    axes.set_ylabel("relative L2")
    words = [said(values).replace(", ", "\n") for values, _ in members]
    axes.set_xticks(at, words, rotation=30, fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())
    if axes.lines:
        axes.legend(fontsize=8, frameon=False)
    judge = "the exact solution" if exact else "the reference"
    title = result.settings.get("title") or result.name
    figure.suptitle(f"{title}\nerrors against {judge}, by value", fontsize=10)
    return figure
