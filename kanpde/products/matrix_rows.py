"""Rows of least squares that are linear in the coefficients of products of splines, given by a
sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from kanpde.residual.residual import Residual


@dataclass(frozen=True, eq=False)
class MatrixRows:
    """A C - b. Their partials are the matrix; there are none at points.

    Attributes:
        matrix: A, by all coefficients, with as many entries in every row.
        known: b.
        shape: Of all coefficients.
        normal: Of a face; () inside.
        residuals: None.
        leaves: None.
    """

    matrix: sp.csr_matrix
    known: Float[np.ndarray, " rows"]
    shape: tuple[int, ...]

    normal: ClassVar[tuple[float, ...]] = ()
    residuals: ClassVar[tuple[Residual, ...]] = ()
    leaves: ClassVar[tuple[()]] = ()

    def values(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "rows 1"]:
        """What they come to.

        Args:
            C: The coefficients.
        """
        return (self.matrix @ C.ravel() - self.known)[:, None]

    def linear(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> tuple[Float[np.ndarray, "rows 1"], Float[np.ndarray, "rows 1 0"]]:
        """What they come to, and no partials.

        Args:
            C: The coefficients.
        """
        return self.values(C), np.zeros((len(self.known), 1, 0))

    def unmet(self, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """0: they need not vanish.

        Args:
            C: The coefficients.
        """
        return 0.0

    def pushed(
        self, g: Float[np.ndarray, "rows 1 0"], D: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "rows 1"]:
        """J times a change of the coefficients.

        Args:
            g: Nothing.
            D: The change.
        """
        return (self.matrix @ D.ravel())[:, None]

    def lifted(
        self, g: Float[np.ndarray, "rows 1 0"], r: Float[np.ndarray, "rows 1"]
    ) -> Float[np.ndarray, "unknowns ..."]:
        """Jᵀ times rows, by all coefficients.

        Args:
            g: Nothing.
            r: The rows.
        """
        return (self.matrix.T @ r[:, 0]).reshape(self.shape)

    def diagonal(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
        """Of JᵀJ, by all coefficients.

        Args:
            C: The coefficients.
        """
        return np.asarray(self.matrix.power(2).sum(0)).reshape(self.shape)

    def supports(self, shape: Sequence[int]) -> Int[np.ndarray, "rows each"]:
        """Places of the coefficients of every row.

        Args:
            shape: Of all coefficients.
        """
        return self.matrix.indices.reshape(self.matrix.shape[0], -1)

    def add_to(
        self,
        C: Float[np.ndarray, "unknowns ..."],
        index: Int[np.ndarray, "unknowns ..."],
        weight: float,
        columns: Float[np.ndarray, "free band"],
        slope: Float[np.ndarray, " free"],
    ) -> float:
        """Add the normal equations of these rows to those of all.

        Args:
            C: The coefficients.
            index: Number of the parameter behind each coefficient, -1 where it is given.
            weight: Of the squares.
            columns: The lower band of JᵀJ, column after column, which is added to.
            slope: Jᵀr, which is added to.

        Returns:
            The sum of the squares, without the weight.
        """
        r, numbers = self.values(C)[:, 0], index.ravel()
        some = np.flatnonzero(numbers >= 0)
        shape = (len(numbers), len(slope))
        J = self.matrix @ sp.csr_matrix((np.ones(len(some)), (some, numbers[some])), shape=shape)
        slope += weight * (J.T @ r)
        products = sp.tril(J.T @ J).tocoo()
        columns[products.col, products.row - products.col] += weight * products.data
        return float(r @ r)
