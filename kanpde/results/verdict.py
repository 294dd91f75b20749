"""The verdict on a solution: converged or not, by which judge, why, and what to try.

There is one rule, `judging.judge`. Terminal, JSON, reports, notebooks and exports show what it
says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
BY_ESTIMATE: Final = "solution's own estimate"
BY_RESIDUAL: Final = "residual"
NOBODY: Final = "none"

JUDGES = (BY_EXACT, BY_REFERENCE, BY_ESTIMATE, BY_RESIDUAL, NOBODY)
"""Who judges, the best first."""

GOOD_ENOUGH = 1e-2
"""Error, over an unknown's own variation, up to which a solution has converged."""

UNMET = 0.1
"""Residual, over the size of its terms, from which an equation or a condition is plainly not
met."""


@dataclass(frozen=True)
class Diagnosis:
    """Something that was seen in a solution and that should not be there.

    Attributes:
        reason: What was seen.
        cures: What to try, the most promising first.
        elsewhere: Whether what is wrong is not the network, so that more work on it is in vain.
    """

    reason: str
    cures: tuple[str, ...] = ()
    elsewhere: bool = False


@dataclass(frozen=True)
class Asked:
    """A tolerance that was asked for, and what the solution itself says of it.

    Attributes:
        tolerance: Error, over an unknown's own variation, that a solution may have.
        estimate: What the solution says of its own error; nan where it says nothing.
        missed: What missed the tolerance by that estimate, in words; empty where nothing did.
        usual: Whether nobody asked for it: it is the usual one, up to which products are refined.
            A solution that misses it may still have converged.
        less: The tolerance that it meets in the place of this one, by that estimate; nan for none.
    """

    tolerance: float
    estimate: float = math.nan
    missed: str = ""
    usual: bool = False
    less: float = math.nan


@dataclass(frozen=True)
class Kept:
    """Whether a tolerance is met.

    Attributes:
        asked: The tolerance.
        met: Whether it is met; None where nobody can tell.
        by: Who says so, one of `JUDGES`.
        error: What that judge says of the error; nan where it says nothing.
        estimate: What the solution says of its own error; nan where it says nothing.
        less: The tolerance that it meets in the place of this one, by that estimate, and that
            nobody contradicts; nan for none.
    """

    asked: float
    met: bool | None
    by: str
    error: float
    estimate: float = math.nan
    less: float = math.nan

    @property
    def words(self) -> str:
        """Whether it is met, in words."""
        if self.met is None:
            return f"nobody can tell whether the tolerance {self.asked:g} is met"
        size = "" if math.isnan(self.error) else f" ({self.error:.1e})"
        done = "meets" if self.met else "misses"
        rest = "" if math.isnan(self.less) else f", and meets {self.less:g} by its own estimate"
        return f"it {done} the tolerance {self.asked:g} by the {self.by}{size}{rest}"

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        found = {**vars(self), "error": _finite(self.error), "estimate": _finite(self.estimate)}
        if math.isnan(found.pop("less")):
            return found
        return {**found, "less": self.less}

    @classmethod
    def from_plain(cls, found: Mapping[str, Any]) -> Kept:
        """What `plain` gave the values of.

        Args:
            found: What `plain` gave.

        Raises:
            ValueError: A value is none that it can have.
            KeyError: A value is missing.
            TypeError: A value is of another kind.
        """
        said, by = found["met"], found["by"]
        if said not in (True, False, None) or by not in JUDGES:
            raise ValueError(f"a tolerance that is met: {said!r:.40}, says {by!r:.40}")
        error, estimate = (
            math.nan if found[name] is None else float(found[name])
            for name in ("error", "estimate")
        )
        less = float(found.get("less", math.nan))
        return cls(float(found["asked"]), said, by, error, estimate, less)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Verdict:
    """What is to be believed of a solution.

    Attributes:
        status: One of `STATUSES`.
        judge: Who says so, one of `JUDGES`.
        reason: Why, in a sentence without its full stop.
        cures: What to try, the most promising first.
        tolerance: Whether the tolerance is met that was asked for; None where none was.
    """

    status: str
    judge: str
    reason: str
    cures: tuple[str, ...] = ()
    tolerance: Kept | None = None

    @property
    def converged(self) -> bool:
        """Whether the solution has converged, as far as its judge can tell."""
        return self.status == CONVERGED

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
            **({} if self.tolerance is None else {"tolerance": self.tolerance.plain()}),
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
        asked = found.get("tolerance")
        return cls(
            status, judge, reason, tuple(cures), None if asked is None else Kept.from_plain(asked)
        )


NOT_YET = Verdict(NOT_JUDGED, NOBODY, "nobody has judged it yet")
"""Of a result that is being made."""


def percent(error: float) -> str:
    """A relative error in per cent where it is large, and as a power of ten where it is small.

    Args:
        error: The error, 1 for 100 %.
    """
    if not error > GOOD_ENOUGH:
        return f"{error:.1e}"
    return f"{100 * error:,.0f} %" if 1 <= error < 1e4 else f"{100 * error:.2g} %"
