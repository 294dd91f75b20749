"""The command `explain`: the closed form that a trained network has found, and whether it solves
the problem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanpde.cli import completion
from kanpde.cli.options import EXAMPLE_RUN, Json, whole
from kanpde.cli.output import print_json
from kanpde.runs.atomic import check_writable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from kanpde.interpret import Explanation

RunOrFit = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help=f"The folder of a run or a fit, such as {EXAMPLE_RUN}.",
        autocompletion=completion.runs,
    ),
]
Seconds = Annotated[int, whole("After which no new search is begun.")]


def explain(run: RunOrFit, seconds: Seconds = 60, as_json: Json = False) -> None:
    """Read a closed formula off a trained network, make its constants exact, and check it by the
    residual.

    Products, sums, waves and compositions of library functions are looked for. The residual of the
    formula, by the problem's own equations and conditions, says whether it is the solution. Writes
    formula.json, formula.tex and formula.txt into the run folder.
    """
    from kanpde.cli import display

    console = display.console(as_json)
    if run.is_dir():
        check_writable(run)
    found = _explained(run, float(seconds), console)
    files = found.save(run)
    if as_json:
        print_json(found.summary())
    else:
        show(console, found)
        console.print(f"files     {', '.join(str(f) for f in files)}", markup=False, soft_wrap=True)


def _explained(run: Path, seconds: float, console: Console) -> Explanation:
    """Explain what lies in a folder, while a line says what is being done."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from kanpde import interpret
    from kanpde.fitting import folder as fit_folder
    from kanpde.runs.folder import load

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

        options: dict[str, Any] = {"seconds": seconds, "note": note}
        if fit_folder.is_fit(run):
            return interpret.explain_fit(fit_folder.load_fit(run), **options)
        return interpret.explain(load(run), **options)


def show(console: Console, found: Explanation) -> None:
    """The formulas, their check, and the candidates."""
    from kanpde.interpret.explained import rounded

    console.print(f"[bold]{found.name}[/bold]: {_heading(found)}")
    for u, formula in found.formulas.items():
        console.print(
            f"  {u} = {formula if found.found else rounded(formula)}", markup=False, soft_wrap=True
        )
    for u in found.formulas if found.found else ():
        console.print(f"  LaTeX   {u} = {found.latex(u)}", markup=False, soft_wrap=True)
    console.print(_figures(found))
    if found.tried:
        console.print(_candidates(found, room=max(console.width - 46, 20)))
    for note in found.notes:
        console.print(f"note      {note}", markup=False, soft_wrap=True)


def _heading(found: Explanation) -> str:
    if found.found and found.exact_constants:
        return "a closed form"
    if found.found:
        return "a closed form; not every constant has a name"
    if not found.formulas:
        return "no closed form found, and nothing that is near"
    nearest = "; the nearest, which is no solution:" if found.checks else ""
    return f"no closed form found{nearest}"


def _figures(found: Explanation) -> Table:
    """Residual, boundary error, distance to the network and seconds."""
    from rich.table import Table

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
    return table


def _candidates(found: Explanation, room: int, most: int = 12) -> Table:
    """The best formulas that were looked at, each in so much room."""
    from rich.table import Table

    candidates = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    candidates.add_column("candidate", no_wrap=True)
    candidates.add_column("found as")
    for column in ("distance", "residual"):
        candidates.add_column(column, justify="right", no_wrap=True)
    for row in found.tried[:most]:
        candidates.add_row(
            f"{row.unknown} = {_short(str(row.formula), room)}",
            row.route,
            _shown(row.distance),
            "" if row.residual is None else _shown(row.residual),
        )
    return candidates


def _proof(symbolic: bool | None, rounded: bool) -> str:
    if symbolic:
        return "zero, symbolically"
    where = "in float64" if rounded else "in 40 digits at random points"
    return f"{where}; {'not decided symbolically' if symbolic is None else 'not zero'}"


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}" if value else "0"
