"""`python -m benchmarks alternatives`: products of splines beside what somebody would take instead.

That is SciPy's `solve_ivp` on lines, random features with one least squares, and kanpde's own
reference. Errors are the largest over half of an unknown's range, against the exact solution or the
reference, whose own error stands beside. OMP_NUM_THREADS=1 gives all of them one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import features, lines, tables
from benchmarks.rows import Tell, load, markdown, provenance_lines
from benchmarks.tolerances import PROBLEMS
from kanpde import Tensor, solve
from kanpde.errors import ProblemError
from kanpde.problem.file import load as load_problem
from kanpde.problem.problem import Problem
from kanpde.provenance import provenance
from kanpde.reference import Reference, reference
from kanpde.results.fields import exact_on
from kanpde.runs.atomic import check_writable

GOAL = 1e-8
"""Asked of everything that can be asked."""

FEATURES = (500, 1500)

SECONDS_OF_A_METHOD = 15.0
"""Of the processor, that each method of `solve_ivp` may take."""

PLACES = 65
"""Along every coordinate, at which errors are looked at."""

Values = Mapping[str, NDArray[np.float64]]
"""By unknown, on the grid of places."""


@dataclass(frozen=True)
class Beside:
    """One way of solving a problem.

    Attributes:
        problem: Its name.
        way: In words.
        error: Over half of the range, of the worst unknown; None where it cannot be had.
        own: The judge's own error; 0 of an exact solution.
        numbers: That the solution is made of.
        seconds: Of the processor.
        said: More of it, or why there is no error.
    """

    problem: str
    way: str
    error: float | None = None
    own: float = 0.0
    numbers: int = 0
    seconds: float = 0.0
    said: str = ""


@dataclass(frozen=True)
class Truth:
    """What all ways are judged by, on a grid.

    Attributes:
        columns: The places along every coordinate.
        values: By unknown.
        own: Its own error.
    """

    columns: tuple[NDArray[np.float64], ...]
    values: Values
    own: float

    @property
    def points(self) -> NDArray[np.float64]:
        """All places, [points, dims]."""
        grid = np.meshgrid(*self.columns, indexing="ij")
        return np.stack([g.ravel() for g in grid], 1)

    def error(self, found: Values) -> float:
        """Of values on the grid.

        Args:
            found: By unknown.
        """
        pairs = [(found[u], exact) for u, exact in self.values.items()]
        return max(float(np.abs(a - b).max() / (np.ptp(b) / 2)) for a, b in pairs)


def run(out: Path, tell: Tell, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Solve, and write `out/benchmarks/alternatives.md` and the numbers behind it.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        names: Of problems; by default those of `tolerances`.

    Returns:
        All rows, plain values.
    """
    about = {**provenance("cpu"), "load": load(), "command": "python -m benchmarks alternatives"}
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    rows = []
    for name in names or PROBLEMS:
        for row in _of(name):
            rows.append(row)
            tell(_line(row))
    plain = [asdict(row) for row in rows]
    found = {"about": about, "rows": plain}
    tables.write(folder, "alternatives", found, page(rows, about))
    return plain


def _of(name: str) -> Iterator[Beside]:
    problem, _ = load_problem(name)
    judge, began = None, time.process_time()
    try:
        judge = reference(problem)
    except ProblemError as error:
        yield Beside(name, "reference", said=str(error))
    spent = time.process_time() - began
    truth = _truth(problem, judge)
    if judge is not None:
        own = judge.estimated_error
        row = Beside(name, "reference", None, own, _numbers(judge), spent, judge.kind)
        known = all(u in problem.exact for u in problem.unknowns)
        yield replace(row, error=_of_reference(problem, judge), own=0.0) if known else row
    yield _timed(name, "products of splines", truth, partial(_products, problem, truth))
    if problem.domain.time is not None:
        yield _timed(name, "solve_ivp on lines", truth, partial(_lines, problem, truth))
    if all(one.affine for one in problem.equations):
        for count in FEATURES:
            work = partial(_features, problem, truth, count)
            yield _timed(name, f"{count} random features", truth, work)


def _truth(problem: Problem, judge: Reference | None) -> Truth:
    ends = [problem.domain.bounds[x] for x in problem.coordinates]
    if all(u in problem.exact for u in problem.unknowns):
        columns = tuple(np.linspace(low, high, PLACES) for low, high in ends)
        bare = Truth(columns, {}, 0.0)
        at = problem.exact_values(torch.from_numpy(bare.points))
        shape = [len(x) for x in columns]
        values = {u: at[u].numpy().reshape(shape) for u in problem.unknowns}
        return Truth(columns, values, 0.0)
    assert judge is not None, f"{problem.name}: neither an exact solution nor a reference"
    thin = [slice(None, None, max(1, len(v) // PLACES)) for v in judge.coordinates.values()]
    nodes = zip(judge.coordinates.values(), thin, strict=True)
    columns = tuple(v[s] for v, s in nodes)
    values = {u: v[tuple(thin)] for u, v in judge.values.items()}
    return Truth(columns, values, judge.estimated_error)


def _timed(
    name: str, way: str, truth: Truth, work: Callable[[], tuple[Values | None, int, float, str]]
) -> Beside:
    found, numbers, seconds, said = work()
    if found is None:
        return Beside(name, way, None, truth.own, numbers, seconds, said)
    return Beside(name, way, truth.error(found), truth.own, numbers, seconds, said)


def _products(problem: Problem, truth: Truth) -> tuple[Values, int, float, str]:
    began = time.process_time()
    result = solve(problem, network=Tensor(), tolerance=GOAL, reference=False)
    seconds = time.process_time() - began
    assert result.solution is not None
    at = result.solution(torch.from_numpy(truth.points)).numpy()
    shape = [len(x) for x in truth.columns]
    values = {u: at[:, k].reshape(shape) for k, u in enumerate(problem.unknowns)}
    return values, result.solution.parameters, seconds, f"tolerance {GOAL:g}"


def _lines(problem: Problem, truth: Truth) -> tuple[Values | None, int, float, str]:
    found = lines.marched(problem, GOAL, truth.columns[1], SECONDS_OF_A_METHOD)
    if found is None:
        return None, 0, SECONDS_OF_A_METHOD, f"no method within {SECONDS_OF_A_METHOD:g} s"
    values = {u: lines.on_nodes(found, problem, u, truth.columns[0]).T for u in problem.unknowns}
    said = f"{found.method} at rtol {GOAL / 10:g}, {found.nodes} nodes"
    return values, 0, found.seconds, said


def _features(problem: Problem, truth: Truth, count: int) -> tuple[Values, int, float, str]:
    found = features.fitted(problem, count, seed=0)
    index = (0,) * len(problem.coordinates)
    B = found.values(truth.points, index)
    shape = [len(x) for x in truth.columns]
    values = {u: (B @ found.c[k]).reshape(shape) for k, u in enumerate(problem.unknowns)}
    most = np.abs(found.W).max() / np.pi
    return values, found.c.size, found.seconds, f"waves to {most:.3g} pi, seed 0"


def _numbers(judge: Reference) -> int:
    return sum(int(v.size) for v in judge.values.values())


def _of_reference(problem: Problem, judge: Reference) -> float:
    """The error of a reference on its own nodes."""
    columns = tuple(judge.coordinates.values())
    return Truth(columns, exact_on(problem, judge.coordinates), 0.0).error(judge.values)


def _line(row: Beside) -> str:
    error = "-" if row.error is None else f"{row.error:.1e}"
    return f"{row.problem}, {row.way}: {error}, {row.seconds:.1f} s; {row.said}"


def page(rows: Sequence[Beside], about: Mapping[str, Any]) -> str:
    """The page that shows the rows.

    Args:
        rows: All rows.
        about: Where they were measured.
    """
    table = [["problem", "way", "true error", "judge's own", "processor s", "numbers", "how"]]
    for row in rows:
        error = "-" if row.error is None else f"{row.error:.1e}"
        own = f"{row.own:.0e}" if row.own else "exact"
        numbers = f"{row.numbers:,}" if row.numbers else "-"
        cells = [row.problem, row.way, error, own, f"{row.seconds:.1f}", numbers]
        table.append([*cells, row.said])
    lines_of_page = [
        "# Products of splines, and what somebody would take instead",
        "",
        "`python -m benchmarks alternatives`. The error is the largest over half of an unknown's",
        "range, on 65 places along every coordinate. `solve_ivp` marches on Chebyshev's or",
        "Fourier's nodes, twice as many until nothing changes by more than 1e-8, with the first of",
        "DOP853, Radau and LSODA that comes to an end within 15 s, of which the time is given.",
        "Its rates come from the problem's own residual, in PyTorch: by hand they take a",
        "fraction of that.",
        "Random features are one least squares; of five widths of their waves the one with the",
        "smallest residual is taken, and its time. A reference that is its own judge has no error.",
        "",
        *markdown(table, left=(0, 1, 3, 6)),
        "",
        *provenance_lines(about),
        "",
    ]
    return "\n".join(lines_of_page)
