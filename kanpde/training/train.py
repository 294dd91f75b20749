"""The training loop: span after span of time, stage after stage, on fresh points each, watched on points that are not trained on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanpde.errors import RunError
from kanpde.networks import Ansatz, Slabs, Trial, span
from kanpde.networks.network import Network
from kanpde.problem import Problem, vary
from kanpde.sampling import unit_points
from kanpde.training.balancing import Balance
from kanpde.training.changes import Change, Extend
from kanpde.training.history import History, Observer, Record
from kanpde.training.objective import Objective
from kanpde.training.points import Collocation, balanced, check_terms
from kanpde.training.pruning import Prune, Pruning
from kanpde.training.schedule import Optimiser, Stage, show_schedule, suited
from kanpde.training.sparsity import Sparsify

if TYPE_CHECKING:
    from kanpde.recipe import Recipe

WATCH = 10
"""Steps between two looks at fresh points and at the true error."""

FRESH_EACH_STEP = ("lm", "gn", "adam", "soap")
"""Stages that take loss and gradient anew at every step, so that points and weights may change between two of them."""

PARTED = 10.0
"""The points are redrawn when the loss on fresh points exceeds the training loss by this factor."""


def train(problem: Problem, recipe: Recipe, seed: int, device: str, dtype: torch.dtype, observer: Observer) -> tuple[Trial, History]:
    """Train a network of the recipe on the problem. Ctrl-C ends it with what it has (history.interrupted).

    Where the recipe has several spans of time, each goes on with the network of the one before, on its last grid, and starts
    from the values that it ended with; after Ctrl-C, the solution stands still from there on.
    Raises ProblemError where the user's functions are not finite at the points.
    """
    history, plan = History(), _Plan(recipe, seed, device, dtype, observer, time.perf_counter())
    path = [vary(problem, values) for values in recipe.path]
    spans: list[Ansatz] = []
    network = plan.network(problem)
    try:
        for easier in path:
            ansatz = _ansatz(span(easier, 0, recipe.slabs, None), network)
            _Run(span(easier, 0, recipe.slabs, None), plan, ansatz, history).carry_out_all(recipe.stages[:1])
            network = ansatz.network
        for k in range(recipe.slabs):
            part = span(problem, k, recipe.slabs, spans[-1] if spans else None)
            spans.append(_ansatz(part, network))
            run = _Run(part, plan, spans[-1], history)
            run.carry_out_all(recipe.stages if k == 0 else recipe.last_stages, restarts=1 if k or path else recipe.restarts)
            network = replace(spans[-1].network, theta=spans[-1].network.theta.clone())
    except KeyboardInterrupt:
        history.interrupted = True
        observer.message("interrupted: kept the last good state")
    if not spans:  # interrupted on the way to the problem
        spans.append(_ansatz(span(problem, 0, recipe.slabs, None), network))
    still = replace(network, theta=0 * network.theta)
    for k in range(len(spans), recipe.slabs):
        spans.append(_ansatz(span(problem, k, recipe.slabs, spans[-1] if spans else None), still))
    return spans[0] if len(spans) == 1 else Slabs(spans), history


def _ansatz(problem: Problem, network: Network) -> Ansatz:
    return Ansatz(problem.domain, problem.unknowns, problem.constraints, problem.periodic, network)


@dataclass
class _Plan:
    """What all spans of time share."""

    recipe: Recipe
    seed: int
    device: str
    dtype: torch.dtype
    observer: Observer
    began: float

    @property
    def stages(self) -> int:
        """Of all spans together."""
        return len(self.recipe.path) + len(self.recipe.stages) + (self.recipe.slabs - 1) * len(self.recipe.last_stages)

    def network(self, problem: Problem, trial: int = 0) -> Network:
        """A new random network for the problem."""
        inputs = Ansatz.inputs(problem.domain, problem.periodic)
        built = self.recipe.network.build(inputs, len(problem.unknowns), torch.Generator().manual_seed(self.seed + 7919 * trial))
        return built.to(self.device, self.dtype)


class _Run:
    """One problem, or one span of its time, and what the loop carries from stage to stage."""

    def __init__(self, problem: Problem, plan: _Plan, ansatz: Ansatz, history: History):
        self.problem, self.plan, self.ansatz, self.history, self.observer = problem, plan, ansatz, history, plan.observer
        self.points = Collocation(problem, ansatz, plan.recipe.points, plan.seed, plan.recipe.sampler)
        self.points.weights = balanced(self.points)
        check_terms(self.points.objective())
        self.balance = Balance(plan.recipe.balance, plan.recipe.causal, problem.domain.time, memory=0.9)
        self._dense: Network | None = None  # the network before its edges were made sparse, whose solution pruning is to keep
        self.keep()
        self.step = history.records[-1].step if history.records else 0
        self._test = problem.domain.interior(unit_points(2048, len(problem.coordinates), 987654321))
        self._truth = torch.stack(list(problem.exact_values(self._test).values()), 1) if len(problem.exact) == len(problem.unknowns) else None

    def keep(self) -> None:
        """This state is good: go back to it when the next ones are not."""
        self._good: tuple[Network, Tensor] = (self.ansatz.network, self.ansatz.network.theta)

    def restore(self) -> None:
        """Back to the last good state."""
        self.ansatz.network, self.ansatz.network.theta = self._good

    def restart(self, restarts: int) -> None:
        """Train the first stage from several random networks and keep the one with the smallest loss."""
        recipe = self.plan.recipe
        first = next(s for s in recipe.stages if not isinstance(s, Change))
        self.observer.message(f"{restarts} random starts, a third of the first stage each")
        losses: list[tuple[float, Network]] = []
        for trial in range(restarts):
            network = self.ansatz.network = self.plan.network(self.problem, trial)
            loss = math.inf
            for loss in suited(replace(first, steps=max(first.steps // 3, 1)), network.parameters).minimise(self.points.objective()):  # noqa: B007
                pass
            losses.append((loss if math.isfinite(loss) else math.inf, network))
        best, self.ansatz.network = min(losses, key=lambda pair: pair[0])
        self.keep()
        self.observer.message(f"{restarts} starts: losses {', '.join(f'{loss:.1e}' for loss, _ in losses)}; goes on from {best:.1e}")

    def carry_out_all(self, stages: Sequence[Stage], restarts: int = 1) -> None:
        """Stage after stage, the first one from several random networks; Ctrl-C leaves the last good state behind."""
        try:
            if restarts > 1:
                self.restart(restarts)
            for stage in stages:
                self.carry_out(stage)
        except KeyboardInterrupt:
            self.restore()
            raise

    def carry_out(self, stage: Stage) -> None:
        """One stage. The history gets its title and why it ended, Ctrl-C included."""
        if not isinstance(stage, Change):
            given, stage = stage, suited(stage, self.ansatz.network.parameters)
            if stage is not given:
                self.observer.message(f"{self.ansatz.network.parameters:,} parameters: {stage.name}, conjugate gradients, in place of {given.name}'s dense matrix")
        title = _title(stage) if isinstance(stage, Change) else f"{stage.name}, {self.ansatz.network.describe()}"
        if isinstance(stage, Sparsify):
            self._dense = self._dense or replace(self.ansatz.network)
        reason = "interrupted"
        try:
            reason = self._change(stage) if isinstance(stage, Change) else self._optimise(len(self.history.stages), stage, title)
        except RunError as error:
            reason = f"left as it was: {error}"
            self.observer.message(f"{title}: {reason}")
        finally:
            self.history.stages.append((title, reason))
            self._dense = self._dense if isinstance(stage, Sparsify) else None

    def _change(self, stage: Change) -> str:
        """Another network with the same function: refitted, wider, deeper, or pruned."""
        objective, network = self.points.objective(), self.ansatz.network
        if isinstance(stage, Prune):
            pruning = Pruning(self.ansatz, objective, self._test[:1024], stage, self._dense, self.observer.message)
            pruning.shrink(network if self._dense else None)
            done = str(pruning.finish())
        else:
            frame = objective.terms[0].frame
            other = stage.changed(network, network.levels(frame.X[:, :1], ()), torch.Generator().manual_seed(self.plan.seed))
            before, after = (n.forward(frame.X[:, :1], ())[-1] for n in (network, other))
            done = f"the network's values moved by {float((after - before).norm() / before.norm().clamp_min(1e-300)):.0e}"
            self.ansatz.network = other
        self.keep()
        return f"{self.ansatz.network.parameters} parameters, {done}"

    def _optimise(self, index: int, stage: Optimiser, title: str) -> str:
        """One optimiser on fresh points; redraw them by residual when the network does better on them than elsewhere."""
        self.observer.stage(index, self.plan.stages, title, stage.steps)
        objective, fresh = self.points.objective(), self.points.fresh()
        self.balance(objective)
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
            if stage.name not in FRESH_EACH_STEP or taken % WATCH:
                continue
            if self._parted(record, objective) and taken <= stage.steps - 2 * WATCH:
                self.points.redraw(objective)
                self.observer.message(f"step {self.step}: residual on fresh points {record.fresh / loss:.0f} times the training loss; points redrawn")
            self.balance(objective)
        self._watch(index, self.history.records[-1].loss if self.history.records else math.nan, fresh, last=True)
        self.observer.message(f"{title}: {reason}")
        return reason

    def _parted(self, record: Record, objective: Objective) -> bool:
        """Whether the residual on fresh points is far above that on the points of training, both without weights."""
        interior = objective.terms[0]
        loss = record.loss if interior.weights is None else Objective(objective.network, [replace(interior, weights=None)]).loss()
        return record.fresh > PARTED * loss

    def _watch(self, index: int, loss: float, fresh: Objective | None, last: bool = False) -> Record:
        found = Record(
            step=self.step,
            stage=index,
            seconds=time.perf_counter() - self.plan.began,
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


def _title(stage: Change) -> str:
    """Such as "extend to grid 12", and for other changes as it stands in a schedule."""
    return f"extend to grid {stage.grid}" if isinstance(stage, Extend) else show_schedule([stage])
