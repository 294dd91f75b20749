"""`python -m benchmarks tolerances`: products of splines, asked for tolerances, beside the truth.

What counts is the true error over the tolerance that was asked for. The truth is the exact
solution; where there is none, a reference, whose own error stands beside. Seconds are those of the
processor, of refinement alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.published import CLAIMS
from benchmarks.rows import Quantity, Tell, load, markdown, provenance_lines
from kanpde import Tensor, solve
from kanpde.errors import ProblemError
from kanpde.problem.file import load as load_problem
from kanpde.problem.problem import Problem
from kanpde.products.solution import TensorSolution
from kanpde.provenance import provenance
from kanpde.reference import Reference, reference
from kanpde.results.result import Result
from kanpde.runs.atomic import check_writable

PROBLEMS = (
    "burgers1d",
    "burgers1d_smooth",
    "kdv1d",
    "allen_cahn1d_smooth",
    "schrodinger1d",
    "wave1d_multiscale",
    "convection1d",
    "reaction1d",
    "klein_gordon1d",
    "heat1d",
    "advection1d",
    "boundary_layer1d",
    "poisson2d",
    "helmholtz2d",
    "poisson2d_multiscale",
    "kovasznay2d",
)
"""Of the gallery, with one or two coordinates, in the order of the table."""

TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-10)

RECORD = 1e-12
"""As far as float64 goes: a tolerance beside what others have published, of which no share is
asked."""

LEAST_SHARE = 1e-3
"""Of the tolerance: an error below it was paid for and not asked for."""


@dataclass(frozen=True)
class Asked:
    """A problem solved to a tolerance.

    Attributes:
        problem: Its name.
        tolerance: What was asked for.
        error: The largest of an unknown, over its variation; None where nothing was found.
        own: The judge's own error; 0 of an exact solution.
        estimate: The solution's own estimate; None where nothing was found.
        met: Whether the solution says that the tolerance is met.
        parameters: Coefficients of all spans.
        spans: Of time; 1 of a steady problem.
        seconds: Of the processor.
        refused: Why nothing was found.
    """

    problem: str
    tolerance: float
    error: float | None = None
    own: float = 0.0
    estimate: float | None = None
    met: bool = False
    parameters: int = 0
    spans: int = 1
    seconds: float = 0.0
    refused: str = ""


def run(
    out: Path, tell: Tell, names: Sequence[str] = (), tolerances: Sequence[float] = ()
) -> dict[str, Any]:
    """Solve, and write `out/benchmarks/tolerances.md` and the numbers behind it.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        names: Of problems; by default PROBLEMS.
        tolerances: By default TOLERANCES and RECORD.

    Returns:
        What was asked of all rows, plain values by part.
    """
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    rows = []
    for name in names or PROBLEMS:
        for row in _of(name, tolerances or (*TOLERANCES, RECORD)):
            rows.append(row)
            tell(_line(row))
    about = {**provenance("cpu"), "load": load(), "command": "python -m benchmarks tolerances"}
    plain = [asdict(row) for row in rows]
    tables.write(folder, "tolerances", {"about": about, "rows": plain}, page(rows, about))
    return targets(rows)


def _of(name: str, tolerances: Sequence[float]) -> Iterator[Asked]:
    """One problem, to each of the tolerances."""
    problem, _ = load_problem(name)
    known = all(u in problem.exact for u in problem.unknowns)
    judge: Reference | None = None
    if not known:
        try:
            judge = reference(problem)
        except ProblemError as error:
            yield Asked(name, tolerances[0], refused=f"no judge: {error}")
            return
    for tolerance in tolerances:
        yield _asked(problem, tolerance, judge)


def _asked(problem: Problem, tolerance: float, judge: Reference | None) -> Asked:
    asked = Asked(problem.name, tolerance)
    began = time.process_time()
    try:
        alone = solve(problem, network=Tensor(), tolerance=tolerance, reference=False)
    except ProblemError as error:
        return replace(asked, refused=str(error))
    seconds = time.process_time() - began
    result = alone if judge is None else _judged(problem, tolerance, judge)
    gaps = result.errors if judge is None else result.reference_errors
    worst = max(gaps.values(), key=lambda gap: gap.error)
    said, found = result.verdict.tolerance, result.solution
    assert isinstance(found, TensorSolution)
    return replace(
        asked,
        error=worst.error,
        own=worst.own / worst.variation if worst.variation else 0.0,
        estimate=None if said is None else said.estimate,
        met=not any("missed" in reason for _, reason in result.history.stages),
        parameters=found.parameters,
        spans=len(found.spans),
        seconds=seconds,
    )


def _judged(problem: Problem, tolerance: float, judge: Reference) -> Result:
    return solve(problem, network=Tensor(), tolerance=tolerance, reference=judge)


def targets(rows: Sequence[Asked]) -> dict[str, Any]:
    """What was asked of all rows together, in the form in which `solve` keeps its parts.

    Args:
        rows: All rows.
    """
    asked = [row for row in rows if row.error is not None and row.tolerance > RECORD]
    shares = [_share(row) for row in asked]
    silent = sum(row.met and _share(row) > 1 for row in rows if row.error is not None)
    found = [
        Quantity("largest true error over the tolerance", max(shares, default=None), "", 1, None),
        Quantity("smallest", min(shares, default=None), "", LEAST_SHARE, None, least=True),
        Quantity("tolerances called met and missed", float(silent), "", 0, None),
        Quantity("seconds of the processor, all rows", sum(r.seconds for r in rows), "s"),
    ]
    return {"tolerances": {"rows": [{**asdict(one), "verdict": one.verdict} for one in found]}}


def _share(row: Asked) -> float:
    """The true error over the tolerance, less what the judge's own error may have added."""
    assert row.error is not None
    return max(row.error - row.own, 0.0) / row.tolerance


def _line(row: Asked) -> str:
    if row.error is None:
        return f"{row.problem} to {row.tolerance:g}: {row.refused}"
    said = "met" if row.met else "missed"
    return (
        f"{row.problem} to {row.tolerance:g}: {said}, true error {row.error:.1e},"
        f" {row.parameters:,} parameters, {row.seconds:.1f} s"
    )


def _record(rows: Sequence[Asked]) -> list[str]:
    """What was asked for the most that float64 holds, beside the best published errors of MLPs:
    none of which is a spline, and none of which is given a tolerance."""
    if not rows:
        return []
    table = [["problem", "true error", "judge", "parameters", "processor s", "published", "how"]]
    for row in rows:
        claim = CLAIMS.get(row.problem)
        best = claim.mlp[0] if claim and claim.mlp else None
        source = f"{best.how}; {best.source}".strip("; ") if best else ""
        error = "-" if row.error is None else f"{row.error:.1e}"
        said = row.refused or error + ("" if row.met else ", said to be missed")
        judge = f"reference, {row.own:.0e}" if row.own else "exact"
        numbers = [f"{row.parameters:,}", f"{row.seconds:.1f}"]
        published = f"{best.error:.1e}" if best else "-"
        table.append([row.problem, said, judge, *numbers, published, source])
    return [
        f"## Asked for {RECORD:g}",
        "",
        "Beside the best errors that are published for MLPs, in relative L2. A sum of products of",
        "splines is another thing than a network of layers: its parameters are those of all spans.",
        "",
        *markdown(table, left=(0, 2, 6)),
        "",
    ]


def page(rows: Sequence[Asked], about: Mapping[str, Any]) -> str:
    """The page that shows the rows.

    Args:
        rows: All rows.
        about: Where they were measured.
    """
    head = ("problem", "tolerance", "true error", "judge", "estimate", "said", "parameters")
    table = [[*head, "spans", "processor s"]]
    for row in (one for one in rows if one.tolerance > RECORD):
        found = "-" if row.error is None else f"{row.error:.1e}"
        judge = f"reference, {row.own:.0e}" if row.own else "exact"
        estimate = "-" if row.estimate is None else f"{row.estimate:.1e}"
        said = row.refused or ("met" if row.met else "missed")
        size = f"{row.parameters:,}"
        line = [row.problem, f"{row.tolerance:g}", found, judge, estimate, said, size]
        table.append([*line, str(row.spans), f"{row.seconds:.1f}"])
    sums = [one for part in targets(rows).values() for one in part["rows"]]
    lines = [
        "# Products of splines, asked for a tolerance",
        "",
        "`python -m benchmarks tolerances`. The true error is the largest of an unknown, over how",
        "much it varies; where the judge is a reference, its own error stands beside it. Settings",
        "are the default ones for every problem; nothing is random.",
        "",
        *[
            f"- {one['what']}: {one['value']:.2g} {one['unit']}"
            for one in sums
            if one["value"] is not None
        ],
        "",
        *markdown(table, left=(0, 3, 5)),
        "",
        *_record([row for row in rows if row.tolerance <= RECORD]),
        *provenance_lines(about),
        "",
    ]
    return "\n".join(lines)
