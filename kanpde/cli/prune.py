"""The command `prune`: a smaller network for an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli.complaints import INTERRUPTED
from kanpde.cli.options import Json, Run, real
from kanpde.cli.output import print_json

Loss = Annotated[float, real("How much the solution may change: relative L2, 0 to 1.")]
Strength = Annotated[
    float | None,
    real("Strength of the penalty by which edges are made idle first, such as 1e-3; 0 for none."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help=(
            "Where the new run goes: FOLDER/<problem>/<run>/; beside the first one where not given."
        ),
    ),
]


def prune(
    run: Run, loss: Loss = 1e-6, sparsify: Strength = None, out: Out = None, as_json: Json = False
) -> int:
    """Drop edges, units and inputs that the solution does not need, polish the rest, and write a
    new run with pruned.png beside the first."""
    from kanpde.cli import display
    from kanpde.cli.bars import Bars
    from kanpde.interpret.prune import prune as pruned
    from kanpde.runs.folder import load

    before = load(run)
    console = display.console(as_json)
    beside = run.resolve().parent.parent if out is None else out
    with Bars(console) as observer:
        found = pruned(before, loss, sparsify, beside, observer)
    if as_json:
        print_json(found.summary())
    else:
        display.show_pruned(console, before, found)
    return INTERRUPTED if found.history.interrupted else 0
