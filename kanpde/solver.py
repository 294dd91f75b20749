"""solve(problem): train, compare with the exact solution and with finite differences, keep the
result."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kanpde.errors import (
    KanpdeError,
    ProblemError,
    RecipeError,
    RunError,
    first_line,
    listed,
    nearest,
)
from kanpde.geometry import holes
from kanpde.inverse.estimates import Estimates, bare, estimate
from kanpde.networks.spec import Spec
from kanpde.networks.trial_space import NetworkSolution, Solution
from kanpde.problem.file import identity
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem
from kanpde.recipes.prepare import prepare
from kanpde.recipes.recipe import Recipe, choose, plain, suited
from kanpde.reference import Reference
from kanpde.reference import reference as finite_differences
from kanpde.results.diagnosis import diagnose
from kanpde.results.fields import check_solution, dense_grid, exact_on
from kanpde.results.result import Result, measure, measure_reference
from kanpde.runs import folder as run_folder
from kanpde.runs import lifetime, storage
from kanpde.runs import pictures as run_pictures
from kanpde.runs.atomic import check_writable
from kanpde.runs.keeper import StateKeeper
from kanpde.runs.request import magnitudes
from kanpde.runs.signals import answered
from kanpde.training import (
    Extend,
    Sparsify,
    Stage,
    parse_schedule,
    shards,
    show_schedule,
    train,
)
from kanpde.training.history import History, Observer, Silent
from kanpde.training.pruning import Prune
from kanpde.training.schedule import DENSE

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def solve(
    problem: Problem,
    *,
    recipe: Recipe | None = None,
    network: Spec | None = None,
    schedule: Sequence[Stage] | str | None = None,
    points: int | None = None,
    restarts: int | None = None,
    slabs: int | None = None,
    effort: str = "default",
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    reference: bool | Reference = True,
    out: str | Path | None = None,
    run_dir: str | Path | None = None,
    resume: bool = False,
    pictures: bool = True,
    observer: Observer | None = None,
    launcher: Any = None,
) -> Result:
    """Solve a problem and judge the solution.

    recipe: how; by default chosen from the problem and effort, "quick", "default" or "record" (see
    recipe.choose). network, schedule, points, restarts, slabs replace parts of it; a network of
    another kind brings its own schedule. reference: whether to compute finite differences for
    comparison, or those that are known already. out: folder to write the run to, a new one below
    it; run_dir: the run's folder itself; nothing is written without one of them. pictures: whether
    to draw as well. resume: a run in run_dir that was killed or interrupted goes on from its last
    state, with the same bits as if it had not been, and one that is finished is loaded. launcher:
    plain values that say who began the run, kept with what was asked for. Where torch.distributed
    is initialised, every process calls this in the same way, trains on its share of the points and
    gets the same network; the first one alone writes, and computes the reference. Ctrl-C ends
    training, and then the reference, with what there is (`result.history.interrupted`); the run is
    still saved, and can be resumed. Raises RecipeError for settings that do not fit the problem or
    the machine, ProblemError for a failing problem, RunError for a folder that cannot be written or
    holds another run; all of that, where it can be known, before training.
    """
    if not isinstance(problem, Problem):
        raise ProblemError(
            f"solve: got {problem!r:.60}; expected a Problem, such as"
            " kanpde.problem.file.load('poisson2d')[0]"
        )
    recipe = recipe or choose(problem, effort=effort).recipe
    if network is not None and not isinstance(network, Spec):
        raise RecipeError(f"network: got {network!r:.40}; expected such as kanpde.KAN(width=(5,))")
    if network is not None and schedule is None and network.kind != recipe.network.kind:
        schedule = suited(problem, type(network)).schedule
    stages = parse_schedule(schedule) if isinstance(schedule, str) else schedule
    given: dict[str, Any] = {
        "network": network,
        "schedule": stages,
        "points": points,
        "restarts": restarts,
        "slabs": slabs,
    }
    recipe = replace(recipe, **{key: value for key, value in given.items() if value is not None})
    observer = observer or Silent()
    if resume and run_dir is None:
        raise RunError("resume: got no run_dir; expected the folder of the run")
    _check(problem, recipe, seed, device, dtype)
    beginning = prepare(problem, recipe, seed, device, DTYPES[dtype])
    with lifetime.Claim() as claim:
        folder, kept = None, None
        if out is not None or run_dir is not None:
            request = {
                **identity(problem),
                "residuals": magnitudes(problem),
                "recipe": plain(recipe),
                "seed": seed,
                "device": device,
                "dtype": dtype,
                "effort": effort,
                "reference": bool(reference),
                "launcher": launcher,
            }

            def begin() -> tuple[Path, dict[str, Any] | None]:
                if out is not None:
                    check_writable(out)
                place = (
                    storage.reserve(Path(out), problem.name, seed)
                    if run_dir is None and out is not None
                    else Path(run_dir or ".")
                )
                check_writable(place)
                claim.take(place)
                return place, lifetime.begin(place, request, resume)

            folder, kept = shards.from_first(begin)
            if shards.from_first(lambda: lifetime.is_finished(folder)):
                return _loaded(folder, problem, pictures)
        began = time.perf_counter() - (kept["seconds"] if kept else 0.0)
        first = shards.rank() == 0
        keeper = StateKeeper(folder) if folder and first else None
        ending, interrupting = _answers(keeper)
        with ending:
            try:
                with interrupting:
                    solution, history = train(
                        problem,
                        recipe,
                        seed,
                        device,
                        DTYPES[dtype],
                        observer,
                        keeper,
                        kept,
                        beginning.space,
                        beginning.network,
                    )
            except KanpdeError:
                if keeper is not None:
                    lifetime.abandon(keeper.folder)
                raise
            if keeper is not None:
                history.interrupted |= keeper.interrupted
                keeper.trained()
            seconds = time.perf_counter() - began
            try:
                with _told(history):
                    check_solution(problem, solution)
                    relative_l2, max_error = measure(problem, solution)
            except ProblemError:
                if keeper is not None:
                    lifetime.abandon(keeper.folder)
                raise
            with _told(history):
                found = _estimated(problem, solution, observer)
            judged = (
                _judged(problem, solution, history, observer, effort, reference)
                if reference and first
                else (None, "not asked for", None)
            )
            with _told(history):
                settings = {
                    "seed": seed,
                    "device": device,
                    "dtype": dtype,
                    "points": recipe.points,
                    "sampler": recipe.sampler,
                }
                settings |= {
                    "restarts": recipe.restarts,
                    "slabs": recipe.slabs,
                    "schedule": show_schedule(recipe.stages),
                }
                result = Result(
                    problem,
                    solution,
                    history,
                    settings,
                    seconds,
                    relative_l2,
                    max_error,
                    *judged,
                    estimates=found,
                )
                with suppress(
                    KanpdeError
                ):  # the user's functions at other points: nothing is worth losing the run for
                    result.verdict = result.judged(diagnose(result, recipe))
                if folder is not None and first:
                    run_folder.write(result, folder, pictures)
                    if not history.interrupted:
                        lifetime.finish(folder)
        return result


def _loaded(folder: Path, problem: Problem, pictures: bool) -> Result:
    """A finished run; what a kill left undone behind its summary is done."""
    try:
        found = run_folder.load(folder, problem)
    except RunError as error:
        raise RunError(
            f"{error}; delete {folder / 'summary.json'}, and resuming trains it again"
        ) from error
    if shards.rank() == 0:
        if pictures:
            run_pictures.complete(found, folder)
        lifetime.finish(folder)
    return found


def _estimated(problem: Problem, solution: Solution, observer: Observer) -> Estimates | None:
    """The estimates of the parameters, with their errors where the matrices fit."""
    if (
        not problem.parameters
        or not isinstance(solution, NetworkSolution)
        or solution.trained_on is None
    ):
        return None
    if shards.size() > 1:
        observer.message(
            "standard errors are computed in one process only; kanpde plot and load keep the values"
        )
        return bare(problem, solution)
    if solution.parameters > DENSE:
        observer.message(
            f"{solution.parameters:,} parameters: too many for the matrices of standard errors (at"
            f" most {DENSE:,})"
        )
        return bare(problem, solution)
    observer.message("computing standard errors")
    return estimate(problem, solution, solution.trained_on)


def _judged(
    problem: Problem,
    solution: Solution,
    history: History,
    observer: Observer,
    effort: str,
    known: bool | Reference,
) -> tuple[Reference | None, str, float | None]:
    """The finite-difference reference, or why there is none, and the distance to it. Whatever it
    meets, the run goes on."""
    if history.interrupted:
        return None, "interrupted", None
    if any(isinstance(p, Field) for p in problem.parameters):
        return None, "its coefficients are unknown fields", None
    try:
        if problem.parameters and isinstance(solution, NetworkSolution):
            problem = problem.settled(solution.numbers())
        if isinstance(known, bool):
            observer.message("computing the finite-difference reference")
        found = finite_differences(problem, effort=effort) if isinstance(known, bool) else known
        distance = measure_reference(solution, found)
    except KeyboardInterrupt:
        history.interrupted = True
        return None, "interrupted", None
    except KanpdeError as reason:
        return None, str(reason), None
    except MemoryError:
        return None, "it does not fit into memory", None
    except Exception as error:  # whatever it is, the training is not lost for it
        return None, f"it failed: {first_line(error)}", None
    if not math.isfinite(distance):
        return None, "its values are not finite", None
    return found, "", distance


def _answers(
    keeper: StateKeeper | None,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What SIGTERM, during the whole run, and Ctrl-C, during training, do to a run that is kept.

    Of several processes each gets its own Ctrl-C, at other steps: there it ends training at once.
    """
    if keeper is None:
        return nullcontext(), nullcontext()
    alone = shards.size() == 1
    return answered(signal.SIGTERM, keeper.end), (
        answered(signal.SIGINT, keeper.interrupt) if alone else nullcontext()
    )


def _told(history: History) -> AbstractContextManager[None]:
    """Hold back the first Ctrl-C until the block is done, so that it cannot lose the run; the
    history says that one came."""
    return answered(signal.SIGINT, lambda: setattr(history, "interrupted", True))


def check_machine(device: str, dtype: str) -> None:
    """Raise RecipeError for a device or a precision that is not there."""
    if dtype not in DTYPES:
        raise RecipeError(
            f"dtype: got {dtype!r}; expected one of {listed(DTYPES)}{nearest(dtype, DTYPES)}"
        )
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise RecipeError(f"device: got {device!r}; expected cpu or cuda") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            f"device: got {device!r}, but this machine has no GPU that torch can use; expected cpu"
        )
    if kind not in ("cpu", "cuda"):
        raise RecipeError(f"device: got {device!r}; expected cpu or cuda")


def _check(problem: Problem, recipe: Recipe, seed: int, device: str, dtype: str) -> None:
    check_machine(device, dtype)
    if not isinstance(seed, int) or not 0 <= seed < 10**15:
        raise RecipeError(
            f"seed: got {seed!r:.40}; expected a whole number from 0 on, of at most 15 digits"
        )
    if recipe.slabs > 1 and not problem.domain.time:
        raise RecipeError(
            f"slabs: got {recipe.slabs}, but {problem.name!r} has no time; expected 1"
        )
    order = max(r.order for r in (*problem.equations, *(c.residual for c in problem.constraints)))
    if problem.parameters and recipe.slabs > 1:
        raise RecipeError(
            f"slabs: got {recipe.slabs} for a problem with unknown parameters, which all spans of"
            " time would share; expected 1"
        )
    if problem.parameters and any(isinstance(stage, Sparsify | Prune) for stage in recipe.stages):
        raise RecipeError(
            "schedule: sparsify and prune work on one network, and this problem has parameters"
            " beside it; expected a schedule without them"
        )
    if shards.size() > 1 and any(isinstance(stage, Sparsify | Prune) for stage in recipe.stages):
        raise RecipeError(
            f"schedule: sparsify and prune work in one process, and there are {shards.size()};"
            " expected a schedule without them"
        )
    if recipe.lenses and not holes(problem.domain):
        raise RecipeError("lenses: got True, but the domain has no hole; leave lenses out")
    if recipe.network.resolution is None and any(
        isinstance(stage, Extend) for stage in recipe.stages
    ):
        raise RecipeError(
            f"schedule: got {show_schedule(recipe.stages)}, but a network of kind"
            f" {recipe.network.kind!r} has nothing to extend; leave extend out"
        )
    if recipe.network.highest_order() < order:
        degree = getattr(recipe.network, "degree", None)
        raise RecipeError(
            f"degree: got {degree} for derivatives of order {order}; expected at least {order + 1}"
        )
    exact_on(problem, dense_grid(problem.domain))
