"""A smaller network for a solved problem: sparsify, prune with a stated loss, polish; a result of
its own beside the first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import RunError
from kanpde.networks.network import Network
from kanpde.networks.surgery import edges_of
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.problem import Problem
from kanpde.results.fields import dense_grid, nodes_of
from kanpde.results.result import Result, measure, measure_reference
from kanpde.runs import pictures
from kanpde.runs.atomic import check_writable
from kanpde.runs.folder import save
from kanpde.training import Prune, Sparsify, show_schedule
from kanpde.training.history import History, Observer, Record, Silent
from kanpde.training.points import Collocation, balanced
from kanpde.training.pruning import Pruned, Pruning

NODES_COMPARED = 4096
"""Nodes, at most, at which two solutions are compared, of the grid on which errors are measured."""

SETTINGS_KEPT = ("seed", "device", "dtype", "points", "sampler")
"""Settings of the first run that hold for the pruned one."""


def prune(
    result: Result,
    loss: float = 1e-6,
    sparsify: float | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Result:
    """The result with a smaller network, whose solution differs by about `loss` at most (relative
    L2; see training/pruning.py); the one given is left as it was.

    sparsify: the strength of an L1 and entropy penalty on the edges (see training/sparsity.py) that
    is put on first, so that more of them can go; by default a small one, and 0 for none. out: where
    the new run folder goes, none by default; it holds pruned.png, both networks side by side.
    settings["pruned"] of what is found says how many edges there were and are, and what it cost.
    Raises RecipeError for a loss that is no share and for networks without edges, RunError where a
    constant would be as good, or where the problem's file is gone.
    """
    sparse = (
        None if sparsify == 0 else Sparsify() if sparsify is None else Sparsify(strength=sparsify)
    )
    stage, observer = Prune(loss), observer or Silent()
    problem, before = result.problem, result.solution
    if problem is None or before is None:
        raise RunError(
            f"{result.run_dir}: the problem {result.name!r} was not found again; pass it to"
            " kanpde.load first"
        )
    if not isinstance(before, NetworkSolution):
        raise RunError(
            f"prune: got {before.describe()}; expected one network, that is a run with --slabs 1"
        )
    stage.check(before.network)
    if out is not None:
        check_writable(out)
    solution = before.space.solution(replace(before.network, theta=before.network.theta.clone()))
    seed, began = int(result.settings.get("seed") or 0), time.perf_counter()
    points = Collocation(
        problem,
        solution,
        int(result.settings.get("points") or 1600),
        seed + 1,
        str(result.settings.get("sampler") or "sobol"),
    )
    points.weights = balanced(points)
    history, objective = History(), points.objective()
    edges = len(edges_of(solution.network))

    def tell(text: str) -> None:
        observer.message(text)
        observer.step(
            Record(
                len(history.records) + edges - len(edges_of(solution.network)),
                len(history.stages),
                time.perf_counter() - began,
                objective.loss(),
            )
        )

    pruning = Pruning(solution, objective, _nodes(problem, seed), stage, tell=tell)
    sparser = None
    if sparse is not None:
        goal, sparser = solution.network, replace(solution.network)
        solution.network, title = sparser, f"{sparse.name}, {sparser.describe()}"
        observer.stage(0, 2, title, sparse.steps)
        history.stages.append(
            (
                title,
                _carried_out(
                    sparse, points, history, observer, lambda: time.perf_counter() - began
                ),
            )
        )
        solution.network = goal
    observer.stage(1, 2, f"prune, {solution.network.describe()}", edges)
    pruning.shrink(sparser)
    pruned = pruning.finish()
    if pruned.after == pruned.before:
        observer.message(
            f"no edge can go: without any one the solution changes by more than {loss:g}; allow a"
            " larger loss"
        )
    history.stages.append((show_schedule([stage]), str(pruned)))
    history.records.append(
        _record(history, time.perf_counter() - began, objective.loss(), solution.network)
    )
    found = _judged(
        result,
        solution,
        history,
        time.perf_counter() - began,
        pruned,
        show_schedule([stage] if sparse is None else [sparse, stage]),
    )
    if out is not None:
        folder = save(found, out)
        pictures.draw_pruned(result, found, folder)
    return found


def _nodes(problem: Problem, seed: int) -> Tensor:
    """Some nodes of the grid on which errors are measured, [nodes, dims]."""
    nodes = torch.from_numpy(nodes_of(dense_grid(problem.domain)))
    return nodes[
        torch.randperm(len(nodes), generator=torch.Generator().manual_seed(seed))[:NODES_COMPARED]
    ]


def _carried_out(
    stage: Sparsify,
    points: Collocation,
    history: History,
    observer: Observer,
    clock: Callable[[], float],
) -> str:
    steps = stage.minimise(points.objective())
    while True:
        try:
            loss = next(steps)
        except StopIteration as end:
            return str(end.value)
        history.records.append(_record(history, clock(), loss, points.solution.network))
        observer.step(history.records[-1])


def _record(history: History, seconds: float, loss: float, network: Network) -> Record:
    return Record(
        len(history.records) + 1, len(history.stages), seconds, loss, parameters=network.parameters
    )


def _judged(
    before: Result,
    solution: NetworkSolution,
    history: History,
    seconds: float,
    pruned: Pruned,
    schedule: str,
) -> Result:
    """The new result: errors against the exact solution and against the reference of the first."""
    assert before.problem is not None
    relative_l2, max_error = measure(before.problem, solution)
    distance = None if before.reference is None else measure_reference(solution, before.reference)
    settings: dict[str, Any] = {
        key: before.settings[key] for key in SETTINGS_KEPT if key in before.settings
    }
    settings |= {
        "schedule": schedule,
        "pruned": {
            "from": None if before.run_dir is None else str(before.run_dir),
            "edges": [pruned.before, pruned.after],
            "change": pruned.change,
        },
    }
    return Result(
        before.problem,
        solution,
        history,
        settings,
        seconds,
        relative_l2,
        max_error,
        before.reference,
        before.reference_note,
        distance,
    )
