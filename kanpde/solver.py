"""solve(problem): train, compare with the exact solution and with finite differences, keep the result."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kanpde import run_folder
from kanpde.errors import KanpdeError, ProblemError, RecipeError, listed, nearest
from kanpde.fields import check_solution, dense_grid, exact_on
from kanpde.networks import Ansatz, Spec, Trial
from kanpde.problem import Problem
from kanpde.recipe import Recipe, choose, suited
from kanpde.reference import Reference
from kanpde.reference import reference as finite_differences
from kanpde.residual import at_point, leaf_name
from kanpde.results import Result, measure, measure_reference
from kanpde.sampling import unit_points
from kanpde.training import Change, Extend, Sparsify, Stage, parse_schedule, show_schedule, train
from kanpde.training.history import History, Observer, Silent

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
    reference: bool = True,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Result:
    """Solve a problem and judge the solution.

    recipe: how; by default chosen from the problem and effort, "quick", "default" or "record" (see recipe.choose). network,
    schedule, points, restarts, slabs replace parts of it; a network of another kind brings its own schedule. reference:
    whether to compute finite differences for comparison. out: folder to write the run to; nothing is written without it.
    Ctrl-C ends training, and then the reference, with what there is (`result.history.interrupted`); the run is still saved.
    Raises RecipeError for settings that do not fit the problem or the machine, ProblemError for a failing problem, RunError
    for a folder that cannot be written; all of that, where it can be known, before training.
    """
    recipe = recipe or choose(problem, effort=effort).recipe
    if network is not None and schedule is None and network.kind != recipe.network.kind:
        schedule = suited(problem, type(network)).schedule
    stages = parse_schedule(schedule) if isinstance(schedule, str) else schedule
    given: dict[str, Any] = {"network": network, "schedule": stages, "points": points, "restarts": restarts, "slabs": slabs}
    recipe = replace(recipe, **{key: value for key, value in given.items() if value is not None})
    observer = observer or Silent()
    _check(problem, recipe, device, dtype)
    _check_data(problem, recipe)
    if out is not None:
        run_folder.check_writable(out)
    began = time.perf_counter()
    ansatz, history = train(problem, recipe, seed, device, DTYPES[dtype], observer)
    seconds = time.perf_counter() - began
    with _held(history):
        check_solution(problem, ansatz)
        relative_l2, max_error = measure(problem, ansatz)
    judged = _judged(problem, ansatz, history, observer, effort) if reference else (None, "not asked for", None)
    with _held(history):
        settings = {"seed": seed, "device": device, "dtype": dtype, "points": recipe.points, "sampler": recipe.sampler}
        settings |= {"restarts": recipe.restarts, "slabs": recipe.slabs, "schedule": show_schedule(recipe.stages)}
        result = Result(problem, ansatz, history, settings, seconds, relative_l2, max_error, *judged)
        if out is not None:
            result.save(out)
    return result


def _judged(problem: Problem, ansatz: Trial, history: History, observer: Observer, effort: str) -> tuple[Reference | None, str, float | None]:
    """The finite-difference reference, or why there is none, and the distance to it. Whatever it meets, the run goes on."""
    if history.interrupted:
        return None, "interrupted", None
    try:
        observer.message("computing the finite-difference reference")
        found = finite_differences(problem, effort=effort)
        distance = measure_reference(ansatz, found)
    except KeyboardInterrupt:
        history.interrupted = True
        return None, "interrupted", None
    except KanpdeError as reason:
        return None, str(reason), None
    except MemoryError:
        return None, "it does not fit into memory", None
    if not math.isfinite(distance):
        return None, "its values are not finite", None
    return found, "", distance


@contextmanager
def _held(history: History) -> Iterator[None]:
    """Hold back the first Ctrl-C until the block is done, so that it cannot lose the run; the history says that one came.

    A second one goes through. Signals reach the main thread only; elsewhere nothing needs to be held.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def hold(number: int, frame: object) -> None:
        history.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _check(problem: Problem, recipe: Recipe, device: str, dtype: str) -> None:
    if dtype not in DTYPES:
        raise RecipeError(f"dtype: got {dtype!r}; expected one of {listed(DTYPES)}{nearest(dtype, DTYPES)}")
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise RecipeError(f"device: got {device!r}; expected cpu or cuda") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"device: got {device!r}, but this machine has no GPU that torch can use; expected cpu")
    if kind not in ("cpu", "cuda"):
        raise RecipeError(f"device: got {device!r}; expected cpu or cuda")
    if recipe.slabs > 1 and not problem.domain.time:
        raise RecipeError(f"slabs: got {recipe.slabs}, but {problem.name!r} has no time; expected 1")
    order = max(r.order for r in (*problem.equations, *(c.residual for c in problem.constraints)))
    if recipe.network.resolution is None and any(isinstance(stage, Extend) for stage in recipe.stages):
        raise RecipeError(f"schedule: got {show_schedule(recipe.stages)}, but a network of kind {recipe.network.kind!r} has nothing to extend; leave extend out")
    if recipe.network.highest_order() < order:
        degree = getattr(recipe.network, "degree", None)
        raise RecipeError(f"degree: got {degree} for derivatives of order {order}; expected at least {order + 1}")


def _check_data(problem: Problem, recipe: Recipe) -> None:
    """Evaluate what the user gave where it is needed: the exact solution, and derivatives of the conditions' data.

    Raises ProblemError where they are not finite.
    """
    exact_on(problem, dense_grid(problem.domain))
    network = recipe.network.build(Ansatz.inputs(problem.domain, problem.periodic), len(problem.unknowns), torch.Generator().manual_seed(0))
    for stage in recipe.stages:
        if isinstance(stage, Change | Sparsify):
            stage.check(network)
    ansatz = Ansatz(problem.domain, problem.unknowns, problem.constraints, problem.periodic, network)
    needs = list(dict.fromkeys(leaf for r in problem.equations for leaf in r.needs))
    points = problem.domain.interior(unit_points(32, len(problem.coordinates), 0))
    lift = ansatz.frame(points, needs).lift
    if not lift.isfinite().all():
        i, a = (int(k) for k in (~lift.isfinite()).nonzero()[0])
        at = at_point(dict(zip(problem.coordinates, points.T, strict=True)), i)
        name = leaf_name(needs[a], problem.coordinates)
        came = f"{name} = {float(lift[i, a])} at {at}"
        raise ProblemError(f"conditions on {needs[a][0]!r}: their data, continued into the domain, give {came}; expected data with finite derivatives up to the ends of the faces")
