"""The finite-difference reference of a problem: ever finer grids until two of them agree."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import make_interp_spline

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import SpaceTime
from kanpde.problem import Problem
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.grid import Grid
from kanpde.reference.richardson import distance, estimate, rounding
from kanpde.reference.steady import solve_steady

ORDER = 4
"""Order of accuracy by default."""

TIMES = 65
"""Output times of an evolution, the start and the end among them."""

KEPT = 513
"""Nodes along one coordinate past which the output of an evolution is thinned."""


@dataclass(frozen=True)
class Ladder:
    """Cells along each coordinate of the first grid and of the last that is tried, and the relative error to stop at."""

    first: int
    last: int
    target: float


STEADY = {1: Ladder(32, 4096, 1e-10), 2: Ladder(16, 256, 1e-7), 3: Ladder(6, 24, 1e-9)}
EVOLUTION = {1: Ladder(32, 8192, 2e-8), 2: Ladder(16, 256, 2e-8), 3: Ladder(6, 24, 2e-8)}
"""By number of space dimensions."""

BUDGET = 12.0
"""Seconds that a default reference of an evolution is expected to stay within; the grid in `kind` says what came of it."""

PATIENCE = 60.0
"""Seconds after which an integration is given up on a grid that the caller asks for."""

MOST_STEADY, MOST_EVOLVING = 70_000, 20_000
"""Nodes of a default grid, times unknowns to the power 1.5 as in the fill of LU; past them factors take over 300 MB in the plane."""

COARSE = 3
"""Grids from the first on that may fail before the problem is given up."""

FIRST_TOLERANCE = 1e-7
"""Of the integration in time on the coarsest grid."""


@dataclass(frozen=True)
class Reference:
    """A solution by finite differences, and what its error is.

    coordinates: 1-D grid by coordinate, time last; values: by unknown, with one axis a coordinate; order: of accuracy;
    kind: the method in words; estimated_error: relative L2 over all unknowns, by Richardson extrapolation.
    """

    coordinates: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    order: int
    kind: str
    estimated_error: float
    seconds: float

    def points(self) -> Float[np.ndarray, "nodes dims"]:
        """All grid nodes, in the C order of `values`."""
        mesh = np.meshgrid(*self.coordinates.values(), indexing="ij")
        return np.stack([m.ravel() for m in mesh], 1)


def reference(problem: Problem, *, order: int | None = ORDER, cells: int | Mapping[str, int] | None = None) -> Reference:
    """Solve a problem on a box by finite differences, from its own residuals.

    order: of accuracy in space, even. cells: along every space coordinate of the finest grid, or by coordinate; each a
    multiple of 2; by default grids are doubled until the error estimate meets a target or the grid a limit.
    Raises ReferenceUnavailable, with the reason, where the problem is outside the method.
    """
    begin, order = time.perf_counter(), ORDER if order is None else order
    domain = problem.domain
    if not domain.is_box:
        raise ReferenceUnavailable(f"{domain!r} is not a box; finite differences take a box, with or without time")
    if order < 2 or order % 2 or (order > 4 and domain.time):  # one-sided closures of order 6 make waves unstable
        raise ReferenceUnavailable(f"order={order}: expected 2 or 4 (or, without time, a higher even number)")
    if domain.time and not problem.time_order:
        raise ReferenceUnavailable(f"no equation differentiates by {domain.time!r}; leave Time(…) out of the domain")
    ladder = (EVOLUTION if domain.time else STEADY).get(len(domain.space))
    if ladder is None:
        raise ReferenceUnavailable(f"{len(domain.space)} space dimensions; finite differences take at most 3")
    best: tuple[_Solved, float] | None = None
    solved: list[_Solved] = []
    distances: list[float] = []
    spent, failures = [1e-3], 0
    for sizes in _sizes(problem, ladder, cells):
        started = time.perf_counter()
        left = BUDGET - (started - begin)
        if best is not None and cells is None and spent[-1] * max(2.0 ** len(domain.space), spent[-1] / spent[-2]) > left:
            break
        try:
            found = _solve(problem, order, sizes, solved, patience=PATIENCE if cells is not None else max(left, BUDGET / 2) if best is None else left)
        except ReferenceUnavailable:
            if best is not None and cells is None:
                break  # a finer grid would only have been more accurate
            failures += 1
            if solved or cells is not None or failures > COARSE or time.perf_counter() - begin > BUDGET:
                raise
            continue  # a grid too coarse for the solution can make a sound scheme fail
        spent.append(time.perf_counter() - started)
        if solved:
            distances.append(distance(found.closed, solved[-1].closed, len(domain.space)))
            error = estimate(distances[-1], distances[-2] if len(distances) > 1 else None, order) + rounding(max(sizes), _space_order(problem))
            if cells is not None or best is None or error < best[1]:
                best = found, error
            elif distances[-1] < 1e-5:
                break  # rounding grows faster than truncation falls
            if cells is None and error <= ladder.target:
                break
        solved.append(found)
    assert best is not None  # every ladder has two grids
    return _packed(problem, *best, order, time.perf_counter() - begin)


@dataclass(frozen=True)
class _Solved:
    grid: Grid
    closed: np.ndarray
    method: str


def _sizes(problem: Problem, ladder: Ladder, cells: int | Mapping[str, int] | None) -> Iterator[tuple[int, ...]]:
    """Cells along each space coordinate, grid by grid: three of them where the caller says how many."""
    space = problem.domain.space
    if cells is None:
        n, most = ladder.first, MOST_EVOLVING if problem.domain.time else MOST_STEADY
        while n <= ladder.last and (n == ladder.first or len(problem.unknowns) ** 1.5 * n ** len(space) <= most):
            yield (n,) * len(space)
            n *= 2
        return
    finest = tuple(cells[x] for x in space) if isinstance(cells, Mapping) else (cells,) * len(space)
    if any(n < 2 or n % 2 for n in finest):
        raise ReferenceUnavailable(f"cells={cells}: expected even numbers, because the error is estimated on a grid of half as many")
    coarsest = tuple(n // 4 for n in finest)
    if all(n % 4 == 0 for n in finest) and min(coarsest) >= 8:
        yield coarsest
    yield tuple(n // 2 for n in finest)
    yield finest


def _solve(problem: Problem, order: int, cells: tuple[int, ...], before: list[_Solved], patience: float) -> _Solved:
    """Solve on one grid; before: what coarser ones found, the last of which is where Newton's method starts.

    The tolerance in time falls by 2^p with every grid as the error in space does, so that their distance and its division by
    2^p - 1 hold for the error in time as well.
    """
    domain = problem.domain
    grid = Grid({x: domain.bounds[x] for x in domain.space}, cells, order, frozenset(problem.periodic))
    if isinstance(domain, SpaceTime):
        times = np.linspace(*domain.bounds[domain.time], TIMES)
        fields, integrator = solve_evolution(problem, grid, times, FIRST_TOLERANCE / 2 ** (order * len(before)), patience)
        return _Solved(grid, np.stack([grid.close(fields[..., k]) for k in range(TIMES)], -1), f"{integrator} in time")
    start = grid.open(_doubled(before[-1].closed)) if before else None
    return _Solved(grid, grid.close(solve_steady(problem, grid, start)), "Newton")


def _space_order(problem: Problem) -> int:
    return max(problem.order(u, x) for u in problem.unknowns for x in problem.domain.space)


def _doubled(values: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
    """Cubic interpolation onto a grid of twice as many cells."""
    for axis in range(1, values.ndim):
        n = values.shape[axis]
        values = make_interp_spline(np.arange(n), values, k=3, axis=axis)(np.arange(2 * n - 1) / 2)
    return values


def _packed(problem: Problem, found: _Solved, error: float, order: int, seconds: float) -> Reference:
    domain, grid, values = problem.domain, found.grid, found.closed
    coordinates = {x: grid.axis(x, closed=True) for x in domain.space}
    shown = " x ".join(str(len(axis)) for axis in coordinates.values())
    if isinstance(domain, SpaceTime):
        for i, x in enumerate(domain.space, 1):
            while len(coordinates[x]) > KEPT and len(coordinates[x]) % 2:
                coordinates[x] = coordinates[x][::2]
                values = np.take(values, np.arange(0, values.shape[i], 2), axis=i)
        coordinates[domain.time] = np.linspace(*domain.bounds[domain.time], TIMES)
    kind = f"finite differences of order {order}, {shown} points, {found.method}"
    return Reference(coordinates, {u: np.ascontiguousarray(values[v]) for v, u in enumerate(problem.unknowns)}, order, kind, error, seconds)
