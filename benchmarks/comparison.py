"""The accuracy table: what was measured, what was asked, and what others have published."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.published import CLAIMS, Claim, Published
from benchmarks.rows import Quantity, markdown, provenance_lines

REFERENCE_LIMITED = 10.0
"""A distance to the reference below so many times the reference's own error says no more than
that."""

VACUOUS = 1e-12
"""Error of the interpolated boundary data below which a problem asks nothing of the network."""


def worst(row: Mapping[str, Any]) -> float | None:
    """The largest error of the seeds."""
    return max(row["relative_l2"], default=None)


def limited(row: Mapping[str, Any]) -> bool:
    """Whether the reference is too coarse to tell the network's error."""
    error = worst(row)
    return error is not None and error < REFERENCE_LIMITED * row["truth_error"]


def bound(row: Mapping[str, Any]) -> float | None:
    """What the true error cannot exceed by more than the estimate of the reference's: the measured
    one plus that."""
    error = worst(row)
    return None if error is None else error + row["truth_error"]


def verdict(row: Mapping[str, Any]) -> str:
    """ "aim", "must" or "missed", by `bound`; "unmeasured" without a number; "" where nothing is
    asked."""
    claim = CLAIMS.get(row["problem"])
    if claim is None:
        return ""
    if claim.must is None:
        error = bound(row)
        return "aim" if error is not None and error <= claim.aim else ""
    allowed = (claim.parameters is None or row["parameters"] <= claim.parameters) and max(
        row["seconds"], default=0.0
    ) <= claim.seconds
    return Quantity(
        row["problem"], bound(row), must=claim.must, aim=claim.aim, more={"allowed": allowed}
    ).verdict


def targets(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The worst seeds and their verdicts, in the form in which `solve` keeps its parts."""
    found = []
    for row in rows:
        claim = CLAIMS.get(row["problem"], Claim(None, 0.0))
        aim = claim.aim or None
        judged = Quantity(row["problem"], worst(row), "relative L2", claim.must, aim)
        found.append({**asdict(judged), "verdict": verdict(row)})
    return {"accuracy": {"rows": found}}


def notes(row: Mapping[str, Any]) -> str:
    """What has to be known to read the row."""
    found = [f"not measured: {row['reason']}"] if row["reason"] else []
    if limited(row):
        found.append("reference-limited")
    if row["interpolated"] is not None and row["interpolated"] < VACUOUS:
        found.append(
            f"the interpolated boundary data alone are the solution (to {row['interpolated']:.0e})"
        )
    if row["until"] is not None and (worst(row) or 0.0) > 1e-2:
        found.append(f"within 1 % up to t = {row['until']:.3g}")
    if row["effort"] != "record":
        found.append(f"effort {row['effort']}")
    return "; ".join(found)


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as a page of Markdown, with the sources and with what made each row."""
    sources = list(
        dict.fromkeys(
            p.source for claim in CLAIMS.values() for p in (*claim.mlp, *claim.kan) if p.source
        )
    )
    lines = [
        "# Accuracy",
        "",
        (
            "Written by `python -m benchmarks accuracy`; the numbers behind it are in"
            " `accuracy.json`."
        ),
        "",
    ]
    if any(row["relative_l2"] for row in rows):
        lines += [
            (
                "![Relative L2 of every problem and seed, with what is asked and what others have"
                " published](accuracy.png)"
            ),
            "",
        ]
    lines += ["<!-- table:accuracy -->", *table(rows, sources), "<!-- /table -->", ""]
    lines += [
        (
            "Relative L2 over a grid of space and time, seconds of training of the slowest seed."
            " *Met* counts the worst seed plus the error of what judged it, the number of"
            " parameters and the time. Published numbers come with parameters, time and machine, as"
            " far as they are known; those without a source could not be traced to one."
        ),
        "",
        *(f"{i}. {source}" for i, source in enumerate(sources, 1)),
        "",
        "What judged each problem, and how it was measured:",
        "",
    ]
    for row in rows:
        own = f", its own error {row['truth_error']:.1e}" if row["truth_error"] else ""
        lines.append(
            f"- {row['problem']}: {row['judged_by'] or 'nothing'}{own}."
            f" {provenance_lines(row['provenance'])[0]}"
        )
    return "\n".join(lines) + "\n"


def table(rows: Sequence[Mapping[str, Any]], sources: Sequence[str]) -> list[str]:
    """Lines of Markdown: one a problem and device."""
    found = [
        [
            "problem",
            "network",
            "parameters",
            "median",
            "worst",
            "seconds",
            "device",
            "judge's error",
            "must",
            "aim",
            "met",
            "best MLP",
            "best KAN",
            "note",
        ]
    ]
    for row in rows:
        claim = CLAIMS.get(row["problem"], Claim(None, 0.0))
        errors = row["relative_l2"]
        device = row["provenance"].get("gpu") or f"{row['provenance']['cores']} cores"
        limits = f" with ≤ {claim.parameters:,}" if claim.parameters else ""
        found.append(
            [
                row["problem"] + (f" ({', '.join(claim.unknowns)})" if claim.unknowns else ""),
                row["network"],
                f"{row['parameters']:,}" if errors else "",
                f"{statistics.median(errors):.1e}" if errors else "",
                f"{max(errors):.1e}" if errors else "",
                f"{max(row['seconds']):.0f}" if errors else "",
                device,
                f"{row['truth_error']:.0e}" if row["truth_error"] else "exact" if errors else "",
                "" if claim.must is None else f"{claim.must:.0e}{limits}",
                f"{claim.aim:.0e}" if claim.aim else "",
                verdict(row),
                "; ".join(shown(each, sources) for each in claim.mlp),
                "; ".join(shown(each, sources) for each in claim.kan),
                notes(row),
            ]
        )
    return markdown(found, left=(0, 1, 6, 10, 11, 12, 13))


def shown(each: Published, sources: Sequence[str]) -> str:
    """Such as "8.0e-14 (11,285; 346 s, H100) [1]"."""
    how = f" ({each.how})" if each.how else ""
    return f"{each.error:.1e}{how}{f' [{sources.index(each.source) + 1}]' if each.source else ''}"
