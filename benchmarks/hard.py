"""`python -m benchmarks hard`: problems in two coordinates, most of them with time, beside truths
that share nothing with kanpde.

Seconds are those of the processor, of refinement alone; the error is the largest, at the end of the
time where there is one, over half of what an unknown varies by there, as is the truth's own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from benchmarks import tables
from benchmarks.hard_problems import ROWS, Hard
from benchmarks.rows import Quantity, Tell, load, markdown, provenance_lines
from kanpde import Tensor, solve
from kanpde.errors import ProblemError, RecipeError, RunError, listed, nearest
from kanpde.products.solution import TensorSolution
from kanpde.provenance import provenance
from kanpde.runs.atomic import check_writable

SEEN = 96
"""Points along a coordinate at which an exact solution is looked at."""

MORE_THAN_SAID = 10.0
"""Times its own estimate, up to which an error may be."""


@dataclass(frozen=True)
class Faced:
    """A hard problem and what came of it.

    Attributes:
        problem: Its name.
        tolerance: What was asked for.
        wanted: The error that is wanted.
        error: The true one; None of what is refused.
        own: The truth's own error; 0 of an exact solution.
        estimate: The solution's own estimate; None where it has none.
        met: Whether the solution says that the tolerance is met.
        said: What it says instead.
        parameters: Coefficients of all spans.
        spans: Of time.
        seconds: Of the processor.
    """

    problem: str
    tolerance: float
    wanted: float
    error: float | None
    own: float
    estimate: float | None
    met: bool
    said: str
    parameters: int
    spans: int
    seconds: float


def run(out: Path, tell: Tell, names: Sequence[str] = ()) -> dict[str, Any]:
    """Solve, and write `out/benchmarks/hard.md` and the numbers behind it, row after row; rows that
    were measured earlier stay.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        names: Of rows; by default all.

    Returns:
        What was asked of all rows, plain values by part.
    """
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    known = _earlier(folder / "hard.json")
    about = {**provenance("cpu"), "load": load(), "command": _command(names)}
    for name in names or ROWS:
        row = faced(name)
        known[name] = {**asdict(row), "about": about}
        error = "none" if row.error is None else f"{row.error:.1e}"
        tell(f"{name}: {row.said or 'met'}, true error {error}, {row.seconds:.1f} s")
        plain = [known[one] for one in ROWS if one in known]
        rows = [Faced(**{k: v for k, v in one.items() if k != "about"}) for one in plain]
        shown = page(rows, [one["about"] for one in plain])
        tables.write(folder, "hard", {"rows": plain}, shown)
    return asked_of(rows)


def _command(names: Sequence[str]) -> str:
    """What was called."""
    only = f" --only {','.join(names)}" if names else ""
    return f"python -m benchmarks hard{only}"


def _earlier(path: Path) -> dict[str, dict[str, Any]]:
    """Rows that were measured earlier, by name.

    Raises:
        RunError: The file holds something else.
    """
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {row["problem"]: {**row, "about": dict(row["about"])} for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: is no result of `python -m benchmarks hard` ({type(error).__name__}); move it"
            " away"
        ) from error


def checked(names: Sequence[str]) -> Sequence[str]:
    """Names of rows.

    Args:
        names: What came.

    Raises:
        RecipeError: There is no such row.
    """
    for name in names:
        if name not in ROWS:
            raise RecipeError(
                f"--only: got {name!r}; expected some of {listed(ROWS)}{nearest(name, ROWS)}"
            )
    return names


def faced(name: str) -> Faced:
    """One problem, solved and compared.

    Args:
        name: Of the row.
    """
    asked = ROWS[name]
    began = time.process_time()
    try:
        hard = asked.made()
        result = solve(hard.problem, network=Tensor(), tolerance=asked.tolerance, reference=False)
    except ProblemError as refusal:
        seconds = time.process_time() - began
        said = f"refused: {refusal}"
        return Faced(
            name, asked.tolerance, asked.wanted, None, 0.0, None, False, said, 0, 0, seconds
        )
    seconds = time.process_time() - began
    told, found = result.verdict.tolerance, result.solution
    assert isinstance(found, TensorSolution)
    error, own = _apart(hard, found)
    missed = [reason for _, reason in result.history.stages if "missed" in reason]
    estimate = None if told is None or not math.isfinite(told.estimate) else told.estimate
    return Faced(
        name,
        asked.tolerance,
        asked.wanted,
        error,
        own,
        estimate,
        not missed,
        missed[-1] if missed else "",
        found.parameters,
        len(found.spans) if found.marched else 0,
        seconds,
    )


def _apart(hard: Hard, found: TensorSolution) -> tuple[float, float]:
    """The true error, at the end of the time if there is one, and that of the truth."""
    bounds, names = hard.problem.domain.bounds, hard.problem.coordinates
    end = [np.array([bounds[t][1]]) for t in names[2:]]
    coarse = hard.truth(False) if hard.truth is not None else None
    fine = hard.truth(True) if hard.truth is not None else None

    def grid(n: int) -> list[Float[np.ndarray, " points"]]:
        share = (np.arange(n) + (0.5 if hard.middles else 0.0)) / n
        ways = [low + (high - low) * share for low, high in map(bounds.__getitem__, names[:2])]
        return [*ways, *end]

    errors, owns = [], []
    for k, u in enumerate(hard.problem.unknowns):
        at = grid(SEEN if fine is None else fine.shape[-1])
        values = _seen(found, k, at)
        if fine is None or coarse is None:
            points = _points(at)
            some = hard.problem.domain.inside(points)
            exact = hard.problem.exact_values(points[some])[u]
            values, true, own = values.ravel()[some.numpy()], exact.numpy(), 0.0
        else:
            # Both are compared with the solution, which is known everywhere.
            there = _seen(found, k, grid(coarse.shape[-1]))
            true = fine[k]
            own = abs(np.abs(coarse[k] - there).max() - np.abs(true - values).max())
            if coarse.shape == fine.shape:
                own = np.abs(coarse[k] - true).max()
        size = float(np.ptp(true)) / 2
        errors.append(float(np.abs(values - true).max()) / size)
        owns.append(float(own) / size)
    return max(errors), max(owns)


def _seen(
    found: TensorSolution, unknown: int, at: Sequence[Float[np.ndarray, " points"]]
) -> Float[np.ndarray, "x y"]:
    """Values of an unknown on a grid of the plane."""
    if found.marched:
        return found.on_grid(unknown, at)[..., 0]
    values = found(_points(at))[:, unknown].numpy()
    return values.reshape([len(x) for x in at[:2]])


def _points(at: Sequence[Float[np.ndarray, " points"]]) -> torch.Tensor:
    """All points of a grid."""
    return torch.from_numpy(np.stack([x.ravel() for x in np.meshgrid(*at, indexing="ij")], 1))


def asked_of(rows: Sequence[Faced]) -> dict[str, Any]:
    """What was asked of all rows together, in the form in which `solve` keeps its parts.

    Args:
        rows: All rows.
    """
    known = [row for row in rows if row.error is not None]
    wanted = [row.error / row.wanted for row in known if row.error is not None]
    silent = sum(
        row.met and row.error > MORE_THAN_SAID * row.estimate
        for row in known
        if row.error is not None and row.estimate is not None
    )
    found = [
        Quantity("largest true error over the one that is wanted", max(wanted), "", 1, None),
        Quantity("tolerances called met with ten times the error", float(silent), "", 0, None),
        Quantity("problems that are refused", float(len(rows) - len(known)), "", 0, None),
        Quantity("seconds of the processor, all rows", sum(r.seconds for r in rows), "s"),
    ]
    return {"hard": {"rows": [{**asdict(one), "verdict": one.verdict} for one in found]}}


def page(rows: Sequence[Faced], abouts: Sequence[Mapping[str, Any]]) -> str:
    """The page that shows the rows.

    Args:
        rows: All rows.
        abouts: Where each was measured.
    """
    head = ("problem", "tolerance", "wanted", "true error", "truth's own", "estimate", "said")
    table = [[*head, "parameters", "spans", "processor s"]]
    for row in rows:
        own = f"{row.own:.0e}" if row.own else "exact"
        errors = ["", ""] if row.error is None else [f"{row.error:.1e}", own]
        said = "met" if row.met else row.said.split(":")[0].split()[-1]
        estimate = "" if row.estimate is None else f"{row.estimate:.1e}"
        asked = [row.problem, f"{row.tolerance:g}", f"{row.wanted:g}"]
        spans = str(row.spans) if row.spans else ""
        rest = [f"{row.parameters:,}", spans, f"{row.seconds:.1f}"]
        table.append([*asked, *errors, estimate, said, *rest])
    told = [f"- {row.problem}: {row.said}" for row in rows if row.said]
    lines = [
        "# Hard problems in two coordinates",
        "",
        "`python -m benchmarks hard`. The true error is the largest, at the end of the time if",
        "there is one, over half of what an unknown varies by; truths are closed forms, or solvers",
        "that share nothing with kanpde (benchmarks/independent.py, benchmarks/materials.py).",
        "Settings are the default ones but for the tolerance.",
        "",
        *markdown(table, left=(0, 4, 6)),
        "",
        *told,
        "",
        *_origins(rows, abouts),
        "",
    ]
    return "\n".join(lines)


def _origins(rows: Sequence[Faced], abouts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where rows were measured, those together that were at once."""
    found: dict[str, list[str]] = {}
    for row, about in zip(rows, abouts, strict=True):
        found.setdefault(" ".join(provenance_lines(about)), []).append(row.problem)
    return [f"- {', '.join(names)}: {line}" for line, names in found.items()]
