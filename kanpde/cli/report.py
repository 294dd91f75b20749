"""The command report: a run or a sweep as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli.commands import app
from kanpde.cli.completion import runs_and_sweeps


@app.command()
def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN-or-SWEEP",
            help="The folder of a run or a sweep, such as results/poisson2d/20261122-171200-seed0.",
            autocompletion=runs_and_sweeps,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help=(
                "The file to write, or a folder for report.html; the run's own folder where not"
                " given."
            ),
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Write a run or a sweep as one HTML page, and print its name.

    Summary, equations as mathematics, pictures with values to hover over, history, provenance, and
    how to reproduce it. The page needs no network, and prints well.
    """
    from kanpde.reports import report as written

    print(written(run, out))
