"""The command `sweep`: many runs of one problem, and error against parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanpde.cli.commands import Constants, Json, app
from kanpde.cli.complaints import INTERRUPTED, TERMINATED, Interrupted
from kanpde.cli.completion import problems
from kanpde.cli.options import choice, number
from kanpde.cli.options import constants as read_constants
from kanpde.errors import RecipeError, RunError, listed
from kanpde.problem import gallery

if TYPE_CHECKING:
    from kanpde.sweeps.conduct import Sweep
    from kanpde.sweeps.plan import Plan
    from kanpde.sweeps.rows import TrialRow

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME-or-FILE",
        help="A problem, as in `solve`; not needed with --resume.",
        autocompletion=problems,
    ),
]


@app.command()
def sweep(
    name: Name = None,
    constants: Constants = None,
    networks: Annotated[
        str | None,
        typer.Option(help="Kinds to compare: kan,mlp where not given.", metavar="KIND,…"),
    ] = None,
    parameters: Annotated[
        str | None,
        typer.Option(
            help=(
                "Parameter counts, from which widths and grids follow: a range or a list; 50:2000"
                " where no shapes are listed."
            ),
            metavar="N:N",
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(help="How many of a range of --parameters; 8 where not given.", metavar="N"),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            help="Instead: hidden units, such as 2,4,8, or layer by layer, 4x4,8x8.", metavar="N,…"
        ),
    ] = None,
    depth: Annotated[
        str | None, typer.Option(help="Hidden layers, such as 1,2.", metavar="N,…")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            help="Last grids, such as 3,6,12; training extends up to each.", metavar="N,…"
        ),
    ] = None,
    degree: Annotated[
        str | None, typer.Option(help="Of the splines, such as 3,5,7.", metavar="N,…")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help=(
                "Schedules by semicolons, such as 'lm:100;adam:2000,lbfgs:500'; the recipe's,"
                " fitted to each grid, where not given."
            ),
            metavar="STAGES;…",
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            help=(
                "Optimiser steps of every trial: those of the recipe, but at most 100, where not"
                " given."
            ),
            metavar="N",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="How many, 3, or which, 0,4,7.", metavar="N,…")] = "3",
    points: Annotated[
        str | None,
        typer.Option(
            help=(
                "Collocation points of every trial; as many as over-determine the largest where not"
                " given."
            ),
            metavar="N",
        ),
    ] = None,
    effort: Annotated[
        str, typer.Option(help="Whose recipe: quick, default or record.", metavar="NAME")
    ] = "default",
    jobs: Annotated[
        str | None,
        typer.Option(
            help="Trials at a time, a process each; as many as cores where not given.", metavar="N"
        ),
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(help="Of each process; the cores shared out where not given.", metavar="N"),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            help=(
                "The scheduler of a Dask cluster that does the work, such as tcp://host:8786; all"
                " must see the same files."
            ),
            metavar="ADDRESS",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu or cuda; several GPUs take the trials in turn.", metavar="NAME")
    ] = "cpu",
    dtype: Annotated[str, typer.Option(help="float64 or float32.", metavar="NAME")] = "float64",
    out: Annotated[
        Path,
        typer.Option(
            help=(
                "Where the sweep's folder goes, FOLDER/<problem>/sweep-<date>/; or that folder"
                " itself, to go on with it."
            ),
            metavar="FOLDER",
        ),
    ] = Path("results"),
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with an earlier sweep, as it was planned.", metavar="SWEEP"),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Run trials again that failed or are damaged.")
    ] = False,
    no_differences: Annotated[
        bool,
        typer.Option(
            "--no-differences", help="Leave out the finite differences beside the networks."
        ),
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="List the trials, and run none.")] = False,
    as_json: Json = False,
) -> None:
    """Solve a problem with many networks and seeds: error against parameters and seconds.

    Every trial is a run folder below the sweep's, and a row in its sweep.h5 and sweep.csv. The same
    command with --out SWEEP, or --resume SWEEP, goes on with one that was interrupted.
    """
    work: dict[str, Any] = {
        "jobs": number("--jobs", jobs),
        "threads": number("--threads", threads),
        "dask": dask,
        "retry": retry,
        "differences": not no_differences,
    }
    lists: dict[str, Any] = {
        "networks": _names("--networks", networks),
        "parameters": _range(parameters),
        "sizes": number("--sizes", sizes),
        "width": _widths(width),
        "depth": _several("--depth", depth),
        "grid": _several("--grid", grid),
        "degree": _several("--degree", degree),
        "schedule": _texts(schedule),
        "steps": number("--steps", steps),
        "seeds": _seeds(seeds),
        "points": number("--points", points),
        "device": (
            choice("--device", device, ("cpu", "cuda"))
            if not device.startswith("cuda:")
            else device
        ),
        "dtype": choice("--dtype", dtype, ("float64", "float32")),
    }
    choice("--effort", effort, ("quick", "default", "record"))
    lists = {key: value for key, value in lists.items() if value is not None}
    given = read_constants(constants)
    if resume is not None:
        _resumable(name, given, lists, resume)
    elif name is None:
        raise RecipeError(
            "sweep: got no problem; expected the name of one, such as poisson2d, or --resume SWEEP"
        )
    else:
        gallery.find(name)
    from kanpde.cli import display
    from kanpde.cli.trials import Trials, show_plan, show_sweep
    from kanpde.problem import file as problems
    from kanpde.recipes.recipe import choose
    from kanpde.runs.unfinished import Terminated
    from kanpde.sweeps import conduct, figures, folders, store
    from kanpde.sweeps.plan import plan as planned

    console = display.console(as_json)
    problem, recipes = problems.load(name, given) if name and resume is None else (None, {})
    recipe = choose(problem, recipes, effort).recipe if problem else None
    if plan:
        found = (
            planned(problem, recipe, **lists)
            if problem and recipe
            else folders.read_plan(resume or out)
        )
        _print_json(_plain_plan(found)) if as_json else show_plan(console, found)
        return
    if problem:
        display.show_problem(console, problem)
    trials = Trials(console)
    try:
        with trials:
            work["watcher"] = trials
            swept = (
                conduct.sweep(problem, recipe=recipe, out=out, **work, **lists)
                if problem
                else conduct.resume(resume or out, **work)
            )
    except (KeyboardInterrupt, Terminated) as stop:
        raise Interrupted(
            trials.interrupted(), TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
        ) from None
    except RunError as error:
        raise RunError(f"{error}{trials.going_on()}") from error
    pictures = figures.draw(store.read(swept.folder), swept.folder)
    _print_json(_plain(swept, trials.planned)) if as_json else show_sweep(console, swept, pictures)


def _resumable(
    name: str | None, given: dict[str, float], lists: dict[str, Any], resume: Path
) -> None:
    """Refuse what would change the plan of a sweep that is gone on with."""
    from kanpde.sweeps import folders

    there = folders.read_plan(resume).about
    if name is not None and Path(name).stem != there["problem"]:
        raise RunError(
            f"{resume}: is a sweep of {there['problem']!r}; expected that problem, or none, in"
            f" place of {name!r}"
        )
    changed = [
        key
        for key, value in lists.items()
        if value != {"seeds": 3, "device": "cpu", "dtype": "float64"}.get(key)
    ]
    changed += ["a constant"] if given and given != there["constants"] else []
    if changed:
        raise RecipeError(
            f"--resume: goes on with the sweep as it was planned; leave out {listed(changed)}, or"
            " begin a new sweep"
        )


def _names(option: str, text: str | None) -> list[str] | None:
    return None if text is None else _parts(option, text, ",")


def _texts(text: str | None) -> list[str] | None:
    return None if text is None else _parts("--schedule", text, ";")


def _parts(option: str, text: str, mark: str) -> list[str]:
    found = [part.strip() for part in text.split(mark) if part.strip()]
    if not found:
        raise RecipeError(f"{option}: got {text!r}; expected at least one")
    return found


def _several(option: str, text: str | None) -> list[int] | None:
    """Numbers by commas."""
    return (
        None
        if text is None
        else [
            found
            for part in _parts(option, text, ",")
            if (found := number(option, part)) is not None
        ]
    )


def _seeds(text: str) -> int | list[int]:
    """How many, or, by commas, which."""
    if "," not in text:
        return number("--seeds", text) or 1
    return [
        found
        for part in _parts("--seeds", text, ",")
        if (found := number("--seeds", part, least=0)) is not None
    ]


def _range(text: str | None) -> tuple[int, int] | list[int] | None:
    """A range 50:5000, or numbers by commas."""
    if text is None or ":" not in text:
        return _several("--parameters", text)
    low, _, high = text.partition(":")
    least, most = number("--parameters", low.strip()), number("--parameters", high.strip())
    assert least is not None
    assert most is not None
    if least > most:
        raise RecipeError(
            f"--parameters: got {text!r}, an empty range; expected the smaller number first, such"
            " as 50:5000"
        )
    return least, most


def _widths(text: str | None) -> list[int | tuple[int, ...]] | None:
    """Widths by commas, each a number, or numbers by x, layer by layer."""
    if text is None:
        return None
    found: list[int | tuple[int, ...]] = []
    for part in _parts("--width", text, ","):
        layers = tuple(part.split("x"))
        if not all(layer.isascii() and layer.isdigit() and int(layer) for layer in layers):
            raise RecipeError(
                f"--width: got {part!r}; expected positive whole numbers, such as 2,4,8 or, layer"
                " by layer, 4x4,8x8"
            )
        found.append(int(part) if len(layers) == 1 else tuple(map(int, layers)))
    return found


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


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))
