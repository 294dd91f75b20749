"""Least squares of rows at the nodes of a grid, of which there are more than unknowns."""

from __future__ import annotations

import numpy as np
import scipy  # whose parts are imported when they are first used
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable, SolutionDoubtful
from kanpde.reference.factor import Solver
from kanpde.reference.work import Work


class LeastFactor(Solver):
    """QR of a matrix with more rows than unknowns, whose rows are divided by their largest entries
    and whose columns by their lengths.

    Args:
        A: [rows, size].
        spread: From the unknowns to what the matrix takes, [size, unknowns].
        work: What counts the operations.

    Raises:
        ReferenceUnavailable: It is not finite.
        SolutionDoubtful: There are less rows than unknowns, or an unknown that no row has.
    """

    def __init__(self, A: sp.csr_matrix, spread: sp.csr_matrix, work: Work):
        self.A, self._spread, self._work = A, spread, work
        largest = abs(A).max(axis=1).toarray().ravel()
        if not np.isfinite(largest).all():
            raise ReferenceUnavailable("the linearised equations are not finite at some node")
        self._scale = np.where(largest > 0, largest, 1.0)
        even = (sp.diags(1 / self._scale) @ A @ spread).toarray()
        rows, size = even.shape
        self._columns = np.linalg.norm(even, axis=0)
        if rows < size or not self._columns.all():
            raise SolutionDoubtful("something is not determined: rows are missing")
        work.triangulated(rows, size)
        self._Q, self._R = scipy.linalg.qr(even / self._columns, mode="economic")
        if not self._R.diagonal().all():
            raise SolutionDoubtful("something is not determined: rows are missing")

    def condition(self) -> float:
        measured = scipy.linalg.get_lapack_funcs("trcon", (self._R,))
        reciprocal, _ = measured(self._R)
        return 1.0 / reciprocal if reciprocal else np.inf

    def once(self, b: np.ndarray) -> np.ndarray:
        self._work.substituted(len(self._scale), False)
        with np.errstate(over="ignore", invalid="ignore"):
            found = scipy.linalg.solve_triangular(self._R, self._Q.T @ (b / self._scale))
        return self._spread @ (found / self._columns)

    def free_motion(self) -> Float[np.ndarray, " n"]:
        x = np.random.default_rng(0).standard_normal(len(self._R))
        for _ in range(3):
            x = scipy.linalg.solve_triangular(self._R, x / np.abs(x).max(), trans="T")
            x = scipy.linalg.solve_triangular(self._R, x / np.abs(x).max())
        x = self._spread @ (x / self._columns)
        return x / x[np.argmax(np.abs(x))]
