"""Steady problems: Newton's method on all nodes at once, with the residual's own partials as its
matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful, listed
from kanpde.problem.formulation import Formulation
from kanpde.reference.factor import SINGULAR, Solver, factored
from kanpde.reference.grid import Grid
from kanpde.reference.lowered import completed, lowered
from kanpde.reference.norms import by_unknown, deviation, rms, rounding_of
from kanpde.reference.system import System
from kanpde.reference.weak import WeakSystem, discretised
from kanpde.reference.work import OutOfWork, Work

ROUNDED_STEPS = 1e-6
"""Relative length below which Newton steps that stop shrinking are taken for rounding errors."""

LOST = 1e-3
"""Of an unknown's variation, the rounding from which on a large condition matters."""

MOVED = 1e-3
"""Of what moves most, the part from which on an unknown counts as moved."""

DRAWS = 8
"""Of the signs of rounding errors where one way of them may matter far more than all others."""

Discrete = Callable[
    [Float[np.ndarray, " n"], bool],
    tuple[Float[np.ndarray, " n"], sp.csr_matrix | np.ndarray | None],
]
"""Residual vector of a discretised problem and, where asked for, its Jacobian, sparse or full."""


def solve_steady(
    problem: Formulation,
    grid: Grid,
    start: Float[np.ndarray, "unknowns nodes"] | None = None,
    work: Work | None = None,
) -> tuple[Float[np.ndarray, "unknowns nodes"], Float[np.ndarray, " unknowns"]]:
    """The unknowns on the nodes.

    Args:
        problem: A steady one.
        grid: Of its domain.
        start: A first guess; by default zero where the equations are linear, else the harmonic
            functions that meet the conditions.
        work: What counts the operations.

    Returns:
        The unknowns, and the size that rounding has in each.

    Raises:
        ReferenceUnavailable: Where the equations are singular or Newton's method does not converge.
    """
    asked = len(problem.unknowns)
    problem = lowered(problem)
    start = None if start is None else completed(problem, grid, start)
    system = discretised(problem, grid, work)

    def discrete(U: np.ndarray, jacobian: bool) -> tuple[np.ndarray, sp.csr_matrix | None]:
        fields = [U[:, None]]
        return system.residual(fields)[:, 0], (
            system.matrix(system.slopes(fields)).tocsr() if jacobian else None
        )

    def whole(U: np.ndarray, jacobian: bool) -> tuple[np.ndarray, np.ndarray | None]:
        r, J = discrete(U, jacobian)
        return r, None if J is None else J.toarray()

    first = np.zeros(system.size)
    if start is None and system.constant() is None:
        first[: system.size - system.multipliers] = _beginning(system).ravel()
    if start is None and problem.begun:
        start = _begun(problem, grid)
    if start is None and problem.easier is not None:
        start = _easier(problem, grid, system.work)
    if start is not None:
        first[: system.size - system.multipliers] = grid.solved_for(start).ravel()
    names = problem.unknowns
    equations = whole if system.far else discrete
    solved, noise = newton(equations, first, grid, system.width(), names, system.work)
    system.check_whole(solved)
    return grid.values(by_unknown(solved, grid.nodes))[:asked], noise[:asked]


def _begun(problem: Formulation, grid: Grid) -> Float[np.ndarray, "unknowns nodes"]:
    """The functions that the search begins from, with the numbers that are given in them."""
    (x,) = grid.names
    found = [f(grid.axis(x)) for f in problem.begun.values()]
    found += [np.full(grid.nodes, value) for value in problem.numbers.values()]
    return completed(problem, grid, np.stack(found))


def _easier(
    problem: Formulation, grid: Grid, work: Work
) -> Float[np.ndarray, "unknowns nodes"] | None:
    """The solution of the easier problem where the search begins, with the numbers that are given
    in it; None where there is none."""
    assert problem.easier is not None
    try:
        found = solve_steady(problem.easier, grid, work=work)[0]
    except OutOfWork:
        raise
    except ReferenceUnavailable:
        return None
    given = np.repeat([[value] for value in problem.numbers.values()], grid.nodes, 1)
    return completed(problem, grid, np.concatenate([found, given]))


def newton(
    discrete: Discrete,
    start: Float[np.ndarray, " n"],
    grid: Grid,
    width: int,
    names: Sequence[str],
    work: Work | None = None,
    tolerance: float = 1e-10,
    most: int = 40,
    decomposed: Callable[[sp.csr_matrix | np.ndarray], Solver] | None = None,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " unknowns"]]:
    """Damped Newton iteration that accepts a step by the length of the simplified correction after
    it.

    The test does not depend on how rows are scaled, nor on the units of any unknown: lengths are
    relative to each unknown's own variation, and the worst counts. The correction is at the same
    time the error estimate. Source: Deuflhard, Newton Methods for Nonlinear Problems (2011),
    section 3.3.

    Args:
        discrete: Residual and Jacobian.
        start: Of the iteration.
        grid: Whose nodes the unknowns are on.
        width: Thickness of a separator.
        names: Of the unknowns.
        work: What counts the operations.
        tolerance: Relative length of the last correction.
        most: Steps.
        decomposed: Gives the factor of a Jacobian; by default LU on the grid.

    Returns:
        The solution, and the size that rounding has in each unknown.

    Raises:
        ReferenceUnavailable: Where the iteration does not converge, or a matrix is singular.
    """
    U, damping = start.copy(), 1.0
    r, J = discrete(U, True)
    for _ in range(most):
        assert J is not None
        factor = decomposed(J) if decomposed else factored(J, grid, width, work, check=False)
        step = -factor.solve(_finite(r))
        terms, draws = np.abs(U) + np.abs(step), DRAWS if decomposed else 1
        noise = rounding_of(J, factor.once, terms, grid.nodes, grid.values, draws)
        # What is nothing but rounding is short enough.
        varies = deviation(
            np.stack([grid.values(by_unknown(v, grid.nodes)) for v in (U, U + step)], 1)
        )
        sizes = np.maximum(varies, noise / tolerance)
        # A matrix with a large condition may still leave digits enough.
        if (noise > LOST * varies).any() and not factor.condition() < SINGULAR:
            raise SolutionDoubtful(_undetermined(factor, grid, names, varies))
        damping = min(1.0, 2 * damping)
        while True:
            trial = U + damping * step
            simplified = _correction(factor, discrete(trial, False)[0])
            # An unknown that is zero so far shows its size when the others have moved.
            sizes = np.maximum(sizes, np.nan_to_num(_sizes(simplified, grid), posinf=0.0))
            length, next_length = _length(step, sizes, grid), _length(simplified, sizes, grid)
            if next_length <= max((1 - damping / 4) * length, tolerance):
                break
            if damping == 1.0 and max(length, next_length) <= ROUNDED_STEPS:
                return trial, noise  # steps no longer shrink: they are rounding errors
            damping /= 2
            if damping < 1e-4:
                raise SolutionDoubtful(
                    "Newton's method finds no solution: no part of its step makes the next one"
                    f" shorter (it is {length:.0e} of the unknowns' variation)"
                )
        if damping == 1.0 and next_length <= tolerance:
            return trial + simplified, noise
        U = trial
        r, J = discrete(U, True)
    raise SolutionDoubtful(
        f"Newton's method finds no solution in {most} steps (the last is {length:.0e} of the"
        " unknowns' variation)"
    )


def _finite(r: np.ndarray) -> np.ndarray:
    if not np.isfinite(r).all():
        raise ReferenceUnavailable("the equations are not finite at some node")
    return r


def _undetermined(factor: Solver, grid: Grid, names: Sequence[str], sizes: np.ndarray) -> str:
    """Which unknowns the null vector of a singular matrix moves, and where, in words."""
    motion = grid.values(by_unknown(factor.free_motion(), grid.nodes))
    moved = motion / np.where(sizes > 0, sizes, 1.0)[:, None]
    most = np.abs(moved).max(1)
    which = [u for u, part in zip(names, most, strict=True) if part > MOVED * most.max()]
    v = int(np.argmax(most))
    node = int(np.argmax(np.abs(moved[v])))
    at = {x: float(values[node]) for x, values in grid.points().items()}
    even = np.ptp(moved[v]) < MOVED * most.max()
    where = "by the same everywhere" if even else f"most of all at {_place(at)}"
    return (
        f"the linearised equations are singular: {listed(which)} can move {where}, and no equation"
        f" or condition changes by more than rounding (condition {factor.condition():.0e}); one is"
        " missing, or there is more than one solution"
    )


def _place(at: dict[str, float]) -> str:
    return ", ".join(f"{x} = {value:.4g}" for x, value in at.items())


def _correction(factor: Solver, r: np.ndarray) -> np.ndarray:
    """Newton's step, infinite where the equations are not finite."""
    return -factor.solve(r) if np.isfinite(r).all() else np.full_like(r, np.inf)


def _sizes(U: np.ndarray, grid: Grid) -> np.ndarray:
    return rms(grid.values(by_unknown(U, grid.nodes)))


def _length(step: np.ndarray, sizes: np.ndarray, grid: Grid) -> float:
    """Of a step relative to the size of each unknown's variation: of all unknowns the worst."""
    lengths = _sizes(step, grid)
    return float((lengths[lengths > 0] / sizes[lengths > 0]).max(initial=0.0))


def _beginning(system: System | WeakSystem) -> np.ndarray:
    """Where the search for a solution begins."""
    return system.harmonic() if isinstance(system, WeakSystem) else _harmonic(system)


def _harmonic(system: System) -> np.ndarray:
    """Solutions of Laplace's equation with the problem's conditions, or zero where these do not
    determine them; pressures are zero."""
    grid, V = system.grid, len(system.problem.unknowns)
    zero = np.zeros(system.size)
    inside = system.free.copy()
    inside[system.pressures] = False
    kept = np.concatenate([~inside.ravel(), np.ones(system.multipliers, dtype=bool)])
    kept.reshape(-1)[: V * grid.nodes].reshape(V, -1)[system.pressures] = False
    laplace = sum(
        grid.derivative(tuple(2 * (i == j) for j in range(len(grid.names))))
        for i in range(len(grid.names))
    )
    plain = sp.block_diag(
        [sp.identity(grid.nodes) if v in system.pressures else laplace for v in range(V)]
        + [sp.identity(system.multipliers)],
        format="csr",
    )
    kept[V * grid.nodes :] = False
    try:
        r = np.where(kept, system.residual([zero[:, None]])[:, 0], 0.0)
        keep = sp.diags(kept.astype(float))
        J = (
            keep @ system.matrix(np.nan_to_num(system.slopes([zero[:, None]])))
            + (sp.identity(system.size) - keep) @ plain
        )
        found = -factored(J.tocsr(), grid, system.width(), system.work).solve(r)
    except OutOfWork:
        raise
    except ReferenceUnavailable:
        found = zero
    return (found if np.isfinite(found).all() else zero)[: V * grid.nodes].reshape(V, -1)


def corner_defect(system: System) -> float:
    """How far the conditions leave the equations of pressures from true where two faces meet, as a
    part of the equations' terms."""
    grid = system.grid
    U = np.zeros(system.size)
    U[: len(system.orders) * grid.nodes] = _harmonic(system).ravel() if system.pressures else 0.0
    faces = [
        f
        for x in grid.names
        if x not in grid.periodic
        for f in (system.problem.domain.faces[f"{x}-"], system.problem.domain.faces[f"{x}+"])
    ]
    on = np.zeros(grid.nodes, dtype=int)
    for face in faces:
        on[grid.face(face)] += 1
    return system.defect(U, np.flatnonzero(on > 1))
