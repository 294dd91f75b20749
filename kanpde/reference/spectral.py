"""Collocation by global functions where the solution is smooth: as many of them as its coefficients
ask for.

The coefficients of an analytic function fall by the same factor from each to the next. Those of a
solution on a coarse grid say how many more are needed. Where they do not fall so, because of jumps,
kinks or layers that are not resolved, there is no solution of this kind, and finite differences
remain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.formulation import Formulation
from kanpde.problem.switches import creases
from kanpde.reference.climb import GridSolution, solve_on
from kanpde.reference.collocation import CollocationGrid
from kanpde.reference.elsewhere import totals
from kanpde.reference.evolution import TIGHTEST
from kanpde.reference.fronts import stretching_for
from kanpde.reference.norms import EPSILON
from kanpde.reference.richardson import distance, estimate, observed
from kanpde.reference.stretching import Stretching
from kanpde.reference.work import OutOfWork, Work

FIRST = {1: 32, 2: 16}
"""Cells along each coordinate of the first grid, by space dimensions."""

FIRST_BESIDE, GROWTH_BESIDE, AGREED_BESIDE = 12, 1.4, 1e-4
"""Of what conditions determine beside a solution, whose rounding may grow fast with the nodes:
cells of the first grid, with an even and an odd function among the last; by how much grids grow at
most; and the error as in `AGREED`, since there is no other method."""

FIRST_BEGUN = 128
"""Cells of the first grid where the search begins from a function, which fewer may not hold."""

MOST = {1: 800, 2: 5400}
"""Coefficients of all unknowns together at most, by space dimensions: their matrix is full."""

REFINED_BY = {1: 1.15, 2: 1.12}
"""By which a grid that resolves the solution is refined, to see that nothing changes."""

FAILURES = 2
"""Grids from the first on that may fail before the problem is given up."""

LOOSE = 1e-9
"""Tolerance in time while no grid resolves the solution."""

RESOLVING, COMPARABLE = 3.0, 6.0
"""Digits by which coefficients fall where the length of steps in time can be seen, and where a
solution is one that another can be compared with."""

WANTED, ENOUGH = 14.0, 12.5
"""Digits by which coefficients should fall, and by which they have fallen to rounding."""

FALLEN = 10.0
"""Digits by which they must have fallen, or there is no solution of this kind."""

CLOSE = 5e-13
"""Error in space, relative to how much an unknown varies, that ends the refinement."""

AGREED = 1e-7
"""Distance of the last two solutions above which neither is one."""

DIGITS_GROW = 0.5
"""Power of the number of functions by which digits must grow: 1 for a function that is analytic,
and about 0.2 for one with a kink."""

SEARCH, FINISH, CONFIRM = 0.5, 1.5, 3.0
"""Of the work, what the search for a grid that resolves the solution may take; all together where
there is one, because the rest is known then; and where coefficients have fallen, so that one other
grid confirms them."""

WORTH_STRETCHING = 0.75
"""Of the functions, what another coordinate may take for it to be taken."""

BEGUN, WITHOUT_DIGITS = 1.0, 3
"""Digits from which on they must grow, and grids after which they must have begun to."""

SHORT, GAINED = 6e-13, 32.0
"""Error in time, relative to how much an unknown varies, that is small enough, and what it falls by
at least when steps are halved: stiff equations leave Radau's method the order of its stages."""

HALF_AS_LONG = 1.75
"""Times the work of a march, what one with steps of half the length takes."""

MOST_HALVED = 3
"""Times that steps are halved."""

FLOOR = 10.0
"""Times the rounding of a solution, up to which its last coefficients may be nothing else."""

NOISE = 2.0
"""Times the rounding of its last equations, what rounding leaves in a solution at most."""


def suits(problem: Formulation) -> bool:
    """Whether a problem is one that collocation takes: on a box of one or two space dimensions.

    Args:
        problem: Any whose parameters are known.
    """
    return problem.domain.is_box and len(problem.domain.space) in FIRST


def collocated(
    problem: Formulation, allowed: float, by_differences: GridSolution | None = None
) -> GridSolution | None:
    """A solution by collocation with its error; None where there is none, and another method may
    have one.

    Args:
        problem: One that `suits`.
        allowed: Seconds of work.
        by_differences: A solution that shows where the thin layers are, on a line.
    """
    space, solved = problem.domain.space, list[GridSolution]()
    work, failures, steps = Work(SEARCH * allowed), 0, None
    doubt: ReferenceUnavailable | None = None
    cells: tuple[int, ...] | None = (_first(problem),) * len(space)
    stretched: dict[str, Stretching] = {}
    jumps, ends = jumps_of(problem), open_ends(problem)
    if by_differences:
        if jumps:
            return None
        known = -np.log10(max(by_differences.worst, EPSILON))
        best = stretching_for(by_differences, known, WANTED)
        if best is None or len(problem.unknowns) * best[1] > MOST[1]:
            return None
        stretched, cells = {space[0]: best[0]}, (best[1] // 2,)
    while cells is not None:
        try:
            if solved and digits(solved[-1]).min() >= RESOLVING:
                fallen = digits(solved[-1]).min() >= FALLEN
                work.allowed = (CONFIRM if fallen else FINISH) * allowed
            if problem.domain.time and solved and not steps:
                steps = _steps(problem, solved, work)
            tolerance = TIGHTEST if steps else LOOSE
            halvings = steps.halvings if steps else 0
            found = solve_on(
                problem,
                grid_of(problem, cells, stretched, jumps, ends),
                solved,
                tolerance,
                work,
                halvings,
            )
        except OutOfWork:
            if doubt is not None and not solved:
                raise doubt from None
            break
        except ReferenceUnavailable as reason:
            # A grid too coarse for the solution can make a sound problem fail.
            failures += 1
            if problem.parameters:
                doubt = reason  # There is no other method: it says what is not determined.
            if solved or failures > (FAILURES if doubt is None else 1):
                if doubt is not None:
                    raise doubt from None
                return None
            cells = tuple(2 * n for n in cells)
            continue
        if solved:
            _compare(found, solved)
        solved.append(found)
        cells = _next(problem, solved)
        if len(space) == 1 and not stretched and not jumps and (cells or problem.begun):
            # Where many functions are needed yet, fewer may do in another coordinate.
            best = _better(solved[-1])
            if best:
                stretched, cells = {space[0]: best[0]}, (best[1],)
    return _accepted(problem, solved, steps)


def _first(problem: Formulation) -> int:
    """Cells along each coordinate of the first grid."""
    if problem.parameters:
        return FIRST_BESIDE
    return FIRST_BEGUN if problem.begun else FIRST[len(problem.domain.space)]


def _better(last: GridSolution) -> tuple[Stretching, int] | None:
    """A coordinate in which the solution takes so many fewer functions that it is worth it, and how
    many."""
    known = float(digits(last).min())
    if not RESOLVING <= known < FALLEN:
        return None
    best, needed = stretching_for(last, known, WANTED), last.grid.cells[0] * WANTED / known
    return best if best and best[1] < WORTH_STRETCHING * needed else None


@dataclass(frozen=True)
class _Steps:
    """How many times steps in time are halved, and the error that they leave, by unknown."""

    halvings: int
    error: Float[np.ndarray, " unknowns"]


def _steps(problem: Formulation, solved: list[GridSolution], work: Work) -> _Steps | None:
    """Steps in time that are short enough, once a grid resolves the solution; its last solution is
    replaced by that with these steps."""
    if digits(solved[-1]).min() < RESOLVING:
        return None
    grid, before = solved[-1].grid, np.inf
    long, found = solve_on(problem, grid, solved, TIGHTEST, work), None
    for halvings in range(1, MOST_HALVED + 1):
        if work.done + HALF_AS_LONG * long.work > work.allowed:
            if found is None:
                # Steps of a larger tolerance are longer: what they change is a bound.
                loose = solved[-1]
                moved = distance(*grid.shared(long.even, grid, loose.closed)) / long.scales
                found = _Steps(halvings - 1, moved)
                solved[-1] = long
            break
        short = solve_on(problem, grid, solved, TIGHTEST, work, halvings)
        moved = distance(*grid.shared(short.even, grid, long.closed)) / short.scales
        # Where it falls by less, it is not the length of the steps that is seen.
        if moved.max() <= SHORT or moved.max() > before / GAINED:
            found = _Steps(halvings - 1, moved)
            solved[-1] = long
            break
        found = _Steps(halvings, moved / GAINED)
        solved[-1] = short
        if moved.max() / GAINED <= SHORT:
            break
        long, before = short, float(moved.max())
    return found


def jumps_of(problem: Formulation) -> dict[str, tuple[float, ...]]:
    """Where equations of second order jump along the coordinates of space that do not wrap round,
    by coordinate.

    Args:
        problem: One that `suits`.
    """
    found = {}
    for i, x in enumerate(problem.domain.space):
        highest = dict.fromkeys(problem.unknowns, 0)
        for equation in problem.equations:
            for u, index in equation.needs:
                highest[u] = max(highest[u], index[i])
        varying = {order for u, order in highest.items() if u not in problem.numbers}
        second = x not in problem.periodic and varying == {2}
        if second and (places := creases(problem, x)):
            found[x] = places
    return found


def open_ends(problem: Formulation) -> dict[str, tuple[bool, bool]]:
    """Ends that no condition is given on, by coordinate along which equations are of even order.

    Such equations degenerate there, as at the poles of a sphere, and hold what is smooth without a
    condition; or a condition is missing, which leaves no solution on any nodes.

    Args:
        problem: One that `suits`.
    """
    held = {constraint.face for constraint in problem.constraints}
    found: dict[str, tuple[bool, bool]] = {}
    if totals(problem):
        return found  # which fill the rows of such ends
    for x in problem.domain.space:
        if x in problem.periodic or max(problem.order(u, x) for u in problem.copies) % 2:
            continue
        low, high = (f"{x}{side}" not in held for side in "-+")
        if low or high:
            found[x] = (low, high)
    return found


def grid_of(
    problem: Formulation,
    cells: Sequence[int],
    stretched: Mapping[str, Stretching],
    jumps: Mapping[str, tuple[float, ...]] | None = None,
    ends: Mapping[str, tuple[bool, bool]] | None = None,
) -> CollocationGrid:
    """The grid of a problem's space.

    Args:
        problem: One that `suits`.
        cells: Along each space coordinate; those of one that wraps round are made odd.
        stretched: Coordinates that thin layers are wide in.
        jumps: Where equations jump, by coordinate.
        ends: Which are no nodes, by coordinate.
    """
    domain = problem.domain
    odd = tuple(n | (x in problem.periodic) for x, n in zip(domain.space, cells, strict=True))
    bounds = {x: domain.bounds[x] for x in domain.space}
    wraps = frozenset(problem.periodic)
    return CollocationGrid(
        bounds,
        odd,
        max(odd),
        wraps,
        stretched=stretched,
        creases=jumps or {},
        open_ends=ends or {},
    )


def digits(solution: GridSolution) -> Float[np.ndarray, " dims"]:
    """By how many digits the coefficients along each coordinate fall, of the worst unknown and
    instant, over how much the unknown varies.

    Args:
        solution: On a grid of collocation.
    """
    grid, scales = solution.grid, solution.scales
    assert isinstance(grid, CollocationGrid)
    # What is left may be rounding, as measured, or that of a size large beside its variation.
    noise = np.maximum(3 * EPSILON * solution.sizes, solution.noise) / scales
    fallen = np.maximum(grid.last(solution.closed, scales), EPSILON)
    return np.where(fallen < FLOOR * noise.max(), WANTED, -np.log10(fallen))


def _next(problem: Formulation, solved: Sequence[GridSolution]) -> tuple[int, ...] | None:
    """Cells of the next grid; None where there is nothing more to find."""
    last, dimensions = solved[-1], len(problem.domain.space)
    found, before = digits(last), digits(solved[-2]) if len(solved) > 1 else None
    if before is not None:
        tight = max(last.tolerance, solved[-2].tolerance) <= TIGHTEST or not problem.domain.time
        if tight and (last.worst <= CLOSE or min(found.min(), before.min()) >= ENOUGH):
            return None
        ratio = np.array(last.grid.cells) / np.array(solved[-2].grid.cells)
        # In another coordinate digits are others.
        alike = _stretched(last) == _stretched(solved[-2])
        grown = np.log(np.maximum(found, 0.1) / np.maximum(before, 0.1)) / np.log(ratio)
        # While waves are not resolved at all, there are no digits yet.
        begun = (found > BEGUN) | (len(solved) > WITHOUT_DIGITS)
        if alike and (begun & (grown < DIGITS_GROW) & (found < FALLEN)).any():
            return None
    most = np.where(found > RESOLVING, 3.0, 2.0) if not problem.parameters else GROWTH_BESIDE
    wanted = np.clip(WANTED / np.maximum(found, 0.1), REFINED_BY[dimensions], most)
    cells = tuple(int(np.ceil(n * w / 2)) * 2 for n, w in zip(last.grid.cells, wanted, strict=True))
    size = len(problem.unknowns) * float(np.prod(cells))
    return cells if size <= MOST[dimensions] else None


def _stretched(solution: GridSolution) -> set[str]:
    """The coordinates that are stretched."""
    assert isinstance(solution.grid, CollocationGrid)
    return set(solution.grid.stretched)


def _compare(found: GridSolution, solved: Sequence[GridSolution]) -> None:
    """Give a solution its error, from the grids before: all of its distance from the last, and more
    where that does not fall as fast as errors of first order."""
    before = solved[-1]
    cells = [max(s.grid.cells) for s in (*solved[-2:], found)]
    own = found.scales
    found.distance = distance(*found.grid.shared(found.even, before.grid, before.closed)) / own
    parts = np.ones(len(own))
    for v, latest in enumerate(found.distance):
        if len(cells) > 2 and latest > 0 and np.isfinite(before.distance[v]):
            seen = observed(latest, before.distance[v], cells)
            parts[v] = max(1.0, estimate(1.0, cells[-1] / cells[-2], 2, seen))
    found.error = parts * found.distance + NOISE * found.noise / own


def _accepted(
    problem: Formulation, solved: Sequence[GridSolution], steps: _Steps | None
) -> GridSolution | None:
    """The last solution, if its coefficients and those before have fallen and both agree."""
    if len(solved) < 2 or (problem.domain.time and not steps):
        return None
    last = solved[-1]
    before, fallen = (digits(s).min() for s in solved[-2:])
    agreed = AGREED_BESIDE if problem.parameters else AGREED
    if before < COMPARABLE or fallen < FALLEN or not last.worst <= agreed:
        return None
    if steps:
        last.error = last.error + steps.error
    return last
