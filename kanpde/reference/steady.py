"""Steady problems: Newton's method on all nodes at once, with the residual's own partials as its matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable
from kanpde.problem import Problem
from kanpde.reference.assembly import Collocation
from kanpde.reference.boundary import coordinates_on, match, place
from kanpde.reference.factor import Factor
from kanpde.reference.grid import Grid
from kanpde.reference.stencils import half_width

ROUNDED = 1e-6
"""Relative length below which Newton steps that stop shrinking are taken for rounding errors."""

Discrete = Callable[[Float[np.ndarray, " n"], bool], tuple[Float[np.ndarray, " n"], sp.csr_matrix | None]]
"""Residual vector of a discretised problem and, where asked for, its sparse Jacobian."""


def solve_steady(problem: Problem, grid: Grid, start: Float[np.ndarray, "unknowns nodes"] | None = None) -> Float[np.ndarray, "unknowns nodes"]:
    """The unknowns on the nodes. start: a first guess; by default the harmonic functions that meet the conditions.

    Raises ReferenceUnavailable where the equations are singular or Newton's method does not converge.
    """
    discrete = discretise(problem, grid)
    if start is None:
        start = _harmonic(problem, grid)
    solved = newton(discrete, start.ravel(), grid, _width(problem, grid))
    return solved.reshape(len(problem.unknowns), -1)


def discretise(problem: Problem, grid: Grid, harmonic: bool = False) -> Discrete:
    """The equations at the nodes where no condition replaces them, and the conditions.

    harmonic: put Laplace's equation for each unknown in place of the problem's equations.
    """
    V, N = len(problem.unknowns), grid.nodes
    placed = place(problem, grid)
    free = np.ones((V, N), dtype=bool)
    for p in placed:
        free[p.unknown, p.owners] = False
    parts: list[tuple[Collocation, int, np.ndarray]] = []
    for equation, row, unknown in match(problem, grid.points()):
        nodes = np.flatnonzero(free[unknown])
        parts.append((Collocation(equation, grid, problem.unknowns, nodes, equation.needs), row, unknown * N + nodes))
    for p in placed:
        residual = p.constraint.residual
        normal = coordinates_on(problem, grid, p.constraint.face, p.at)[1]
        parts.append((Collocation(residual, grid, problem.unknowns, p.at, residual.needs, normal), p.row, p.unknown * N + p.owners))
    laplace = sum(grid.derivative(tuple(2 * (i == j) for j in range(len(grid.names)))) for i in range(len(grid.names)))
    owners = np.concatenate([rows for _, _, rows in parts])
    back = np.argsort(owners)

    def discrete(U: np.ndarray, jacobian: bool) -> tuple[np.ndarray, sp.csr_matrix | None]:
        values, blocks = [], []
        for k, (collocation, row, rows) in enumerate(parts):
            if harmonic and k < V:
                unknown = int(rows[0]) // N if len(rows) else 0
                block = sp.kron(sp.identity(V, format="csr")[[unknown]], laplace, format="csr")[rows - unknown * N]
                values.append(block @ U)
                blocks.append(block)
                continue
            r, slopes = collocation(U, partials=jacobian)
            values.append(r[:, row])
            if slopes is not None:
                blocks.append(collocation.matrix(slopes[:, row]))
        return np.concatenate(values)[back], sp.vstack(blocks, format="csr")[back] if jacobian else None

    return discrete


def newton(discrete: Discrete, start: Float[np.ndarray, " n"], grid: Grid, width: int, tolerance: float = 1e-10, most: int = 40) -> Float[np.ndarray, " n"]:
    """Damped Newton iteration that accepts a step by the length of the simplified correction after it.

    The test does not depend on how rows are scaled, and the correction is at the same time the error estimate.
    Source: Deuflhard, Newton Methods for Nonlinear Problems (2011), section 3.3. Raises ReferenceUnavailable.
    """
    U, damping = start.copy(), 1.0
    r, J = discrete(U, True)
    for _ in range(most):
        assert J is not None
        factor = Factor(J, grid, width)
        step = -factor.solve(_finite(r))
        length = _size(step)
        damping = min(1.0, 2 * damping)
        while True:
            trial = U + damping * step
            r_trial, _ = discrete(trial, False)
            simplified = -factor.solve(r_trial) if np.isfinite(r_trial).all() else np.full_like(step, np.inf)
            if _size(simplified) <= (1 - damping / 4) * length or _size(simplified) <= tolerance * _size(trial):
                break
            if damping == 1.0 and max(length, _size(simplified)) <= ROUNDED * _size(trial):
                return trial  # steps no longer shrink: they are rounding errors
            damping /= 2
            if damping < 1e-4:
                raise ReferenceUnavailable(f"Newton's method does not converge: no damping shortens its step (length {length:.1e}); there may be no solution near the start")
        if damping == 1.0 and _size(simplified) <= tolerance * max(_size(trial), length):
            return trial + simplified
        U = trial
        r, J = discrete(U, True)
    raise ReferenceUnavailable(f"Newton's method does not converge in {most} steps (last correction {length:.1e})")


def _finite(r: np.ndarray) -> np.ndarray:
    if not np.isfinite(r).all():
        raise ReferenceUnavailable("the equations are not finite at some node")
    return r


def _size(U: np.ndarray) -> float:
    return float(np.sqrt(np.mean(U**2))) if np.isfinite(U).all() else np.inf


def _harmonic(problem: Problem, grid: Grid) -> np.ndarray:
    """Solutions of Laplace's equation with the problem's conditions, or zero where these do not determine them."""
    zero = np.zeros(len(problem.unknowns) * grid.nodes)
    try:
        r, J = discretise(problem, grid, harmonic=True)(zero, True)
        assert J is not None
        found = -Factor(J, grid, _width(problem, grid)).solve(r)
    except ReferenceUnavailable:
        found = zero
    return (found if np.isfinite(found).all() else zero).reshape(len(problem.unknowns), -1)


def _width(problem: Problem, grid: Grid) -> int:
    """How far the stencils of the equations reach, the thickness of a separator."""
    return max(half_width(max(m, 1), grid.order) for e in problem.equations for _, index in e.needs for m in index)
