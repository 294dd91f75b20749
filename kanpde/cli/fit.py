"""The command `fit`: a table of data in place of an equation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanpde.cli import completion, parsers
from kanpde.cli.complaints import INTERRUPTED
from kanpde.cli.options import (
    Degree,
    Device,
    Dtype,
    Explain,
    Grid,
    Json,
    Network,
    NetworkOptions,
    Restarts,
    Settings,
    Width,
    whole,
)
from kanpde.cli.output import print_json
from kanpde.runs.atomic import check_writable

if TYPE_CHECKING:
    from rich.console import Console

    from kanpde.fitting import Fit, Task
    from kanpde.recipes.choosing import Choice

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="A file with named columns: .csv, .npz, .h5.")
]
Target = Annotated[
    Sequence[str],
    typer.Option(parser=parsers.names, metavar="NAME,…", help="The column to learn, or several."),
]
Inputs = Annotated[
    Sequence[str] | None,
    typer.Option(
        parser=parsers.names,
        metavar="NAME,…",
        help="The columns to learn it from; all others where not given.",
    ),
]
Classes = Annotated[
    bool,
    typer.Option(
        "--classes",
        help="The target is a class, even if it is written in numbers. Text is one anyway.",
    ),
]
Test = Annotated[
    object,
    typer.Option(
        parser=parsers.share_or_file,
        metavar="SHARE",
        help="Share of the rows that only judge the result, or a file of such rows.",
    ),
]
Held = Annotated[
    float,
    typer.Option(
        parser=parsers.share,
        metavar="SHARE",
        help=(
            "Share of the other rows by which the best state and grid are chosen; 0 keeps the last."
        ),
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        metavar="STAGES",
        help="Training stages, such as lm:60,extend:10,lm:60 or adam:2000,lbfgs:500.",
    ),
]
Seed = Annotated[
    int,
    whole(
        "Of the random start and the choice of rows; the same seed gives the same result.", least=0
    ),
]
Out = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Where run folders go: FOLDER/<data>/<run>/.")
]


@dataclass(frozen=True)
class RowsOptions:
    """What is learned from which rows.

    Attributes:
        data: The file of the table.
        targets: Columns to learn.
        inputs: Columns to learn them from; None for all others.
        classes: Whether the target is a class whatever it is written in.
        test: The share of the rows that only judge the result, or a file of such rows.
        held: The share of the others by which the best state is chosen.
    """

    data: Path
    targets: Sequence[str]
    inputs: Sequence[str] | None
    classes: bool
    test: object
    held: float

    def task(self, seed: int) -> Task:
        """Read the files and part the rows, at random by the seed. Raises DataError."""
        from kanpde.fitting import prepare
        from kanpde.problem.table_files import read

        judge: Any = read(self.test) if isinstance(self.test, Path) else self.test
        return prepare(
            read(self.data),
            list(self.targets),
            None if self.inputs is None else list(self.inputs),
            True if self.classes else None,
            judge,
            self.held,
            seed,
        )


def fit(
    data: Data,
    target: Target,
    inputs: Inputs = None,
    classes: Classes = False,
    test: Test = 0.2,
    held: Held = 0.1,
    network: Network = None,
    width: Width = None,
    grid: Grid = None,
    degree: Degree = None,
    settings: Settings = None,
    schedule: Schedule = None,
    seed: Seed = 0,
    restarts: Restarts = None,
    explain: Explain = False,
    device: Device = "cpu",
    dtype: Dtype = "float64",
    out: Out = completion.RESULTS,
    as_json: Json = False,
) -> int:
    """Learn a column of a table from others, and write results/<data>/<run>/ with numbers,
    checkpoint and pictures.

    Numbers are fitted by least squares, classes by logistic regression. Without options, the
    network is chosen by the number of rows.
    """
    rows = RowsOptions(data, target, inputs, classes, test, held)
    asked = NetworkOptions.given(network, width, grid, degree, settings, schedule)
    from kanpde.cli import display
    from kanpde.cli.bars import Bars
    from kanpde.fitting import learn

    check_writable(out)
    task = rows.task(seed)
    chosen = _chosen(task, asked, restarts)
    console = display.console(as_json)
    show_task(console, task)
    if explain:
        display.show_choice(console, chosen)
    with Bars(console) as observer:
        found = learn(task, chosen.recipe, seed, device, dtype, out, observer)
    if as_json:
        print_json(found.summary())
    else:
        show_fit(console, found)
    return INTERRUPTED if found.history.interrupted else 0


def _chosen(task: Task, asked: NetworkOptions, restarts: int | None) -> Choice:
    """The recipe that suits the rows, with what the options ask for in place of its parts."""
    from kanpde.cli.overrides import overrides
    from kanpde.fitting import default
    from kanpde.fitting.task import TRAINING
    from kanpde.recipes.choosing import Choice

    chosen = default(task.count(TRAINING), len(task.inputs), len(task.outputs), bool(task.classes))
    spec, stages = overrides(
        chosen.recipe, lambda kind: kind.suited(False, 2 * (len(task.outputs) - 1)), asked
    )
    changed: dict[str, Any] = {"network": spec, "schedule": stages, "restarts": restarts}
    recipe = replace(
        chosen.recipe, **{part: value for part, value in changed.items() if value is not None}
    )
    return Choice(recipe, chosen.reasons)


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
