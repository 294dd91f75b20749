"""The training loop: span after span of time, stage after stage, on fresh points each, watched on
points that are not trained on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanpde.errors import RunError
from kanpde.geometry.sampling import inside_points
from kanpde.networks.network import Network
from kanpde.networks.restore import restore_one
from kanpde.networks.solution import Solution
from kanpde.networks.spans import Spans, span
from kanpde.networks.trial_space import NetworkSolution, TrialSpace
from kanpde.problem.file import vary
from kanpde.problem.problem import Problem
from kanpde.training.balancing import Balance
from kanpde.training.changes import Change, Extend
from kanpde.training.history import History, Keeper, Observer, Record
from kanpde.training.objective import Objective
from kanpde.training.optimiser import State
from kanpde.training.points import Collocation, balanced, check_terms
from kanpde.training.pruning import Prune, Pruning
from kanpde.training.samples import Samples
from kanpde.training.schedule import DENSE, Optimiser, Stage, show_schedule, suited
from kanpde.training.sensitivity import lost, overruled, polish, relative_misfit
from kanpde.training.shards import anybody, gathered, share, size
from kanpde.training.sparsity import Sparsify

if TYPE_CHECKING:
    from kanpde.recipes.recipe import Recipe

WATCH = 10
"""Steps between two looks at fresh points and at the true error."""

FRESH_EACH_STEP = ("lm", "gn", "adam", "soap")
"""Stages that take loss and gradient anew at every step, so that points and weights may change
between two of them."""

NOISY = 1e-4
"""Misfit to data, over their spread, from which it is taken for noise and not for what the network
cannot represent."""

SETTLING, SETTLED, LIGHTER, PROFIT, UNSETTLED = 4, 60, 0.1, 1.05, 0.3
"""Stages at most in which noisy data weigh less, their steps at most, the factor of the weight, the
gain in standard errors that is worth one, and how far from the minimum a parameter may then still
be, in standard errors, for the stage to count."""

PARTED = 10.0
"""The points are redrawn when the loss on fresh points exceeds the training loss by this factor."""


def train(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    device: str,
    dtype: torch.dtype,
    observer: Observer,
    keeper: Keeper | None = None,
    kept: dict[str, Any] | None = None,
    space: TrialSpace | None = None,
    network: Network | None = None,
) -> tuple[Solution, History]:
    """Train a network of the recipe on the problem. Ctrl-C ends it with what it has
    (history.interrupted).

    Where the recipe has several spans of time, each goes on with the network of the one before, on
    its last grid, and starts from the values that it ended with; after Ctrl-C, the solution stands
    still from there on. keeper: is given the state between two steps, when it is due; kept: such a
    state of the same problem, recipe, seed and device, from which training goes on with the same
    bits. Raises ProblemError where the user's functions are not finite at the points.
    """
    history = History.from_plain(kept["history"]) if kept else History()
    plan = _Plan(
        recipe,
        seed,
        device,
        dtype,
        observer,
        time.perf_counter() - (kept["seconds"] if kept else 0.0),
        keeper,
    )
    path = [vary(problem, values) for values in recipe.path]
    spans: list[NetworkSolution] = []
    space = space or recipe.space(problem)
    network = plan.network(space) if network is None else network.to(device, dtype)
    try:
        for i, easier in enumerate(path):
            if kept and i < kept["path"]:
                continue
            part, kept_here, kept = span(easier, 0, recipe.slabs, None), kept and kept["run"], None
            run = _Run(
                part,
                plan,
                space.over(part).solution(network),
                history,
                lambda i=i: {"path": i, "spans": []},
                kept_here,
            )  # type: ignore[misc]
            run.carry_out_all(recipe.stages[:1])
            network = run.solution.network
        for state in kept["spans"] if kept else []:
            spans.append(
                plan.restored(
                    span(problem, len(spans), recipe.slabs, spans[-1] if spans else None), state
                )
            )
        for k in range(len(spans), recipe.slabs):
            part, kept_here, kept = (
                span(problem, k, recipe.slabs, spans[-1] if spans else None),
                kept and kept["run"],
                None,
            )
            done = [s.state() for s in spans]
            run = _Run(
                part,
                plan,
                space.over(part).solution(network),
                history,
                lambda done=done: {"path": len(path), "spans": done},
                kept_here,
            )  # type: ignore[misc]
            spans.append(run.solution)
            run.carry_out_all(
                recipe.stages if k == 0 else recipe.last_stages,
                restarts=1 if k or path else recipe.restarts,
            )
            run.settle(recipe.stages)
            run.solution.trained_on = run.points
            network = replace(spans[-1].network, theta=spans[-1].network.theta.clone())
    except KeyboardInterrupt:
        history.interrupted = True
        observer.message("interrupted: kept the last good state")
    if not spans:  # interrupted on the way to the problem
        spans.append(space.over(span(problem, 0, recipe.slabs, None)).solution(network))
    still = replace(network, theta=0 * network.theta)
    for k in range(len(spans), recipe.slabs):
        spans.append(
            space.over(span(problem, k, recipe.slabs, spans[-1] if spans else None)).solution(still)
        )
    return spans[0] if len(spans) == 1 else Spans(spans), history


@dataclass
class _Plan:
    """What all spans of time share."""

    recipe: Recipe
    seed: int
    device: str
    dtype: torch.dtype
    observer: Observer
    began: float
    keeper: Keeper | None = None

    @property
    def stages(self) -> int:
        """Of all spans together."""
        return (
            len(self.recipe.path)
            + len(self.recipe.stages)
            + (self.recipe.slabs - 1) * len(self.recipe.last_stages)
        )

    def network(self, space: TrialSpace, start: int = 0) -> Network:
        """A new random network of a space."""
        generator = torch.Generator().manual_seed(self.seed + 7919 * start)
        return space.initial(generator).to(self.device, self.dtype)

    def restored(self, problem: Problem, state: dict[str, Any]) -> NetworkSolution:
        """What was trained on a problem, or a span of its time, from its state."""
        solution = restore_one(problem, state)
        solution.network = solution.network.to(self.device, self.dtype)
        return solution


class _Run:
    """One problem, or one span of its time, and what the loop carries from stage to stage.

    around: says what else belongs to a state that is kept: what came before this run. kept: the
    state of this run from which it goes on.
    """

    def __init__(
        self,
        problem: Problem,
        plan: _Plan,
        solution: NetworkSolution,
        history: History,
        around: Callable[[], dict[str, Any]],
        kept: dict[str, Any] | None = None,
        points: Collocation | Samples | None = None,
    ):
        self.problem, self.plan, self.history, self.observer, self.around = (
            problem,
            plan,
            history,
            plan.observer,
            around,
        )
        self.solution = plan.restored(problem, kept["network"]) if kept else solution
        self.points = points or Collocation(
            problem,
            self.solution,
            plan.recipe.points,
            plan.seed,
            plan.recipe.sampler,
            plan.recipe.data,
            plan.recipe.crowding,
        )
        if kept and isinstance(self.points, Collocation):
            self.points.restore(kept["points"])
        else:
            self.points.weights = balanced(self.points)
            check_terms(self.points.objective())
        self.balance = Balance(
            plan.recipe.balance, plan.recipe.causal, problem.domain.time, memory=0.9
        )
        # the network before its edges were made sparse, whose solution pruning is to keep
        self._dense: Network | None = (
            plan.restored(problem, kept["dense"]).network if kept and kept["dense"] else None
        )
        # what `settle` goes back to where data that weigh less leave the parameters unsettled
        before = kept and kept["before"]
        self._before: tuple[Network, float] | None = (
            (plan.restored(problem, before["network"]).network, before["data"]) if before else None
        )
        self.keep()
        self.kept, self.at = kept, 0
        self.step = history.records[-1].step if history.records else 0
        self._test = inside_points(problem.domain, 2048, 987654321)
        self._truth = (
            torch.stack([problem.exact_values(self._test)[u] for u in problem.unknowns], 1)
            if all(u in problem.exact for u in problem.unknowns)
            else None
        )

    def keep(self) -> None:
        """This state is good: go back to it when the next ones are not."""
        self._good: tuple[Network, Tensor] = (self.solution.network, self.solution.network.theta)

    def restore(self) -> None:
        """Back to the last good state."""
        self.solution.network, self.solution.network.theta = self._good

    def restart(self, restarts: int) -> None:
        """Train the first stage from several random networks and keep the one with the smallest
        loss."""
        recipe, kept = self.plan.recipe, self.kept
        first = next(s for s in recipe.stages if not isinstance(s, Change))
        self.observer.message(f"{restarts} random starts, a third of the first stage each")
        losses = (
            [
                (loss, self.plan.restored(self.problem, state).network)
                for loss, state in kept["trials"]
            ]
            if kept
            else []
        )
        for start in range(len(losses), restarts):
            if not self.kept:
                self.solution.network = self.plan.network(self.solution.space, start)
            stage = suited(
                replace(first, steps=max(first.steps // 3, 1)), self.solution.network.parameters
            )
            going = self._resumed(stage) or self._begun(stage, weighted=False)
            trials = [
                (loss, self.solution.space.solution(network).state()) for loss, network in losses
            ]
            for _ in stage.minimise(going.objective, going.state):
                self._hand_over(going, trials=trials)
            loss = going.state.loss
            losses.append((loss if math.isfinite(loss) else math.inf, self.solution.network))
        best, self.solution.network = min(losses, key=lambda pair: pair[0])
        self.keep()
        self.observer.message(
            f"{restarts} starts: losses {', '.join(f'{loss:.1e}' for loss, _ in losses)}; goes on"
            f" from {best:.1e}"
        )

    def carry_out_all(self, stages: Sequence[Stage], restarts: int = 1) -> None:
        """Stage after stage, the first one from several random networks; Ctrl-C leaves the last
        good state behind."""
        begin = self.kept["stage"] if self.kept else 0
        try:
            if restarts > 1 and (self.kept is None or self.kept["trials"] is not None):
                self.restart(restarts)
            for self.at in range(begin, len(stages)):
                self.carry_out(stages[self.at])
        except KeyboardInterrupt:
            self.restore()
            raise

    def settle(self, stages: Sequence[Stage]) -> None:
        """Bring the parameters to the minimum; where the data are noisy, weigh them less and train
        on, until the estimates would not profit from more of that (Ctrl-C as above).

        With an exact model every weight gives estimates without bias; a smaller one lets the
        solution follow the noise less.
        """
        if not self.problem.parameters or not self.problem.data:
            return
        last = [s for s in stages if not isinstance(s, Change)][-1]
        begin = self.kept["stage"] - len(stages) if self.kept else 0
        assert isinstance(self.points, Collocation)
        try:
            for k in range(max(begin, 0), SETTLING + 1):
                if self.kept is None:
                    if size() > 1 or self.solution.network.parameters > DENSE:
                        return
                    steps, apart = polish(self.points)
                    self.observer.message(
                        f"polished by {steps} steps of Gauss-Newton; another would move a parameter"
                        f" by {apart:.2g} standard errors"
                    )
                    if self._before is not None and apart > UNSETTLED:
                        self.solution.network, self.points.data = self._before
                        self.observer.message(
                            "went back to the weight before, where the parameters had settled"
                        )
                        return
                    if self._before is not None and overruled(self.points, *self._before):
                        self.solution.network, self.points.data = self._before
                        self.observer.message(
                            "went back to the weight before: with the smaller one the equations, as"
                            " far as the network can satisfy them, overrule the data"
                        )
                        return
                    self.keep()
                    if k == SETTLING or relative_misfit(self.points) < NOISY:
                        return
                    self._before = replace(self.solution.network), self.points.data
                    factor = lost(self.points, LIGHTER)
                    if factor < PROFIT:
                        return
                    self.points.data *= LIGHTER
                    self.observer.message(
                        f"noisy data: weighed {1 / LIGHTER:.0f} times less, by which standard"
                        f" errors fall by {100 * (1 - 1 / factor):.0f} %"
                    )
                self.at = len(stages) + k
                self.carry_out(replace(last, steps=min(last.steps, SETTLED)))
        except KeyboardInterrupt:
            self.restore()
            raise

    def carry_out(self, stage: Stage) -> None:
        """One stage. The history gets its title and why it ended, Ctrl-C included."""
        if not isinstance(stage, Change):
            given, stage = stage, suited(stage, self.solution.network.parameters)
            if stage is not given:
                self.observer.message(
                    f"{self.solution.network.parameters:,} parameters: {stage.name}, conjugate"
                    f" gradients, in place of {given.name}'s dense matrix"
                )
        title = (
            _title(stage)
            if isinstance(stage, Change)
            else f"{stage.name}, {self.solution.network.describe()}"
        )
        if isinstance(stage, Sparsify):
            self._dense = self._dense or replace(self.solution.network)
        reason = "interrupted"
        try:
            reason = (
                self._change(stage, title)
                if isinstance(stage, Change)
                else self._optimise(len(self.history.stages), stage, title)
            )
        finally:
            self.history.stages.append((title, reason))
            self._dense = self._dense if isinstance(stage, Sparsify) else None

    def _change(self, stage: Change, title: str) -> str:
        """Another network with the same function: refitted, wider, deeper, or pruned; or the same
        one where it cannot be."""
        try:
            done = self._changed(stage)
        except RunError as error:
            self.observer.message(f"{title}: left as it was: {error}")
            return f"left as it was: {error}"
        self.keep()
        return f"{self.solution.network.parameters} parameters, {done}"

    def _changed(self, stage: Change) -> str:
        network = self.solution.network
        if isinstance(stage, Prune):
            pruning = Pruning(
                self.solution,
                self.points.objective(),
                self._test[:1024],
                stage,
                self._dense,
                self.observer.message,
            )
            pruning.shrink(network if self._dense else None)
            done = str(pruning.finish())
        else:
            frame = self.solution.frame(
                self.points.drawn(),
                [(u, (0,) * len(self.problem.coordinates)) for u in self.problem.outputs],
            )
            generator = torch.Generator().manual_seed(self.plan.seed)
            other = network.changed(
                lambda part, jets: stage.changed(part, jets, generator),
                network.levels(frame.X[:, :1], ()),
            )
            before, after = (n.forward(frame.X[:, :1], ())[-1] for n in (network, other))
            done = (
                "the network's values moved by"
                f" {float((after - before).norm() / before.norm().clamp_min(1e-300)):.0e}"
            )
            self.solution.network = other
        return done

    def _optimise(self, index: int, stage: Optimiser, title: str) -> str:
        """One optimiser on fresh points; redraw them by residual when the network does better on
        them than elsewhere."""
        self.observer.stage(index, self.plan.stages, title, stage.steps)
        going = self._resumed(stage) or self._begun(stage)
        objective, fresh = going.objective, going.fresh
        steps = stage.minimise(objective, going.state)
        while True:
            try:
                loss = next(steps)
            except StopIteration as end:
                reason = (
                    end.value
                    if math.isfinite(objective.loss())
                    else f"the residual is not finite any more; {end.value}"
                )
                break
            going.taken, self.step = going.taken + 1, self.step + 1
            if not math.isfinite(loss):
                self.restore()
                reason = f"loss became {loss}: went back to the last good state"
                break
            self.keep()
            watched = going.taken % WATCH == 0
            record = self._watch(index, loss, fresh if watched or going.taken == 1 else None)
            if stage.name in FRESH_EACH_STEP and watched:
                apart = self._apart(record, objective)
                if apart > PARTED and going.taken <= stage.steps - 2 * WATCH:
                    assert isinstance(self.points, Collocation)
                    self.points.redraw(objective)
                    self.observer.message(
                        f"step {self.step}: residual on fresh points {apart:.0f} times that of"
                        " training; points redrawn"
                    )
                self.balance(objective)
            self._hand_over(
                going, last=index == self.plan.stages - 1 and going.taken == stage.steps
            )
        self._watch(
            index,
            self.history.records[-1].loss if self.history.records else math.nan,
            fresh,
            last=True,
        )
        self.observer.message(f"{title}: {reason}")
        return reason

    def _begun(self, stage: Optimiser, weighted: bool = True) -> _Going:
        """A stage before its first step."""
        objective = self.points.objective()
        fresh = self.points.fresh() if weighted else objective
        if weighted:
            self.balance(objective)
        return _Going(objective, fresh, stage.begin(objective))

    def _resumed(self, stage: Optimiser) -> _Going | None:
        """A stage as it was when its state was kept, once."""
        kept, self.kept = self.kept, None
        if kept is None:
            return None
        objective, fresh = (
            self.points.objective(kept["interior"]),
            self.points.fresh(points=kept["fresh"]),
        )
        for t, weights in zip(objective.terms, kept["rows"], strict=True):
            t.weights = None if weights is None else share(weights).to(self.plan.device)
        self.balance.restore(_on(self.plan.device, kept["balance"]), objective)
        self.observer.message(f"goes on behind step {self.step}")
        return _Going(
            objective,
            fresh,
            stage.carries.from_plain(_on(self.plan.device, kept["optimiser"])),
            kept["taken"],
        )

    def _hand_over(
        self,
        going: _Going,
        trials: list[tuple[float, dict[str, Any]]] | None = None,
        last: bool = False,
    ) -> None:
        """Give the keeper the state, if it is due. trials: the random starts that are done, while
        there are more to come; last: no steps follow."""
        if not anybody(self.plan.keeper is not None and self.plan.keeper.due(last)):
            return
        assert isinstance(self.points, Collocation)  # fits have no keeper
        run = {
            "network": self.solution.state(),
            "stage": self.at if trials is None else 0,
            "trials": trials,
            "taken": going.taken,
            "optimiser": going.state.plain(),
            "interior": self.points.current,
            "fresh": self.points.watched,
            "rows": [
                None if t.weights is None else gathered(t.weights, t.count)
                for t in going.objective.terms
            ],
            "balance": self.balance.plain(going.objective),
            "dense": self._dense and self.solution.space.solution(self._dense).state(),
            "points": self.points.plain(),
            "before": (
                self._before
                and {
                    "network": self.solution.space.solution(self._before[0]).state(),
                    "data": self._before[1],
                }
            ),
        }
        seconds = time.perf_counter() - self.plan.began
        if self.plan.keeper is not None:
            self.plan.keeper.keep(
                _on(
                    "cpu",
                    {
                        **self.around(),
                        "run": run,
                        "history": self.history.plain(),
                        "seconds": seconds,
                    },
                )
            )

    def _apart(self, record: Record, objective: Objective) -> float:
        """The residual on fresh points over that on the points of training, both without
        weights."""
        interior = objective.terms[: len(self.problem.groups)]
        alone = interior[0].weights is None and not self.problem.data
        loss = (
            record.loss
            if alone
            else Objective(objective.network, [replace(t, weights=None) for t in interior]).loss()
        )
        return record.fresh / max(loss, 1e-300)

    def _watch(
        self, index: int, loss: float, fresh: Objective | None, last: bool = False
    ) -> Record:
        found = Record(
            step=self.step,
            stage=index,
            seconds=time.perf_counter() - self.plan.began,
            loss=loss,
            fresh=math.nan if fresh is None else fresh.loss(),
            error=math.nan if fresh is None else self._error(),
            parameters=self.solution.network.parameters,
            values=self.solution.numbers(),
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
        return float(
            (
                self.solution(self._test)[:, : len(self.problem.unknowns)].double().cpu()
                - self._truth
            ).norm()
            / self._truth.norm()
        )


def _title(stage: Change) -> str:
    """Such as "extend to grid 12", and for other changes as it stands in a schedule."""
    return f"extend to grid {stage.grid}" if isinstance(stage, Extend) else show_schedule([stage])


@dataclass
class _Going:
    """A stage under way: its objective, the one on fresh points, what the optimiser carries, and
    steps so far."""

    objective: Objective
    fresh: Objective
    state: State
    taken: int = 0


def _on(device: str, value: Any) -> Any:
    """The same with every tensor in it on a device."""
    if isinstance(value, Tensor):
        return value.detach().to(device)
    if isinstance(value, dict):
        return {key: _on(device, v) for key, v in value.items()}
    return type(value)(_on(device, v) for v in value) if isinstance(value, list | tuple) else value
