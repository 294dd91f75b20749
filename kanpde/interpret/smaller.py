"""The result of a smaller network for a problem that is solved already: what it has of the first
one, and what is measured anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kanpde.errors import RunError
from kanpde.networks.solution import Solution
from kanpde.problem.problem import Problem
from kanpde.results.fields import Values, against_exact, against_reference, errors_between
from kanpde.results.gaps import gaps, matter, own_errors
from kanpde.results.residuals import met
from kanpde.results.result import Result
from kanpde.training.history import History

SETTINGS_KEPT = ("seed", "device", "dtype", "points", "sampler")
"""Settings of the first run that hold for the smaller one."""


def at_hand(result: Result) -> tuple[Problem, Solution]:
    """The problem and the solution of a result.

    Args:
        result: The result.

    Raises:
        RunError: The problem's file is gone.
    """
    problem, solution = result.problem, result.solution
    if problem is None or solution is None:
        raise RunError(
            f"{result.run_dir}: the problem {result.name!r} was not found again; pass it to"
            " kanpde.load first"
        )
    return problem, solution


def result_of(
    before: Result,
    solution: Solution,
    history: History,
    settings: Mapping[str, Any],
    seconds: float,
) -> Result:
    """The new result: errors against the exact solution and against the reference of the first.

    Args:
        before: The first result.
        solution: The smaller one's solution.
        history: How that was found.
        settings: What is to be known of it besides the settings that both have.
        seconds: How long it took.
    """
    problem, _ = at_hand(before)
    reference, found = before.reference, met(problem, solution)
    against = against_exact(problem, solution)
    near: tuple[Values, Values] = ({}, {})
    if reference is not None:
        near = against_reference(solution, reference)
    kept = {key: before.settings[key] for key in SETTINGS_KEPT if key in before.settings}
    return Result(
        problem,
        solution,
        history,
        {**kept, **settings},
        seconds,
        *errors_between(*against),
        reference,
        before.reference_note,
        errors_between(*near)[0],
        errors=matter(gaps(*against), found.amplitudes),
        reference_errors=matter(
            gaps(*near, own_errors(reference) if reference else None), found.amplitudes
        ),
        met=found,
        doubtful=before.doubtful,
        ends=before.ends,
        numbers=solution.numbers() if before.numbers else {},
    )
