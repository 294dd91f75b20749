"""The climb of a reference: ever finer grids until the error that they show meets a target, or the
work that it may take is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful, SolutionEnds
from kanpde.geometry import SpaceTime
from kanpde.machine.memory import available, gigabytes
from kanpde.problem.formulation import Formulation
from kanpde.problem.pencil import Pencil
from kanpde.reference.beside import solve_beside
from kanpde.reference.elements import Meshes
from kanpde.reference.evolution import TIGHTEST, solve_evolution
from kanpde.reference.grid import Grid
from kanpde.reference.ladder import grid_of, sizes
from kanpde.reference.lowered import lowered
from kanpde.reference.modes import like_before, solve_modes
from kanpde.reference.norms import rms, scales
from kanpde.reference.richardson import distance, estimate, observed, rounding
from kanpde.reference.scheme import odd_between_ends, space_order
from kanpde.reference.steady import solve_steady
from kanpde.reference.work import OutOfWork, Work

TARGET = 1e-11
"""Estimated relative error at which a default reference stops refining."""

OUTPUT_TIMES = 65
"""Output times of an evolution, the start and the end among them."""

COARSE_GRIDS = 3
"""Grids from the first on that may fail before the problem is given up."""

SAME_TIME = 0.01
"""Of the time until a march ends, by how much this may differ on another grid where it is the
solution that ends: a scheme that is unstable ends the sooner, the finer its grid."""

LAID_ON_A_LINE = 3e-5
"""Seconds that differences on a line take a node, which is most of what it costs there; in the
plane factors take more."""

FIRST_TOLERANCE = 1e-9
"""Of the integration in time on the coarsest grids."""

TIME_SHARE = 1e-3
"""Which part of a finer grid's expected error in space the tolerance in time falls to."""

TIME_RESERVE = 0.25
"""The part of the work that is kept for measuring the error in time."""

NOISE_EXPLAINS = 3.0
"""Distance of two grids, over what rounding has in the finer one, up to which it is rounding."""

SEEN_OF_NOISE = 0.3
"""Of the noise of a steady solution, which supposes that all terms of a row are off by their last
digit in the same direction, what its error is: 0.1 to 1.5, as measured."""

UNRESOLVED, SETTLED = 1e-2, 1e-8
"""Relative distances of two grids above which nothing can be extrapolated from them, and below
which they only can part by rounding."""


@dataclass
class GridSolution:
    """A solution on one grid, with its error.

    Attributes:
        grid: Where it was computed.
        closed: Values on the closed grid, [unknowns, nodes along each coordinate…, times].
        even: The same on equidistant nodes.
        method: What solved it, in words.
        tolerance: Of the integration in time.
        work: Seconds, as counted.
        noise: The size that rounding has in each unknown, 0 where it is not known.
        distance: Of each unknown from the solution on the grid before, relative to its scale.
        error: Of each unknown, as estimated, likewise.
        doubt: Why it may be wrong all the same, or "".
    """

    grid: Grid
    closed: np.ndarray
    even: np.ndarray
    method: str
    tolerance: float
    work: float
    noise: np.ndarray
    distance: np.ndarray
    error: np.ndarray
    doubt: str = ""

    @property
    def scales(self) -> np.ndarray:
        """What the errors of each unknown are relative to."""
        each = zip(_known(self.even), self.noise, strict=True)
        return np.concatenate([scales(values, np.array([noise])) for values, noise in each])

    @property
    def sizes(self) -> np.ndarray:
        """Root mean square of each unknown."""
        return np.concatenate([rms(values) for values in _known(self.even)])

    @property
    def worst(self) -> float:
        """The error of the worst unknown."""
        return float(self.error.max())

    @property
    def farthest(self) -> float:
        """The distance of the worst unknown, relative to its size, as rounding is."""
        larger = np.maximum(self.sizes, self.scales)
        return float((self.distance * self.scales / larger).max())


def climb(
    problem: Formulation,
    order: int,
    cells: int | Mapping[str, int] | None,
    allowed: float,
    meshes: Meshes | None = None,
) -> GridSolution:
    """Solve on finer and finer grids, and return the solution on the best of them with its error.

    Args:
        problem: What is solved.
        order: Of accuracy in space.
        cells: Of the finest grid, or None to refine until the target is met or the work is done.
        allowed: Seconds of work.
        meshes: Of finite elements, in the place of grids.

    Raises:
        ReferenceUnavailable: Where no grid gives a solution, or not the one that was asked for.
    """
    solved: list[GridSolution] = []
    asked = cells is not None
    doubts: list[SolutionDoubtful] = []
    spent, failures, share = 0.0, 0, allowed * (1 - TIME_RESERVE if problem.domain.time else 1)
    fewest = order + space_order(problem)
    for along in meshes.sizes() if meshes else sizes(problem, fewest, cells):
        # What the next grid will take is known from the last two; it is not begun in vain.
        if (
            not asked
            and len(solved) > 1
            and spent + solved[-1].work * _growth(along, solved) > share
        ):
            break
        # Before there is any solution, no grid may use up what a coarser one could have done with.
        work = Work(share - spent if solved or asked else (share - spent) / 3)
        try:
            _check_room(len(problem.unknowns), along, order)
            grid = meshes.grid(along) if meshes else grid_of(problem, along, order)
            found = solve_on(problem, grid, solved, _tolerance(solved, along, order), work)
        except ReferenceUnavailable as error:
            spent += work.done
            if len(solved) > 1 and not asked:
                # The work may end anywhere. Anything else may mean that the coarser grids are wrong
                # together: nothing is extrapolated from them.
                last = solved[-1]
                if not isinstance(error, OutOfWork):
                    last.error = np.maximum(last.error, last.distance)
                    last.doubt = f"no solution on the next finer grid of {_points(along)}: {error}"
                break
            failures += 1
            _check_ends(problem, error, doubts)
            # A grid too coarse for the solution can make a sound scheme fail: a few more are tried.
            if solved or asked or failures > COARSE_GRIDS or isinstance(error, OutOfWork):
                if doubts and isinstance(error, OutOfWork) and not _later(error, doubts[-1]):
                    raise doubts[-1] from error  # which says more than that work has ended
                raise
            continue
        spent += work.done
        if solved:
            _compare(problem, found, solved, order)
            if not asked and solved[-1].worst < found.worst and _is_rounding(found, solved[-1]):
                break
        solved.append(found)
        if not asked and found.worst <= TARGET:
            break
    if problem.domain.time:
        add_error_in_time(problem, solved, TIME_RESERVE * allowed)
    return solved[-1]


def _later(error: OutOfWork, doubt: SolutionDoubtful) -> bool:
    """Whether a march whose work ended had come beyond the time at which one on a coarser grid
    ended, which then was too coarse and no more."""
    return error.at is not None and doubt.ends is not None and error.at > doubt.ends


def _check_ends(
    problem: Formulation, error: ReferenceUnavailable, doubts: list[SolutionDoubtful]
) -> None:
    """Keep what speaks against a solution; raise SolutionEnds where a march has come no further
    than one on the grid before, which ended."""
    before = next((one.ends for one in doubts[-1:]), None)
    worked = error if isinstance(error, OutOfWork) else error.__cause__
    here = worked.at if isinstance(worked, OutOfWork) else None
    if isinstance(error, SolutionDoubtful):
        doubts.append(error)
        here = error.ends if error.ends is not None else here
    if before is None or here is None or not problem.domain.time:
        return
    begin = problem.domain.bounds[problem.domain.time][0]
    if abs(here - before) <= SAME_TIME * (before - begin):
        raise SolutionEnds(f"{doubts[0]}, on two grids at the same time", before) from error


def _is_rounding(found: GridSolution, before: GridSolution) -> bool:
    """Whether it is rounding, which grows from grid to grid, by which a solution parts from the one
    before: where they agree very well, and where no more is measured between them, which is more
    than all of the error before."""
    noise = found.noise / found.scales
    explained = bool((found.distance <= NOISE_EXPLAINS * noise).all())
    return found.farthest < SETTLED or (explained and before.worst < float(noise.max()))


def _compare(
    problem: Formulation, found: GridSolution, solved: list[GridSolution], order: int
) -> None:
    """Give a solution its error in space, from the grids before."""
    before = solved[-1]
    cells = [s.grid.cells[0] for s in (*solved[-2:], found)]
    own, ratio = found.scales, cells[-1] / cells[-2]
    found.distance = distance(*found.grid.shared(found.even, before.grid, before.closed)) / own
    parts = np.ones(len(own))
    for v, latest in enumerate(found.distance):
        seen = observed(latest, before.distance[v], cells) if len(cells) > 2 else None
        # Two grids that are far apart say nothing of the order: all of their distance is the error.
        if seen is not None or latest <= UNRESOLVED:
            parts[v] = estimate(1.0, ratio, order, seen)
    noise = rounding(
        max(found.grid.cells),
        space_order(lowered(problem)),
        not problem.domain.time,
        odd_between_ends(problem),
    )
    left = noise * found.sizes
    if not problem.domain.time:
        # The number of nodes does not say what layers of very different materials, say, leave.
        left = np.maximum(left, SEEN_OF_NOISE * found.noise)
    found.error = parts * found.distance + left / own


def _known(values: np.ndarray) -> list[np.ndarray]:
    """Values [1, nodes] of each unknown, without the nodes where it does not live."""
    return [row[None, np.isfinite(row)] for row in values.reshape(len(values), -1)]


def _tolerance(solved: list[GridSolution], along: tuple[int, ...], order: int) -> float:
    """In time on the next grid: a small part of the error in space that is to be expected there."""
    if len(solved) < 2:
        return FIRST_TOLERANCE
    seen = solved[-2].worst / solved[-1].worst if len(solved) > 2 else 2.0**order
    expected = solved[-1].worst / max(1.0, seen)
    return min(FIRST_TOLERANCE, max(TIGHTEST, TIME_SHARE * expected))


def add_error_in_time(problem: Formulation, solved: list[GridSolution], allowed: float) -> None:
    """Add the error in time to the last solution's: what steps of half the length change.

    A coarser grid shows it for less work, as long as it resolves the solution. Where even that is
    too much work, the distance of the last two grids, whose tolerances differ, is a bound.

    Args:
        problem: What was solved.
        solved: On ever finer grids.
        allowed: Seconds of work.
    """
    last = solved[-1]
    coarse = next((s for s in solved[-3:] if s.worst < UNRESOLVED), last)
    work = Work(allowed)
    try:
        normal = (
            coarse
            if coarse.tolerance == last.tolerance
            else solve_on(problem, coarse.grid, solved, last.tolerance, work)
        )
        halved = solve_on(problem, coarse.grid, solved, last.tolerance, work, halvings=1)
        moved = distance(*normal.grid.shared(halved.even, normal.grid, normal.closed))
        last.error = last.error + moved / halved.scales
    except OutOfWork:
        last.error = np.maximum(last.error, last.distance)


def _points(cells: tuple[int, ...]) -> str:
    return f"{' x '.join(str(n + 1) for n in cells)} points"


def _growth(along: tuple[int, ...], solved: list[GridSolution]) -> float:
    """How much more work the next grid will be: as before, but at least as its nodes."""
    return max(
        float(np.prod(along)) / float(np.prod(solved[-1].grid.cells)),
        solved[-1].work / solved[-2].work,
    )


def solve_on(
    problem: Formulation,
    grid: Grid,
    before: list[GridSolution],
    tolerance: float,
    work: Work,
    halvings: int = 0,
) -> GridSolution:
    """Solve on one grid, without an error.

    Args:
        problem: What is solved.
        grid: Of its space.
        before: What coarser grids found, the last of which is where Newton's method starts.
        tolerance: In time.
        work: What counts the operations.
        halvings: How many times steps in time are half as long.

    Raises:
        ReferenceUnavailable: Where there is no solution on this grid.
    """
    domain, done = problem.domain, work.done
    if len(grid.cells) == 1:
        work.spend(LAID_ON_A_LINE * grid.cells[0])
    if isinstance(domain, SpaceTime):
        times = np.linspace(*domain.bounds[domain.time], OUTPUT_TIMES)
        fields, method, noise = solve_evolution(
            problem, grid, times, tolerance, work, halvings=halvings
        )
        closed = np.stack([grid.close(fields[..., k]) for k in range(OUTPUT_TIMES)], -1)
    else:
        start = grid.moved(before[-1].grid, before[-1].closed) if before else None
        if isinstance(problem, Pencil):
            values, noise = solve_modes(problem, grid, start, work)
            method = "Arnoldi"
        elif problem.parameters:
            values, noise = solve_beside(problem, grid, start, work)
            method = "least squares by Newton"
        else:
            values, noise = solve_steady(problem, grid, start, work)
            method = "Newton"
        closed = grid.close(values)
        if isinstance(problem, Pencil) and before:
            closed = like_before(problem, grid, closed, before[-1].grid, before[-1].closed)
    spent, unknown = work.done - done, np.full(len(problem.unknowns), np.inf)
    return GridSolution(
        grid, closed, grid.even(closed), method, tolerance, spent, noise, unknown, unknown
    )


def _check_room(fields: int, cells: tuple[int, ...], order: int) -> None:
    """Raise ReferenceUnavailable where not even the matrix of a grid fits into memory, of which its
    factors are at least a copy."""
    nodes = math.prod(n + 1 for n in cells)
    needed, free = 2.0 * 16 * nodes * fields * (order + 1) * len(cells), available()
    if needed > free:
        raise OutOfWork(
            f"{_points(cells)} need at least {gigabytes(needed)}, and"
            f" {gigabytes(free)} are free; expected fewer cells"
        )
