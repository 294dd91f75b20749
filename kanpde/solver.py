"""solve(problem): train, compare with the exact solution and with finite differences, keep the
result."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kanpde.errors import NotConverged, ProblemError, RecipeError, RunError
from kanpde.networks.kind import NetworkKind
from kanpde.networks.kinds.tensor import Tensor
from kanpde.networks.spec import Spec
from kanpde.problem.file import identity
from kanpde.problem.problem import Problem
from kanpde.recipes.checks import check_machine, check_recipe
from kanpde.recipes.choosing import choose, in_place, suited
from kanpde.recipes.prepare import prepare
from kanpde.recipes.recipe import Recipe
from kanpde.recipes.refined import refined, usual
from kanpde.recipes.tolerances import check_tolerance
from kanpde.recipes.written import plain
from kanpde.reference import Reference
from kanpde.reference.solution import DIFFERENCES, checked_method
from kanpde.results.fields import dense_grid, exact_on
from kanpde.results.result import Result
from kanpde.runs import folder as run_folder
from kanpde.runs import lifetime, storage
from kanpde.runs import pictures as run_pictures
from kanpde.runs.atomic import check_writable
from kanpde.runs.request import magnitudes
from kanpde.runs.run import Run
from kanpde.runs.started import kept_of, started
from kanpde.training import Stage, parse_schedule, shards
from kanpde.training.history import Observer, Silent


def solve(
    problem: Problem,
    *,
    recipe: Recipe | None = None,
    network: NetworkKind | None = None,
    schedule: Sequence[Stage] | str | None = None,
    points: int | None = None,
    restarts: int | None = None,
    slabs: int | None = None,
    tolerance: float | None = None,
    effort: str = "default",
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    reference: bool | Reference = True,
    judge: str = DIFFERENCES,
    out: str | Path | None = None,
    run_dir: str | Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    pictures: bool = True,
    strict: bool = False,
    observer: Observer | None = None,
    launcher: Any = None,
    start: str | Path | Result | None = None,
) -> Result:
    """Solve a problem and judge the solution.

    Where torch.distributed is initialised, every process calls this in the same way, trains on its
    share of the points and gets the same network; the first one alone writes, and computes the
    reference. Ctrl-C ends training, and then the reference, with what there is
    (`result.history.interrupted`); the run is still saved, and can be resumed.

    Args:
        problem: What is to be solved.
        recipe: How it is solved. Where neither this nor anything else is asked of network and
            training, it is a tensor product of splines, if that can take the problem (see
            refined.usual); else one chosen from the problem and the effort (see choosing.choose).
        network: The network, in place of that of the recipe; one of another kind brings its own
            schedule, if it has any.
        schedule: Stages in order, or their text, in place of those of the recipe.
        points: Number of collocation points, in place of that of the recipe.
        restarts: Number of random starts, in place of that of the recipe.
        slabs: Number of spans of time, in place of that of the recipe.
        tolerance: Error, over an unknown's own variation, at which the solution is good enough.
        effort: "quick", "default" or "record".
        seed: Seed of the network's first coefficients and of the points.
        device: "cpu" or "cuda".
        dtype: "float64" or "float32".
        reference: Whether to compute finite differences for comparison, or those that are known
            already.
        judge: The method of the reference, as `reference` takes it: "fem" for finite elements.
        out: Folder to write the run to, a new one below it.
        run_dir: The run's folder itself; nothing is written without one of them.
        resume: Whether a run in run_dir that was killed or interrupted goes on from its last state,
            with the same bits as if it had not been; one that is finished is loaded.
        minutes: When training ends with what there is, from now on; None for no such limit.
        pictures: Whether to draw pictures as well; they are written to the run's folder.
        strict: Whether to raise NotConverged unless the verdict is that it has converged.
        observer: Who watches; None for nobody.
        launcher: Plain values that say who began the run, kept with what was asked for.
        start: The folder of another run, or its result, to begin from: of other constants, another
            geometry or recipe, with the same coordinates and unknowns.

    Returns:
        The solution with everything that is known of it.

    Raises:
        RecipeError: Settings do not fit the problem or the machine.
        ProblemError: The problem fails.
        RunError: A folder cannot be written, or holds another run. All of these are raised before
            training where they can be known.
        NotConverged: Where strict, for any other verdict; the run is kept, and is its `result`.
    """
    if not isinstance(problem, Problem):
        raise ProblemError(
            f"solve: got {problem!r:.60}; expected a Problem, such as"
            " kanpde.problem.file.load('poisson2d')[0]"
        )
    if resume and run_dir is None:
        raise RunError("resume: got no run_dir; expected the folder of the run")
    until = _until(minutes)
    changes = {"points": points, "restarts": restarts, "slabs": slabs}
    check_machine(device, dtype)
    check_tolerance(tolerance)
    if not any((recipe, network, schedule, *changes.values())):
        own = choose(problem, effort=effort)
        recipe = usual(problem, own, tolerance, effort, device, dtype).recipe
    recipe = _chosen(problem, recipe, effort, network, schedule, changes | {"tolerance": tolerance})
    check_recipe(problem, recipe, seed)
    exact_on(problem, dense_grid(problem.domain))
    before = None if start is None else started(start, problem)
    begun = None if before is None else before.solution
    beginning = prepare(problem, recipe, seed, device, dtype, effort, begun)
    settings = {"seed": seed, "device": device, "dtype": dtype, "effort": effort}
    settings |= {"judge": checked_method(judge)} if judge != DIFFERENCES else {}
    with lifetime.Claim() as claim:
        folder, kept = None, None
        if out is not None or run_dir is not None:
            asked = {**settings, "reference": bool(reference), "launcher": launcher}
            request = {**_request(problem, recipe), **asked, **kept_of(before)}
            folder, kept = _claimed(claim, problem, request, out, run_dir, resume)
            if shards.from_first(partial(lifetime.is_finished, folder)):
                return _checked(_loaded(folder, problem, pictures), strict)
        watched = observer or Silent()
        run = Run(problem, recipe, beginning, settings, watched, folder, until, begun)
        return _checked(run.solved_somehow(kept, reference, pictures), strict)


def _checked(result: Result, strict: bool) -> Result:
    """The result. Raises NotConverged where it has to have converged and has not."""
    if strict and not result.verdict.converged:
        raise NotConverged(f"{result.name}: {result.verdict}", result)
    return result


def _until(minutes: float | None) -> float:
    """When the time is up, on the clock of `time.perf_counter`. Raises RecipeError."""
    if minutes is None:
        return math.inf
    if not (isinstance(minutes, int | float) and 0 < minutes < math.inf):
        raise RecipeError(f"minutes: got {minutes!r:.40}; expected a number above 0")
    return time.perf_counter() + 60 * minutes


def _request(problem: Problem, recipe: Recipe) -> dict[str, Any]:
    """What says which problem is solved, and how."""
    return {
        **identity(problem),
        "residuals": magnitudes(problem),
        "recipe": plain(recipe),
    }


def _chosen(
    problem: Problem,
    recipe: Recipe | None,
    effort: str,
    network: NetworkKind | None,
    schedule: Sequence[Stage] | str | None,
    changes: Mapping[str, float | None],
) -> Recipe:
    """The recipe, with what was asked for in the place of its parts."""
    if network is not None and not isinstance(network, NetworkKind):
        raise RecipeError(f"network: got {network!r:.40}; expected such as kanpde.KAN(width=(5,))")
    if isinstance(network, Tensor):  # which has nothing of what another recipe holds
        recipe = refined(network, effort, changes.get("tolerance")).recipe
    recipe = recipe or choose(problem, effort=effort).recipe
    if isinstance(network, Spec) and schedule is None and network.kind != recipe.network.kind:
        recipe = in_place(recipe, network, suited(problem, type(network)).schedule)
    stages = parse_schedule(schedule) if isinstance(schedule, str) else schedule
    given: dict[str, Any] = {"network": network, "schedule": stages, **changes}
    return replace(recipe, **{key: value for key, value in given.items() if value is not None})


def _claimed(
    claim: lifetime.Claim,
    problem: Problem,
    request: Mapping[str, Any],
    out: str | Path | None,
    run_dir: str | Path | None,
    resume: bool,
) -> tuple[Path, dict[str, Any] | None]:
    """The folder of the run, kept for this process, and the state that it goes on from."""

    def begin() -> tuple[Path, dict[str, Any] | None]:
        if out is not None:
            check_writable(out)
        place = (
            storage.reserve(Path(out), problem.name, request["seed"])
            if run_dir is None and out is not None
            else Path(run_dir or ".")
        )
        check_writable(place)
        claim.take(place)
        return place, lifetime.begin(place, request, resume)

    found: tuple[Path, dict[str, Any] | None] = shards.from_first(begin)
    return found


def _loaded(folder: Path, problem: Problem, pictures: bool) -> Result:
    """A finished run; what a kill left undone after its summary is done."""
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
