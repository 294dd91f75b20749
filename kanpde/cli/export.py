"""The command `export`: a run in the formats of other tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli import parsers
from kanpde.cli.options import Json, Run
from kanpde.cli.output import print_json

EXPORTED = ("xdmf", "vtk", "csv", "torchscript", "onnx")


def _formats(incomplete: str) -> Iterator[str]:
    """What the shell completes."""
    return (kind for kind in EXPORTED if kind.startswith(incomplete))


To = Annotated[
    Sequence[str],
    typer.Option(
        "--to",
        parser=parsers.names,
        metavar="KIND,…",
        help=f"{', '.join(EXPORTED)}, or several by commas.",
        autocompletion=_formats,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Where the files go; the run's own folder where not given."
    ),
]


def export(run: Run, to: To, out: Out = None, as_json: Json = False) -> None:
    """Write a run for other tools, and print the files' names.

    xdmf and vtk are the fields for ParaView, a time series where there is time; csv the fields and
    the history as tables; torchscript and onnx the trained solution as a function of the
    coordinates, with its exact boundary values.
    """
    from kanpde.exports import export as written
    from kanpde.runs.folder import load

    files = written(load(run), list(to), out)
    if as_json:
        print_json({"files": [str(path) for path in files]})
        return
    # the levels of a time series, of which solution.pvd is the one to open
    below = [path for path in files if path.parent.name == "solution"]
    for path in files:
        if path not in below:
            print(path)
    if below:
        print(f"and {len(below)} files in {below[0].parent}, which solution.pvd refers to")
