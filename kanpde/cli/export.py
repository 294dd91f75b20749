"""The command export: a run in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli.commands import Json, _print_json, app
from kanpde.cli.completion import runs
from kanpde.errors import RecipeError

KINDS = ("xdmf", "vtk", "csv", "torchscript", "onnx")


@app.command()
def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run folder, such as results/poisson2d/20261122-171200-seed0.",
            autocompletion=runs,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="xdmf, vtk, csv, torchscript, onnx, or several by commas.",
            metavar="KIND,…",
            autocompletion=lambda incomplete: KINDS,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where the files go; the run's own folder where not given.", metavar="FOLDER"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run for other tools, and print the files' names.

    xdmf and vtk are the fields for ParaView, a time series where there is time; csv the fields and
    the history as tables; torchscript and onnx the trained solution as a function of the
    coordinates, with its exact boundary values.
    """
    kinds = [kind.strip() for kind in to.split(",") if kind.strip()]
    if not kinds:
        raise RecipeError(f"--to: got {to!r}; expected one or more of {', '.join(KINDS)}")
    from kanpde.exports import export as written
    from kanpde.results import result as results

    files = written(results.load(run), kinds, out)
    if as_json:
        _print_json({"files": [str(path) for path in files]})
        return
    below = [
        path for path in files if path.parent.name == "solution"
    ]  # the levels of a time series, of which solution.pvd is the one to open
    for path in files:
        if path not in below:
            print(path)
    if below:
        print(f"and {len(below)} files in {below[0].parent}, which solution.pvd refers to")
