"""Training: span after span of time, stage after stage, each on fresh points, watched on points
that are not trained on.

`Training.advance` takes a state one step further and does nothing else. Whoever keeps states, shows
progress or ends training does so between two calls of it.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import torch

from kanpde.errors import RunError
from kanpde.networks.network import Network
from kanpde.networks.restore import restore_one
from kanpde.networks.solution import Composition
from kanpde.networks.spans import Spans, span
from kanpde.networks.trial_space import NetworkSolution, TrialSpace
from kanpde.problem.file import vary
from kanpde.problem.problem import Problem
from kanpde.training.balancing import Balance
from kanpde.training.changes import Change
from kanpde.training.changing import changed, title_of
from kanpde.training.history import History, Observer, Record
from kanpde.training.legs import Leg, leg_of
from kanpde.training.method import Goal
from kanpde.training.objective import Objective
from kanpde.training.plan import TrainingPlan
from kanpde.training.points import Collocation, balanced, check_terms
from kanpde.training.refining import NOT_NEEDED, Refine
from kanpde.training.restarts import best_of, shortened, tell_starts
from kanpde.training.samples import Samples
from kanpde.training.schedule import Optimiser, Stage, show_schedule, suited
from kanpde.training.sparsity import Sparsify
from kanpde.training.state import TrainingState, UnderWay, network_from

WATCH = 10
"""Steps between two looks at fresh points and at the true error."""

FRESH_EACH_STEP = ("lm", "gn", "als", "adam", "soap")
"""Stages that take loss and gradient anew at every step, so that points and weights may change
between two of them."""

PARTED = 10.0
"""The points are redrawn when the loss on fresh points exceeds the training loss by this factor."""


class Training:
    """The training of a network on a problem: from the first state to the last, step by step.

    Where a plan has several spans of time, each goes on with the network of the one before, on its
    last grid, and starts from the values that it ended with.

    Args:
        problem: What is to be solved.
        space: Its candidates.
        network: The first network, which is left as it is.
        plan: How training goes.
        observer: Who watches.
        goal: When the solution is good enough, so that what is left of a span of time is not done;
            None where all stages are done.

    Raises:
        ProblemError: A problem on the way has no such constants.
    """

    def __init__(
        self,
        problem: Problem,
        space: TrialSpace,
        network: Network,
        plan: TrainingPlan,
        observer: Observer,
        goal: Goal | None = None,
    ):
        self.problem, self.space, self.plan, self.observer = problem, space, plan, observer
        self.goal = goal
        self.first = network.to(plan.device, plan.dtype)
        self.path = [vary(problem, values) for values in plan.path]
        self.leg: Leg

    def begin(self) -> TrainingState:
        """The state before anything is done."""
        began = time.perf_counter()
        return self._begin_leg(0, self._copy(self.first), [], History(), began)

    def resumed(self, plain: dict[str, Any]) -> TrainingState:
        """The state that `TrainingState.plain` made, from which training goes on with the same
        bits.

        Args:
            plain: What `plain` gave.
        """
        done: list[NetworkSolution] = []
        for saved in plain["done"]:
            part = span(self.problem, len(done), self.plan.spans, done[-1] if done else None)
            found = restore_one(part, saved)
            found.network = found.network.to(self.plan.device, self.plan.dtype)
            done.append(found)
        self.leg = self._leg(plain["leg"], done)
        solution = self.leg.space.solution(network_from(plain["network"], self.plan))
        points = self._points(solution)
        assert isinstance(points, Collocation)
        state = TrainingState.from_plain(plain, solution, points, self._balance(), done, self.plan)
        if state.starts is None:
            stage = self._suited(self._stages(state)[state.stage], state)
            index = len(state.history.stages)
        else:
            tell_starts(self.observer, self.leg.restarts)
            stage, index = suited(shortened(self.plan.optimisers[0]), state.network.parameters), 0
        title = f"{stage.name}, {state.network.describe()}"
        state.under_way = state.under_way_of(plain, stage, index, title, self.plan)
        state.under_way.final = state.starts is None and index == self.plan.count - 1
        if state.starts is None:
            self.observer.stage(index, self.plan.count, title, stage.steps)
        self.observer.message(f"goes on after step {state.step}")
        return state

    def advance(self, state: TrainingState) -> TrainingState:
        """Take a state one step further: a step of its optimiser, or whatever comes next.

        Args:
            state: The state, which may be changed in place.

        Returns:
            The next state.

        Raises:
            ProblemError: The user's functions are not finite at the points.
        """
        if not state.weighed:
            return self._weigh(state)
        if state.under_way is not None:
            return self._step(state)
        if state.starts is not None:
            return self._next_start(state)
        stages = self._stages(state)
        if state.stage < len(stages):
            return self._next_stage(state, stages[state.stage])
        return self._next_leg(state)

    def interrupt(self, state: TrainingState) -> None:
        """Go back to the last good state; the history says that training was interrupted.

        Args:
            state: The state, which is changed in place.
        """
        state.go_back()
        if state.under_way is not None and state.starts is None:
            state.history.stages.append((state.under_way.title, "interrupted"))
        state.under_way = None
        state.history.interrupted = True
        self.observer.message("interrupted: kept the last good state")

    def stop(self, state: TrainingState, reason: str) -> None:
        """End training with the last good state, as if it had come to its end.

        Args:
            state: The state, which is changed in place.
            reason: Why, for the history.
        """
        state.go_back()
        title = state.under_way.title if state.under_way is not None else ""
        state.history.stages.append((title or "before the first stage", reason))
        if state.starts:
            state.solution.network = best_of(state.starts, self.observer)
        state.under_way, state.starts, state.finished = None, None, True
        self.observer.message(f"{reason}: kept the last good state")

    def result(self, state: TrainingState) -> Composition:
        """The solution of a state, which stands still after the time to which training came.

        Args:
            state: The state.
        """
        spans = list(state.done)
        if state.leg >= len(self.path):
            spans.append(state.solution)
        if not spans:  # of the path to the problem asked for
            part = span(self.problem, 0, self.plan.spans, None)
            spans.append(self._space_of(part).solution(state.network))
        return spans[0] if self.plan.spans == 1 else Spans(spans, self.plan.spans)

    # Legs

    def _begin_leg(
        self,
        number: int,
        network: Network,
        done: list[NetworkSolution],
        history: History,
        began: float,
    ) -> TrainingState:
        self.leg = self._leg(number, done)
        solution = self.leg.space.solution(network)
        points = self._points(solution)
        state = TrainingState(solution, points, self._balance(), history, began, number, done)
        state.step = history.records[-1].step if history.records else 0
        return state

    def _weigh(self, state: TrainingState) -> TrainingState:
        """Give conditions their weights, and see whether the user's functions are finite."""
        state.points.weights = balanced(state.points)
        check_terms(state.points.objective())
        state.weighed = True
        if self.leg.restarts > 1:
            state.starts = []
            tell_starts(self.observer, self.leg.restarts)
        return state

    def _next_leg(self, state: TrainingState) -> TrainingState:
        """Go on with the next problem or span, or finish."""
        if state.leg == self.plan.legs - 1:
            state.finished = True
            return state
        if state.leg < len(self.path):
            done, network = state.done, state.network
        else:
            done, network = [*state.done, state.solution], self._copy(state.network)
        return self._begin_leg(state.leg + 1, network, done, state.history, state.began)

    def _leg(self, number: int, done: list[NetworkSolution]) -> Leg:
        """The problem on the way of that number, or, after these, the span of time."""
        plan, k = self.plan, number - len(self.path)
        if k < 0:
            problem = span(self.path[number], 0, plan.spans, None)
            stages, restarts = plan.stages[:1], 1
        else:
            problem = span(self.problem, k, plan.spans, done[-1] if done else None)
            stages = plan.last_stages if k else plan.stages
            restarts = 1 if number else plan.restarts
        return leg_of(problem, self._space_of(problem), stages, restarts)

    def _space_of(self, problem: Problem) -> TrialSpace:
        return self.space if problem is self.problem else self.space.over(problem)

    def _stages(self, state: TrainingState) -> tuple[Stage, ...]:
        """The stages of this leg, with the rounds that were asked for besides."""
        return (*self.leg.stages, *[self.plan.round] * state.rounds)

    def _points(self, solution: NetworkSolution) -> Collocation | Samples:
        plan, problem = self.plan, self.leg.problem
        assert problem is not None
        return Collocation(
            problem, solution, plan.points, plan.seed, plan.sampler, plan.data, plan.crowding
        )

    def _balance(self) -> Balance:
        time_name = self.leg.space.domain.time
        return Balance(self.plan.balance, self.plan.causal, time_name, memory=0.9)

    def _copy(self, network: Network) -> Network:
        return replace(network, theta=network.theta.clone())

    # Random starts

    def _next_start(self, state: TrainingState) -> TrainingState:
        """Begin the first stage with another random network, or go on with the best one."""
        assert state.starts is not None
        number = len(state.starts)
        if number == self.leg.restarts:
            state.solution.network = best_of(state.starts, self.observer)
            state.keep()
            state.starts = None
            return state
        state.solution.network = self._random(number)
        stage = suited(shortened(self.plan.optimisers[0]), state.network.parameters)
        objective = state.points.objective()
        state.under_way = UnderWay(stage, 0, "", objective, objective, stage.begin(objective))
        return state

    def _random(self, start: int) -> Network:
        """The network of a random start; the first start is that of the training."""
        if start == 0:
            return self._copy(self.first)
        generator = torch.Generator().manual_seed(self.plan.seed + 7919 * start)
        return self.space.initial(generator).to(self.plan.device, self.plan.dtype)

    def _step_of_start(self, state: TrainingState, going: UnderWay) -> TrainingState:
        assert state.starts is not None
        if going.advance() is None:
            going.taken += 1
            return state
        loss = going.carried.loss
        state.starts.append((loss if math.isfinite(loss) else math.inf, state.network))
        state.under_way = None
        return state

    # Stages

    def _next_stage(self, state: TrainingState, stage: Stage) -> TrainingState:
        """Change the network, or begin an optimiser on fresh points."""
        if isinstance(stage, Change):
            return self._change(state, stage)
        stage = self._suited(stage, state)
        if isinstance(stage, Sparsify):
            state.dense = state.dense or replace(state.network)
        title = f"{stage.name}, {state.network.describe()}"
        try:
            state.under_way = self._begun(state, stage, title)
        except KeyboardInterrupt:
            state.history.stages.append((title, "interrupted"))
            raise
        return state

    def _begun(self, state: TrainingState, stage: Optimiser, title: str) -> UnderWay:
        """An optimiser before its first step."""
        index = len(state.history.stages)
        self.observer.stage(index, self.plan.count, title, stage.steps)
        objective = state.points.objective()
        fresh = state.points.fresh()
        state.balance(objective)
        final = index == self.plan.count - 1
        carried = stage.begin(objective)
        return UnderWay(stage, index, title, objective, fresh, carried, 0, final)

    def _suited(self, stage: Stage, state: TrainingState) -> Optimiser:
        """The optimiser, or one without a dense matrix for a large network."""
        assert not isinstance(stage, Change)
        found = suited(stage, state.network.parameters)
        if found is not stage:
            self.observer.message(
                f"{state.network.parameters:,} parameters: {found.name}, conjugate gradients, in"
                f" place of {stage.name}'s dense matrix"
            )
        return found

    def _step(self, state: TrainingState) -> TrainingState:
        """One step of the optimiser at work.

        The points are redrawn by the residual when the network does better on them than elsewhere.
        """
        going = state.under_way
        assert going is not None
        if state.starts is not None:
            return self._step_of_start(state, going)
        objective, stage = going.objective, going.stage
        reason = going.advance()
        if reason is not None:
            if not math.isfinite(objective.loss()):
                reason = f"the residual is not finite any more; {reason}"
            return self._ended(state, going, reason)
        loss = going.carried.loss
        going.taken, state.step = going.taken + 1, state.step + 1
        if not math.isfinite(loss):
            state.go_back()
            return self._ended(
                state, going, f"loss became {loss}: went back to the last good state"
            )
        state.keep()
        watched = going.taken % WATCH == 0
        fresh = going.fresh if watched or going.taken == 1 else None
        record = self._watch(state, going.index, loss, fresh)
        if watched and (met := self._good_enough(state)):
            return self._ended(state, going, met, goes_on=False)
        if stage.name in FRESH_EACH_STEP and watched:
            self._redraw(state, going, record)
            state.balance(objective)
        return state

    def _redraw(self, state: TrainingState, going: UnderWay, record: Record) -> None:
        """Other points where the residual on fresh ones is much larger, if it is worth while."""
        apart = self._apart(state, going, record)
        if apart > PARTED and going.taken <= going.stage.steps - 2 * WATCH:
            assert isinstance(state.points, Collocation)
            state.points.redraw(going.objective)
            self.observer.message(
                f"step {state.step}: residual on fresh points {apart:.0f} times that of training;"
                " points redrawn"
            )

    def _good_enough(self, state: TrainingState) -> str:
        """Why nothing more is done for this problem or span of time; empty where there is more."""
        problem = self.leg.problem
        if self.goal is None or problem is None or state.leg < len(self.path):
            return ""
        error = self.goal.error(problem, state.solution)
        if not error <= self.goal.tolerance:  # written so that nan is not good enough
            return ""
        return f"{error:.1e} by the {self.goal.judge}: the tolerance is met"

    def _ended(
        self, state: TrainingState, going: UnderWay, reason: str, goes_on: bool = True
    ) -> TrainingState:
        """The stage is over, and where training does not go on all others of this leg are."""
        records = state.history.records
        loss = records[-1].loss if records else math.nan
        self._watch(state, going.index, loss, going.fresh, last=True)
        self.observer.message(f"{going.title}: {reason}")
        state.history.stages.append((going.title, reason))
        if not isinstance(going.stage, Sparsify):
            state.dense = None
        state.under_way, state.stage = None, state.stage + 1
        if not goes_on:
            state.stage = len(self._stages(state))
        return state

    def _change(self, state: TrainingState, stage: Change) -> TrainingState:
        """Another network with the same function: refitted, wider, deeper, or pruned; or the same
        one where it cannot be."""
        title, reason, before = title_of(stage), "interrupted", state.network
        try:
            done = changed(state, stage, self.leg, self.plan.seed, self.observer)
            state.keep()
            reason = f"{state.network.parameters} parameters, {done}"
        except RunError as error:
            reason = f"left as it was: {error}"
            self.observer.message(f"{title}: {reason}")
        finally:
            state.history.stages.append((title, reason))
        state.dense, state.stage = None, state.stage + 1
        if isinstance(stage, Refine) and state.network is before:
            self._leave_out(state)
        return state

    def _leave_out(self, state: TrainingState) -> None:
        """Leave out all up to the last refinement, where one found that nothing is needed."""
        stages = self._stages(state)
        last = max(k for k, stage in enumerate(stages) if isinstance(stage, Refine))
        for stage in stages[state.stage : last + 1]:
            state.history.stages.append(
                (show_schedule([stage]), f"left out: {NOT_NEEDED} any more")
            )
        state.stage = max(state.stage, last + 1)

    # Watching

    def _watch(
        self,
        state: TrainingState,
        index: int,
        loss: float,
        fresh: Objective | None,
        last: bool = False,
    ) -> Record:
        """A record of this step; the last one of a stage takes the place of that of its step."""
        found = Record(
            step=state.step,
            stage=index,
            seconds=time.perf_counter() - state.began,
            loss=loss,
            fresh=math.nan if fresh is None else fresh.loss(),
            error=math.nan if fresh is None else self.leg.error(state.solution),
            parameters=state.network.parameters,
            values=state.solution.numbers(),
        )
        records = state.history.records
        if last and records and records[-1].step == found.step:
            records[-1] = found
        else:
            records.append(found)
        self.observer.step(found)
        return found

    def _apart(self, state: TrainingState, going: UnderWay, record: Record) -> float:
        """The residual on fresh points over that on the points of training, both without
        weights."""
        problem, objective = self.leg.problem, going.objective
        assert problem is not None
        interior = objective.terms[: len(problem.groups)]
        if interior[0].weights is None and not problem.data:
            return record.fresh / max(record.loss, 1e-300)
        bare = [replace(t, weights=None) for t in interior]
        return record.fresh / max(Objective(objective.network, bare).loss(), 1e-300)
