"""What every way to find a solution has in common: states, each taken a step further, that a file
can hold.

There are two: the training of layers, stage after stage (loop.py), and the refinement of products
(refinement.py). Whoever keeps states, shows progress or ends a run does so between two steps, and
need not know which of the two it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from kanpde.networks.solution import Solution
from kanpde.problem.problem import Problem
from kanpde.training.history import History
from kanpde.training.shards import anybody

TIME_IS_UP = "the time is up"
"""Why a stage ended that was given no more time."""


class MethodState(Protocol):
    """Where a method is."""

    finished: bool
    """Whether nothing is left to do."""

    history: History
    """What was done."""

    @property
    def keepable(self) -> bool:
        """Whether `plain` can be asked for now."""

    @property
    def last(self) -> bool:
        """Whether no step comes after this one."""

    def plain(self) -> dict[str, Any]:
        """Tensors, plain values, and lists, tuples and dicts of them, from which `Method.resumed`
        makes the state again."""


S = TypeVar("S", bound=MethodState)


class Method(Protocol[S]):
    """A way to find a solution."""

    def begin(self) -> S:
        """The state before anything is done."""

    def resumed(self, plain: dict[str, Any]) -> S:
        """The state of which `plain` was made, from which the method goes on with the same bits.

        Args:
            plain: What `plain` gave.
        """

    def advance(self, state: S) -> S:
        """Take a state one step further.

        Args:
            state: The state, which may be changed in place.
        """

    def interrupt(self, state: S) -> None:
        """End with what there is; the history says that the run was interrupted.

        Args:
            state: The state, which is changed in place.
        """

    def stop(self, state: S, reason: str) -> None:
        """End with what there is, as if the method had come to its end.

        Args:
            state: The state, which is changed in place.
            reason: Why, for the history.
        """

    def result(self, state: S) -> Solution:
        """The solution of a state.

        Args:
            state: The state.
        """


class Goal(Protocol):
    """When a solution is good enough."""

    @property
    def tolerance(self) -> float:
        """Error at which it is."""

    @property
    def judge(self) -> str:
        """Who measures the error, in words."""

    def error(self, problem: Problem, solution: Solution) -> float:
        """The error of a candidate; nan where it is not known.

        Args:
            problem: What it is a candidate of: the whole problem, or a span of its time.
            solution: The candidate.
        """


def carry_out(
    method: Method[S],
    state: S,
    consume: Callable[[S], None] | None = None,
    until: float = math.inf,
) -> S:
    """State after state until the method has finished, its time is up, or Ctrl-C ends it with what
    there is.

    Args:
        method: What takes a state further.
        state: The first state.
        consume: Is given every state; may raise KeyboardInterrupt to end.
        until: When the time is up, on the clock of `time.perf_counter`.
    """
    try:
        while not state.finished:
            state = method.advance(state)
            if consume is not None:
                consume(state)
            if not state.finished and anybody(time.perf_counter() > until):
                method.stop(state, TIME_IS_UP)
    except KeyboardInterrupt:
        if time.perf_counter() > until:
            method.stop(state, TIME_IS_UP)
        else:
            method.interrupt(state)
    return state
