"""The command `explain`: the closed form that a trained network has found, and whether it solves
the problem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanpde.cli.commands import Json, _print_json, app
from kanpde.cli.completion import runs
from kanpde.cli.options import number
from kanpde.runs.atomic import check_writable

if TYPE_CHECKING:
    from rich.console import Console

    from kanpde.interpret import Explanation


@app.command()
def explain(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="The folder of a run or a fit, such as results/poisson2d/20261122-171200-seed0.",
            autocompletion=runs,
        ),
    ],
    seconds: Annotated[
        str, typer.Option(help="After which no new search is begun.", metavar="N")
    ] = "60",
    as_json: Json = False,
) -> None:
    """Read a closed formula off a trained network, make its constants exact, and check it by the
    residual.

    Products, sums, waves and compositions of library functions are looked for. The residual of the
    formula, by the problem's own equations and conditions, says whether it is the solution. Writes
    formula.json, formula.tex and formula.txt into the run folder.
    """
    limit = number("--seconds", seconds) or 60
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from kanpde import interpret
    from kanpde.cli import display
    from kanpde.fitting import folder
    from kanpde.results import result as results

    console = display.console(as_json)
    if run.is_dir():
        check_writable(run)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("reading the run")

        def note(text: str) -> None:
            progress.update(task, description=text)

        options: dict[str, Any] = {"seconds": float(limit), "note": note}
        found = (
            interpret.explain_fit(folder.load_fit(run), **options)
            if folder.is_fit(run)
            else interpret.explain(results.load(run), **options)
        )
    files = found.save(run)
    if as_json:
        _print_json(found.summary())
    else:
        show(console, found)
        console.print(f"files     {', '.join(str(f) for f in files)}", markup=False, soft_wrap=True)


def show(console: Console, found: Explanation) -> None:
    """The formulas, their check, and the candidates."""
    from rich.table import Table

    from kanpde.interpret.explained import rounded

    if not found.found:
        reason = "" if found.formulas else ", and nothing that is near"
        console.print(
            f"[bold]{found.name}[/bold]: no closed form"
            f" found{reason}{'; the nearest, which is no solution:' if found.formulas and found.checks else ''}"
        )
    else:
        console.print(
            f"[bold]{found.name}[/bold]:"
            f" {'a closed form' if found.exact_constants else 'a closed form; not every constant has a name'}"
        )
    for u, formula in found.formulas.items():
        console.print(
            f"  {u} = {formula if found.found else rounded(formula)}", markup=False, soft_wrap=True
        )
    for u in found.formulas if found.found else ():
        console.print(f"  LaTeX   {u} = {found.latex(u)}", markup=False, soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    if found.checks:
        table.add_row(
            "residual",
            _shown(found.residual()),
            _proof(found.symbolic(), any(c.rounding for c in found.checks)),
        )
        table.add_row("boundary error", _shown(found.boundary_error()), "of all conditions")
    for u, distance in found.distance.items():
        table.add_row(
            "distance" if len(found.distance) == 1 else f"distance of {u}",
            _shown(distance),
            f"to the network, relative L2{f'; {found.routes[u]}' if found.routes.get(u) else ''}",
        )
    table.add_row("seconds", f"{found.seconds:.1f}", "")
    console.print(table)
    candidates = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    candidates.add_column("candidate", no_wrap=True)
    candidates.add_column("found as")
    for column in ("distance", "residual"):
        candidates.add_column(column, justify="right", no_wrap=True)
    room = max(console.width - 46, 20)
    for row in found.tried[:12]:
        candidates.add_row(
            f"{row.unknown} = {_short(str(row.formula), room)}",
            row.route,
            _shown(row.distance),
            "" if row.residual is None else _shown(row.residual),
        )
    if found.tried:
        console.print(candidates)
    for note in found.notes:
        console.print(f"note      {note}", markup=False, soft_wrap=True)


def _proof(symbolic: bool | None, rounded: bool) -> str:
    if symbolic:
        return "zero, symbolically"
    where = "in float64" if rounded else "in 40 digits at random points"
    return f"{where}; {'not decided symbolically' if symbolic is None else 'not zero'}"


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}" if value else "0"
