"""The sums of the rule, and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.judged.judgement import ALARM, ALLOWED, COMFORT, SMALL, Judgement
from benchmarks.judged.registry import OFFSET, PLAIN, SCALED
from benchmarks.rows import Quantity, markdown, provenance_lines, timing_table

FALSE_ALARMS = 2
"""So many are allowed."""

APART = 3.0
"""By this factor at most the errors of one problem in different units may differ."""


def targets(rows: Sequence[Judgement]) -> dict[str, Any]:
    """How the verdicts kept the rule, plain values by part.

    Args:
        rows: Of problems in all units.
    """
    plain = [row for row in rows if row.units == PLAIN]
    rules = [
        Quantity(
            f"converged, but further off than {ALLOWED:g} times what is claimed",
            sum(row.breaks == COMFORT for row in rows),
            must=0,
        ),
        Quantity(
            f"not converged, but within {SMALL:g}",
            sum(row.breaks == ALARM for row in plain),
            must=FALSE_ALARMS,
        ),
    ]
    found = ratios(rows)
    if found:
        rules.append(
            Quantity(
                f"of {len(found)} problems in three systems of units: errors further apart than by"
                f" a factor {APART:g}",
                sum(not ratio <= APART for ratio in found.values()),
                must=0,
            )
        )
    counts = [
        Quantity(f"{status}", sum(row.verdict == status for row in plain))
        for status in sorted({row.verdict for row in plain if row.verdict})
    ]
    counts += [
        Quantity("refused", sum(bool(row.refused) for row in plain)),
        Quantity("stopped", sum(bool(row.late) for row in plain)),
        Quantity("problems", len(plain)),
    ]
    parts = {"the rule": rules, "verdicts": counts}
    return {
        part: {"rows": [{**vars(q), "verdict": q.verdict} for q in quantities]}
        for part, quantities in parts.items()
    }


def ratios(rows: Sequence[Judgement]) -> dict[str, float]:
    """By problem that was posed in all three systems of units, the largest error over the least,
    over how much the unknowns vary; what rounding of the offset allows counts as equal.

    Args:
        rows: Of problems in all units.
    """
    by_problem: dict[str, dict[str, Judgement]] = {}
    for row in rows:
        if not row.refused and not row.late:
            by_problem.setdefault(row.problem, {})[row.units] = row
    found = {}
    for name, ones in by_problem.items():
        if set(ones) == {PLAIN, SCALED, OFFSET}:
            rounding = max(doubt for row in ones.values() for doubt in row.doubts.values())
            errors = [max(row.error, rounding) for row in ones.values()]
            found[name] = math.inf if math.inf in errors else max(errors) / min(errors)
    return found


def page(rows: Sequence[Judgement]) -> str:
    """The table as Markdown.

    Args:
        rows: In the order in which they are shown.
    """
    known = {k: v["rows"] for k, v in targets(rows).items()}
    return "\n".join(
        [
            "# Verdicts, and the truth",
            "",
            "Small problems whose truths share no code with kanpde: closed forms, series, SciPy's"
            " integrators, scikit-fem. *Claimed* is the distance from kanpde's judge and the"
            " judge's own error, *true* the error of the worst unknown, root mean square over its"
            " variation about its mean; *truth* is how far off the truth may be.",
            "",
            *(line for part in known.values() for line in [*_sums(part), ""]),
            "## Problems",
            "",
            *_table([row for row in rows if row.units == PLAIN]),
            "",
            "## In other units",
            "",
            "Scaled, so that all is of size 1, and with 300 added to the unknowns.",
            "",
            *_units(rows),
            "",
            *_refused(rows),
            "## Provenance",
            "",
            *_provenance(rows),
            "",
        ]
    )


def _sums(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    table = timing_table([{**row, "more": {}} for row in rows])
    return [line.replace(" minimum |", " |", 1) for line in table]


def _table(rows: Sequence[Judgement]) -> list[str]:
    """One line a problem that was judged."""
    table = [
        ["problem", "effort", "claimed", "own", "true", "truth", "verdict", "breaks", "seconds"]
    ]
    for row in rows:
        if row.refused or row.late:
            said = "refused" if row.refused else row.late
            table.append([row.problem, row.effort, "", "", "", "", said, "", f"{row.seconds:.0f}"])
            continue
        table.append(
            [
                row.problem,
                row.effort,
                _shown(row.claimed),
                _shown(row.own),
                _shown(row.error) if row.truth else "no solution",
                f"{max(row.doubts.values()):.0e}" if row.doubts else "",
                row.verdict,
                row.breaks,
                f"{row.seconds:.0f}",
            ]
        )
    return markdown(table, left=(0, 1, 6, 7))


def _units(rows: Sequence[Judgement]) -> list[str]:
    """One line a problem that was posed in other units as well."""
    apart = ratios(rows)
    table = [["problem", *(f"true, {u}" for u in (PLAIN, SCALED, OFFSET)), "factor", "breaks"]]
    known = {(row.problem, row.units): row for row in rows}
    for name in dict.fromkeys(row.problem for row in rows if row.units != PLAIN):
        ones = [known.get((name, units)) for units in (PLAIN, SCALED, OFFSET)]
        shown = ["" if one is None else one.late or _error(one) for one in ones]
        breaks = ", ".join(dict.fromkeys(one.breaks for one in ones if one and one.breaks))
        ratio = f"{apart[name]:.2g}" if name in apart else ""
        table.append([name, *shown, ratio, breaks])
    return markdown(table, left=(0, 5))


def _error(row: Judgement) -> str:
    return "refused" if row.refused else f"{_shown(row.error)} ({row.verdict})"


def _refused(rows: Sequence[Judgement]) -> list[str]:
    """The messages of problems that were refused."""
    lines = [f"- `{row.problem}` ({row.units}): {row.refused}" for row in rows if row.refused]
    return ["## Refused", "", *lines, ""] if lines else []


def _provenance(rows: Sequence[Judgement]) -> list[str]:
    """Where the rows come from; those of one commit and effort are one line."""
    lines: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        if row.provenance:
            command = f"python -m benchmarks judged --effort {row.effort}"
            about = {**row.provenance, "command": command}
            lines.setdefault((row.effort, about["commit"]), about)
    return [line for about in lines.values() for line in provenance_lines(about)]


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
