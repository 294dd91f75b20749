"""The training loop: stage after stage, on fresh points each, watched on points that are not trained on."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanpde.networks.ansatz import Ansatz
from kanpde.networks.network import Network
from kanpde.problem import Problem
from kanpde.sampling import unit_points
from kanpde.training.history import History, Observer, Record
from kanpde.training.objective import Objective
from kanpde.training.points import Collocation, balanced, check_terms
from kanpde.training.schedule import Extend, Optimiser, Stage

if TYPE_CHECKING:
    from kanpde.recipe import Recipe

WATCH = 10
"""Steps between two looks at fresh points and at the true error."""

PARTED = 10.0
"""The points are redrawn when the loss on fresh points exceeds the training loss by this factor."""


def train(problem: Problem, recipe: Recipe, seed: int, device: str, dtype: torch.dtype, observer: Observer) -> tuple[Ansatz, History]:
    """Train a network of the recipe on the problem. Ctrl-C ends it with what it has (history.interrupted).

    Raises ProblemError where the user's functions are not finite at the points.
    """
    began, history = time.perf_counter(), History()
    ansatz = _start(problem, recipe, seed, device, dtype)
    run = _Run(problem, recipe, ansatz, history, observer, began, seed)
    try:
        if recipe.restarts > 1:
            run.restart(device, dtype)
        for index, stage in enumerate(recipe.stages):
            run.carry_out(index, stage)
    except KeyboardInterrupt:
        history.interrupted = True
        run.restore()
        observer.message("interrupted: kept the last good state")
    return ansatz, history


def _start(problem: Problem, recipe: Recipe, seed: int, device: str, dtype: torch.dtype) -> Ansatz:
    """The ansatz with a new random network."""
    inputs = Ansatz.inputs(problem.domain, problem.periodic)
    network = recipe.network.build(inputs, len(problem.unknowns), torch.Generator().manual_seed(seed))
    return Ansatz(problem.domain, problem.unknowns, problem.constraints, problem.periodic, network.to(device, dtype))


class _Run:
    """What the loop carries from stage to stage."""

    def __init__(self, problem: Problem, recipe: Recipe, ansatz: Ansatz, history: History, observer: Observer, began: float, seed: int):
        self.problem, self.recipe, self.ansatz, self.history, self.observer, self.began = problem, recipe, ansatz, history, observer, began
        self.points = Collocation(problem, ansatz, recipe.points, seed, recipe.sampler)
        self.points.weights = balanced(self.points)
        check_terms(self.points.objective())
        self.keep()
        self.step = 0
        self._test = problem.domain.interior(unit_points(2048, len(problem.coordinates), 987654321))
        self._truth = torch.stack(list(problem.exact_values(self._test).values()), 1) if len(problem.exact) == len(problem.unknowns) else None

    def keep(self) -> None:
        """This state is good: go back to it when the next ones are not."""
        self._good: tuple[Network, Tensor] = (self.ansatz.network, self.ansatz.network.theta)

    def restore(self) -> None:
        """Back to the last good state."""
        self.ansatz.network, self.ansatz.network.theta = self._good

    def restart(self, device: str, dtype: torch.dtype) -> None:
        """Train the first stage from several random networks and keep the one with the smallest loss."""
        first = next(s for s in self.recipe.stages if not isinstance(s, Extend))
        self.observer.message(f"{self.recipe.restarts} random starts, a third of the first stage each")
        losses: list[tuple[float, Network]] = []
        for trial in range(self.recipe.restarts):
            candidate = _start(self.problem, self.recipe, self.points.seed + 7919 * trial, device, dtype)
            self.ansatz.network = candidate.network
            loss = math.inf
            for loss in replace(first, steps=max(first.steps // 3, 1)).minimise(self.points.objective()):  # noqa: B007
                pass
            losses.append((loss if math.isfinite(loss) else math.inf, candidate.network))
        best, self.ansatz.network = min(losses, key=lambda pair: pair[0])
        self.keep()
        self.observer.message(f"{self.recipe.restarts} starts: losses {', '.join(f'{loss:.1e}' for loss, _ in losses)}; goes on from {best:.1e}")

    def carry_out(self, index: int, stage: Stage) -> None:
        """One stage. The history gets its title and why it ended, Ctrl-C included."""
        title = f"extend to grid {stage.grid}" if isinstance(stage, Extend) else f"{stage.name}, {self.ansatz.network.describe()}"
        reason = "interrupted"
        try:
            reason = self._extend(stage.grid) if isinstance(stage, Extend) else self._optimise(index, stage, title)
        finally:
            self.history.stages.append((title, reason))

    def _extend(self, grid: int) -> str:
        """Refit the network on a finer grid, where its hidden values are."""
        network = self.ansatz.network
        frame = self.points.objective().terms[0].frame
        jets = network.levels(frame.X[:, :1], ())
        self.ansatz.network = network.spec.extend(network, grid, jets)
        self.keep()
        return f"{self.ansatz.network.parameters} parameters"

    def _optimise(self, index: int, stage: Optimiser, title: str) -> str:
        """One optimiser on fresh points; redraw them by residual when the network does better on them than elsewhere."""
        self.observer.stage(index, len(self.recipe.stages), title, stage.steps)
        objective, fresh = self.points.objective(), self.points.fresh()
        steps, taken = stage.minimise(objective), 0
        while True:
            try:
                loss = next(steps)
            except StopIteration as end:
                reason = end.value
                break
            taken, self.step = taken + 1, self.step + 1
            if not math.isfinite(loss):
                self.restore()
                reason = f"loss became {loss}: went back to the last good state"
                break
            self.keep()
            record = self._watch(index, loss, fresh if taken % WATCH == 0 or taken == 1 else None)
            if self._parted(record) and stage.name == "lm" and taken <= stage.steps - 2 * WATCH:
                self.points.redraw(objective)
                self.observer.message(f"step {self.step}: residual on fresh points {record.fresh / loss:.0f} times the training loss; points redrawn")
        self._watch(index, self.history.records[-1].loss if self.history.records else math.nan, fresh, last=True)
        self.observer.message(f"{title}: {reason}")
        return reason

    def _parted(self, record: Record) -> bool:
        return record.fresh > PARTED * record.loss

    def _watch(self, index: int, loss: float, fresh: Objective | None, last: bool = False) -> Record:
        found = Record(
            step=self.step,
            stage=index,
            seconds=time.perf_counter() - self.began,
            loss=loss,
            fresh=math.nan if fresh is None else fresh.loss(),
            error=math.nan if fresh is None else self._error(),
            parameters=self.ansatz.network.parameters,
        )
        if last and self.history.records and self.history.records[-1].step == found.step:
            self.history.records[-1] = found
        else:
            self.history.records.append(found)
        self.observer.step(found)
        return found

    def _error(self) -> float:
        """Relative L2 against the exact solution at the test points; nan where it is not known."""
        if self._truth is None:
            return math.nan
        return float((self.ansatz(self._test).double().cpu() - self._truth).norm() / self._truth.norm())
