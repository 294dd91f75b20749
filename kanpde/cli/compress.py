"""The command `compress`: a separable KAN of few parameters for an earlier run of products of
splines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli.options import Json, Run, real
from kanpde.cli.output import print_json

Lost = Annotated[
    float, real("How much the solution may change, over how much it varies: relative L2, 0 to 1.")
]
Beside = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help=(
            "Where the new run goes: FOLDER/<problem>/<run>/; beside the first one where not given."
        ),
    ),
]


def compress(run: Run, loss: Lost = 1e-8, out: Beside = None, as_json: Json = False) -> None:
    """Put one separable KAN of few parameters in the place of products of splines, and write a new
    run.

    For runs of --network tensor. The new run is drawn, explained, exported and judged as any other.
    """
    from kanpde.cli import display
    from kanpde.interpret.compress import compress as compressed
    from kanpde.runs.folder import load

    before = load(run)
    console = display.console(as_json)
    found = compressed(before, loss, run.resolve().parent.parent if out is None else out)
    if as_json:
        print_json(found.summary())
    else:
        display.show_compressed(console, before, found)
