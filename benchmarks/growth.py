"""`python -m benchmarks growth`: what a step of Newton's method costs on more and more cells.

Along one coordinate with time the band keeps its width, so that the work should grow with the
number n of cells; in two coordinates the band is n wide and n² long, n⁴; in two coordinates with
time the factors of the modes grow with n⁶, and iterations with n⁴. The rates of adding up JᵀJ and
of factoring stand beside that of a matrix product in the same process.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks import roofline, tables
from benchmarks.rows import Tell, load, markdown, provenance_lines
from kanpde.problem.file import load as load_problem
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.held import held
from kanpde.products.newton import LeastSquares, least_squares, normal
from kanpde.products.posed import initial_values
from kanpde.products.rows import points_of
from kanpde.provenance import provenance
from kanpde.runs.atomic import check_writable, replace_file

DEGREE, MODES, SPAN = 7, 11, 0.05
"""Of splines, of polynomials in time, and the length of a span over the whole time."""

CASES = {
    "one coordinate and time": ("burgers1d", (32, 64, 128, 256, 512, 1024), 1.0),
    "two coordinates": ("nonlinear_poisson2d", (8, 16, 24, 32, 48, 64, 96), 4.0),
    "two coordinates and time": ("heat2d", (6, 8, 12, 16, 20, 24), 6.0),
}
"""A problem, the cells along each coordinate, and the power of their number that is expected."""

REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """A step on some cells.

    Attributes:
        case: Of CASES.
        cells: Along each coordinate of space.
        parameters: That are free.
        assembly: Seconds to add up JᵀJ; with three coordinates, to have the products in space.
        factoring: Seconds for the factor, or all factors.
        assembly_flops: Operations of the products of each cell's rows.
        factoring_flops: Operations of the factor.
        rate: Of a matrix product, operations a second.
        threads: Of BLAS.
    """

    case: str
    cells: int
    parameters: int
    assembly: float
    factoring: float
    assembly_flops: float
    factoring_flops: float
    rate: float
    threads: int


def run(out: Path, tell: Tell) -> list[dict[str, Any]]:
    """Measure, and write `out/benchmarks/growth.md`, `growth.png` and the numbers behind them.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.

    Returns:
        All rows, plain values.
    """
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    about = {**provenance("cpu"), "load": load(), "command": "python -m benchmarks growth"}
    rows = []
    for threads, cases in ((1, tuple(CASES)), (2, ("two coordinates",))):
        for case in cases:
            found = _in_process(case, threads)
            rows += found
            last = found[-1]
            tell(f"{case}, {threads} threads: {last.assembly + last.factoring:.2f} s at most")
    plain = [asdict(row) for row in rows]
    replace_file(folder / "growth.png", partial(_drawn(rows).savefig, format="png", dpi=150))
    tables.write(folder, "growth", {"about": about, "rows": plain}, page(rows, about))
    return plain


def _in_process(case: str, threads: int) -> list[Cost]:
    """Measure in a process of its own, whose BLAS has so many threads."""
    code = f"from benchmarks import growth; growth.tell({case!r}, {threads})"
    own = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return [Cost(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def tell(case: str, threads: int) -> None:
    """Print what a case costs, as JSON: what the process does that measures.

    Args:
        case: Of CASES.
        threads: Of BLAS here.
    """
    name, cells, _ = CASES[case]
    problem = load_problem(name)[0]
    rate = roofline.measure("cpu", torch.float64).flops
    print(json.dumps([asdict(measured(case, problem, n, rate, threads)) for n in cells]))


def measured(case: str, problem: Problem, n: int, rate: float, threads: int) -> Cost:
    """A step on n cells along each coordinate of space.

    Args:
        case: Of CASES.
        problem: What is solved.
        n: The number.
        rate: Of a matrix product here.
        threads: Of BLAS here.
    """
    axes, squares = _posed(problem, n)
    C = np.zeros(squares.index.shape)
    if len(axes) == 3:
        whole = _least(lambda: squares.uncoupled(C))
        space = len(squares.layout.owner)
        flops = axes[-1].size / 2 * 4 / 3 * space**3
        return Cost(case, n, squares.free, 0.0, whole, 0.0, flops, rate, threads)
    weights = squares.weights(C)

    def assembled() -> Any:
        return normal(squares.rows, C, squares.index, weights)

    equations = assembled()
    band = equations.columns.shape[1]
    alive = len(problem.unknowns) * math.prod(axis.degree + 1 for axis in axes)
    points = math.prod(axis.cells * points_of(axis) for axis in axes)
    return Cost(
        case,
        n,
        squares.free,
        _least(assembled),
        _least(equations.factor),
        2.0 * points * alive**2,
        float(squares.free) * band**2,
        rate,
        threads,
    )


def _posed(problem: Problem, n: int) -> tuple[tuple[Axis, ...], LeastSquares]:
    axes: list[Axis] = []
    starts = {}
    for x in problem.coordinates:
        low, high = problem.domain.bounds[x]
        if x == problem.domain.time:
            order = max(problem.order(u, x) for u in problem.unknowns)
            axes.append(Modes(np.array([low, low + SPAN * (high - low)]), MODES, order))
            starts = initial_values(problem, x)
        else:
            axes.append(SplineAxis(np.linspace(low, high, n + 1), DEGREE, x in problem.periodic))
    return tuple(axes), least_squares(problem, axes, held(problem, axes, starts))


def _least(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def power(rows: Sequence[Cost]) -> float:
    """The power of the number of cells with which seconds grow over the last doubling or so.

    Args:
        rows: Of one case, from few cells to many.
    """
    last = rows[-1]
    first = next(row for row in rows if 2 * row.cells >= last.cells)
    seconds = [row.assembly + row.factoring for row in (first, last)]
    return math.log(seconds[1] / seconds[0]) / math.log(last.cells / first.cells)


def _drawn(rows: Sequence[Cost]) -> Figure:
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    styles = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"))
    for (case, (_, _, law)), (colour, marker) in zip(CASES.items(), styles, strict=True):
        own = [row for row in rows if row.case == case and row.threads == 1]
        n = np.array([row.cells for row in own])
        seconds = np.array([row.assembly + row.factoring for row in own])
        axes.loglog(n, seconds, marker, color=colour, ms=5, label=f"{case}: $n^{{{law:g}}}$")
        axes.loglog(n, seconds[-1] * (n / n[-1]) ** law, "--", color=colour, lw=1)
    axes.set_xlabel("cells n along a coordinate of space")
    axes.set_ylabel("seconds for the equations of a Newton step")
    axes.set_title("Products of splines: measured, and what is expected (dashed)", fontsize=9)
    axes.grid(True, which="both", lw=0.3)
    axes.legend(fontsize=8)
    return figure


def page(rows: Sequence[Cost], about: Mapping[str, Any]) -> str:
    """The page that shows the rows.

    Args:
        rows: All rows.
        about: Where they were measured.
    """
    head = ["case", "threads", "cells", "parameters", "assembly s", "of a product's rate"]
    table = [[*head, "factoring s", "of a product's rate"]]
    for row in rows:
        cells = [row.case, str(row.threads), str(row.cells), f"{row.parameters:,}"]
        for seconds, flops in (
            (row.assembly, row.assembly_flops),
            (row.factoring, row.factoring_flops),
        ):
            share = f"{100 * flops / seconds / row.rate:.0f} %" if flops else "-"
            cells += [f"{seconds:.3g}" if flops else "-", share]
        table.append(cells)
    laws = []
    for case, (name, _, law) in CASES.items():
        own = [row for row in rows if row.case == case and row.threads == 1]
        laws.append(f"- {case} (`{name}`): n^{power(own):.1f} at the end, expected n^{law:g}")
    lines = [
        "# Products of splines on more and more cells",
        "",
        "`python -m benchmarks growth`. The normal equations of one Newton step, splines of degree",
        f"{DEGREE}, of time {MODES}; the least of {REPEATS} repetitions. With two coordinates and",
        "time, factoring is all that is done for the modes together, and in single precision.",
        "",
        *laws,
        "",
        "![Seconds against cells](growth.png)",
        "",
        *markdown(table, left=(0,)),
        "",
        *provenance_lines(about),
        "",
    ]
    return "\n".join(lines)
