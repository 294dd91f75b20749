"""The command `sweep`: many runs of one problem, and error against parameters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanpde.cli import completion, parsers
from kanpde.cli.complaints import INTERRUPTED, TERMINATED, Interrupted
from kanpde.cli.options import Constants, Effort, Json, chosen, whole
from kanpde.cli.output import print_json
from kanpde.errors import RecipeError, RunError, listed
from kanpde.problem import gallery

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem
    from kanpde.recipes.recipe import Recipe
    from kanpde.sweeps.conduct import Sweep
    from kanpde.sweeps.plan import Plan
    from kanpde.sweeps.rows import TrialRow

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME-or-FILE",
        help="A problem, as in `solve`; not needed with --resume.",
        autocompletion=completion.problems,
    ),
]

# What is varied.

Networks = Annotated[
    Sequence[str] | None,
    typer.Option(
        parser=parsers.names, metavar="KIND,…", help="Kinds to compare: kan,mlp where not given."
    ),
]
Parameters = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.budgets,
        metavar="N:N",
        help=(
            "Parameter counts, from which widths and grids follow: a range or a list; 50:2000 where"
            " no shapes are listed."
        ),
    ),
]
Sizes = Annotated[int | None, whole("How many of a range of --parameters; 8 where not given.")]
Widths = Annotated[
    Sequence[object] | None,
    typer.Option(
        parser=parsers.shapes,
        metavar="N,…",
        help="Instead: hidden units, such as 2,4,8, or layer by layer, 4x4,8x8.",
    ),
]
Depths = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.whole_numbers("1,2"), metavar="N,…", help="Hidden layers, such as 1,2."
    ),
]
Grids = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.whole_numbers("3,6,12"),
        metavar="N,…",
        help="Last grids, such as 3,6,12; training extends up to each.",
    ),
]
Degrees = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.whole_numbers("3,5,7"),
        metavar="N,…",
        help="Of the splines, such as 3,5,7.",
    ),
]
Schedules = Annotated[
    Sequence[str] | None,
    typer.Option(
        parser=parsers.schedules,
        metavar="STAGES;…",
        help=(
            "Schedules by semicolons, such as 'lm:100;adam:2000,lbfgs:500'; the recipe's, fitted to"
            " each grid, where not given."
        ),
    ),
]
Steps = Annotated[
    int | None,
    whole("Optimiser steps of every trial: those of the recipe, but at most 100, where not given."),
]
Seeds = Annotated[
    Sequence[int] | None,
    typer.Option(
        parser=parsers.seeds, metavar="N,…", help="How many, 3 where not given, or which, 0,4,7."
    ),
]
Points = Annotated[
    int | None,
    whole(
        "Collocation points of every trial; as many as over-determine the largest where not given."
    ),
]

Tolerances = Annotated[
    Sequence[float] | None,
    typer.Option(
        parser=parsers.numbers("1e-4,1e-8"),
        metavar="NUMBER,…",
        help="Of tensor among the kinds: what it is refined up to, 1e-2 to 1e-10 where not given.",
    ),
]

# Who does it, where.

Jobs = Annotated[
    int | None, whole("Trials at a time, a process each; as many as cores where not given.")
]
Threads = Annotated[int | None, whole("Of each process; the cores shared out where not given.")]
Dask = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help=(
            "The scheduler of a Dask cluster that does the work, such as tcp://host:8786; all must"
            " see the same files."
        ),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        parser=parsers.gpu_or_cpu,
        metavar="NAME",
        help="cpu or cuda, cpu where not given; several GPUs take the trials in turn.",
    ),
]
Dtype = Annotated[
    str | None, chosen(("float64", "float32"), "float64, where not given, or float32.")
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER",
        help=(
            "Where the sweep's folder goes, FOLDER/<problem>/sweep-<date>/; or that folder itself,"
            " to go on with it."
        ),
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(metavar="SWEEP", help="Go on with an earlier sweep, as it was planned."),
]
Retry = Annotated[
    bool, typer.Option("--retry", help="Run trials again that failed or are damaged.")
]
NoDifferences = Annotated[
    bool,
    typer.Option("--no-differences", help="Leave out the finite differences beside the networks."),
]
PlanOnly = Annotated[bool, typer.Option("--plan", help="List the trials, and run none.")]


def sweep(
    name: Name = None,
    constants: Constants = None,
    networks: Networks = None,
    parameters: Parameters = None,
    sizes: Sizes = None,
    width: Widths = None,
    depth: Depths = None,
    grid: Grids = None,
    degree: Degrees = None,
    schedule: Schedules = None,
    steps: Steps = None,
    seeds: Seeds = None,
    points: Points = None,
    tolerance: Tolerances = None,
    effort: Effort = "default",
    jobs: Jobs = None,
    threads: Threads = None,
    dask: Dask = None,
    device: Device = None,
    dtype: Dtype = None,
    out: Out = completion.RESULTS,
    resume: Resume = None,
    retry: Retry = False,
    no_differences: NoDifferences = False,
    plan: PlanOnly = False,
    as_json: Json = False,
) -> None:
    """Solve a problem with many networks and seeds: error against parameters and seconds.

    Every trial is a run folder below the sweep's, and a row in its sweep.h5 and sweep.csv. The same
    command with --out SWEEP, or --resume SWEEP, goes on with one that was interrupted.
    """
    shaped = {"networks": networks, "parameters": parameters, "sizes": sizes, "width": width}
    refined = {"depth": depth, "grid": grid, "degree": degree, "tolerance": tolerance}
    trained = {"schedule": schedule, "steps": steps, "seeds": seeds, "points": points}
    given = {**shaped, **refined, **trained, "device": device, "dtype": dtype}
    lists = {key: value for key, value in given.items() if value is not None}
    work = {"jobs": jobs, "threads": threads, "dask": dask, "retry": retry}
    work["differences"] = not no_differences
    found: tuple[Problem, Recipe] | None = None
    if resume is None:
        found = _posed(name, dict(constants or ()), effort)
    else:
        _check_resumed(name, dict(constants or ()), lists, resume)
    if plan:
        _show_plan(found, lists, resume or out, as_json)
    else:
        _carry_out(found, lists, work, resume or out, as_json)


def _posed(name: str | None, constants: dict[str, float], effort: str) -> tuple[Problem, Recipe]:
    """The problem of a new sweep, and the recipe that its trials are made from."""
    if name is None:
        raise RecipeError(
            "sweep: got no problem; expected the name of one, such as poisson2d, or --resume SWEEP"
        )
    gallery.find(name)
    from kanpde.problem import file as problems
    from kanpde.recipes.choosing import choose

    problem, recipes = problems.load(name, constants)
    return problem, choose(problem, recipes, effort).recipe


def _check_resumed(
    name: str | None, constants: dict[str, float], lists: Mapping[str, Any], folder: Path
) -> None:
    """Refuse what would change the plan of a sweep that is gone on with."""
    from kanpde.sweeps import folders

    there = folders.read_plan(folder).about
    if name is not None and Path(name).stem != there["problem"]:
        raise RunError(
            f"{folder}: is a sweep of {there['problem']!r}; expected that problem, or none, in"
            f" place of {name!r}"
        )
    changed = list(lists)
    if constants and constants != there["constants"]:
        changed.append("a constant")
    if changed:
        raise RecipeError(
            f"--resume: goes on with the sweep as it was planned; leave out {listed(changed)}, or"
            " begin a new sweep"
        )


def _show_plan(
    found: tuple[Problem, Recipe] | None, lists: Mapping[str, Any], folder: Path, as_json: bool
) -> None:
    """List the trials of a new sweep, or those of a folder."""
    from kanpde.cli import display
    from kanpde.cli.trials import show_plan
    from kanpde.sweeps import folders
    from kanpde.sweeps.plan import plan

    planned = folders.read_plan(folder) if found is None else plan(*found, **lists)
    if as_json:
        print_json(_plain_plan(planned))
    else:
        show_plan(display.console(False), planned)


def _carry_out(
    found: tuple[Problem, Recipe] | None,
    lists: Mapping[str, Any],
    work: Mapping[str, Any],
    folder: Path,
    as_json: bool,
) -> None:
    """Begin a sweep in a folder, or go on with the one that lies there, and show what came."""
    from kanpde.cli import display
    from kanpde.cli.trials import Trials, show_sweep
    from kanpde.runs.keeper import Terminated
    from kanpde.sweeps import conduct, figures, store

    console = display.console(as_json)
    trials = Trials(console)
    try:
        with trials:
            if found is None:
                swept = conduct.resume(folder, watcher=trials, **work)
            else:
                problem, recipe = found
                display.show_problem(console, problem)
                swept = conduct.sweep(
                    problem, recipe=recipe, out=folder, watcher=trials, **work, **lists
                )
    except (KeyboardInterrupt, Terminated) as stop:
        code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
        raise Interrupted(trials.interrupted(), code) from None
    except RunError as error:
        raise RunError(f"{error}{trials.going_on()}") from error
    pictures = figures.draw(store.read(swept.folder), swept.folder)
    if as_json:
        print_json(_plain(swept, trials.planned))
    else:
        show_sweep(console, swept, pictures)


def _plain_plan(plan: Plan) -> dict[str, Any]:
    return {
        "problem": plan.about["problem"],
        "settings": dict(plan.settings),
        "trials": [trial.plain() for trial in plan.trials],
    }


def _plain(swept: Sweep, planned: int) -> dict[str, Any]:
    """The object of --json."""
    from kanpde.sweeps.scaling import series

    kinds = list(dict.fromkeys(row.kind for row in swept.rows))
    found: dict[str, Any] = {}
    for kind in kinds:
        own = [row for row in swept.done if row.kind == kind]
        errors = [row.error for row in own if math.isfinite(row.error)]
        slopes = {name: _slope(rows) for name, rows in series(own).items()}
        only = next(iter(slopes.values())) if len(slopes) == 1 else _slope([])
        found[kind] = {
            "trials": len(errors),
            "best": min(errors, default=None),
            **only,
            "series": slopes,
        }
    return {
        "sweep": str(swept.folder),
        "problem": swept.about["problem"],
        "planned": planned,
        "done": len(swept.done),
        "failed": len(swept.failed),
        "verdicts": dict(Counter(row.verdict for row in swept.done if row.verdict)),
        "networks": found,
    }


def _slope(rows: Sequence[TrialRow]) -> dict[str, Any]:
    """The slope that is fitted to a series, its uncertainty, and the sizes that it was fitted
    to."""
    from kanpde.sweeps.scaling import fit

    law = fit(rows)
    if law is None:
        return {"slope": None, "uncertainty": None, "range": None}
    return {
        "slope": law.slope,
        "uncertainty": law.uncertainty if math.isfinite(law.uncertainty) else None,
        "range": law.range,
    }
