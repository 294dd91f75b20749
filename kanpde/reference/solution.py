"""The finite-difference reference of a problem: ever finer grids until two of them agree, or the work that it may take is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, listed, nearest
from kanpde.geometry import SpaceTime
from kanpde.problem import Problem
from kanpde.reference.evolution import solve_evolution
from kanpde.reference.grid import Grid
from kanpde.reference.richardson import distance, estimate, observed, rounding
from kanpde.reference.steady import solve_steady
from kanpde.reference.work import OutOfWork, Work

ORDERS = {1: 12, 2: 12, 3: 8}
"""Order of accuracy by default, by space dimensions: digits of smooth solutions cost least at high orders (where a solution is not
smooth they cost the same at any), as far as the first grids have the nodes for them."""

FIRST = {1: 32, 2: 16, 3: 10}
"""Cells along each coordinate of the first grid, by space dimensions."""

TARGET = 1e-11
"""Estimated relative error at which a default reference stops refining."""

EFFORTS = {"quick": 2.0, "default": 12.0, "record": 120.0}
"""Seconds of work, as `work` counts it, that a reference may take."""

PATIENCE = 600.0
"""Seconds of work for grids that the caller asks for."""

TIMES = 65
"""Output times of an evolution, the start and the end among them."""

KEPT = 513
"""Nodes along one coordinate past which the output of an evolution is thinned."""

COARSE = 3
"""Grids from the first on that may fail before the problem is given up."""

FIRST_TOLERANCE, TIGHTER, WITHIN = 1e-8, 100.0, 0.03
"""Of the integration in time on the coarsest grid; by how much it falls at most from grid to grid; and the part of a grid's
expected error in space that it falls to, so that the distance of two grids holds for their errors in time as well."""


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


def reference(problem: Problem, *, order: int | None = None, cells: int | Mapping[str, int] | None = None, effort: str = "default") -> Reference:
    """Solve a problem on a box by finite differences, from its own residuals.

    order: of accuracy in space, even; by default `ORDERS`. cells: along every space coordinate of the finest grid, or by
    coordinate; each a multiple of 2; by default grids are refined until the error estimate meets a target or the work is done
    that effort ("quick", "default" or "record") allows. That is counted, not timed: the same problem gives the same reference.
    Raises ReferenceUnavailable, with the reason, where the problem is outside the method.
    """
    begin, domain = time.perf_counter(), problem.domain
    if effort not in EFFORTS:
        raise ReferenceUnavailable(f"effort={effort!r}: expected {listed(EFFORTS)}{nearest(str(effort), EFFORTS)}")
    if not domain.is_box:
        raise ReferenceUnavailable(f"{domain!r} is not a box; finite differences take a box, with or without time")
    if len(domain.space) not in ORDERS:
        raise ReferenceUnavailable(f"{len(domain.space)} space dimensions; finite differences take at most {max(ORDERS)}, more have too many nodes")
    if order is not None and (order < 2 or order % 2):
        raise ReferenceUnavailable(f"order={order}: expected 2, 4, 6, 8 or a higher even number")
    if domain.time and not problem.time_order:
        raise ReferenceUnavailable(f"no equation differentiates by {domain.time!r}; leave Time(…) out of the domain")
    order = order or ORDERS[len(domain.space)]
    allowed = EFFORTS[effort] if cells is None else PATIENCE
    best: tuple[_Solved, float] | None = None
    solved: list[_Solved] = []
    distances: list[float] = []
    spent, failures, tolerance = 0.0, 0, FIRST_TOLERANCE
    for sizes in _sizes(problem, cells):
        if cells is None and solved and spent + solved[-1].work * _growth(problem, sizes, solved) > allowed and len(solved) > 1:
            break
        work = Work(allowed - spent if solved or cells is not None else (allowed - spent) / 4)
        try:
            found = _solve(problem, order, sizes, solved, tolerance, work)
        except ReferenceUnavailable:
            spent += work.done
            if best is not None and cells is None:
                break  # a finer grid would only have been more accurate
            failures += 1
            if solved or cells is not None or failures > COARSE or spent > allowed:
                raise
            continue  # a grid too coarse for the solution can make a sound scheme fail
        spent += found.work
        if solved:
            distances.append(distance(found.even, solved[-1].grid.even(solved[-1].closed, sizes)))
            grids = [*(s.grid.cells[0] for s in solved[-2:]), sizes[0]]
            seen = observed(distances[-1], distances[-2], (grids[0], grids[1], grids[2])) if len(distances) > 1 else None
            error = estimate(distances[-1], grids[-1] / grids[-2], order, seen) + rounding(max(sizes), _space_order(problem), not domain.time)
            if cells is not None or best is None or error < best[1]:
                best = found, error
            elif distances[-1] < 1e-5:
                break  # rounding grows faster than truncation falls
            if cells is None and error <= TARGET:
                break
            falls = (sizes[0] / grids[-2]) ** (order if seen is None else min(seen, order))
            tolerance = max(tolerance / TIGHTER, min(FIRST_TOLERANCE, WITHIN * error / falls))
        else:
            tolerance /= TIGHTER
        solved.append(found)
    assert best is not None  # every ladder has two grids
    return _packed(problem, *best, order, time.perf_counter() - begin)


@dataclass(frozen=True)
class _Solved:
    """A solution on the closed grid, and on equidistant nodes; work: seconds, as counted."""

    grid: Grid
    closed: np.ndarray
    even: np.ndarray
    method: str
    work: float


def _sizes(problem: Problem, cells: int | Mapping[str, int] | None) -> Iterator[tuple[int, ...]]:
    """Cells along each space coordinate, grid by grid: three of them where the caller says how many.

    Otherwise they are doubled on a line, with grids of three halves in between in the plane; in space they grow by a half.
    """
    space = problem.domain.space
    if cells is None:
        first = FIRST[len(space)]
        for k in count():
            yield ({1: first * 2**k, 2: first * 2 ** (k // 2) * (2 + k % 2) // 2, 3: int(first * 1.5**k)}[len(space)],) * len(space)
    finest = tuple(cells[x] for x in space) if isinstance(cells, Mapping) else (cells,) * len(space)
    if any(n < 2 or n % 2 for n in finest):
        raise ReferenceUnavailable(f"cells={cells}: expected even numbers, because the error is estimated on a grid of half as many")
    coarsest = tuple(n // 4 for n in finest)
    if all(n % 4 == 0 for n in finest) and min(coarsest) >= 8:
        yield coarsest
    yield tuple(n // 2 for n in finest)
    yield finest


def _growth(problem: Problem, sizes: tuple[int, ...], solved: list[_Solved]) -> float:
    """How much more work the next grid will be: as before, but at least as its nodes."""
    nodes = float(np.prod(sizes)) / float(np.prod(solved[-1].grid.cells))
    return max(nodes, solved[-1].work / solved[-2].work) if len(solved) > 1 else nodes


def _solve(problem: Problem, order: int, cells: tuple[int, ...], before: list[_Solved], tolerance: float, work: Work) -> _Solved:
    """Solve on one grid; before: what coarser ones found, the last of which is where Newton's method starts."""
    domain = problem.domain
    grid = Grid({x: domain.bounds[x] for x in domain.space}, cells, order, frozenset(problem.periodic))
    if isinstance(domain, SpaceTime):
        times = np.linspace(*domain.bounds[domain.time], TIMES)
        fields, method = solve_evolution(problem, grid, times, tolerance, work)
        closed = np.stack([grid.close(fields[..., k]) for k in range(TIMES)], -1)
    else:
        start = grid.open(grid.interpolate(before[-1].grid, before[-1].closed)) if before else None
        closed, method = grid.close(solve_steady(problem, grid, start, work)), "Newton"
    return _Solved(grid, closed, grid.even(closed), method, work.done)


def _space_order(problem: Problem) -> int:
    return max(problem.order(u, x) for u in problem.unknowns for x in problem.domain.space)


def _packed(problem: Problem, found: _Solved, error: float, order: int, seconds: float) -> Reference:
    domain, grid, values = problem.domain, found.grid, found.even
    coordinates = {x: np.linspace(*domain.bounds[x], n + 1) for x, n in zip(domain.space, grid.cells, strict=True)}
    shown = " x ".join(str(len(axis)) for axis in coordinates.values())
    if isinstance(domain, SpaceTime):
        for i, x in enumerate(domain.space, 1):
            while len(coordinates[x]) > KEPT and len(coordinates[x]) % 2:
                coordinates[x] = coordinates[x][::2]
                values = np.take(values, np.arange(0, values.shape[i], 2), axis=i)
        coordinates[domain.time] = np.linspace(*domain.bounds[domain.time], TIMES)
    kind = f"finite differences of order {order}, {shown} points, {found.method}"
    return Reference(coordinates, {u: np.ascontiguousarray(values[v]) for v, u in enumerate(problem.unknowns)}, order, kind, error, seconds)
