"""The verdict on a solution: converged or not, by which judge, why, and what to try.

There is one rule, `judge`. Terminal, JSON, reports, notebooks and exports show what it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

CONVERGED: Final = "converged"
LIMITED: Final = "limited by its reference"
NOT_CONVERGED: Final = "not converged"
NOT_JUDGED: Final = "not judged"

STATUSES = (CONVERGED, LIMITED, NOT_CONVERGED, NOT_JUDGED)
"""What a verdict can be."""

BY_EXACT: Final = "exact solution"
BY_REFERENCE: Final = "reference"
NOBODY: Final = "none"

JUDGES = (BY_EXACT, BY_REFERENCE, NOBODY)
"""Who judges, the best first."""

GOOD_ENOUGH = 1e-2
"""Relative error up to which a solution has converged."""

INDISTINCT = 2.0
"""A distance to the reference of so many times the reference's own error at most says nothing about
which of the two is the more accurate."""

ACCURATE_REFERENCE = 1e-6
"""Estimated error of a reference below which nobody asks for a better one."""

USUAL_CURES = (
    "a wider or deeper network (--width 8,8)",
    "a finer last --grid",
    "more --points",
    "another --seed",
)
"""For a solution that has not converged, where nothing else is known about it."""

BETTER_JUDGE = ("--effort record", "give exact=")
"""Where the reference is too coarse to judge."""


@dataclass(frozen=True)
class Diagnosis:
    """Something that was seen in a solution and that should not be there.

    Attributes:
        reason: What was seen.
        cures: What to try, the most promising first.
    """

    reason: str
    cures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What is to be believed of a solution.

    Attributes:
        status: One of `STATUSES`.
        judge: Who says so, one of `JUDGES`.
        reason: Why, in a sentence without its full stop.
        cures: What to try, the most promising first.
    """

    status: str
    judge: str
    reason: str
    cures: tuple[str, ...] = ()

    def __str__(self) -> str:
        tried = f"; try {', or '.join(self.cures)}" if self.cures else ""
        return f"{self.status}: {self.reason}{tried}"

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "status": self.status,
            "judge": self.judge,
            "reason": self.reason,
            "cures": list(self.cures),
        }

    @classmethod
    def from_plain(cls, found: Mapping[str, Any]) -> Verdict:
        """The verdict of which `plain` gave the values.

        Args:
            found: What `plain` gave.

        Raises:
            ValueError: A value is none that a verdict can have.
            KeyError: A value is missing.
            TypeError: It holds values of other kinds.
        """
        status, judge, reason, cures = (found[k] for k in ("status", "judge", "reason", "cures"))
        if status not in STATUSES or judge not in JUDGES:
            raise ValueError(f"a verdict {status!r:.40} by {judge!r:.40}")
        if not isinstance(reason, str) or not all(isinstance(cure, str) for cure in cures):
            raise ValueError("a verdict whose reason and cures are no words")
        return cls(status, judge, reason, tuple(cures))


NOT_YET = Verdict(NOT_JUDGED, NOBODY, "nobody has judged it yet")
"""Of a result that is being made."""


def judge(
    exact: float | None = None,
    distance: float | None = None,
    own: float | None = None,
    *,
    complete: bool = True,
    note: str = "",
    interrupted: bool = False,
    seen: Sequence[Diagnosis] = (),
) -> Verdict:
    """The verdict on a solution.

    The error is known against the exact solution. Against a reference it lies between the distance
    less and plus the reference's own error: a solution has converged where even the larger of these
    is small, and has not where even the smaller is large.

    Args:
        exact: Relative error against the exact solution, None where that is not known.
        distance: Relative distance to the reference, None where there is none.
        own: The reference's own error, as it estimates it.
        complete: Whether the exact solution is known for all unknowns; the reference judges where
            it is not, unless those that are known are wrong already.
        note: Why there is no reference.
        interrupted: Whether training, or the reference, was interrupted.
        seen: What else was seen, the most important first.

    Returns:
        The verdict, with reason and cures of what was seen.
    """
    if interrupted:
        return Verdict(NOT_JUDGED, NOBODY, "interrupted", ("--resume",))
    if exact is not None and (complete or distance is None or not exact <= GOOD_ENOUGH):
        # written so that nan has not converged
        status = CONVERGED if exact <= GOOD_ENOUGH else NOT_CONVERGED
        found = Verdict(status, BY_EXACT, f"{percent(exact)} from the exact solution")
    elif distance is not None and own is not None:
        found = _by_reference(distance, own)
    else:
        found = Verdict(NOT_JUDGED, NOBODY, f"no reference: {note}" if note else "no reference")
    cures = [cure for each in seen for cure in each.cures] + list(found.cures)
    if found.status == NOT_CONVERGED and not cures:
        cures = list(USUAL_CURES)
    reasons = [found.reason, *(each.reason for each in seen)]
    return Verdict(found.status, found.judge, "; ".join(reasons), tuple(dict.fromkeys(cures)))


def _by_reference(distance: float, own: float) -> Verdict:
    """The verdict of a reference alone."""
    away = f"{percent(distance)} from the reference, whose own error is about {own:.1e}"
    if not math.isfinite(own):
        return Verdict(LIMITED, BY_REFERENCE, f"{away}: not known", BETTER_JUDGE)
    if not distance - own <= GOOD_ENOUGH:
        return Verdict(NOT_CONVERGED, BY_REFERENCE, away)
    if distance + own > GOOD_ENOUGH:
        return Verdict(LIMITED, BY_REFERENCE, f"{away}: too large to tell", BETTER_JUDGE)
    if distance <= INDISTINCT * own and own >= ACCURATE_REFERENCE:
        return Verdict(
            LIMITED, BY_REFERENCE, f"{away}, so that the solution may be better", BETTER_JUDGE
        )
    return Verdict(CONVERGED, BY_REFERENCE, away)


def percent(error: float) -> str:
    """A relative error in per cent where it is large, and as a power of ten where it is small.

    Args:
        error: The error, 1 for 100 %.
    """
    return f"{100 * error:.2g} %" if error > GOOD_ENOUGH else f"{error:.1e}"
