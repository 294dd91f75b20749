"""Refinement: a product of splines, attempt after attempt, until its own estimate of its error
meets the tolerance.

The mathematics is in `kanpde/products/`. Here stands what a run needs around it: the history, the
progress, and a state that a file can hold.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.sampling import inside_points
from kanpde.networks.solution import Solution
from kanpde.problem.problem import Problem
from kanpde.products.adaptive import adaptive
from kanpde.products.border import Coefficients
from kanpde.products.newton import LeastSquares
from kanpde.products.progress import Progress, Settings
from kanpde.products.solution import TensorSolution
from kanpde.training.history import History, Observer, Record
from kanpde.training.legs import TEST_SEED, TESTED

SHARES = 1000
"""Steps that the progress of a refinement is told in."""

WORK_FOR_LESS = 0.25
"""Of the work that may be spent on a tolerance, what may be on a looser one after it."""


@dataclass
class RefinementState:
    """All that a refinement goes on from.

    Attributes:
        progress: Where it is.
        history: What was done.
        began: When it began, on the clock of `time.perf_counter`.
        finished: Whether nothing is left to do.
        title: What the history calls the attempts under way.
        stopped: Why it ended before its end; empty where it did not.
        given_up: Why the tolerance was given up, and what is asked for in its place; empty where it
            was not.
    """

    progress: Progress
    history: History
    began: float
    finished: bool = False
    title: str = ""
    stopped: str = ""
    given_up: str = ""

    @property
    def missed(self) -> str:
        """What missed the tolerance, in words; empty where nothing did."""
        if self.stopped:
            return f"{self.title}: {self.stopped}"
        if self.given_up:
            return f"{self.given_up}, {self.progress.reason}"
        return self.progress.reason if self.progress.missed else ""

    @property
    def keepable(self) -> bool:
        """Always: progress is a value."""
        return True

    @property
    def last(self) -> bool:
        """Whether no step comes after this one."""
        return self.finished

    def plain(self) -> dict[str, Any]:
        """The state as a file holds it, from which `Refinement.resumed` makes it again."""
        return {
            "progress": self.progress.plain(),
            "history": self.history.plain(),
            "seconds": time.perf_counter() - self.began,
            "title": self.title,
            "given_up": self.given_up,
        }


class Refinement:
    """The refinement of a product of splines on a problem: from the first state to the last, step
    by step.

    A step is one of Newton's method, or the judgement of what it came to. The history has a record
    of each of the former, and a stage for every span of time and every mesh that was judged.

    Args:
        problem: What is to be solved.
        settings: How, and to which tolerance.
        observer: Who watches.
        start: The solution of a problem near to this one, to begin from; None for none.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        observer: Observer,
        start: Solution | None = None,
    ):
        self.problem, self.observer, self.start = problem, observer, start
        self._ask(settings)
        known = all(u in problem.exact for u in problem.unknowns)
        self._points = inside_points(problem.domain, TESTED, TEST_SEED)
        self._truth = self._exact() if known else None

    def begin(self) -> RefinementState:
        """The state before anything is done."""
        began = time.perf_counter()
        self._tell()
        progress = self.adaptive.begin()
        return RefinementState(progress, History(), began, title=progress.title)

    def resumed(self, plain: dict[str, Any]) -> RefinementState:
        """The state that `RefinementState.plain` made, from which it goes on with the same bits.

        Args:
            plain: What `plain` gave.
        """
        if given_up := plain.get("given_up", ""):
            self._ask(self._less)
        progress = Progress.from_plain(plain["progress"])
        history = History.from_plain(plain["history"])
        self._tell()
        self.observer.message(f"goes on after step {progress.step}")
        return RefinementState(
            progress,
            history,
            time.perf_counter() - plain["seconds"],
            progress.finished,
            plain["title"],
            given_up=given_up,
        )

    def advance(self, state: RefinementState) -> RefinementState:
        """Take a state one step further: a Newton step, or a judgement and what follows from it.

        Args:
            state: The state, which may be changed in place.

        Raises:
            ProblemError: The equations are singular, or not finite.
        """
        before, now = state.progress, self.adaptive.advance(state.progress)
        state.progress = now
        judged = now.finished or now.title != state.title
        if now.step > before.step:
            self._record(state)
        if judged:
            self._judged(state, before)
        state.finished = now.finished
        if now.hopeless and not now.lost and self.settings.less:
            return self._loosened(state)
        return state

    def interrupt(self, state: RefinementState) -> None:
        """End with what there is; the history says that the run was interrupted.

        Args:
            state: The state, which is changed in place.
        """
        state.history.stages.append((state.title, "interrupted"))
        state.history.interrupted = True
        self.observer.message("interrupted: kept what there is")

    def stop(self, state: RefinementState, reason: str) -> None:
        """End with what there is, as if the refinement had come to its end.

        Args:
            state: The state, which is changed in place.
            reason: Why, for the history.
        """
        state.history.stages.append((state.title, reason))
        state.finished, state.stopped = True, reason
        self.observer.message(f"{reason}: kept what there is")

    def result(self, state: RefinementState) -> TensorSolution:
        """The solution of a state, which stands still after the time to which it came.

        Args:
            state: The state.
        """
        return self.adaptive.solution(state.progress)

    def met_in_its_place(self, state: RefinementState) -> float:
        """The tolerance that is met in the place of one that was given up; nan where none is.

        Args:
            state: The last state.
        """
        met = state.given_up and state.progress.finished and not state.progress.missed
        return self.settings.tolerance if met else math.nan

    def squares(self, state: RefinementState) -> tuple[LeastSquares, Coefficients] | None:
        """What was lowered by the last attempt, with its coefficients, where data are part of it.

        Args:
            state: The last state.
        """
        at = state.progress.at
        if not self.problem.data or at is None or not state.progress.finished:
            return None
        return self.adaptive.lowered(state.progress), at.C

    def _ask(self, settings: Settings) -> None:
        """Ask for the tolerance of some settings from now on."""
        self.settings, self._first = settings, math.nan
        self.adaptive = adaptive(self.problem, settings, self.start)

    @property
    def _less(self) -> Settings:
        """The settings where products come to nothing."""
        work = WORK_FOR_LESS * self.settings.work
        return replace(self.settings, tolerance=self.settings.less, less=0.0, work=work)

    def _loosened(self, state: RefinementState) -> RefinementState:
        """The state from which less is asked for, since the tolerance is out of reach."""
        before = state.progress
        self._ask(self._less)
        given_up = f"{before.reason}; with {self.settings.tolerance:g} in its place"
        self.observer.message(given_up)
        self._tell()
        progress = replace(self.adaptive.begin(), step=before.step)
        return RefinementState(
            progress, state.history, state.began, title=progress.title, given_up=given_up
        )

    def _tell(self) -> None:
        title = f"tensor, degree {self.settings.degree}, to {self.settings.tolerance:g}"
        self.observer.stage(0, 1, title, SHARES)

    def _judged(self, state: RefinementState, before: Progress) -> None:
        """One more stage is over: a span of time, or a mesh."""
        now, records = state.progress, state.history.records
        if records:
            records[-1] = replace(
                records[-1],
                error=self._error(state),
                parameters=now.parameters,
                estimate=now.estimate,
                share=self._share(now),
            )
            self.observer.step(records[-1])
        words = now.reason if now.finished else f"estimated error {now.estimate:.1e}"
        state.history.stages.append((state.title, words))
        state.title = now.title
        if now.missed and not before.missed:
            self.observer.message(f"{words}: misses the tolerance {self.settings.tolerance:g}")

    def _record(self, state: RefinementState) -> None:
        now = state.progress
        found = Record(
            step=now.step,
            stage=len(state.history.stages),
            seconds=time.perf_counter() - state.began,
            loss=now.loss,
            parameters=now.parameters,
            estimate=now.estimate,
            share=self._share(now),
        )
        state.history.records.append(found)
        self.observer.step(found)

    def _share(self, now: Progress) -> float:
        """Of all that is to be done: of the time; of a steady problem, how far the estimate has
        fallen on its way to the tolerance."""
        done = self._done(now)
        if done is not None:
            return done
        if not 0 < now.estimate < math.inf:
            return 0.0
        self._first = now.estimate if math.isnan(self._first) else self._first
        way = math.log(self._first / self.settings.tolerance)
        gone = math.log(self._first / now.estimate)
        return min(max(gone / way, 0.0), 1.0) if way > 0 else 1.0

    def _done(self, now: Progress) -> float | None:
        """How much of the time is done; None where there is no time."""
        if self.problem.domain.time is None:
            return None
        low, high = self.problem.domain.bounds[self.problem.domain.time]
        return 0.0 if math.isnan(now.reached) else (now.reached - low) / (high - low)

    def _error(self, state: RefinementState) -> float:
        """Relative L2 against the exact solution in the time that is done; nan where that is not
        known, or nothing is done."""
        points, truth, now = self._points, self._truth, state.progress
        if truth is None:
            return math.nan
        if self.problem.domain.time is not None:
            done = points[:, -1] <= now.reached
            if not bool(done.any()):
                return math.nan
            points, truth = points[done], truth[done]
        found = self.result(state)(points).double().cpu()
        return float((found - truth).norm() / truth.norm())

    def _exact(self) -> Float[Tensor, "points unknowns"]:
        exact = self.problem.exact_values(self._points)
        return torch.stack([exact[u] for u in self.problem.unknowns], 1)
