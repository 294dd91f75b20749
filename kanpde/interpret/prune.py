"""A smaller network for a solved problem: sparsify, prune with a stated loss, polish; a result of
its own beside the first."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import RunError
from kanpde.interpret.smaller import at_hand, result_of
from kanpde.networks.network import Network
from kanpde.networks.solution import Composition
from kanpde.networks.surgery import edges_of
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.problem import Problem
from kanpde.results.fields import dense_grid, nodes_of
from kanpde.results.result import Result
from kanpde.runs import pictures
from kanpde.runs.atomic import check_writable
from kanpde.runs.folder import save
from kanpde.training import Prune, Sparsify, show_schedule
from kanpde.training.history import History, Observer, Record, Silent
from kanpde.training.points import Collocation, balanced
from kanpde.training.pruning import Pruned, Pruning

NODES_COMPARED = 4096
"""Nodes, at most, at which two solutions are compared, of the grid on which errors are measured."""


def prune(
    result: Result,
    loss: float = 1e-6,
    sparsify: float | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Result:
    """The result with a smaller network; the one given is left as it was.

    Args:
        result: A solved problem.
        loss: How much the solution may change, about: relative L2 (see training/pruning.py).
        sparsify: Strength of an L1 and entropy penalty on the edges (see training/sparsity.py) that
            is put on first, so that more of them can go; by default a small one, and 0 for none.
        out: The folder in which the new run folder is made, which then holds pruned.png, both
            networks side by side; by default no run folder is made.
        observer: Who is told what happens; nobody by default.

    Returns:
        The new result. Its `settings["pruned"]` says how many edges there were and are, and what it
        cost.

    Raises:
        RecipeError: The loss is no share, or the network has no edges.
        RunError: A constant would be as good, or the problem's file is gone.
    """
    sparse = None if sparsify == 0 else Sparsify()
    if sparsify:
        sparse = Sparsify(strength=sparsify)
    stage = Prune(loss)
    problem, before = _prunable(result)
    stage.check(before.network)
    if out is not None:
        check_writable(out)
    solution = before.space.solution(replace(before.network, theta=before.network.theta.clone()))
    journal = _Journal(observer or Silent())
    points = _points_of(result, problem, solution)
    pruned = _pruned(stage, sparse, solution, points, _nodes(result, problem), journal)
    if pruned.after == pruned.before:
        journal.observer.message(
            f"no edge can go: without any one the solution changes by more than {loss:g}; allow a"
            " larger loss"
        )
    schedule = show_schedule([stage] if sparse is None else [sparse, stage])
    settings = _settings(result, pruned, schedule)
    found = result_of(result, solution, journal.history, settings, journal.seconds)
    if out is not None:
        folder = save(found, out)
        pictures.draw_pruned(result, found, folder)
    return found


class _Journal:
    """What happens while a network is pruned: told to an observer, and kept as a history."""

    def __init__(self, observer: Observer):
        self.observer, self.history = observer, History()
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.perf_counter() - self._began

    def record(self, loss: float, network: Network) -> Record:
        """Keep one more step."""
        history = self.history
        found = Record(
            len(history.records) + 1,
            len(history.stages),
            self.seconds,
            loss,
            parameters=network.parameters,
        )
        history.records.append(found)
        return found

    def tell(self, text: str, dropped: int, loss: float) -> None:
        """Say that edges were dropped, each of which counts as a step of the progress."""
        step = len(self.history.records) + dropped
        self.observer.message(text)
        self.observer.step(Record(step, len(self.history.stages), self.seconds, loss))


def _prunable(result: Result) -> tuple[Problem, NetworkSolution]:
    """The problem and the one network of a result. Raises RunError."""
    problem, solution = at_hand(result)
    if not isinstance(solution, Composition):
        raise RunError(
            f"prune: got {solution.describe()}, which has no edges; expected a network of layers,"
            " such as --network kan, or kanpde compress"
        )
    if not isinstance(solution, NetworkSolution):
        raise RunError(
            f"prune: got {solution.describe()}; expected one network, that is a run with --slabs 1"
        )
    return problem, solution


def _points_of(result: Result, problem: Problem, solution: NetworkSolution) -> Collocation:
    """As many collocation points as the result was trained on, but others."""
    points = Collocation(
        problem,
        solution,
        int(result.settings.get("points") or 1600),
        _seed(result) + 1,
        str(result.settings.get("sampler") or "sobol"),
    )
    points.weights = balanced(points)
    return points


def _nodes(result: Result, problem: Problem) -> Tensor:
    """Some nodes of the grid on which errors are measured, [nodes, dims]."""
    nodes = torch.from_numpy(nodes_of(dense_grid(problem.domain)))
    generator = torch.Generator().manual_seed(_seed(result))
    return nodes[torch.randperm(len(nodes), generator=generator)[:NODES_COMPARED]]


def _seed(result: Result) -> int:
    return int(result.settings.get("seed") or 0)


def _pruned(
    stage: Prune,
    sparse: Sparsify | None,
    solution: NetworkSolution,
    points: Collocation,
    nodes: Tensor,
    journal: _Journal,
) -> Pruned:
    """Sparsify a copy, where that is asked for, then prune the network of the solution in place."""
    objective, edges = points.objective(), len(edges_of(solution.network))

    def tell(text: str) -> None:
        journal.tell(text, edges - len(edges_of(solution.network)), objective.loss())

    pruning = Pruning(solution, objective, nodes, stage, tell=tell)
    sparser = None if sparse is None else _sparsified(sparse, solution, points, journal)
    journal.observer.stage(1, 2, f"prune, {solution.network.describe()}", edges)
    pruning.shrink(sparser)
    pruned = pruning.finish()
    journal.history.stages.append((show_schedule([stage]), str(pruned)))
    journal.record(objective.loss(), solution.network)
    return pruned


def _sparsified(
    stage: Sparsify, solution: NetworkSolution, points: Collocation, journal: _Journal
) -> Network:
    """A copy of the solution's network, its edges made idle by the penalty."""
    goal, sparser = solution.network, replace(solution.network)
    title = f"{stage.name}, {sparser.describe()}"
    # the points' objective is that of the solution's network: the copy stands there meanwhile
    solution.network = sparser
    journal.observer.stage(0, 2, title, stage.steps)
    steps = stage.minimise(points.objective())
    while True:
        try:
            loss = next(steps)
        except StopIteration as end:
            journal.history.stages.append((title, str(end.value)))
            break
        journal.observer.step(journal.record(loss, points.solution.network))
    solution.network = goal
    return sparser


def _settings(before: Result, pruned: Pruned, schedule: str) -> dict[str, Any]:
    """What is known of how the network came about."""
    return {
        "schedule": schedule,
        "pruned": {
            "from": None if before.run_dir is None else str(before.run_dir),
            "edges": [pruned.before, pruned.after],
            "change": pruned.change,
        },
    }
