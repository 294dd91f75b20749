"""What a reference says of a solution: finite differences of its problem, or why there are none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kanpde.errors import KanpdeError, SolutionDoubtful, SolutionEnds, first_line
from kanpde.networks.solution import Solution
from kanpde.problem.determined import found_without_data
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem
from kanpde.reference import Reference
from kanpde.reference import reference as finite_differences
from kanpde.results.fields import against_reference, like, relative_l2
from kanpde.results.gaps import Gap, gaps, gaps_of_numbers, own_errors
from kanpde.results.members import against_members
from kanpde.training.history import History, Observer


@dataclass(frozen=True)
class Judged:
    """What a reference says of a solution.

    Attributes:
        reference: The reference; None where there is none.
        note: Why there is none.
        distance: Relative distance to it, of all unknowns together.
        gaps: The distances by unknown.
        doubtful: Whether there is none since there seems to be no solution.
        ends: Whether there is none since the solution ends before its time does.
    """

    reference: Reference | None = None
    note: str = ""
    distance: float | None = None
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    doubtful: bool = False
    ends: bool = False


def compared(
    problem: Problem,
    solution: Solution,
    history: History,
    known: bool | Reference,
    how: Mapping[str, Any],
    observer: Observer,
) -> Judged:
    """The reference, or why there is none, and the distance to it. Whatever it meets, the run goes
    on.

    Args:
        problem: What was solved.
        solution: What was found.
        history: What was done, which says that it was interrupted where this is.
        known: The reference where that is known; else it is computed.
        how: The effort and the method of a reference, as `reference` takes them.
        observer: Who watches.
    """
    if history.interrupted:
        return Judged(note="interrupted")
    found_from_data = problem.parameters and not found_without_data(problem)
    if found_from_data and any(isinstance(p, Field) for p in problem.parameters):
        return Judged(note="its coefficients are unknown fields")
    try:
        if found_from_data:
            problem = problem.settled(solution.numbers())
        if isinstance(known, bool):
            observer.message("computing the reference")
            known = finite_differences(problem, **how)
        if known.members:
            distance, near = against_members(solution, known)
        else:
            known = like(solution, known, problem)
            found, values = against_reference(solution, known)
            distance, own = relative_l2(found, values), own_errors(known)
            near = gaps(found, values, own)
            near |= gaps_of_numbers(solution.numbers(), known.numbers, own)
    except KeyboardInterrupt:
        history.interrupted = True
        return Judged(note="interrupted")
    except KanpdeError as reason:
        return Judged(
            note=str(reason),
            doubtful=isinstance(reason, SolutionDoubtful),
            ends=isinstance(reason, SolutionEnds),
        )
    except MemoryError:
        return Judged(note="it does not fit into memory")
    except Exception as error:  # whatever it is, the training is not lost for it
        return Judged(note=f"it failed: {first_line(error)}")
    if not math.isfinite(distance):
        return Judged(note="its values are not finite")
    return Judged(known, "", distance, near)
