"""Rows of two sides of an interface as one: where values on both sides are tied to each other, the
equations of the two are added, so that the fluxes in them cancel."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Int


class MergedRows:
    """Which row each row is added to, and how often.

    Args:
        size: Of the system.
    """

    def __init__(self, size: int):
        self._root = np.arange(size)
        self._weight = np.ones(size)

    def join(self, first: int, second: int, ratio: float, free: Bool[np.ndarray, " rows"]) -> int:
        """Tie the rows of two values.

        Args:
            first: The row of one of them.
            second: That of the other one.
            ratio: How often the second is added to the first.
            free: Which rows hold equations.

        Returns:
            The row that says how the two are tied; -1 where that follows from others.
        """
        a, b = self._root[first], self._root[second]
        if a == b:
            return -1
        members = self._root == b
        self._weight[members] *= self._weight[first] * ratio / self._weight[second]
        self._root[members] = a
        return int(b if free[b] else a if free[a] else -1)

    def matrix(self, free: Bool[np.ndarray, " rows"]) -> sp.csr_matrix:
        """By which equations are added up; rows that hold none are zero.

        Args:
            free: Which rows hold equations.
        """
        kept: Int[np.ndarray, " kept"] = np.flatnonzero(free[self._root])
        size = len(self._root)
        entries = (self._weight[kept], (self._root[kept], kept))
        return sp.coo_matrix(entries, shape=(size, size)).tocsr()
