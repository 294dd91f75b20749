"""Sparse LU on a grid: rows equilibrated, nested dissection, and a check that the matrix is not
singular."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import scipy  # whose parts are imported when they are first used
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from jaxtyping import Float, Int

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.reference.collocation import CollocationGrid
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


class Solver(ABC):
    """LU of a matrix A whose rows are divided by their largest entries."""

    A: np.ndarray | sp.csr_matrix
    _scale: np.ndarray

    @abstractmethod
    def once(self, b: np.ndarray) -> np.ndarray:
        """A⁻¹ b, without refinement.

        Args:
            b: The right side.
        """

    @abstractmethod
    def condition(self) -> float:
        """In the 1-norm, of equilibrated rows, as estimated."""

    def solve(self, b: np.ndarray) -> np.ndarray:
        """A⁻¹ b, with one step of iterative refinement.

        Args:
            b: The right side.
        """
        x = self.once(b)
        return x + self.once(b - self.A @ x)

    def free_motion(self) -> Float[np.ndarray, " n"]:
        """The vector that A nearly takes to zero, of largest value 1, by inverse iteration."""
        x = np.random.default_rng(0).standard_normal(len(self._scale))
        for _ in range(3):
            x = self.once(self._scale * x / np.abs(x).max())
        return x / x[np.argmax(np.abs(x))]

    def _check_condition(self) -> None:
        """Raise SolutionDoubtful where no digit of a solution could be trusted."""
        if not (condition := self.condition()) < SINGULAR:
            raise SolutionDoubtful(
                "the linearised equations are singular to working precision (condition"
                f" {condition:.0e}): something is not determined, or determined twice"
            )


def _scale_of_rows(A: np.ndarray | sp.csr_matrix, grid: Grid) -> Float[np.ndarray, " n"]:
    """The largest entry of every row. Raises ReferenceUnavailable where one is zero or is not
    finite."""
    largest = abs(A).max(axis=1)
    scale = largest if isinstance(largest, np.ndarray) else largest.toarray().ravel()
    if not np.isfinite(scale).all():
        raise ReferenceUnavailable(_not_finite(np.flatnonzero(~np.isfinite(scale)), grid))
    if (scale == 0).any():
        raise ReferenceUnavailable(
            "the linearised equations are singular: a row vanishes, so an unknown is not determined"
            " there"
        )
    return scale


def _not_finite(rows: Int[np.ndarray, " some"], grid: Grid) -> str:
    """Where equations have no finite slopes, and what helps if that is only at ends of
    coordinates."""
    nodes = rows % grid.nodes
    place = {x: values.numpy()[nodes] for x, values in grid.points().items()}
    at = ", ".join(f"{x} = {values[0]:.4g}" for x, values in place.items())
    said = f"the linearised equations are not finite at {at}"
    ends = [np.isin(values, grid.bounds[x]) for x, values in place.items()]
    if not np.any(ends, 0).all():
        return said
    return (
        f"{said}: an equation that divides by zero there, as at the axis of polar coordinates or at"
        " a pole of a sphere, has a reference once it is multiplied by the divisor"
    )


def factored(
    A: sp.csr_matrix | np.ndarray,
    grid: Grid,
    width: int,
    work: Work | None = None,
    check: bool = True,
) -> Solver:
    """LU of the matrix of a system on a grid, dense where functions reach over all of it.

    Args:
        A: [size, size], sparse or full.
        grid: Of the system.
        width: Thickness of a separator.
        work: What counts the operations.
        check: Whether to refuse a matrix that is singular.

    Raises:
        ReferenceUnavailable: Where the matrix is singular.
    """
    if isinstance(A, np.ndarray):
        return FullFactor(A, grid, work, check)
    if isinstance(grid, CollocationGrid):
        return FullFactor(A.toarray(), grid, work, check)
    return Factor(A, grid, width, work, check)


class FullFactor(Solver):
    """LU of a matrix that is full.

    Neither pivots nor rounding errors know how columns are scaled: what small coefficients of high
    functions bring in is lost with their own last digits.

    Args:
        A: Square.
        grid: Of the system.
        work: What counts the operations.
        check: Whether to estimate the condition.

    Raises:
        ReferenceUnavailable: Where the matrix is singular, exactly or to working precision.
    """

    def __init__(self, A: np.ndarray, grid: Grid, work: Work | None = None, check: bool = True):
        scale = _scale_of_rows(A, grid)
        self.A, self._scale, self._work = A, scale, work or Work()
        self._work.eliminated(len(A), np.iscomplexobj(A))
        even = A / scale[:, None]
        self._columns = np.abs(even).max(0)
        self._lu, self._pivots, fault = _lapack("getrf", even)(even)
        if fault or (self._columns == 0).any():
            raise ReferenceUnavailable(
                "the matrix of collocation is singular: a condition is missing or contradicts"
                " another, or an equation degenerates at an end of a coordinate"
            )
        self._norm = float((np.abs(even) / self._columns).sum(0).max())
        if check:
            self._check_condition()

    def condition(self) -> float:
        """In the 1-norm, of equilibrated rows and columns, as estimated."""
        triangles = np.triu(self._lu) / self._columns + np.tril(self._lu, -1)
        reciprocal, _ = _lapack("gecon", self._lu)(triangles, self._norm)
        return 1.0 / reciprocal if reciprocal else np.inf

    def once(self, b: np.ndarray) -> np.ndarray:
        self._work.substituted(len(self.A), np.iscomplexobj(self.A))
        right = (b / self._scale).astype(self.A.dtype)
        return _lapack("getrs", self._lu)(self._lu, self._pivots, right)[0]


def _lapack(name: str, matrix: np.ndarray) -> Callable[..., tuple]:
    """LAPACK's routine of that name for such matrices."""
    return scipy.linalg.get_lapack_funcs(name, (matrix,))


class Factor(Solver):
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
        scale = _scale_of_rows(A, grid)
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
        if check:
            self._check_condition()

    def condition(self) -> float:
        size = len(self._order)
        inverse = sla.LinearOperator(
            (size, size),
            matvec=self._lu.solve,
            rmatvec=lambda b: self._lu.solve(b, "T"),
            dtype=self.A.dtype,
        )
        largest = float((abs(self.A).T @ (1 / self._scale)).max())
        return float(sla.onenormest(inverse, t=1, itmax=3) * largest)

    def once(self, b: np.ndarray) -> np.ndarray:
        self._work.solved(self._entries, self._complex)
        x = np.empty_like(b)
        x[self._order] = self._lu.solve((b / self._scale)[self._order])
        return x
