"""The command `plot`: pictures of an earlier run, fit or sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from kanpde.cli import parsers
from kanpde.cli.options import RunOrSweep
from kanpde.runs.atomic import check_writable

Edge = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.edge,
        metavar="N,N,N",
        help="Draw one edge function instead: its layer, its input and its output, from 1.",
    ),
]


def plot(run: RunOrSweep, edge: Edge = None) -> None:
    """Draw the pictures of an earlier run or sweep again."""
    from kanpde.runs.safe_reading import reading

    if run.is_dir():
        check_writable(run)
    draw = _drawing(run, edge)
    # numbers of a damaged run may be read and not be drawn
    with reading(run):
        pictures = draw()
    for picture in pictures:
        print(picture)


def _drawing(run: Path, edge: Sequence[int] | None) -> Callable[[], Sequence[Path]]:
    """Read what lies in a folder, and say how it is drawn."""
    from kanpde.fitting import folder as fit_folder
    from kanpde.runs import pictures
    from kanpde.runs.folder import load
    from kanpde.sweeps import figures, store

    if fit_folder.is_fit(run):
        fit = fit_folder.load_fit(run)
        if edge is not None:
            # of a result it needs the drawing alone, which a fit has as well
            return lambda: [pictures.draw_edge(fit, run, tuple(edge))]  # type: ignore[arg-type]
        return lambda: fit_folder.draw(fit, run)
    if edge is None and (run / "sweep.h5").is_file():
        table = store.read(run)
        return lambda: figures.draw(table, run)
    result = load(run)
    if edge is not None:
        return lambda: [pictures.draw_edge(result, run, tuple(edge))]
    return lambda: pictures.draw(result, run)
