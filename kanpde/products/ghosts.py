"""What holds functions that are hardly felt inside a domain that is no box: they go on as those
beside them do.

The jumps of the highest derivatives are lowered with a small weight (the ghost penalty of Burman
2010, Comptes Rendus Mathematique 348). How large they are is what the error of splines on these
cells comes to in any case, so that this costs next to nothing; the normal equations then do not
depend on how the boundary crosses the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from kanpde.products.axes import Axis, SplineAxis
from kanpde.products.inside import Inside
from kanpde.residual.residual import Residual

GHOST = 1e-3
"""How heavy jumps are beside the residuals of the coefficients that they are those of."""

LIGHTEST = 1e-8
"""Of the heaviest coefficient, what those of a jump count as at least."""


@dataclass(frozen=True, eq=False)
class GhostRows:
    """Jumps of the highest derivatives, times one function along the other coordinates each.

    Attributes:
        entries: What each of them takes of some coefficients.
        columns: Places of these among all coefficients.
        shape: Of all coefficients.
        residuals: None.
        normal: None.
        leaves: None.
    """

    entries: Float[np.ndarray, "jumps each"]
    columns: Int[np.ndarray, "jumps each"]
    shape: tuple[int, ...]
    residuals: tuple[Residual, ...] = ()
    normal: tuple[float, ...] = ()
    leaves: tuple[()] = ()

    @cached_property
    def matrix(self) -> sp.csr_matrix:
        """The jumps by all coefficients."""
        begins = self.entries.shape[1] * np.arange(len(self.entries) + 1)
        shape = (len(self.entries), int(np.prod(self.shape)))
        return sp.csr_matrix((self.entries.ravel(), self.columns.ravel(), begins), shape=shape)

    def values(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "jumps 1"]:
        """The jumps.

        Args:
            C: The coefficients.
        """
        return (self.matrix @ C.ravel())[:, None]

    def linear(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> tuple[Float[np.ndarray, "jumps 1"], Float[np.ndarray, "jumps 1 0"]]:
        """The jumps, and no partials.

        Args:
            C: The coefficients.
        """
        return self.values(C), np.zeros((len(self.entries), 1, 0))

    def unmet(self, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """0: they need not vanish.

        Args:
            C: The coefficients.
        """
        return 0.0

    def pushed(
        self, g: Float[np.ndarray, "jumps 1 0"], D: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "jumps 1"]:
        """The jumps of a change of the coefficients.

        Args:
            g: Nothing.
            D: The change.
        """
        return self.values(D)

    def lifted(
        self, g: Float[np.ndarray, "jumps 1 0"], r: Float[np.ndarray, "jumps 1"]
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

    def supports(self, shape: Sequence[int]) -> Int[np.ndarray, "jumps each"]:
        """Places of the coefficients of every jump.

        Args:
            shape: Of all coefficients.
        """
        return self.columns

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


def ghosts(
    axes: Sequence[Axis], inside: Inside, diagonals: Sequence[Float[np.ndarray, "unknowns ..."]]
) -> tuple[GhostRows, ...]:
    """The jumps that hold what is hardly felt, along each coordinate.

    Args:
        axes: Functions of each coordinate of space.
        inside: The domain among their cells.
        diagonals: Of JᵀJ of the rows inside, by all coefficients.
    """
    heavy = np.sum(diagonals, 0)
    floor = LIGHTEST * heavy.reshape(len(heavy), -1).max(1)
    heavy = np.maximum(heavy, np.maximum(floor, np.finfo(float).tiny)[:, None, None])
    places = np.arange(heavy.size).reshape(heavy.shape)
    found = []
    for i, axis in enumerate(axes):
        if not isinstance(axis, SplineAxis):
            continue
        entries, which = _jumps(axis)
        # Stencils along this axis, at every function of the other one: [jumps, each, functions].
        felt = np.moveaxis(inside.felt, i, 0)[which].all(1)
        firm = np.moveaxis(inside.firm, i, 0)[which].all(1)
        jump, other = np.nonzero(felt & ~firm)
        for u in range(len(heavy)):
            columns = np.moveaxis(places[u], i, 0)[which[jump], other[:, None]]
            weight = np.sqrt(heavy.ravel()[columns].max(1))
            found.append(GhostRows(GHOST * weight[:, None] * entries[jump], columns, heavy.shape))
    return tuple(found)


def _jumps(
    axis: SplineAxis,
) -> tuple[Float[np.ndarray, "jumps each"], Int[np.ndarray, "jumps each"]]:
    """Jumps of the highest derivative at the ends of cells by coefficients, the largest of which is
    1, and the numbers of these; at creases there are none to lower."""
    middle = (axis.breaks[1:] + axis.breaks[:-1]) / 2
    D = axis.matrix(middle, axis.degree)
    jumps = (D[1:] - D[:-1]).toarray()[~axis.at_creases[1:-1]]
    each = axis.degree + 2
    first = axis.first[:-1][~axis.at_creases[1:-1]]
    which = first[:, None] + np.arange(each)
    entries = np.take_along_axis(jumps, which, 1)
    return entries / np.abs(entries).max(1, keepdims=True), which
