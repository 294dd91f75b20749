"""The command line, and the only module that prints. Heavy imports come late, inside the commands that need them."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

import kanpde
from kanpde import gallery
from kanpde.errors import KanpdeError, ProblemWarning, RecipeError, listed, nearest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from kanpde.networks import KAN, MLP
    from kanpde.problem import Problem
    from kanpde.recipe import Recipe
    from kanpde.results import Result
    from kanpde.training import Stage
    from kanpde.training.history import Record

app = typer.Typer(
    name="kanpde",
    help="Solve partial differential equations with Kolmogorov-Arnold networks, and check them by finite differences.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

USER_ERROR, INTERRUPTED = 2, 130
POOR = 1e-2
"""Relative error past which a solution is called not converged."""

Name = Annotated[str, typer.Argument(metavar="NAME-or-FILE", help="A problem of the gallery or of ./problems (see `list`), or a Python file that defines `problem`.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and everything else on standard error.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 2 for what the user can put right (one line says what), 130 after Ctrl-C."""
    # libgomp's threads spin for milliseconds while they wait: on a machine that is busy they starve each other, thirtyfold.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # before torch is imported; as fast as the default on a quiet one
    with warnings.catch_warnings():
        warnings.simplefilter("always", ProblemWarning)
        warnings.showwarning = _show_warning
        try:
            code = app(arguments, standalone_mode=False, prog_name="kanpde") or 0
        except KanpdeError as error:
            return _complain(str(error))
        except TyperException as error:
            return _complain(_usage(error))
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
    if code == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    return code


@app.callback(invoke_without_command=True)
def _version(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"kanpde {kanpde.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def solve(
    name: Name,
    network: Annotated[str | None, typer.Option(help="kan or mlp.", metavar="KIND")] = None,
    width: Annotated[str | None, typer.Option(help="Hidden units by layer, such as 5 or 8,8.", metavar="N,…")] = None,
    grid: Annotated[str | None, typer.Option(help="Spline intervals, coarse to fine, such as 6,12,24: training extends the grid from one to the next.", metavar="N,…")] = None,
    degree: Annotated[str | None, typer.Option(help="Of the splines, 1 to 7.", metavar="N")] = None,
    schedule: Annotated[str | None, typer.Option(help="Training stages, such as lm:100,extend:12,lm:100 or adam:2000,lbfgs:500.", metavar="STAGES")] = None,
    seed: Annotated[str, typer.Option(help="Of the random start and points; the same seed gives the same result.", metavar="N")] = "0",
    points: Annotated[str | None, typer.Option(help="Collocation points.", metavar="N")] = None,
    restarts: Annotated[str | None, typer.Option(help="Random starts, of which the best is trained on.", metavar="N")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.", metavar="NAME")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float64 or float32.", metavar="NAME")] = "float64",
    out: Annotated[Path, typer.Option(help="Where run folders go: FOLDER/<problem>/<run>/.", metavar="FOLDER")] = Path("results"),
    no_reference: Annotated[bool, typer.Option("--no-reference", help="Skip the finite-difference reference.")] = False,
    as_json: Json = False,
) -> int:
    """Solve a problem, check it, and write results/<problem>/<run>/ with numbers, fields, checkpoint and pictures.

    Without options, the problem's own recipe or a default one is used.
    """
    gallery.find(name)
    kind = None if network is None else _choice("--network", network, ("kan", "mlp"))
    widths, grids = _numbers("--width", width), _numbers("--grid", grid)
    degrees, starts, collocation = _number("--degree", degree), _number("--restarts", restarts), _number("--points", points)
    chance = _number("--seed", seed, least=0) or 0
    _choice("--dtype", dtype, ("float64", "float32"))
    from kanpde import problem as problems
    from kanpde import run_folder, solver

    run_folder.check_writable(out)
    console = _console(as_json)
    problem, recipe = problems.load(name)
    spec, stages = _overrides(problem, recipe, kind, widths, grids, degrees, schedule)
    _show_problem(console, problem)
    with Bars(console) as observer:
        result = solver.solve(
            problem,
            recipe=recipe,
            network=spec,
            schedule=stages,
            points=collocation,
            restarts=starts,
            seed=chance,
            device=device,
            dtype=dtype,
            reference=not no_reference,
            out=out,
            observer=observer,
        )
    if as_json:
        _print_json(result.summary())
    else:
        _show_result(console, result)
    return INTERRUPTED if result.history.interrupted else 0


@app.command()
def reference(
    name: Name,
    order: Annotated[str | None, typer.Option(help="Of accuracy: 2 or 4.", metavar="N")] = None,
    cells: Annotated[str | None, typer.Option(help="Along each space coordinate of the finest grid.", metavar="N")] = None,
    as_json: Json = False,
) -> None:
    """Solve a problem by finite differences only, and say how good that is."""
    gallery.find(name)
    orders, finest = _number("--order", order), _number("--cells", cells)
    from kanpde import problem as problems
    from kanpde.fields import exact_on, relative_l2
    from kanpde.reference import reference as by_differences

    problem, _ = problems.load(name)
    console = _console(as_json)
    _show_problem(console, problem)
    found = by_differences(problem, order=orders, cells=finest)
    exact = exact_on(problem, found.coordinates)
    error = relative_l2(found.values, exact) if exact else None
    shape = {x: len(nodes) for x, nodes in found.coordinates.items()}
    if as_json:
        _print_json(
            {
                "problem": problem.name,
                "kind": found.kind,
                "order": found.order,
                "nodes": shape,
                "estimated_error": found.estimated_error,
                "relative_l2": error,
                "seconds": found.seconds,
            }
        )
        return
    table = _table()
    table.add_row("method", found.kind)
    table.add_row("nodes", " × ".join(f"{x} {n}" for x, n in shape.items()))
    table.add_row("estimated error", f"{found.estimated_error:.1e} (relative L2, by Richardson extrapolation)")
    table.add_row("true error", "no exact solution to compare with" if error is None else f"{error:.1e} (relative L2)")
    table.add_row("seconds", f"{found.seconds:.2f}")
    console.print(table)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the problems that `solve` knows by name: the gallery, and ./problems."""
    rows = [(name, gallery.title(path), where) for where, known in (("./problems", gallery.local()), ("gallery", gallery.gallery())) for name, path in known.items()]
    if as_json:
        _print_json({"problems": [{"name": name, "title": title, "where": where} for name, title, where in rows]})
        return
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, title, where in rows:
        print(f"{name:{width}}  {title}{'' if where == 'gallery' else f' ({where})'}")


@app.command()
def plot(run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as results/poisson2d/20261122-171200-seed0.")]) -> None:
    """Draw the pictures of an earlier run again."""
    from kanpde import results, run_folder

    run_folder.check_writable(run) if run.is_dir() else None
    for picture in run_folder.draw(results.load(run), run):
        print(picture)


@app.command()
def bench(
    only: Annotated[str | None, typer.Option(help="One part: timing, command or accuracy.", metavar="PART")] = None,
    seeds: Annotated[str, typer.Option(help="Of the accuracy part.", metavar="N,…")] = "0,1,2,3,4",
    out: Annotated[Path, typer.Option(help="Where the table goes.", metavar="FOLDER")] = Path("results"),
    as_json: Json = False,
) -> None:
    """Measure speed and accuracy, and write FOLDER/benchmarks/solve.md and solve.json.

    Takes some minutes, on a quiet machine. Parts that are not measured again stay in the table.
    """
    part = None if only is None else _choice("--only", only, ("timing", "command", "accuracy"))
    chosen = [number for text in seeds.split(",") for number in [_number("--seeds", text.strip(), least=0)] if number is not None]
    from kanpde import bench as benchmark

    console = _console(as_json)
    measured = benchmark.run(out, lambda line: console.print(line, soft_wrap=True, markup=False), only=part, seeds=chosen)
    if as_json:
        _print_json(measured)
        return
    for part, found in measured.items():
        table = _table(part, "measured", "must", "aim", "met")
        for row in found["rows"]:
            sign = "≥ " if row["least"] else "≤ "
            bounds = ["" if row[kind] is None else f"{sign}{row[kind]:g}" for kind in ("must", "aim")]
            table.add_row(row["what"], f"{row['value']:.2g} {row['unit']}", *bounds, row["verdict"])
        console.print()
        console.print(table)
    console.print(f"\nfiles     {out / 'benchmarks' / 'solve.md'}", markup=False, soft_wrap=True)


class Bars:
    """The observer of the command line: one progress bar a stage, with loss, true error and time left."""

    def __init__(self, console: Console):
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),
            TextColumn("loss {task.fields[loss]} error {task.fields[error]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            refresh_per_second=5,
        )
        self._task: Any = None
        self._first = self._last = 0
        self._error = "-"

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._finish()
        self._progress.stop()

    def stage(self, index: int, count: int, title: str, steps: int) -> None:
        self._finish()
        self._first = self._last
        self._task = self._progress.add_task(f"{index + 1}/{count} {title}", total=steps, loss="-", error=self._error)

    def step(self, record: Record) -> None:
        self._last = record.step
        if record.error == record.error:  # it is measured now and then, and nan in between
            self._error = f"{record.error:.1e}"
        if self._task is not None:
            self._progress.update(self._task, completed=self._last - self._first, loss=f"{record.loss:.1e}", error=self._error)

    def message(self, text: str) -> None:
        self._progress.console.print(f"  {text}", style="dim", highlight=False, markup=False, soft_wrap=True)

    def _finish(self) -> None:
        """A stage that ended early is complete all the same."""
        if self._task is not None:
            steps = max(self._last - self._first, 1)
            self._progress.update(self._task, total=steps, completed=steps)
            self._progress.stop_task(self._task)
            self._task = None


def _console(to_stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=to_stderr, highlight=False)


def _table(*header: str) -> Table:
    """A table without rules; numbers, all columns but the first of one with a header, to the right."""
    from rich.table import Table

    table = Table(box=None, show_header=bool(header), header_style="bold", padding=(0, 2, 0, 0))
    for i, column in enumerate(header):
        table.add_column(column, justify="right" if i else "left")
    return table


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: object = None, line: str | None = None) -> None:
    where = "" if issubclass(category, ProblemWarning) else f" ({filename}:{lineno})"
    print(f"warning: {_one_line(str(message))}{where}", file=sys.stderr)


def _complain(message: str) -> int:
    print(f"error: {_one_line(message)}", file=sys.stderr)
    return USER_ERROR


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _usage(error: TyperException) -> str:
    """The command line's own complaint, with the nearest command or option where it names none."""
    message = error.format_message()
    return message[:1].lower() + message[1:]


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _choice(option: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise RecipeError(f"{option}: got {value!r}; expected {' or '.join(known)}{nearest(value, known)}")
    return value


def _number(option: str, text: str | None, least: int = 1) -> int | None:
    """A whole number; raises RecipeError for anything else and for numbers below `least`."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise RecipeError(f"{option}: got {text!r}; expected a whole number, {least} or more")
    return int(text)


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """Numbers such as 8,8; raises RecipeError unless all are positive integers."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise RecipeError(f"{option}: got {text!r}; expected positive whole numbers, such as {'5 or 8,8' if option == '--width' else '6 or 6,12,24'}")
    return tuple(int(part) for part in parts)


def _overrides(
    problem: Problem,
    recipe: Recipe | None,
    kind: str | None,
    width: tuple[int, ...] | None,
    grid: tuple[int, ...] | None,
    degree: int | None,
    schedule: str | None,
) -> tuple[KAN | MLP | None, list[Stage] | None]:
    """The network and the schedule that the options ask for, starting from the problem's own; None where they ask for none.

    Raises RecipeError for options that do not go together.
    """
    from kanpde.networks import KAN, MLP
    from kanpde.recipe import default
    from kanpde.training import Extend, parse_schedule

    stages = None if schedule is None else parse_schedule(schedule)
    if kind == width == grid == degree is None:
        return None, stages
    recipe = recipe or default(problem)
    kinds: dict[str, type[KAN] | type[MLP]] = {"kan": KAN, "mlp": MLP}
    network = recipe.network if kind is None or isinstance(recipe.network, kinds[kind]) else kinds[kind]()
    if width is not None:
        network = replace(network, width=width)
    if isinstance(network, MLP):
        for option, value in (("--degree", degree), ("--grid", grid)):
            if value is not None:
                raise RecipeError(f"{option}: an MLP has no splines; leave it out, or choose --network kan")
        return network, stages or [stage for stage in recipe.stages if not isinstance(stage, Extend)]
    if degree is not None:
        network = replace(network, degree=degree)
    if grid is None:
        return network, stages
    if stages is not None and len(grid) > 1:
        raise RecipeError(f"--grid {','.join(map(str, grid))} extends the grid by itself; give one grid with --schedule, and extend:… in it")
    return replace(network, grid=grid[0]), stages or _extended(recipe.stages, grid[1:])


def _extended(schedule: Sequence[Stage], grids: Sequence[int]) -> list[Stage]:
    """A schedule with its grid extensions replaced: training as between its own extensions, the last part repeated where there are more."""
    from kanpde.training import Extend

    parts: list[list[Stage]] = [[]]
    for stage in schedule:
        if isinstance(stage, Extend):
            parts.append([])
        else:
            parts[-1].append(stage)
    parts = [part for part in parts if part]
    stages = list(parts[0] if grids else parts[-1])
    for i, grid in enumerate(grids, 1):
        stages += [Extend(grid), *parts[-1 if i == len(grids) else min(i, len(parts) - 1)]]
    return stages


def _show_problem(console: Console, problem: Problem) -> None:
    table = _table()
    table.add_row("domain", repr(problem.domain))
    table.add_row("unknowns", listed(problem.unknowns))
    table.add_row("equations", listed(e.name.removesuffix("()") for e in problem.equations))
    table.add_row("conditions", listed(repr(c) for c in problem.conditions))
    table.add_row("exact solution", "known" if len(problem.exact) == len(problem.unknowns) else f"known for {listed(problem.exact)}" if problem.exact else "not known")
    console.print(f"[bold]{problem.name}[/bold]  ", end="")
    console.print(problem.title, markup=False, soft_wrap=True)
    console.print(table)


def _show_result(console: Console, result: Result) -> None:
    table = _table("against", "relative L2", "maximum error")
    if result.relative_l2 is not None:
        table.add_row("the exact solution", _shown(result.relative_l2), _shown(result.max_error))
    if result.reference is not None:
        table.add_row(f"the reference (its own error {result.reference.estimated_error:.1e})", _shown(result.reference_relative_l2), "")
    else:
        table.add_row(f"no reference: {result.reference_note}", "", "")
    console.print()
    console.print(table)
    error, whose = _true_error(result)
    if error is not None and error > POOR and not result.history.interrupted:
        advice = "a wider or deeper network (--width 8,8), a finer last --grid, more --points or another --seed"
        console.print(f"not converged: {100 * error:.2g} % from {whose}; try {advice}", soft_wrap=True)
    about = _table()
    about.add_row("network", f"{result.settings['network']}, {result.settings['parameters']} parameters")
    about.add_row("training", f"{result.seconds:.1f} s, {len(result.history.records)} steps")
    if result.reference is not None:
        about.add_row("reference", f"{result.reference.kind}, {result.reference.seconds:.1f} s")
    console.print(about)
    if result.run_dir is not None:
        console.print(f"files     {result.run_dir}", markup=False, soft_wrap=True)


def _true_error(result: Result) -> tuple[float | None, str]:
    """The relative L2 that tells most: against the exact solution, else against a reference that is itself accurate."""
    if result.relative_l2 is not None:
        return result.relative_l2, "the exact solution"
    trusted = result.reference is not None and result.reference.estimated_error < POOR / 10
    return (result.reference_relative_l2 if trusted else None), "the reference"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
