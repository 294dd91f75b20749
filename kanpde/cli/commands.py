"""The commands: solve, reference, list and plot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import kanpde
from kanpde.cli import completion
from kanpde.cli.complaints import TERMINATED, Interrupted
from kanpde.cli.options import choice, number, numbers, pairs
from kanpde.cli.options import constants as read_constants
from kanpde.errors import RecipeError, listed
from kanpde.networks.kinds import kinds
from kanpde.problem import gallery
from kanpde.runs.atomic import check_writable

app = typer.Typer(
    name="kanpde",
    help=(
        "Solve partial differential equations with Kolmogorov-Arnold networks, and check them by"
        " finite differences."
    ),
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PROBLEM = (
    "A problem of the gallery or of ./problems (see `list`), or a Python file that defines"
    " `problem`."
)
Name = Annotated[
    str, typer.Argument(metavar="NAME-or-FILE", help=PROBLEM, autocompletion=completion.problems)
]
NameOrNone = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME-or-FILE",
        help=f"{PROBLEM} Not with --resume.",
        autocompletion=completion.problems,
    ),
]
Constants = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME=NUMBER…",
        help="Other values for constants of the problem's file, such as nu=0.01.",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on standard output, and everything else on standard error.",
    ),
]


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"kanpde {kanpde.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def solve(
    name: NameOrNone = None,
    constants: Constants = None,
    network: Annotated[
        str | None, typer.Option(help=f"{listed(kinds()[:-1])} or {kinds()[-1]}.", metavar="KIND")
    ] = None,
    width: Annotated[
        str | None, typer.Option(help="Hidden units by layer, such as 5 or 8,8.", metavar="N,…")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            help=(
                "Intervals of the basis, coarse to fine, such as 6,12,24: training extends the grid"
                " from one to the next."
            ),
            metavar="N,…",
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
            help=(
                "Training stages, such as lm:100,extend:12,lm:100,sparsify:60,prune:1e-6 or"
                " adam:2000,lbfgs:500."
            ),
            metavar="STAGES",
        ),
    ] = None,
    seed: Annotated[
        str,
        typer.Option(
            help="Of the random start and points; the same seed gives the same result.", metavar="N"
        ),
    ] = "0",
    points: Annotated[str | None, typer.Option(help="Collocation points.", metavar="N")] = None,
    restarts: Annotated[
        str | None,
        typer.Option(help="Random starts, of which the best is trained on.", metavar="N"),
    ] = None,
    slabs: Annotated[
        str | None, typer.Option(help="Spans of time, solved one after another.", metavar="N")
    ] = None,
    effort: Annotated[
        str,
        typer.Option(
            help="quick, default or record: how much time the solution is worth.", metavar="NAME"
        ),
    ] = "default",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which recipe was chosen, and why.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.", metavar="NAME")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float64 or float32.", metavar="NAME")] = "float64",
    out: Annotated[
        Path, typer.Option(help="Where run folders go: FOLDER/<problem>/<run>/.", metavar="FOLDER")
    ] = Path("results"),
    no_reference: Annotated[
        bool, typer.Option("--no-reference", help="Skip the finite-difference reference.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Go on with a run that was killed or interrupted, with the same bits as if it had"
                " not been."
            ),
            metavar="RUN",
            autocompletion=completion.unfinished,
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            help="Log loss, error and the solution for TensorBoard, below this folder.",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Solve a problem, check it, and write results/<problem>/<run>/ with numbers, fields,
    checkpoint and pictures.

    Without options, the problem's own recipe or a default one is used. While it trains, its state
    is written every few seconds: --resume goes on from there, with the settings that the run was
    begun with.
    """
    if resume is not None:
        if name is not None:
            raise RecipeError(
                f"--resume: got the problem {name!r} as well; expected the run's folder alone,"
                " which says what was asked for"
            )
        return _resume(resume, as_json, tensorboard)
    if name is None:
        raise RecipeError(
            "solve: got no problem; expected the name of one, such as poisson2d (see `kanpde"
            " list`), or --resume RUN"
        )
    gallery.find(name)
    kind = None if network is None else choice("--network", network, kinds())
    widths, grids = numbers("--width", width), numbers("--grid", grid)
    degrees, given_settings = numbers("--degree", degree), pairs("--with", settings)
    starts, collocation = number("--restarts", restarts), number("--points", points)
    spans = number("--slabs", slabs)
    choice("--effort", effort, ("quick", "default", "record"))
    chance = number("--seed", seed, least=0) or 0
    choice("--dtype", dtype, ("float64", "float32"))
    given = read_constants(constants)
    from kanpde.cli import display
    from kanpde.cli.group import begun_before
    from kanpde.cli.overrides import overrides
    from kanpde.problem import file as problems
    from kanpde.recipes.recipe import Choice, choose, suited

    check_writable(out)
    console = display.console(as_json)
    problem, recipes = problems.load(name, given)
    chosen = choose(problem, recipes, effort)
    spec, stages = overrides(
        chosen.recipe,
        lambda kind: suited(problem, kind),
        kind,
        widths,
        {"grid": grids, "degree": degrees},
        given_settings,
        schedule,
    )
    display.show_problem(console, problem)
    options: dict[str, Any] = {
        "network": spec,
        "schedule": stages,
        "points": collocation,
        "restarts": starts,
        "slabs": spans,
    }
    recipe = replace(
        chosen.recipe, **{part: value for part, value in options.items() if value is not None}
    )
    if explain:
        display.show_choice(console, Choice(recipe, chosen.reasons))
    before = begun_before(out, problem.name)
    where: dict[str, Any] = {"out": out} if before is None else {"run_dir": before, "resume": True}
    asked: dict[str, Any] = {
        "effort": effort,
        "seed": chance,
        "device": device,
        "dtype": dtype,
        "reference": not no_reference,
    }
    return _carry_out(problem, recipe, {**asked, **where}, console, as_json, tensorboard)


def _resume(run: Path, as_json: bool, tensorboard: Path | None) -> int:
    """Go on with a run as it was begun."""
    from kanpde.cli import display
    from kanpde.recipes import recipe as recipes
    from kanpde.runs import unfinished
    from kanpde.runs.safe_reading import reading

    asked = unfinished.read(run)
    problem = unfinished.problem_of(run, asked)
    console = display.console(as_json)
    display.show_problem(console, problem)
    settings = {key: asked[key] for key in ("effort", "seed", "device", "dtype", "reference")}
    with reading(run / "request.json"):
        recipe = recipes.from_plain(asked["recipe"])
    return _carry_out(
        problem, recipe, {**settings, "run_dir": run, "resume": True}, console, as_json, tensorboard
    )


def _carry_out(
    problem: Any,
    recipe: Any,
    settings: dict[str, Any],
    console: Any,
    as_json: bool,
    tensorboard: Path | None,
) -> int:
    """Solve, show the result, and say how to go on where it did not come to its end."""
    from kanpde import solver
    from kanpde.cli import display
    from kanpde.cli.bars import Bars
    from kanpde.cli.group import group, is_first, launcher
    from kanpde.cli.tensorboard import logged
    from kanpde.runs.unfinished import Terminated

    try:
        with (
            logged(tensorboard if is_first() else None, problem.name) as log,
            group(settings["device"]) as device,
            Bars(console) as bars,
        ):
            observer = bars if log is None else log.beside(bars)
            result = solver.solve(
                problem,
                recipe=recipe,
                observer=observer,
                launcher=launcher(),
                **{**settings, "device": device},
            )
            if log is not None:
                log.result(result)
    except Terminated as ended:
        raise Interrupted(
            f"ended: kanpde solve --resume {ended} goes on with it", TERMINATED
        ) from None
    except KeyboardInterrupt as stop:
        raise Interrupted(": ".join(["interrupted", *getattr(stop, "__notes__", [])])) from None
    if not is_first():
        return 0
    if as_json:
        _print_json(result.summary())
    else:
        display.show_result(console, result)
    if result.history.interrupted:
        raise Interrupted(f"interrupted: kanpde solve --resume {result.run_dir} goes on with it")
    return 0


@app.command()
def reference(
    name: Name,
    constants: Constants = None,
    order: Annotated[
        str | None,
        typer.Option(help="Of accuracy: 2, 4, 6, 8 or a higher even number.", metavar="N"),
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(help="Along each space coordinate of the finest grid.", metavar="N"),
    ] = None,
    effort: Annotated[
        str, typer.Option(help="quick, default or record: how much work to spend.", metavar="NAME")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Solve a problem by finite differences only, and say how good that is."""
    gallery.find(name)
    orders, finest = number("--order", order), number("--cells", cells)
    choice("--effort", effort, ("quick", "default", "record"))
    given = read_constants(constants)
    from kanpde.cli import display
    from kanpde.problem import file as problems
    from kanpde.reference import reference as by_differences
    from kanpde.results.fields import exact_on, relative_l2

    problem, _ = problems.load(name, given)
    console = display.console(as_json)
    display.show_problem(console, problem)
    found = by_differences(problem, order=orders, cells=finest, effort=effort)
    exact = exact_on(problem, found.coordinates)
    error = relative_l2(found.values, exact) if exact else None
    if as_json:
        _print_json(
            {
                "problem": problem.name,
                "kind": found.kind,
                "order": found.order,
                "nodes": {x: len(nodes) for x, nodes in found.coordinates.items()},
                "estimated_error": found.estimated_error,
                "relative_l2": error,
                "seconds": found.seconds,
            }
        )
    else:
        display.show_reference(console, found, error)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the problems that `solve` knows by name: the gallery, and ./problems."""
    rows = [
        (name, gallery.title(path), where)
        for where, known in (("./problems", gallery.local()), ("gallery", gallery.gallery()))
        for name, path in known.items()
    ]
    if as_json:
        _print_json(
            {
                "problems": [
                    {"name": name, "title": title, "where": where} for name, title, where in rows
                ]
            }
        )
        return
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, title, where in rows:
        print(f"{name:{width}}  {title}{'' if where == 'gallery' else f' ({where})'}")


@app.command()
def plot(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN-or-SWEEP",
            help="The folder of a run or a sweep, such as results/poisson2d/20261122-171200-seed0.",
            autocompletion=completion.runs_and_sweeps,
        ),
    ],
    edge: Annotated[
        str | None,
        typer.Option(
            help=(
                "Draw one edge function instead: its layer, its input and its output, counted"
                " from 1."
            ),
            metavar="N,N,N",
        ),
    ] = None,
) -> None:
    """Draw the pictures of an earlier run or sweep again."""
    place = numbers("--edge", edge)
    if place is not None and len(place) != 3:
        raise RecipeError(
            f"--edge: got {edge!r}; expected a layer, an input and an output, such as 1,2,5"
        )
    from kanpde.fitting import folder
    from kanpde.results import result as results
    from kanpde.runs import folder as run_folder
    from kanpde.runs.safe_reading import reading
    from kanpde.sweeps import figures, store

    check_writable(run) if run.is_dir() else None
    if folder.is_fit(run):
        held: Any = folder.load_fit(run)
    else:
        held = (
            store.read(run) if (run / "sweep.h5").is_file() and place is None else results.load(run)
        )
    with reading(run):  # numbers of a damaged run may be read and not be drawn
        if place is not None:
            print(run_folder.draw_edge(held, run, place))
            return
        drawn = (
            folder.draw(held, run)
            if folder.is_fit(run)
            else (
                figures.draw(held, run)
                if (run / "sweep.h5").is_file()
                else run_folder.draw(held, run)
            )
        )
    for picture in drawn:
        print(picture)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))
