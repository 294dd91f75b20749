"""Error and cost of runs that began one from the other, by the value of the constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from kanpde.plots.palette import BLUE, ORANGE
from kanpde.problem.families import said

if TYPE_CHECKING:
    from kanpde.results.result import Result


def plot_continuation(values: Sequence[Mapping[str, float]], results: Sequence[Result]) -> Figure:
    """The error of each run against its best judge, and the seconds that it took.

    Args:
        values: Of the constants, run after run.
        results: The results.
    """
    figure = Figure(figsize=(9.0, 4.0))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.09, right=0.98, bottom=0.25, top=0.84, wspace=0.25)
    at, words = list(range(len(results))), [said(one).replace(", ", "\n") for one in values]
    errors = [(i, error) for i, one in zip(at, results, strict=True) if (error := one.known_error)]
    if errors:
        left.plot([i for i, _ in errors], [error for _, error in errors], "o-", color=BLUE)
        left.set_yscale("log")
    left.set_title("relative L2 error", fontsize=9)
    right.bar(at, [one.seconds for one in results], color=ORANGE)
    right.set_title("seconds of training", fontsize=9)
    for axes in (left, right):
        axes.set_xticks(at, words, rotation=30, fontsize=8)
        axes.set_xlim(-0.5, len(at) - 0.5)
    title = results[0].settings.get("title") or results[0].name
    figure.suptitle(f"{str(title).partition(' [')[0]}\none from the other", fontsize=10)
    return figure
