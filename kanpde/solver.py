"""solve(problem): train, compare with the exact solution and with finite differences, keep the result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from kanpde.errors import RecipeError, ReferenceUnavailable, listed, nearest
from kanpde.networks import KAN, MLP, Ansatz
from kanpde.problem import Problem
from kanpde.recipe import Recipe, default
from kanpde.reference import Reference
from kanpde.reference import reference as finite_differences
from kanpde.results import Result, measure, measure_reference
from kanpde.training import Stage, parse_schedule, show_schedule, train
from kanpde.training.history import Observer, Silent

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def solve(
    problem: Problem,
    *,
    recipe: Recipe | None = None,
    network: KAN | MLP | None = None,
    schedule: Sequence[Stage] | str | None = None,
    points: int | None = None,
    restarts: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    reference: bool = True,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Result:
    """Solve a problem and judge the solution.

    recipe: how; by default chosen from the problem. network, schedule, points, restarts replace parts of it. reference:
    whether to compute finite differences for comparison. out: folder to write the run to; nothing is written without it.
    Raises RecipeError for settings that do not fit the problem or the machine, ProblemError for a failing problem.
    """
    recipe = recipe or default(problem)
    stages = parse_schedule(schedule) if isinstance(schedule, str) else schedule
    given = {"network": network, "schedule": stages, "points": points, "restarts": restarts}
    recipe = replace(recipe, **{key: value for key, value in given.items() if value is not None})
    _check(problem, recipe, device, dtype)
    began = time.perf_counter()
    ansatz, history = train(problem, recipe, seed, device, DTYPES[dtype], observer or Silent())
    seconds = time.perf_counter() - began
    relative_l2, max_error = measure(problem, ansatz)
    judge, note = _reference(problem, wanted=reference and not history.interrupted)
    settings = {
        "seed": seed,
        "device": device,
        "dtype": dtype,
        "points": recipe.points,
        "sampler": recipe.sampler,
        "restarts": recipe.restarts,
        "schedule": show_schedule(recipe.schedule),
    }
    result = Result(
        problem=problem,
        ansatz=ansatz,
        history=history,
        settings=settings,
        seconds=seconds,
        relative_l2=relative_l2,
        max_error=max_error,
        reference=judge,
        reference_note=note,
        reference_relative_l2=measure_reference(ansatz, judge) if judge else None,
    )
    if out is not None:
        result.save(out)
    return result


def _reference(problem: Problem, wanted: bool) -> tuple[Reference | None, str]:
    if not wanted:
        return None, "not asked for"
    try:
        return finite_differences(problem), ""
    except ReferenceUnavailable as reason:
        return None, str(reason)


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
    order = max(r.order for r in (*problem.equations, *(c.residual for c in problem.constraints)))
    if recipe.network.highest_order() < order:
        raise RecipeError(f"degree: got {recipe.network.degree} for derivatives of order {order}; expected at least {order + 1}")
