"""The command `solve`: a problem, its solution, and how good that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanpde.cli import completion, parsers
from kanpde.cli.complaints import NOT_BELIEVED, TERMINATED, Interrupted
from kanpde.cli.loading import loading
from kanpde.cli.options import (
    Degree,
    Device,
    Dtype,
    Effort,
    Explain,
    Grid,
    Json,
    NameOrNone,
    Network,
    NetworkOptions,
    Restarts,
    Settings,
    Tolerance,
    Width,
    real,
    whole,
)
from kanpde.cli.output import print_json
from kanpde.errors import RecipeError, listed
from kanpde.problem import gallery
from kanpde.runs.atomic import check_writable

if TYPE_CHECKING:
    from rich.console import Console

    from kanpde.problem.problem import Problem
    from kanpde.recipes.recipe import Recipe
    from kanpde.results.result import Result

Schedule = Annotated[
    str | None,
    typer.Option(
        metavar="STAGES",
        help=(
            "Training stages, such as lm:100,extend:12,lm:100,sparsify:60,prune:1e-6 or"
            " adam:2000,lbfgs:500; of --network tensor compress:1e-9 alone."
        ),
    ),
]
Seed = Annotated[
    int, whole("Of the random start and points; the same seed gives the same result.", least=0)
]
Points = Annotated[int | None, whole("Collocation points.")]
Slabs = Annotated[int | None, whole("Spans of time, solved one after another.")]
Out = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="Where run folders go: FOLDER/<problem>/<run>/."),
]
NoReference = Annotated[bool, typer.Option("--no-reference", help="Skip the reference.")]
Judge = Annotated[
    str,
    typer.Option(
        metavar="METHOD",
        help="Of the reference: differences, or fem, finite elements on a domain of the plane.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help=f"End with exit code {NOT_BELIEVED} unless it has converged."),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help=(
            "Go on with a run that was killed or interrupted, with the same bits as if it had not"
            " been."
        ),
        autocompletion=completion.unfinished,
    ),
]
Minutes = Annotated[
    float | None, real("When training ends with what there is; what comes after it is not counted.")
]
ConstantsInTurn = Annotated[
    list[parsers.ConstantInTurn] | None,
    typer.Argument(
        parser=parsers.constants_in_turn,
        metavar="NAME=NUMBER…",
        help=(
            "Other values for constants of the problem's file, such as nu=0.01; several,"
            " nu=0.1,0.03,0.01, are solved one after another, each from the one before."
        ),
    ),
]
Start = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Begin from another run: of other constants, another geometry or recipe.",
        autocompletion=completion.runs,
    ),
]
Tensorboard = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Log loss, error and the solution for TensorBoard, below this folder.",
    ),
]


@dataclass(frozen=True)
class Telling:
    """How a solve tells what it does.

    Attributes:
        as_json: Whether the result is one JSON object.
        tensorboard: The folder of logs, or None for none.
        explain: Whether the recipe is shown, with its reasons.
        strict: Whether the exit code says that the solution has not converged.
        part: Whether it is one of several, of which one JSON object tells at the end.
        done: Results so far.
    """

    as_json: bool
    tensorboard: Path | None
    explain: bool = False
    strict: bool = False
    part: bool = False
    done: list[Any] = field(default_factory=list)


def solve(
    name: NameOrNone = None,
    constants: ConstantsInTurn = None,
    network: Network = None,
    width: Width = None,
    grid: Grid = None,
    degree: Degree = None,
    settings: Settings = None,
    schedule: Schedule = None,
    seed: Seed = 0,
    points: Points = None,
    restarts: Restarts = None,
    slabs: Slabs = None,
    tolerance: Tolerance = None,
    effort: Effort = "default",
    explain: Explain = False,
    device: Device = "cpu",
    dtype: Dtype = "float64",
    out: Out = completion.RESULTS,
    no_reference: NoReference = False,
    judge: Judge = "differences",
    strict: Strict = False,
    resume: Resume = None,
    start: Start = None,
    minutes: Minutes = None,
    tensorboard: Tensorboard = None,
    as_json: Json = False,
) -> int:
    """Solve a problem, check it, and write results/<problem>/<run>/ with numbers, fields,
    checkpoint and pictures.

    Without options, the problem's own recipe or a default one is used. While it trains, its state
    is written every few seconds: --resume goes on from there, with the settings that the run was
    begun with.
    """
    telling = Telling(as_json, tensorboard, explain, strict)
    if resume is not None:
        return _resume(name, resume, minutes, telling)
    if name is None:
        raise RecipeError(
            "solve: got no problem; expected the name of one, such as poisson2d (see `kanpde"
            " list`), or --resume RUN"
        )
    gallery.find(name)
    asked = NetworkOptions.given(network, width, grid, degree, settings, schedule)
    parts = {"points": points, "restarts": restarts, "slabs": slabs, "tolerance": tolerance}
    request = {
        "effort": effort,
        "seed": seed,
        "device": device,
        "dtype": dtype,
        "reference": not no_reference,
        "judge": judge,
        "minutes": minutes,
        "start": start,
    }
    path = in_turn(constants or [])
    if len(path) == 1:
        return _begin(name, path[0], asked, parts, request, out, telling)

    def begin(values: dict[str, float], more: dict[str, Any], how: Telling) -> int:
        return _begin(name, values, asked, parts, request | more, out, how)

    return _continued(path, begin, out, telling)


def in_turn(constants: Sequence[parsers.ConstantInTurn]) -> list[dict[str, float]]:
    """The values of all constants, problem after problem; those with one value keep it.

    Args:
        constants: With their values.

    Raises:
        RecipeError: Some have two or more values, but not as many as others.
    """
    several = {one.name: len(one.values) for one in constants if len(one.values) > 1}
    if len(set(several.values())) > 1:
        counts = listed(f"{count} of {name}" for name, count in several.items())
        raise RecipeError(f"constants: got {counts}; expected as many values of each")
    count = max(several.values(), default=1)
    return [
        {one.name: one.values[i if len(one.values) > 1 else 0] for one in constants}
        for i in range(count)
    ]


def _continued(
    path: Sequence[dict[str, float]],
    begin: Callable[[dict[str, float], dict[str, Any], Telling], int],
    out: Path,
    telling: Telling,
) -> int:
    """Problems one after another, each from the run of the one before; then their figure."""
    found, code = replace(telling, part=True), 0
    for constants in path:
        more = {"start": found.done[-1].run_dir} if found.done else {}
        code = max(code, begin(constants, more, found))
    with loading():
        from kanpde.cli import display
        from kanpde.runs.continuation import write_continuation

    folder = write_continuation(out, path, found.done)
    if telling.as_json:
        runs = [one.summary() for one in found.done]
        print_json({"continuation": str(folder), "runs": runs})
    else:
        display.show_continuation(display.console(False), path, found.done, folder)
    return code


def _begin(
    name: str,
    constants: dict[str, float],
    asked: NetworkOptions,
    parts: dict[str, float | None],
    request: dict[str, Any],
    out: Path,
    telling: Telling,
) -> int:
    """A new run, or the one that these processes' predecessors have begun."""
    with loading():
        from kanpde import solver  # noqa: F401  # for _solved
        from kanpde.cli import display
        from kanpde.cli.group import begun_before, processes
        from kanpde.cli.overrides import asked_for
        from kanpde.problem import file as problems
        from kanpde.recipes.choosing import choose
        from kanpde.recipes.refined import usual

    check_writable(out)
    console = display.console(telling.as_json)
    problem, recipes = problems.load(name, constants)
    chosen = choose(problem, recipes, request["effort"])
    if processes() > 1 or any((*vars(asked).values(), *own_parts(parts))):
        chosen = asked_for(problem, chosen, asked, parts, request["effort"])
    else:
        how = (request[name] for name in ("effort", "device", "dtype"))
        chosen = usual(problem, chosen, parts["tolerance"], *how)
    display.show_problem(console, problem)
    if telling.explain:
        display.show_choice(console, chosen)
    before = begun_before(out, problem.name)
    where: dict[str, Any] = {"out": out} if before is None else {"run_dir": before, "resume": True}
    return _carry_out(problem, chosen.recipe, request | where, console, telling)


def own_parts(parts: Mapping[str, float | None]) -> list[float]:
    """The parts of a recipe that were asked for besides the tolerance.

    Args:
        parts: By name, None for those that were not.
    """
    return [value for name, value in parts.items() if name != "tolerance" and value is not None]


def _resume(name: str | None, run: Path, minutes: float | None, telling: Telling) -> int:
    """Go on with a run as it was begun."""
    if name is not None:
        raise RecipeError(
            f"--resume: got the problem {name!r} as well; expected the run's folder alone, which"
            " says what was asked for"
        )
    with loading():
        from kanpde import solver  # noqa: F401  # for _solved
        from kanpde.cli import display
        from kanpde.recipes import written
        from kanpde.runs.request import problem_of, read
        from kanpde.runs.safe_reading import reading

    asked = read(run)
    problem = problem_of(run, asked)
    console = display.console(telling.as_json)
    display.show_problem(console, problem)
    kept = ("effort", "seed", "device", "dtype", "reference", "judge")
    request = {key: asked[key] for key in kept if key in asked}
    with reading(run / "request.json"):
        recipe = written.from_plain(asked["recipe"])
    request |= {"run_dir": run, "resume": True, "minutes": minutes}
    if before := asked.get("start"):
        request["start"] = before["run"]
    return _carry_out(problem, recipe, request, console, telling)


def _carry_out(
    problem: Problem,
    recipe: Recipe,
    request: dict[str, Any],
    console: Console,
    telling: Telling,
) -> int:
    """Solve, show the result, and say how to go on where it did not come to its end."""
    from kanpde.cli import display
    from kanpde.cli.group import is_first
    from kanpde.runs.keeper import Terminated

    try:
        result = _solved(problem, recipe, request, console, telling.tensorboard)
    except Terminated as ended:
        raise Interrupted(
            f"ended: kanpde solve --resume {ended} goes on with it", TERMINATED
        ) from None
    except KeyboardInterrupt as stop:
        raise Interrupted(": ".join(["interrupted", *getattr(stop, "__notes__", [])])) from None
    if not is_first():
        return 0
    telling.done.append(result)
    if telling.as_json and not telling.part:
        print_json(result.summary())
    elif not telling.as_json:
        display.show_result(console, result)
    if result.history.interrupted:
        raise Interrupted(f"interrupted: kanpde solve --resume {result.run_dir} goes on with it")
    return NOT_BELIEVED if telling.strict and not result.verdict.converged else 0


def _solved(
    problem: Problem,
    recipe: Recipe,
    request: dict[str, Any],
    console: Console,
    tensorboard: Path | None,
) -> Result:
    """Solve by all processes of torchrun, or by this one; the first of them shows and logs."""
    from kanpde import solver
    from kanpde.cli.bars import Bars
    from kanpde.cli.group import group, is_first, launcher
    from kanpde.cli.tensorboard import logged

    with (
        logged(tensorboard if is_first() else None, problem.name) as log,
        group(request["device"]) as device,
        Bars(console) as bars,
    ):
        result = solver.solve(
            problem,
            recipe=recipe,
            observer=bars if log is None else log.beside(bars),
            launcher=launcher(),
            **request | {"device": device},
        )
        if log is not None:
            log.result(result)
    return result
