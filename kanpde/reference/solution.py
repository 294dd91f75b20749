"""The finite-difference reference of a problem: ever finer grids until two of them agree, or the
work that it may take is done."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, listed, nearest
from kanpde.geometry import Domain, Pieces, SpaceTime
from kanpde.machine.memory import available, gigabytes
from kanpde.problem.efforts import EFFORTS
from kanpde.problem.problem import Problem
from kanpde.reference.embedded import Embedded
from kanpde.reference.evolution import TIGHTEST, solve_evolution
from kanpde.reference.grid import Grid
from kanpde.reference.richardson import distance, estimate, observed, rounding
from kanpde.reference.steady import corner_defect, solve_steady
from kanpde.reference.system import System
from kanpde.reference.work import OutOfWork, Work

ORDERS = {1: 12, 2: 12, 3: 8}
"""Order of accuracy by default, by space dimensions: digits of smooth solutions cost least at high
orders (where a solution is not smooth they cost the same at any), as far as the first grids have
the nodes for them."""

EMBEDDED, STABLE = {2: 4, 3: 2}, 2
"""The same for domains that are no box, and for evolutions on those with re-entrant corners."""

REENTRANT, CROWDS = 1.01 * np.pi, 4
"""Angle from which on a corner counts as re-entrant, and places along a coordinate to which lines
can crowd."""

FIRST = {1: 32, 2: 16, 3: 10}
"""Cells along each coordinate of the first grid, by space dimensions."""

TARGET = 1e-11
"""Estimated relative error at which a default reference stops refining."""

WORK_BY_EFFORT = {"quick": 2.0, "default": 12.0, "record": 120.0}
"""Seconds of work, as `work` counts it, that a reference may take."""

PATIENCE = 600.0
"""Seconds of work for grids that the caller asks for."""

TIMES = 65
"""Output times of an evolution, the start and the end among them."""

KEPT = 513
"""Nodes along one coordinate past which the output of an evolution is thinned."""

COARSE = 3
"""Grids from the first on that may fail before the problem is given up."""

FIRST_TOLERANCE, WITHIN = 1e-9, 1e-3
"""Of the integration in time on the coarsest grids, and which part of a finer grid's expected error
in space it falls to."""

RESERVED = 0.25
"""The part of the work that is kept for measuring the error in time."""

UNRESOLVED, SETTLED = 1e-2, 1e-8
"""Relative distances of two grids above which nothing can be extrapolated from them, and below
which they only can part by rounding."""

ODD = 6
"""The order where the highest derivative along a coordinate with ends is odd."""

ROUGH, CONTRADICTED = 4, 0.1
"""The order for solutions that are singular in a corner, and the part of an equation's terms that
does not cancel there."""


@dataclass(frozen=True)
class Reference:
    """A solution by finite differences, and what its error is.

    coordinates: 1-D grid by coordinate, time last; values: by unknown, with one axis a coordinate,
    NaN outside of the domain; order: of accuracy; kind: the method in words; estimated_error:
    relative L2 over all unknowns, by Richardson extrapolation in space, plus what halving the steps
    in time changes; estimated_errors: of each unknown, relative to its own size.
    """

    coordinates: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    order: int
    kind: str
    estimated_error: float
    seconds: float
    estimated_errors: dict[str, float] = field(default_factory=dict)

    def points(self) -> Float[np.ndarray, "nodes dims"]:
        """All grid nodes, in the C order of `values`."""
        mesh = np.meshgrid(*self.coordinates.values(), indexing="ij")
        return np.stack([m.ravel() for m in mesh], 1)


def reference(
    problem: Problem,
    *,
    order: int | None = None,
    cells: int | Mapping[str, int] | None = None,
    effort: str = "default",
) -> Reference:
    """Solve a problem by finite differences, from its own residuals; on a box, or with the boundary
    embedded in a grid over the bounding box.

    order: of accuracy in space, even; by default `ORDERS`, or `EMBEDDED`. cells: along every space
    coordinate of the finest grid, or by coordinate; each a multiple of 2; by default grids are
    refined until the error estimate meets a target or the work is done that effort ("quick",
    "default" or "record") allows. That is counted, not timed: the same problem gives the same
    reference. Raises ReferenceUnavailable, with the reason, where the problem is outside the
    method.
    """
    begin, domain = time.perf_counter(), problem.domain
    if effort not in EFFORTS:
        raise ReferenceUnavailable(
            f"effort={effort!r}: expected {listed(EFFORTS)}{nearest(str(effort), EFFORTS)}"
        )
    if isinstance(domain, Pieces):
        raise ReferenceUnavailable(
            f"the domain is in {len(domain.regions)} pieces; finite differences take one"
        )
    if not domain.is_box and _space_order(problem) > 2:
        raise ReferenceUnavailable(
            f"a derivative of order {_space_order(problem)}; on domains that are no box finite"
            " differences take them up to order 2"
        )
    if problem.parameters:
        raise ReferenceUnavailable(
            f"its parameters {listed(p.name for p in problem.parameters)} are unknown; finite"
            " differences take numbers (problem.settled(…))"
        )
    if not domain.is_box and problem.periodic:
        raise ReferenceUnavailable(
            f"Periodic({problem.periodic[0]!r}) on a domain that is no box: its finite differences"
            " do not wrap round"
        )
    if len(domain.space) not in ORDERS:
        raise ReferenceUnavailable(
            f"{len(domain.space)} space dimensions; finite differences take at most {max(ORDERS)},"
            " more have too many nodes"
        )
    if order is not None and (order < 2 or order % 2):
        raise ReferenceUnavailable(f"order={order}: expected 2, 4, 6, 8 or a higher even number")
    if domain.time and not problem.time_order:
        raise ReferenceUnavailable(
            f"no equation differentiates by {domain.time!r}; leave Time(…) out of the domain"
        )
    kept, why = (order, "") if order else _order(problem)
    if cells is not None and not order:
        coarse = min(cells.values() if isinstance(cells, Mapping) else [cells]) // 2 + 1
        kept = max(
            2, min(kept, (coarse - _space_order(problem)) // 2 * 2)
        )  # what the coarser of the two grids holds
    solved = _climb(problem, kept, cells, WORK_BY_EFFORT[effort] if cells is None else PATIENCE)
    return _packed(problem, solved, kept, why, time.perf_counter() - begin)


@dataclass
class _Solved:
    """A solution on the closed grid, and on equidistant nodes; its error, of all unknowns and of
    each; work: seconds, as counted."""

    grid: Grid
    closed: np.ndarray
    even: np.ndarray
    method: str
    tolerance: float
    work: float
    distance: np.ndarray
    error: np.ndarray


def _climb(
    problem: Problem, order: int, cells: int | Mapping[str, int] | None, allowed: float
) -> _Solved:
    """Solve on finer and finer grids, and return the solution on the best of them with its
    error."""
    solved: list[_Solved] = []
    spent, failures, climb = 0.0, 0, allowed * (1 - RESERVED if problem.domain.time else 1)
    for sizes in _sizes(problem, order, cells):
        if (
            cells is None
            and len(solved) > 1
            and spent + solved[-1].work * _growth(sizes, solved) > climb
        ):
            break
        work = Work(climb - spent if solved or cells is not None else (climb - spent) / 3)
        try:
            found = _solve(problem, order, sizes, solved, _tolerance(solved, sizes, order), work)
        except ReferenceUnavailable as error:
            spent += work.done
            if len(solved) > 1 and cells is None:
                break  # a finer grid would only have been more accurate
            failures += 1
            if solved or cells is not None or failures > COARSE or isinstance(error, OutOfWork):
                raise
            continue  # a grid too coarse for the solution can make a sound scheme fail
        spent += work.done
        if solved:
            _compare(problem, found, solved, order)
            if (
                cells is None
                and solved[-1].error[0] < found.error[0]
                and found.distance[0] < SETTLED
            ):
                break  # rounding grows faster than truncation falls
        solved.append(found)
        if cells is None and found.error[0] <= TARGET:
            break
    if problem.domain.time:
        _check_time(problem, order, solved, RESERVED * allowed)
    return solved[-1]


def _compare(problem: Problem, found: _Solved, solved: list[_Solved], order: int) -> None:
    """Give a solution its error in space, from the grids before."""
    before, n = solved[-1], found.grid.cells[0]
    found.distance = distance(*found.grid.shared(found.even, before.grid, before.closed))
    seen = None
    if len(solved) > 1:
        seen = observed(
            found.distance[0],
            before.distance[0],
            (solved[-2].grid.cells[0], before.grid.cells[0], n),
        )
    part = estimate(1.0, n / before.grid.cells[0], order, seen)
    if seen is None and found.distance[0] > UNRESOLVED:
        part = 1.0
    found.error = part * found.distance + rounding(
        max(found.grid.cells), _space_order(problem), not problem.domain.time, _odd(problem)
    )


def _tolerance(solved: list[_Solved], sizes: tuple[int, ...], order: int) -> float:
    """In time on the next grid: a small part of the error in space that is to be expected there."""
    if len(solved) < 2:
        return FIRST_TOLERANCE
    seen = solved[-2].error[0] / solved[-1].error[0] if len(solved) > 2 else 2.0**order
    return min(FIRST_TOLERANCE, max(TIGHTEST, WITHIN * solved[-1].error[0] / max(1.0, seen)))


def _check_time(problem: Problem, order: int, solved: list[_Solved], allowed: float) -> None:
    """Add the error in time to the last solution's: what steps of half the length change on a
    coarser grid, at most as much as it knows."""
    last = solved[-1]
    coarse = next((s for s in solved[-3:] if s.error[0] < UNRESOLVED), last)
    work = Work(allowed)
    try:
        normal = (
            coarse
            if coarse.tolerance == last.tolerance
            else _solve(problem, order, coarse.grid.cells, solved, last.tolerance, work)
        )
        halved = _solve(
            problem, order, coarse.grid.cells, solved, last.tolerance, work, halved=True
        )
        last.error = last.error + distance(
            *normal.grid.shared(halved.even, normal.grid, normal.closed)
        )
    except OutOfWork:
        last.error = np.maximum(last.error, last.distance)


def _order(problem: Problem) -> tuple[int, str]:
    """The order for a problem, and why it is lower than usual.

    First derivatives between ends let errors grow from node to node, by a power of the nodes that
    rises with the order. Where conditions on two faces contradict the equation of a pressure in
    their corner (a cavity whose lid starts from rest there), the solution is singular.
    """
    space = problem.domain.space
    if not problem.domain.is_box:
        if problem.domain.time and any(
            corner.opening > REENTRANT for corner in problem.domain.corners
        ):
            return STABLE, " (with a higher one, solutions grow in time at a re-entrant corner)"
        return EMBEDDED[len(space)], ""
    grid = Grid(
        {x: problem.domain.bounds[x] for x in space},
        (FIRST[len(space)],) * len(space),
        ORDERS[len(space)],
        frozenset(problem.periodic),
    )
    if _odd(problem):
        return ODD, " (the highest that is safe for odd derivatives between ends)"
    if (
        not problem.domain.time
        and len(space) > 1
        and corner_defect(System(problem, grid)) > CONTRADICTED
    ):
        return ROUGH, " (the conditions contradict an equation in a corner)"
    return ORDERS[len(space)], ""


def _odd(problem: Problem) -> bool:
    """Whether the highest derivative along a coordinate with ends is of odd order."""
    ends = [x for x in problem.domain.space if x not in problem.periodic]
    highest = {x: max(problem.order(u, x) for u in problem.unknowns) for x in ends}
    return any(order % 2 for order in highest.values())


def _sizes(
    problem: Problem, order: int, cells: int | Mapping[str, int] | None
) -> Iterator[tuple[int, ...]]:
    """Cells along each space coordinate, grid by grid: three of them where the caller says how
    many.

    Otherwise they are doubled on a line, with grids of three halves in between in the plane; in
    space they grow by a half.
    """
    space = problem.domain.space
    if cells is None:
        yield from _ladder(len(space)) if problem.domain.is_box else _proportioned(problem)
        return
    finest = tuple(cells[x] for x in space) if isinstance(cells, Mapping) else (cells,) * len(space)
    if any(n < 2 or n % 2 for n in finest):
        raise ReferenceUnavailable(
            f"cells={cells}: expected even numbers, because the error is estimated on a grid of"
            " half as many"
        )
    coarsest = tuple(n // 4 for n in finest)
    if all(n % 4 == 0 for n in finest) and min(coarsest) >= max(8, order + _space_order(problem)):
        yield coarsest
    yield tuple(n // 2 for n in finest)
    yield finest


def _ladder(dimensions: int) -> Iterator[tuple[int, ...]]:
    first = FIRST[dimensions]
    for k in count():
        yield (
            {1: first * 2**k, 2: first * 2 ** (k // 2) * (2 + k % 2) // 2, 3: int(first * 1.5**k)}[
                dimensions
            ],
        ) * dimensions


def _proportioned(problem: Problem) -> Iterator[tuple[int, ...]]:
    """Grids of cells that are nearly squares, each with many nodes in common with the one
    before."""
    lengths = [b - a for a, b in (problem.domain.bounds[x] for x in problem.domain.space)]
    mean = float(np.prod(lengths)) ** (1 / len(lengths))
    shares = [max(4, round(FIRST[len(lengths)] / 2 * length / mean)) for length in lengths]
    for k in count():
        yield tuple(share * 2 ** (k // 2) * (2 + k % 2) for share in shares)


def _grid(problem: Problem, cells: tuple[int, ...], order: int) -> Grid:
    domain = problem.domain
    bounds = {x: domain.bounds[x] for x in domain.space}
    if domain.is_box:
        return Grid(bounds, cells, order, frozenset(problem.periodic))
    space = domain.region if isinstance(domain, SpaceTime) else domain
    return Embedded(bounds, cells, order, domain=space, graded=_singular(space, order))


def _singular(domain: Domain, order: int) -> tuple[dict[float, float], ...]:
    """Where lines must crowd, by coordinate: the places of corners, and powers; () where no corner
    is re-entrant, or there are too many.

    In a corner of angle ω a solution may be like r^α with α = π/ω. What that spoils in a whole
    solution falls as the nodes to the power -2αq, what it spoils around the corner as -(α + 1)q.
    """
    if not any(corner.opening > REENTRANT for corner in domain.corners):
        return ()
    found: tuple[dict[float, float], ...] = ({}, {})
    for corner in domain.corners:
        exponent = np.pi / corner.opening
        power = max(order / (2 * exponent), order / (1 + exponent))
        for places, at in zip(found, corner.at, strict=True):
            at = next((other for other in places if abs(other - at) < 1e-9), at)
            places[at] = max(places.get(at, 1.0), power)
    return found if all(len(places) <= CROWDS for places in found) else ()


def _growth(sizes: tuple[int, ...], solved: list[_Solved]) -> float:
    """How much more work the next grid will be: as before, but at least as its nodes."""
    return max(
        float(np.prod(sizes)) / float(np.prod(solved[-1].grid.cells)),
        solved[-1].work / solved[-2].work,
    )


def _solve(
    problem: Problem,
    order: int,
    cells: tuple[int, ...],
    before: list[_Solved],
    tolerance: float,
    work: Work,
    halved: bool = False,
) -> _Solved:
    """Solve on one grid; before: what coarser ones found, the last of which is where Newton's
    method starts."""
    domain, done = problem.domain, work.done
    _check_room(len(problem.unknowns), cells, order)
    grid = _grid(problem, cells, order)
    if isinstance(domain, SpaceTime):
        times = np.linspace(*domain.bounds[domain.time], TIMES)
        fields, method = solve_evolution(problem, grid, times, tolerance, work, halved=halved)
        closed = np.stack([grid.close(fields[..., k]) for k in range(TIMES)], -1)
    else:
        start = grid.moved(before[-1].grid, before[-1].closed) if before else None
        closed, method = grid.close(solve_steady(problem, grid, start, work)), "Newton"
    unknown = np.full(1 + len(problem.unknowns), np.inf)
    return _Solved(
        grid, closed, grid.even(closed), method, tolerance, work.done - done, unknown, unknown
    )


def _check_room(fields: int, cells: tuple[int, ...], order: int) -> None:
    """Raise ReferenceUnavailable where not even the matrix of a grid fits into memory, of which its
    factors are at least a copy."""
    nodes = math.prod(n + 1 for n in cells)
    needed, free = 2.0 * 16 * nodes * fields * (order + 1) * len(cells), available()
    if needed > free:
        raise ReferenceUnavailable(
            f"{' x '.join(str(n + 1) for n in cells)} points need at least {gigabytes(needed)}, and"
            f" {gigabytes(free)} are free; expected fewer cells"
        )


def _space_order(problem: Problem) -> int:
    return max(problem.order(u, x) for u in problem.unknowns for x in problem.domain.space)


def _packed(problem: Problem, found: _Solved, order: int, why: str, seconds: float) -> Reference:
    domain, values = problem.domain, found.even
    coordinates = {
        x: np.linspace(*domain.bounds[x], n)
        for x, n in zip(domain.space, values.shape[1:], strict=False)
    }
    shown = " x ".join(str(len(axis)) for axis in coordinates.values())
    if isinstance(domain, SpaceTime):
        for i, x in enumerate(domain.space, 1):
            while len(coordinates[x]) > KEPT and len(coordinates[x]) % 2:
                coordinates[x] = coordinates[x][::2]
                values = np.take(values, np.arange(0, values.shape[i], 2), axis=i)
        coordinates[domain.time] = np.linspace(*domain.bounds[domain.time], TIMES)
    method = "finite differences of" if domain.is_box else "finite differences, embedded boundary,"
    kind = f"{method} order {order}{why}, {shown} points, {found.method}"
    fields = {u: np.ascontiguousarray(values[v]) for v, u in enumerate(problem.unknowns)}
    errors = dict(zip(problem.unknowns, found.error[1:].tolist(), strict=True))
    return Reference(coordinates, fields, order, kind, float(found.error[0]), seconds, errors)
