"""Sparse LU on a grid: rows equilibrated, nested dissection, and a check that the matrix is not
singular."""

from __future__ import annotations

import numpy as np
import scipy  # whose parts are imported when they are first used
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.reference.grid import Grid
from kanpde.reference.work import Work

SINGULAR = 1e14
"""Condition number in the 1-norm past which no digit of a solution can be trusted."""


class DenseFactor:
    """LU of a small dense matrix.

    check: whether to measure the condition. Raises ReferenceUnavailable where the matrix is
    singular, exactly or to working precision.
    """

    def __init__(self, A: np.ndarray, work: Work, check: bool = True):
        scale = abs(A).max(axis=1)
        if not np.isfinite(scale).all():
            raise ReferenceUnavailable("the linearised equations are not finite")
        if (scale == 0).any() or (check and not np.linalg.cond(A / scale[:, None], 1) < SINGULAR):
            raise ReferenceUnavailable(
                "the linearised equations are singular: some unknown or rate is not determined"
            )
        self.A, self._scale, self._work = A, scale, work
        self._lu = scipy.linalg.lu_factor(A / scale[:, None])
        self._work.factored(A.size, len(A), np.iscomplexobj(A))

    def once(self, b: np.ndarray) -> np.ndarray:
        """A⁻¹ b."""
        self._work.solved(self.A.size, np.iscomplexobj(self.A))
        return scipy.linalg.lu_solve(self._lu, b / self._scale)


class Factor:
    """LU of a square matrix whose unknowns are `fields` values at every node of a grid, one field
    after another, then a few more.

    check: whether to estimate the condition. Raises ReferenceUnavailable where the matrix is
    singular, exactly or to working precision.
    """

    def __init__(
        self, A: sp.csr_matrix, grid: Grid, width: int, work: Work | None = None, check: bool = True
    ):
        fields, more = divmod(A.shape[0], grid.nodes)
        self._work, self._complex = work or Work(), np.iscomplexobj(A.data)
        scale = abs(A).max(axis=1).toarray().ravel()
        if not np.isfinite(scale).all():
            raise ReferenceUnavailable("the linearised equations are not finite at some node")
        if (scale == 0).any():
            raise ReferenceUnavailable(
                "the linearised equations are singular: a row vanishes, so an unknown is not"
                " determined there"
            )
        self.A, self._scale = A, scale
        order = (grid.elimination(width)[:, None] + grid.nodes * np.arange(fields)).ravel()
        self._order = np.concatenate([order, fields * grid.nodes + np.arange(more)])
        permuted = (sp.diags(1 / scale) @ A)[self._order][:, self._order].tocsc()
        try:
            # A low pivoting threshold keeps the diagonal, and with it the ordering; refinement
            # repairs what that costs.
            self._lu = sla.splu(
                permuted,
                permc_spec="NATURAL",
                diag_pivot_thresh=1e-4,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise ReferenceUnavailable(
                f"the differences' matrix is singular ({error}): a condition is missing or"
                " contradicts another, or an equation degenerates at an end of a coordinate"
            ) from error
        size, self._entries = permuted.shape[0], self._lu.nnz
        self._work.factored(self._entries, size, self._complex)
        if check and not (condition := self.condition()) < SINGULAR:
            raise SolutionDoubtful(
                "the linearised equations are singular to working precision (condition"
                f" {condition:.0e}): something is not determined, or determined twice"
            )

    def condition(self) -> float:
        """In the 1-norm, of equilibrated rows, as estimated."""
        size = len(self._order)
        inverse = sla.LinearOperator(
            (size, size),
            matvec=self._lu.solve,
            rmatvec=lambda b: self._lu.solve(b, "T"),
            dtype=self.A.dtype,
        )
        largest = float((abs(self.A).T @ (1 / self._scale)).max())
        return float(sla.onenormest(inverse, t=1, itmax=3) * largest)

    def free_motion(self) -> Float[np.ndarray, " n"]:
        """The vector that A nearly takes to zero, of largest value 1, by inverse iteration."""
        x = np.random.default_rng(0).standard_normal(len(self._order))
        for _ in range(3):
            x = self.once(self._scale * x / np.abs(x).max())
        return x / x[np.argmax(np.abs(x))]

    def solve(self, b: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """A⁻¹ b, with one step of iterative refinement."""
        x = self.once(b)
        return x + self.once(b - self.A @ x)

    def once(self, b: np.ndarray) -> np.ndarray:
        """A⁻¹ b without it."""
        self._work.solved(self._entries, self._complex)
        x = np.empty_like(b)
        x[self._order] = self._lu.solve((b / self._scale)[self._order])
        return x
