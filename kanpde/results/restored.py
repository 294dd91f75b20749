"""The solution that a checkpoint holds: layers, or a product of splines."""

from __future__ import annotations

from typing import Any

from kanpde.networks.restore import restore
from kanpde.networks.solution import Solution
from kanpde.problem.problem import Problem
from kanpde.products import solution


def restored(problem: Problem, state: dict[str, Any]) -> Solution:
    """What was found for a problem.

    Args:
        problem: The problem that was solved.
        state: What `Solution.state` gave.

    Raises:
        RunError: The state does not fit.
    """
    if state.get("kind") == solution.KIND:
        return solution.restored(problem, state)
    return restore(problem, state)
