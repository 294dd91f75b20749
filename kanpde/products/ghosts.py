"""What holds functions that are hardly felt inside a domain that is no box: they go on as those
beside them do.

The jumps of the highest derivatives are lowered with a small weight (the ghost penalty of Burman
2010, Comptes Rendus Mathematique 348). How large they are is what the error of splines on these
cells comes to in any case, so that this costs next to nothing; the normal equations then do not
depend on how the boundary crosses the cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from kanpde.products.axes import Axis, SplineAxis
from kanpde.products.inside import Inside
from kanpde.products.matrix_rows import MatrixRows

GHOST = 1e-3
"""How heavy jumps are beside the residuals of the coefficients that they are those of."""

LIGHTEST = 1e-8
"""Of the heaviest coefficient, what those of a jump count as at least."""


class GhostRows(MatrixRows):
    """Jumps of the highest derivatives, times one function along the other coordinates each."""

    @classmethod
    def of(
        cls,
        entries: Float[np.ndarray, "jumps each"],
        columns: Int[np.ndarray, "jumps each"],
        shape: tuple[int, ...],
    ) -> GhostRows:
        """Some jumps.

        Args:
            entries: What each of them takes of some coefficients.
            columns: Places of these among all coefficients.
            shape: Of all coefficients.
        """
        begins = entries.shape[1] * np.arange(len(entries) + 1)
        size = (len(entries), int(np.prod(shape)))
        matrix = sp.csr_matrix((entries.ravel(), columns.ravel(), begins), shape=size)
        return cls(matrix, np.zeros(len(entries)), shape)


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
    floor = np.maximum(floor, np.finfo(float).tiny).reshape(-1, *(1,) * len(axes))
    heavy = np.maximum(heavy, floor)
    places = np.arange(heavy.size).reshape(heavy.shape)
    found = []
    for i, axis in enumerate(axes):
        if not isinstance(axis, SplineAxis):
            continue
        entries, which = _jumps(axis)
        # Stencils along this axis, at every function of the others: [jumps, each, functions ...].
        felt = np.moveaxis(inside.felt, i, 0)[which].all(1)
        firm = np.moveaxis(inside.firm, i, 0)[which].all(1)
        jump, *others = np.nonzero(felt & ~firm)
        for u in range(len(heavy)):
            columns = np.moveaxis(places[u], i, 0)[which[jump], *(o[:, None] for o in others)]
            weight = np.sqrt(heavy.ravel()[columns].max(1))
            found.append(
                GhostRows.of(GHOST * weight[:, None] * entries[jump], columns, heavy.shape)
            )
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
