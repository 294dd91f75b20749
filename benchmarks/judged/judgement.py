"""One problem solved, its verdict, and the truth."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as each
from typing import Any

import numpy as np

from benchmarks.judged.registry import Entry
from benchmarks.judged.truths import IndependentTruth
from benchmarks.rows import load
from kanpde import Result, solve
from kanpde.errors import KanpdeError, ProblemWarning
from kanpde.provenance import provenance

COMFORT, ALARM = "false comfort", "false alarm"
"""How a verdict can break the rule."""

ALLOWED = 10.0
"""A true error so many times the claimed one is a lie."""

SMALL = 1e-4
"""A true error below which nothing should be called not converged."""


@dataclass(frozen=True)
class Judgement:
    """What is known of one problem, plain values as a file holds them.

    Attributes:
        problem: Its name.
        units: In which it was posed.
        field: Of the file that it is in.
        effort: With which it was solved.
        seed: Of the network.
        refused: The message with which it was refused; "" where it was solved.
        late: Why it was stopped before it ended; "" where it was not.
        verdict: One of the statuses that a verdict can have.
        reason: Why, in kanpde's words.
        distance: From its judge, as kanpde says it.
        own: The judge's own error, as kanpde says it.
        errors: True errors by unknown, over how much each varies; None for what is not finite.
        doubts: How far off the truth may be, likewise.
        truth: How the truth came; "" where there is no solution.
        seconds: Of the whole solve, its reference included.
        provenance: What was run where.
    """

    problem: str
    units: str
    field: str
    effort: str
    seed: int = 0
    refused: str = ""
    late: str = ""
    verdict: str = ""
    reason: str = ""
    distance: float | None = None
    own: float | None = None
    errors: Mapping[str, float | None] = each(default_factory=dict)
    doubts: Mapping[str, float] = each(default_factory=dict)
    truth: str = ""
    seconds: float = 0.0
    provenance: Mapping[str, Any] = each(default_factory=dict)

    @property
    def claimed(self) -> float | None:
        """The largest error that kanpde's judge allows for: the distance and its own error."""
        if self.distance is None:
            return None
        return self.distance + (self.own or 0.0)

    @property
    def error(self) -> float:
        """The true error of the worst unknown; infinite where there is no solution at all."""
        known = [math.inf if e is None else e for e in self.errors.values()]
        return max(known, default=math.inf)

    @property
    def least(self) -> float:
        """The same where the truth is as wrong as it may be, in favour of the verdict."""
        known = [
            math.inf if e is None else e - self.doubts.get(u, 0.0) for u, e in self.errors.items()
        ]
        return max(known, default=math.inf)

    @property
    def breaks(self) -> str:
        """How the verdict breaks the rule; "" where it does not."""
        if self.verdict == "converged":
            return "" if self.least <= ALLOWED * (self.claimed or 0.0) else COMFORT
        known = [
            math.inf if e is None else e + self.doubts.get(u, 0.0) for u, e in self.errors.items()
        ]
        small = max(known, default=math.inf) < SMALL
        return ALARM if self.verdict == "not converged" and small else ""


def judged(entry: Entry, effort: str = "default", seed: int = 0) -> Judgement:
    """Pose a problem, solve it, and compare what kanpde says of the solution with the truth.

    Args:
        entry: The problem in its units.
        effort: With which it is solved.
        seed: Of the network.
    """
    about = {**provenance(), "load": load()}
    row: dict[str, Any] = {
        "problem": entry.name,
        "units": entry.units,
        "field": entry.field,
        "effort": effort,
        "seed": seed,
        "provenance": about,
    }
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ProblemWarning)
            posed = entry.pose()
            result = solve(posed.problem, effort=effort, seed=seed, pictures=False)
    except KanpdeError as refusal:
        return Judgement(**row, refused=str(refusal), seconds=time.perf_counter() - began)
    seconds = time.perf_counter() - began
    truth = posed.truth() if posed.truth else None
    return Judgement(
        **row,
        verdict=result.verdict.status,
        reason=str(result.verdict),
        **_claims(result),
        **({} if truth is None else _compared(result, truth)),
        seconds=seconds,
    )


def _claims(result: Result) -> dict[str, Any]:
    """What kanpde says of its distance from its judge, and of the judge's own error, of the unknown
    of which it claims the least."""
    gaps = [(gap.error, gap.uncertainty) for gap in result.reference_errors.values()]
    if not gaps:
        return {}
    distance, own = max(gaps, key=lambda gap: (not math.isfinite(sum(gap)), sum(gap)))
    return {"distance": _finite(distance), "own": _finite(own)}


def _compared(result: Result, truth: IndependentTruth) -> dict[str, Any]:
    """True errors, and how far off the truth may be."""
    given = result(**truth.points)
    values = given if isinstance(given, Mapping) else {result.unknowns[0]: given}
    found = {u: np.asarray(values[u]) for u in truth.values}
    return {
        "errors": {u: _finite(e) for u, e in truth.distances(found).items()},
        "doubts": {u: truth.error(u) for u in truth.values},
        "truth": truth.kind,
    }


def _finite(value: float | None) -> float | None:
    """A number as JSON can hold it."""
    return value if value is not None and math.isfinite(value) else None
