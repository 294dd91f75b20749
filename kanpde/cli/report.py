"""The command `report`: a run or a sweep as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli.options import RunOrSweep

Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=(
            "The file to write, or a folder for report.html; the run's own folder where not given."
        ),
    ),
]


def report(run: RunOrSweep, out: Out = None) -> None:
    """Write a run or a sweep as one HTML page, and print its name.

    Summary, equations as mathematics, pictures with values to hover over, history, provenance, and
    how to reproduce it. The page needs no network, and prints well.
    """
    from kanpde.reports import report as written

    print(written(run, out))
