"""The command prune: a smaller network for an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli.commands import Json, _print_json, app
from kanpde.cli.complaints import INTERRUPTED
from kanpde.cli.completion import runs
from kanpde.cli.options import real


@app.command()
def prune(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run folder, such as results/poisson2d/20261122-171200-seed0.",
            autocompletion=runs,
        ),
    ],
    loss: Annotated[
        str,
        typer.Option(
            help="How much the solution may change: relative L2, 0 to 1.", metavar="NUMBER"
        ),
    ] = "1e-6",
    sparsify: Annotated[
        str | None,
        typer.Option(
            help=(
                "Strength of the penalty by which edges are made idle first, such as 1e-3; 0 for"
                " none."
            ),
            metavar="NUMBER",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Where the new run goes: FOLDER/<problem>/<run>/; beside the first one where not"
                " given."
            ),
            metavar="FOLDER",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Drop edges, units and inputs that the solution does not need, polish the rest, and write a
    new run with pruned.png beside the first."""
    most, strength = (
        real("--loss", loss),
        None if sparsify is None else real("--sparsify", sparsify),
    )
    from kanpde.cli import display
    from kanpde.cli.bars import Bars
    from kanpde.interpret.prune import prune as pruned
    from kanpde.results import result as results

    before = results.load(run)
    console = display.console(as_json)
    with Bars(console) as observer:
        found = pruned(
            before, most, strength, run.resolve().parent.parent if out is None else out, observer
        )
    if as_json:
        _print_json(found.summary())
    else:
        display.show_pruned(console, before, found)
    return INTERRUPTED if found.history.interrupted else 0
