"""The rule by which verdicts are made.

It looks at every unknown by itself, by its own variation; and where nobody else judges, or the
judge cannot tell, at whether the equations and conditions are met.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kanpde.results.gaps import Gap
from kanpde.results.residuals import Met
from kanpde.results.verdict import (
    BY_ESTIMATE,
    BY_EXACT,
    BY_REFERENCE,
    BY_RESIDUAL,
    CONVERGED,
    GOOD_ENOUGH,
    LIMITED,
    NOBODY,
    NOT_CONVERGED,
    NOT_JUDGED,
    UNMET,
    Asked,
    Diagnosis,
    Kept,
    Verdict,
    percent,
)

INDISTINCT = 2.0
"""A distance to the reference of so many times the reference's own error at most says nothing about
which of the two is the more accurate."""


ACCURATE_REFERENCE = 1e-6
"""Estimated error of a reference below which nobody asks for a better one."""


MOST_AT_A_POINT = 0.1
"""Share of its variation that a solution of many coordinates may be off by at a single point, where
a mean square says little about the parts that points seldom come to."""


USUAL_CURES = (
    "a wider or deeper network (--width 8,8)",
    "a finer last --grid",
    "more --points",
    "another --seed",
)
"""For a solution that has not converged, where nothing else is known about it."""


SOLVABLE = ("check that there is a solution: signs, constants, how far coordinates reach",)
"""Where there seems to be no solution."""


FINER = ("a larger --tolerance", "more cells at most (--with cells=2000)")
"""For a solution that misses its tolerance by its own estimate."""


OTHERWISE_MET = ("--network kan", "more cells at most (--network tensor --with cells=2000)")
"""For one that misses the tolerance of its effort, where nobody gave one."""


SHARPER = ("a smaller --tolerance",)
"""For one whose own estimate is too good."""


BETTER_JUDGE = ("--effort record", "give exact=")
"""Where the reference is too coarse to judge."""


def judge(
    exact: Mapping[str, Gap] | None = None,
    near: Mapping[str, Gap] | None = None,
    *,
    complete: bool = True,
    met: Met | None = None,
    note: str = "",
    doubt: str = "",
    doubtful: bool = False,
    ends: bool = False,
    interrupted: bool = False,
    seen: Sequence[Diagnosis] = (),
    effort: str = "",
    asked: Asked | None = None,
) -> Verdict:
    """The verdict on a solution.

    The error is known against the exact solution. Against a reference it lies between the distance
    less and plus the reference's own error: a solution has converged where even the larger of these
    is small, and has not where even the smaller is large. The worst unknown counts. Where there is
    no judge, or none that can tell, equations and conditions that are plainly not met say that it
    has not; that they are met says nothing.

    Args:
        exact: Gaps to the exact solution by unknown, of those of which it is known.
        near: Gaps to the reference by unknown; none where there is no reference.
        complete: Whether the exact solution is known for all unknowns; the reference judges where
            it is not, unless those that are known are wrong already.
        met: How well equations and conditions are met; None where that was not measured.
        note: Why there is no reference.
        doubt: Why the reference may be wrong in spite of its error; empty where nothing says so.
        doubtful: Whether that is because there seems to be no solution.
        ends: Whether that is because marches on two grids ended at one time, before the end.
        interrupted: Whether training, or the reference, was interrupted.
        seen: What else was seen, the most important first.
        effort: With which the recipe was chosen; empty where that is not known.
        asked: The tolerance that was asked for, which has to be met as well; None for none.

    Returns:
        The verdict, with reason and cures of what was seen.
    """
    if interrupted:
        return Verdict(NOT_JUDGED, NOBODY, "interrupted", ("--resume",))
    if exact and (complete or not near or _farthest(exact)[1].error > GOOD_ENOUGH):
        found = _by_exact(exact)
    elif near:
        found = _by_reference(near, 0.0 if asked is None else asked.tolerance)
    elif ends:
        words = f"there is no solution to the end of the time: {note}"
        found = Verdict(NOT_CONVERGED, BY_REFERENCE, words)
    else:
        words = f"no reference: {note}" if note else "no reference"
        found = _by_residual(Verdict(NOT_JUDGED, NOBODY, words), met, doubtful)
    doubtful = doubtful or ends
    if near and doubt and found.judge == BY_REFERENCE:
        # it may be wrong in the same way as the solution, or the solution be right and it not
        found = Verdict(LIMITED, BY_REFERENCE, f"{found.reason}; {doubt}", BETTER_JUDGE)
        found = _by_residual(found, met)
    elif near and found.judge == BY_REFERENCE and found.status != NOT_CONVERGED:
        agreed = all(gap.error + gap.uncertainty <= GOOD_ENOUGH for gap in near.values())
        found = _by_residual(found, met, agreed=agreed)
    if asked is not None:
        kept = _kept(asked, exact if complete else None, near, met)
        found = _to_tolerance(found, kept, asked)
        effort = "" if math.isfinite(asked.estimate) else effort  # it changes nothing there
    reasons = [found.reason, *(each.reason for each in seen)]
    cures = dict.fromkeys(SOLVABLE if doubtful else _cures(found, seen, effort))
    return replace(found, reason="; ".join(reasons), cures=tuple(cures))


def _kept(
    asked: Asked,
    exact: Mapping[str, Gap] | None,
    near: Mapping[str, Gap] | None,
    met: Met | None,
) -> Kept:
    """Whether a tolerance is met: by the best judge that can tell. What missed it by the solution's
    own estimate has missed it, whoever else is content."""
    goal, own = asked.tolerance, asked.estimate
    if exact:
        error = _farthest(exact)[1].error
        if not error <= goal:
            less = asked.less if error <= asked.less else math.nan
            return Kept(goal, False, BY_EXACT, error, own, less)
        found = Kept(goal, True, BY_EXACT, error, own)
    else:
        found = _kept_by_reference(asked, near or {}, met)
    if asked.missed and found.met is not False:
        return Kept(goal, False, BY_ESTIMATE, own, own, asked.less)
    return found


def _kept_by_reference(asked: Asked, near: Mapping[str, Gap], met: Met | None) -> Kept:
    """The same where no exact solution is known: by the reference, the solution's own estimate
    where that cannot tell, and the residual where there is neither."""
    goal, own = asked.tolerance, asked.estimate
    if near:
        away = _farthest(near)[1].error
        if all(gap.error + gap.uncertainty <= goal for gap in near.values()):
            return Kept(goal, True, BY_REFERENCE, away, own)
        # what a reference says of its own error is right to a factor, not to the digit
        if any(gap.error - INDISTINCT * gap.uncertainty > goal for gap in near.values()):
            less = asked.less if away <= asked.less else math.nan
            return Kept(goal, False, BY_REFERENCE, away, own, less)
    if math.isfinite(own):
        return Kept(goal, not asked.missed, BY_ESTIMATE, own, own, asked.less)
    if met is not None and not near:
        return Kept(goal, met.worst <= goal, BY_RESIDUAL, met.worst, own)
    return Kept(goal, None, NOBODY, math.nan, own)


def _to_tolerance(found: Verdict, kept: Kept, asked: Asked) -> Verdict:
    """The verdict on a solution that has to meet a tolerance."""
    found = replace(found, tolerance=kept)
    cures: tuple[str, ...] = ()
    if asked.missed or math.isfinite(asked.estimate):
        finer = OTHERWISE_MET if asked.usual else FINER
        cures = finer if asked.missed else SHARPER
    if found.status == NOT_CONVERGED:
        return replace(found, cures=cures)
    missed = f": {asked.missed}" if kept.by == BY_ESTIMATE and asked.missed else ""
    if asked.usual and kept.met:
        return found
    if asked.usual and kept.error <= GOOD_ENOUGH:
        return replace(found, reason=f"{found.reason}; {kept.words}{missed}")
    if kept.met is False:
        reason = f"{kept.words}{missed}; {found.reason}"
        return replace(found, status=NOT_CONVERGED, judge=kept.by, reason=reason, cures=cures)
    said = f"within the tolerance {kept.asked:g}" if kept.by == found.judge else kept.words
    found = replace(found, reason=f"{found.reason}; {said}")
    if found.judge != BY_REFERENCE or kept.by == BY_REFERENCE:
        return found
    return replace(found, status=LIMITED, cures=BETTER_JUDGE)


def _cures(found: Verdict, seen: Sequence[Diagnosis], effort: str) -> list[str]:
    """What to try, in the order in which it helps."""
    cures = [cure for each in seen for cure in each.cures] + list(found.cures)
    if found.status != NOT_CONVERGED or any(each.elsewhere for each in seen):
        return cures
    if effort == "quick":
        return ["--effort default", *(cures or USUAL_CURES)]
    more = ["--effort record"] if effort == "default" else []
    return [*cures, *more] if cures else [*more, *USUAL_CURES]


def _farthest(found: Mapping[str, Gap]) -> tuple[str, Gap]:
    """The unknown that is furthest from its judge; one whose error is nan before all."""
    return max(found.items(), key=lambda each: (math.isnan(each[1].error), each[1].error))


def _away(unknown: str, gap: Gap, found: Mapping[str, Gap], judge: str) -> str:
    """Which unknown is how far from its judge, in words."""
    who = f"{unknown} is " if len(found) > 1 else ""
    of = " of its variation" if gap.hidden else ""
    return f"{who}{percent(gap.error)}{of} from the {judge}"


def _by_exact(found: Mapping[str, Gap]) -> Verdict:
    """The verdict of an exact solution."""
    unknown, gap = _farthest(found)
    # written so that nan has not converged
    good, sampled = gap.error + gap.uncertainty <= GOOD_ENOUGH, ""
    if gap.own:
        good = good and gap.peak <= MOST_AT_A_POINT * gap.scale
        peak = percent(gap.peak / gap.scale)
        sampled = (
            f" (quasi-Monte Carlo, ± {percent(gap.uncertainty)}; up to {peak} at single points)"
        )
    status = CONVERGED if good else NOT_CONVERGED
    return Verdict(status, BY_EXACT, f"{_away(unknown, gap, found, BY_EXACT)}{sampled}")


def _by_reference(found: Mapping[str, Gap], enough: float) -> Verdict:
    """The verdict of a reference alone: on the unknown on which it is worst."""
    ranks = (CONVERGED, LIMITED, NOT_CONVERGED)
    worst: tuple[tuple[int, float], Verdict] | None = None
    for unknown, gap in found.items():
        one = _of_one(gap, _away(unknown, gap, found, BY_REFERENCE), enough)
        rank = ranks.index(one.status), gap.error + (gap.uncertainty if one.cures else 0.0)
        if worst is None or not rank <= worst[0]:
            worst = rank, one
    assert worst is not None
    return worst[1]


def _of_one(gap: Gap, words: str, enough: float) -> Verdict:
    """The verdict of a reference on one unknown; an error that is enough need not be better."""
    distance, own = gap.error, gap.uncertainty
    away = f"{words}, whose own error is about {own:.1e}"
    if not math.isfinite(own):
        return Verdict(LIMITED, BY_REFERENCE, f"{away}: not known", BETTER_JUDGE)
    if not distance - own <= GOOD_ENOUGH:
        return Verdict(NOT_CONVERGED, BY_REFERENCE, away)
    if distance + own > GOOD_ENOUGH:
        return Verdict(LIMITED, BY_REFERENCE, f"{away}: too large to tell", BETTER_JUDGE)
    certain = distance + own <= enough
    if distance <= INDISTINCT * own and own >= ACCURATE_REFERENCE and not certain:
        return Verdict(
            LIMITED, BY_REFERENCE, f"{away}, so that the solution may be better", BETTER_JUDGE
        )
    return Verdict(CONVERGED, BY_REFERENCE, away)


def _by_residual(
    found: Verdict, met: Met | None, doubtful: bool = False, agreed: bool = False
) -> Verdict:
    """The verdict where nobody can tell better than equations and conditions.

    Args:
        found: What is known without them.
        met: How well they are met.
        doubtful: Whether there seems to be no solution.
        agreed: Whether a reference is near.
    """
    if met is None:
        return found
    if unmet := met.unmet(GOOD_ENOUGH if doubtful else UNMET):
        if not agreed:
            return Verdict(NOT_CONVERGED, BY_RESIDUAL, f"{unmet}; {found.reason}")
        # what residuals amplify, a reference may well have right; but both may be wrong together
        return Verdict(LIMITED, BY_REFERENCE, f"{found.reason}, but {unmet}", BETTER_JUDGE)
    if found.judge == BY_REFERENCE:
        return found
    kinds = {"equation": met.equations, "condition": met.conditions}
    measured = [
        f"the {kind}s are met to {percent(max(ones.values()))} of their terms"
        for kind, ones in kinds.items()
        if ones
    ]
    return Verdict(found.status, found.judge, "; ".join([found.reason, *measured]), found.cures)
