"""Steady problems: Newton's method on all nodes at once, with the residual's own partials as its
matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.problem import Problem
from kanpde.reference.factor import Factor
from kanpde.reference.grid import Grid
from kanpde.reference.system import System
from kanpde.reference.work import OutOfWork, Work

ROUNDED_STEPS = 1e-6
"""Relative length below which Newton steps that stop shrinking are taken for rounding errors."""

Discrete = Callable[
    [Float[np.ndarray, " n"], bool], tuple[Float[np.ndarray, " n"], sp.csr_matrix | None]
]
"""Residual vector of a discretised problem and, where asked for, its sparse Jacobian."""


WEIGHTS_ROUNDED = 3.0
"""Mean square of the change that weights suffer when they are rounded to 2^-50 of the largest, in
units of ε times that."""

DRAWS = 3
"""Samples of what rounding leaves in a solution."""

OF_ROUNDING = 10
"""Times the rounding that a sample shows, up to which Newton steps that stop shrinking are taken
for it."""


def solve_steady(
    problem: Problem,
    grid: Grid,
    start: Float[np.ndarray, "unknowns nodes"] | None = None,
    work: Work | None = None,
) -> Float[np.ndarray, "unknowns nodes"]:
    """The unknowns on the nodes, as `solved_and_rounded` gives them."""
    return solved_and_rounded(problem, grid, start, work)[0]


def solved_and_rounded(
    problem: Problem,
    grid: Grid,
    start: Float[np.ndarray, "unknowns nodes"] | None = None,
    work: Work | None = None,
) -> tuple[Float[np.ndarray, "unknowns nodes"], Float[np.ndarray, "unknowns nodes"]]:
    """The unknowns on the nodes, and how large an error rounding leaves in them there.

    Args:
        problem: Without time.
        grid: Of its domain.
        start: A first guess; by default zero where the equations are linear, else the harmonic
            functions that meet the conditions.
        work: What counts the operations.

    Raises:
        ReferenceUnavailable: Where the equations are singular or Newton's method does not converge.
    """
    system = System(problem, grid, work)

    def discrete(U: np.ndarray, jacobian: bool) -> tuple[np.ndarray, sp.csr_matrix | None]:
        fields = [U[:, None]]
        return system.residual(fields)[:, 0], (
            system.matrix(system.slopes(fields)).tocsr() if jacobian else None
        )

    first = np.zeros(system.size)
    if start is None and system.constant() is None:
        start = _harmonic(system)
    if start is not None:
        first[: system.size - system.multipliers] = start.ravel()
    solved, factor = newton(discrete, first, grid, system.width(), system.work)
    fields, noise = np.stack([solved, rounding_noise(factor, solved)])[
        :, : system.size - system.multipliers
    ].reshape(2, len(problem.unknowns), -1)
    return fields, noise


def rounding_noise(factor: Factor, U: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """How large an error rounding leaves in the solution of A U = b, by drawing.

    Each product that a row sums is off by half of its last digit; weights of differences are
    rounded to a part of the largest, and constants still vanish. What A⁻¹ makes of both is seen.
    Source of the idea: Stewart, SIAM Rev. 32 (1990), 579-610, stochastic perturbation theory.
    """
    squares, ones = factor.A.copy(), factor.A.copy()
    squares.data, ones.data = squares.data**2, np.ones_like(ones.data)
    V = U - U.mean()
    spread = np.maximum(ones @ V**2 - (ones @ V) ** 2 / np.diff(ones.indptr), 0)
    largest = squares.max(axis=1).toarray().ravel()
    size = np.finfo(float).eps * np.sqrt(squares @ U**2 / 4 + WEIGHTS_ROUNDED * largest * spread)
    rng = np.random.default_rng(0)
    drawn = [factor.once(size * rng.choice([-1.0, 1.0], len(U))) for _ in range(DRAWS)]
    return np.sqrt(np.mean(np.square(drawn), axis=0))


def newton(
    discrete: Discrete,
    start: Float[np.ndarray, " n"],
    grid: Grid,
    width: int,
    work: Work | None = None,
    tolerance: float = 1e-10,
    most: int = 40,
) -> tuple[Float[np.ndarray, " n"], Factor]:
    """Damped Newton iteration that accepts a step by the length of the simplified correction after
    it.

    The test does not depend on how rows are scaled, and the correction is at the same time the
    error estimate. Source: Deuflhard, Newton Methods for Nonlinear Problems (2011), section 3.3.
    Returns the solution, and the factors of the last matrix. Raises ReferenceUnavailable.
    """
    U, damping = start.copy(), 1.0
    r, J = discrete(U, True)
    for _ in range(most):
        assert J is not None
        factor = Factor(J, grid, width, work)
        step = -factor.solve(_finite(r))
        length = _size(step)
        damping = min(1.0, 2 * damping)
        while True:
            trial = U + damping * step
            r_trial, _ = discrete(trial, False)
            simplified = (
                -factor.solve(r_trial) if np.isfinite(r_trial).all() else np.full_like(step, np.inf)
            )
            if _size(simplified) <= (1 - damping / 4) * length or _size(
                simplified
            ) <= tolerance * _size(trial):
                break
            if damping == 1.0 and _rounded(max(length, _size(simplified)), trial, factor):
                return trial, factor  # steps no longer shrink: they are rounding errors
            damping /= 2
            if damping < 1e-4:
                raise ReferenceUnavailable(
                    "Newton's method does not converge: no damping shortens its step (length"
                    f" {length:.1e}); there may be no solution near the start"
                )
        if damping == 1.0 and _size(simplified) <= tolerance * max(_size(trial), length):
            return trial + simplified, factor
        U = trial
        r, J = discrete(U, True)
    raise ReferenceUnavailable(
        f"Newton's method does not converge in {most} steps (last correction {length:.1e})"
    )


def _rounded(length: float, U: np.ndarray, factor: Factor) -> bool:
    """Whether steps of a length are no more than rounding leaves."""
    if length <= ROUNDED_STEPS * _size(U):
        return True
    return length < 1e-2 * _size(U) and length <= OF_ROUNDING * _size(rounding_noise(factor, U))


def _finite(r: np.ndarray) -> np.ndarray:
    if not np.isfinite(r).all():
        raise ReferenceUnavailable("the equations are not finite at some node")
    return r


def _size(U: np.ndarray) -> float:
    return float(np.sqrt(np.mean(U**2))) if np.isfinite(U).all() else np.inf


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
        found = -Factor(J.tocsr(), grid, system.width(), system.work).solve(r)
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
