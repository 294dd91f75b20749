"""The command fit: a table of data in place of an equation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanpde.cli.commands import Json, _print_json, app
from kanpde.cli.complaints import INTERRUPTED
from kanpde.cli.options import choice, number, numbers, pairs
from kanpde.errors import DataError, listed
from kanpde.networks.kinds import kinds
from kanpde.runs.atomic import check_writable

if TYPE_CHECKING:
    from rich.console import Console

    from kanpde.fitting import Fit, Task


@app.command()
def fit(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A file with named columns: .csv, .npz, .h5.")
    ],
    target: Annotated[str, typer.Option(help="The column to learn, or several.", metavar="NAME,…")],
    inputs: Annotated[
        str | None,
        typer.Option(
            help="The columns to learn it from; all others where not given.", metavar="NAME,…"
        ),
    ] = None,
    classes: Annotated[
        bool,
        typer.Option(
            "--classes",
            help="The target is a class, even if it is written in numbers. Text is one anyway.",
        ),
    ] = False,
    test: Annotated[
        str,
        typer.Option(
            help="Share of the rows that only judge the result, or a file of such rows.",
            metavar="SHARE",
        ),
    ] = "0.2",
    held: Annotated[
        str,
        typer.Option(
            help=(
                "Share of the other rows by which the best state and grid are chosen; 0 keeps the"
                " last."
            ),
            metavar="SHARE",
        ),
    ] = "0.1",
    network: Annotated[
        str | None, typer.Option(help=f"{listed(kinds()[:-1])} or {kinds()[-1]}.", metavar="KIND")
    ] = None,
    width: Annotated[
        str | None, typer.Option(help="Hidden units by layer, such as 5 or 8,8.", metavar="N,…")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            help="Intervals of the basis, coarse to fine, such as 5,10,20.", metavar="N,…"
        ),
    ] = None,
    degree: Annotated[
        str | None,
        typer.Option(
            help="Of splines, 1 to 7; of chebyshev and fourier, coarse to fine, such as 8,16,32.",
            metavar="N,…",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help=(
                "Another setting of the kind of network, such as activation=silu of mlp; may be"
                " repeated."
            ),
            metavar="NAME=VALUE",
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Training stages, such as lm:60,extend:10,lm:60 or adam:2000,lbfgs:500.",
            metavar="STAGES",
        ),
    ] = None,
    seed: Annotated[
        str,
        typer.Option(
            help="Of the random start and the choice of rows; the same seed gives the same result.",
            metavar="N",
        ),
    ] = "0",
    restarts: Annotated[
        str | None,
        typer.Option(help="Random starts, of which the best is trained on.", metavar="N"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which recipe was chosen, and why.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.", metavar="NAME")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float64 or float32.", metavar="NAME")] = "float64",
    out: Annotated[
        Path, typer.Option(help="Where run folders go: FOLDER/<data>/<run>/.", metavar="FOLDER")
    ] = Path("results"),
    as_json: Json = False,
) -> int:
    """Learn a column of a table from others, and write results/<data>/<run>/ with numbers,
    checkpoint and pictures.

    Numbers are fitted by least squares, classes by logistic regression. Without options, the
    network is chosen by the number of rows.
    """
    kind = None if network is None else choice("--network", network, kinds())
    widths, levels = (
        numbers("--width", width),
        {"grid": numbers("--grid", grid), "degree": numbers("--degree", degree)},
    )
    starts, chance = number("--restarts", restarts), number("--seed", seed, least=0) or 0
    choice("--dtype", dtype, ("float64", "float32"))
    kept = _share("--held", held)
    targets, columns = (
        _names("--target", target),
        None if inputs is None else _names("--inputs", inputs),
    )
    from kanpde.cli import display
    from kanpde.cli.bars import Bars
    from kanpde.cli.overrides import overrides
    from kanpde.fitting import default, learn, prepare
    from kanpde.fitting.task import TRAINING
    from kanpde.problem.table_files import read
    from kanpde.recipes.recipe import Choice

    check_writable(out)
    judge: Any = (
        read(test)
        if Path(test).suffix in (".csv", ".tsv", ".txt", ".npz", ".h5", ".hdf5")
        else _share("--test", test)
    )
    task = prepare(read(data), targets, columns, True if classes else None, judge, kept, chance)
    chosen = default(task.count(TRAINING), len(task.inputs), len(task.outputs), bool(task.classes))
    spec, stages = overrides(
        chosen.recipe,
        lambda kind: kind.suited(False, 2 * (len(task.outputs) - 1)),
        kind,
        widths,
        levels,
        pairs("--with", settings),
        schedule,
    )
    options = {"network": spec, "schedule": stages, "restarts": starts}
    recipe = replace(
        chosen.recipe, **{part: value for part, value in options.items() if value is not None}
    )  # type: ignore[arg-type]
    console = display.console(as_json)
    show_task(console, task)
    if explain:
        display.show_choice(console, Choice(recipe, chosen.reasons))
    with Bars(console) as observer:
        found = learn(task, recipe, chance, device, dtype, out, observer)
    if as_json:
        _print_json(found.summary())
    else:
        show_fit(console, found)
    return INTERRUPTED if found.history.interrupted else 0


def show_task(console: Console, task: Task) -> None:
    """The data: rows, inputs with their ranges, targets."""
    from rich.table import Table

    from kanpde.fitting.task import PARTS

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows = ", ".join(
        f"{task.count(code):,} {'held back' if part == 'held' else part}"
        for code, part in enumerate(PARTS)
        if task.count(code)
    )
    table.add_row("rows", rows)
    ranges = [f"{x} {low:.4g} to {high:.4g}" for x, (low, high) in task.bounds.items()]
    table.add_row(
        "inputs",
        ", ".join(ranges[:8]) + (f" and {len(ranges) - 8} more" if len(ranges) > 8 else ""),
    )
    table.add_row(
        "target",
        (
            f"{task.targets[0]}, one of {', '.join(task.classes)}"
            if task.classes
            else ", ".join(task.targets)
        ),
    )
    console.print(f"[bold]{task.name}[/bold]")
    console.print(table)


def show_fit(console: Console, found: Fit) -> None:
    """How good it is on each part of the rows, and where the files are."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("rows", "accuracy") if found.task.classes else ("rows", "RMSE", "R²"):
        table.add_column(column, justify="left" if column == "rows" else "right")
    for part, score in found.scores.items():
        shown = (
            [f"{100 * score['accuracy']:.2f} %"]
            if found.task.classes
            else [f"{score['rmse']:.2e}", f"{score['r2']:.6g}"]
        )
        table.add_row("held back" if part == "held" else part, *shown)
    console.print()
    console.print(table)
    console.print(
        f"network   {found.settings['network']}, {found.settings['parameters']} parameters",
        markup=False,
    )
    console.print(f"training  {found.seconds:.1f} s, {len(found.history.records)} steps")
    console.print(f"files     {found.run_dir}", markup=False, soft_wrap=True)


def _names(option: str, text: str) -> list[str]:
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise DataError(f"{option}: got {text!r}; expected names of columns")
    return found


def _share(option: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise DataError(
            f"{option}: got {text!r}; expected a share of the rows, 0 or more and below 1"
            + (", or a file" if option == "--test" else "")
        )
    return share
