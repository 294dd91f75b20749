"""`python -m benchmarks hard`: problems in two coordinates and time beside truths that share
nothing with kanpde.

Seconds are those of the processor, of refinement alone; the error is the largest at the end of the
time, over half of what an unknown varies by there, as is the truth's own.
"""

from __future__ import annotations

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
from kanpde.errors import RecipeError, listed, nearest
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
        error: The true one.
        own: The truth's own error; 0 of an exact solution.
        estimate: The solution's own estimate.
        met: Whether the solution says that the tolerance is met.
        parameters: Coefficients of all spans.
        spans: Of time.
        seconds: Of the processor.
    """

    problem: str
    tolerance: float
    wanted: float
    error: float
    own: float
    estimate: float
    met: bool
    parameters: int
    spans: int
    seconds: float


def run(out: Path, tell: Tell, names: Sequence[str] = ()) -> dict[str, Any]:
    """Solve, and write `out/benchmarks/hard.md` and the numbers behind it.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        names: Of rows; by default all.

    Returns:
        What was asked of all rows, plain values by part.
    """
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    rows = []
    for name in names or ROWS:
        row = faced(name, ROWS[name]())
        rows.append(row)
        said = "met" if row.met else "missed"
        tell(f"{name}: {said}, true error {row.error:.1e}, {row.seconds:.1f} s")
    about = {**provenance("cpu"), "load": load(), "command": "python -m benchmarks hard"}
    plain = [asdict(row) for row in rows]
    tables.write(folder, "hard", {"about": about, "rows": plain}, page(rows, about))
    return asked_of(rows)


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


def faced(name: str, hard: Hard) -> Faced:
    """One problem, solved and compared.

    Args:
        name: Of the row.
        hard: The problem.
    """
    began = time.process_time()
    result = solve(hard.problem, network=Tensor(), tolerance=hard.tolerance, reference=False)
    seconds = time.process_time() - began
    said, found = result.verdict.tolerance, result.solution
    assert isinstance(found, TensorSolution)
    error, own = _apart(hard, found)
    return Faced(
        name,
        hard.tolerance,
        hard.wanted,
        error,
        own,
        float("nan") if said is None else said.estimate,
        not any("missed" in reason for _, reason in result.history.stages),
        found.parameters,
        len(found.spans),
        seconds,
    )


def _apart(hard: Hard, found: TensorSolution) -> tuple[float, float]:
    """The true error at the end of the time, and that of the truth."""
    bounds = hard.problem.domain.bounds
    end = bounds[hard.problem.coordinates[-1]][1]
    coarse = hard.truth(False) if hard.truth is not None else None
    fine = hard.truth(True) if hard.truth is not None else None

    def grid(n: int) -> list[Float[np.ndarray, " points"]]:
        share = (np.arange(n) + (0.5 if hard.middles else 0.0)) / n
        ways = [low + (high - low) * share for low, high in map(bounds.get, ("x", "y"))]  # type: ignore[misc]
        return [*ways, np.array([end])]

    errors, owns = [], []
    for k, u in enumerate(hard.problem.unknowns):
        at = grid(SEEN if fine is None else fine.shape[-1])
        values = found.on_grid(k, at)[..., 0]
        if fine is None or coarse is None:
            points = np.stack([x.ravel() for x in np.meshgrid(*at, indexing="ij")], 1)
            some = hard.problem.domain.inside(torch.from_numpy(points))
            exact = hard.problem.exact_values(torch.from_numpy(points)[some])[u]
            values, true, own = values.ravel()[some.numpy()], exact.numpy(), 0.0
        else:
            # Both are compared with the solution, which is known everywhere.
            there = found.on_grid(k, grid(coarse.shape[-1]))[..., 0]
            true = fine[k]
            own = abs(np.abs(coarse[k] - there).max() - np.abs(true - values).max())
        size = float(np.ptp(true)) / 2
        errors.append(float(np.abs(values - true).max()) / size)
        owns.append(float(own) / size)
    return max(errors), max(owns)


def asked_of(rows: Sequence[Faced]) -> dict[str, Any]:
    """What was asked of all rows together, in the form in which `solve` keeps its parts.

    Args:
        rows: All rows.
    """
    wanted = [row.error / row.wanted for row in rows]
    silent = sum(row.met and row.error > MORE_THAN_SAID * row.estimate for row in rows)
    found = [
        Quantity("largest true error over the one that is wanted", max(wanted), "", 1, None),
        Quantity("tolerances called met with ten times the error", float(silent), "", 0, None),
        Quantity("seconds of the processor, all rows", sum(r.seconds for r in rows), "s"),
    ]
    return {"hard": {"rows": [{**asdict(one), "verdict": one.verdict} for one in found]}}


def page(rows: Sequence[Faced], about: Mapping[str, Any]) -> str:
    """The page that shows the rows.

    Args:
        rows: All rows.
        about: Where they were measured.
    """
    head = ("problem", "tolerance", "wanted", "true error", "truth's own", "estimate", "said")
    table = [[*head, "parameters", "spans", "processor s"]]
    for row in rows:
        errors = [f"{row.error:.1e}", f"{row.own:.0e}" if row.own else "exact"]
        said = [f"{row.estimate:.1e}", "met" if row.met else "missed", f"{row.parameters:,}"]
        asked = [row.problem, f"{row.tolerance:g}", f"{row.wanted:g}"]
        table.append([*asked, *errors, *said, str(row.spans), f"{row.seconds:.1f}"])
    lines = [
        "# Two coordinates and time",
        "",
        "`python -m benchmarks hard`. The true error is the largest at the end of the time, over",
        "half of what an unknown varies by; truths are closed forms, or solvers that share nothing",
        "with kanpde (benchmarks/independent.py). Settings are the default ones but for the",
        "tolerance.",
        "",
        *markdown(table, left=(0, 4, 6)),
        "",
        *provenance_lines(about),
        "",
    ]
    return "\n".join(lines)
