"""Where a warm start comes from: the solution of another run, of a problem near to this one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kanpde.errors import RunError, listed
from kanpde.networks.solution import Solution
from kanpde.problem.problem import Problem
from kanpde.results.result import Result
from kanpde.runs.folder import load

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Started:
    """What a run begins from.

    Attributes:
        solution: Of a problem near to this one.
        request: Which run it is of, plain values; None where it was never written.
    """

    solution: Solution
    request: dict[str, Any] | None


def started(start: str | Path | Result, problem: Problem) -> Started:
    """The solution that a run begins from.

    Args:
        start: The folder of a run, or its result.
        problem: What is to be solved.

    Raises:
        RunError: It is no run, its problem was not found again, or it is of other coordinates or
            unknowns.
    """
    if not isinstance(start, str | Path | Result):
        raise RunError(
            f"start: got {type(start).__name__}; expected the folder of a run, or a result"
        )
    result = start if isinstance(start, Result) else load(start)
    where = result.run_dir if isinstance(start, Result) else Path(start)
    if result.problem is None or result.solution is None:
        raise RunError(
            f"start: the problem of {where} was not found again; expected a result that has it,"
            f" kanpde.load({str(where)!r}, problem=…)"
        )
    ways = {
        "coordinates": (result.problem.coordinates, problem.coordinates),
        "unknowns": (result.problem.copies, problem.copies),
    }
    for what, (came, own) in ways.items():
        if tuple(came) != tuple(own):
            raise RunError(
                f"start: {where or result.name} has the {what} {listed(came)}; expected a run of"
                f" {listed(own)}"
            )
    request = None
    if where is not None:
        digest = hashlib.sha256((where / CHECKPOINT).read_bytes()).hexdigest()
        request = {"run": str(where.resolve()), "checkpoint": digest}
    return Started(result.solution, request)


def kept_of(before: Started | None) -> dict[str, Any]:
    """What a run's request says of what it begins from; nothing where that is nothing.

    Args:
        before: What it begins from.
    """
    return {} if before is None else {"start": before.request or {}}
