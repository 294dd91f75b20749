"""Training on data: the loop of train.py on rows that stay, and the state that does best on rows
held back."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import torch

from kanpde.networks.network import Network
from kanpde.networks.trial_space import NetworkSolution, tabular_space
from kanpde.training.history import History, Observer, Record
from kanpde.training.loop import _Plan, _Run
from kanpde.training.objective import Objective
from kanpde.training.samples import Measurements, Samples

if TYPE_CHECKING:
    from kanpde.recipes.recipe import Recipe


def regress(
    problem: Measurements,
    recipe: Recipe,
    seed: int,
    device: str,
    dtype: torch.dtype,
    observer: Observer,
) -> tuple[NetworkSolution, History]:
    """Train a network of the recipe on data. Ctrl-C ends it with the best that it has
    (history.interrupted).

    Where rows are held back, the result is the state of all steps and grids with the smallest
    misfit to them.
    """
    history, plan = History(), _Plan(recipe, seed, device, dtype, observer, time.perf_counter())
    space = tabular_space(problem.domain, problem.unknowns, recipe.network)
    solution = space.solution(plan.network(space))
    run = _Regression(problem, plan, solution, history)
    try:
        run.carry_out_all(recipe.stages, restarts=recipe.restarts)
    except KeyboardInterrupt:
        history.interrupted = True
        observer.message("interrupted: kept the last good state")
    run.go_back()
    return solution, history


class _Regression(_Run):
    """A run whose points are rows of data: never redrawn, judged at every step."""

    def __init__(
        self, problem: Measurements, plan: _Plan, solution: NetworkSolution, history: History
    ):
        samples = Samples(problem, solution)
        self._held = samples.fresh() if len(problem.held) else None
        self._best: tuple[float, Network, torch.Tensor] = (
            math.inf,
            solution.network,
            solution.network.theta,
        )
        super().__init__(problem, plan, solution, history, dict, None, samples)  # type: ignore[arg-type]

    def go_back(self) -> None:
        """Go back to the state that does best on the rows held back."""
        loss, network, theta = self._best
        if math.isfinite(loss):
            network.theta = theta
            self.solution.network = network

    def _watch(
        self, index: int, loss: float, fresh: Objective | None, last: bool = False
    ) -> Record:
        record = super()._watch(index, loss, self._judge(), last)
        if record.fresh < self._best[0]:
            self._best = record.fresh, self.solution.network, self.solution.network.theta
        return record

    def _judge(self) -> Objective | None:
        if self._held is not None:
            self._held.network = self.solution.network
        return self._held

    def _apart(self, record: Record, objective: Objective) -> float:
        return 0.0
