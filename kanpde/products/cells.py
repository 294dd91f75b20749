"""JᵀJ and Jᵀr added up cell by cell, on as many threads as there are, to the same bits however many
these are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kanpde.kernels.band import add_to_band
from kanpde.kernels.threads import deal
from kanpde.products.rows import WeightedRows


@dataclass(frozen=True)
class TwoFactors:
    """The functions that are alive on the cells of rows, as products of two factors: those of one
    coordinate and nothing, of two coordinates, or of the first two of three and of the third.

    Attributes:
        X: Derivatives of the first factor, [orders, cells, points, size].
        Y: Of the second one, likewise.
        cells: Of X and of Y, of all cells.
        orders: Which of X and of Y a derivative of an unknown is.
    """

    X: Float[np.ndarray, "orders_x cells_x points_x size_x"]
    Y: Float[np.ndarray, "orders_y cells_y points_y size_y"]
    cells: Int[np.ndarray, "2 blocks"]
    orders: Int[np.ndarray, "leaves 2"]

    @classmethod
    def of(cls, rows: WeightedRows) -> TwoFactors:
        """Those of some rows.

        Args:
            rows: Residuals at points of cells.
        """
        dims = len(rows.axes)
        indices = [index for _, index in rows.leaves]
        first = sorted({index[:-1] for index in indices})
        last = sorted({index[-1] for index in indices})
        cells = rows.cells
        some, merged = np.unique(cells[:-1], axis=1, return_inverse=True)
        X = np.stack([_merged(rows, index, some) for index in first])
        Y = np.stack([rows.alive_on_cells(dims - 1, order) for order in last])
        pairs = [(first.index(index[:-1]), last.index(index[-1])) for index in indices]
        return cls(X, Y, np.stack([merged.ravel(), cells[-1]]), np.array(pairs).reshape(-1, 2))


def _merged(
    rows: WeightedRows, index: Sequence[int], cells: Int[np.ndarray, "axes some"]
) -> Float[np.ndarray, "some points support"]:
    """The product of the functions of all coordinates but the last, on some cells of these."""
    found = np.ones((cells.shape[1], 1, 1))
    for i, order in enumerate(index):
        own = rows.alive_on_cells(i, order)[cells[i]]
        shape = (len(found), found.shape[1] * own.shape[1], found.shape[2] * own.shape[2])
        found = np.einsum("kap,kbq->kabpq", found, own).reshape(shape)
    return found


def add_cells(
    rows: WeightedRows,
    C: Float[np.ndarray, "unknowns ..."],
    index: Int[np.ndarray, "unknowns ..."],
    weight: float,
    columns: Float[np.ndarray, "free band"],
    slope: Float[np.ndarray, " free"],
) -> float:
    """Add the normal equations of some rows to those of all.

    Cells are added in strips across the first coordinate that are as long as a function is: every
    other strip first, which have no function in common, and then the rest.

    Args:
        rows: Residuals at points of cells.
        C: The coefficients.
        index: Number of the parameter behind each coefficient, -1 where it is given.
        weight: Of the squares.
        columns: The lower band of JᵀJ, column after column, which is added to.
        slope: Jᵀr, which is added to.

    Returns:
        The sum of the squares, without the weight.

    Raises:
        ProblemError: The residual is not finite.
    """
    r, g = rows.linear(C)
    factors = TwoFactors.of(rows)
    by_cell = np.ascontiguousarray(rows.by_cell(r))
    partials = rows.by_cell(g.reshape(len(g), -1)).reshape(*by_cell.shape, -1)
    given = (
        *(factors.X, factors.Y, factors.cells, factors.orders),
        np.array([rows.unknowns.index(u) for u, _ in rows.leaves]),
        *(np.ascontiguousarray(partials), by_cell),
        index.ravel()[rows.supports(index.shape)],
        *(weight, columns, slope),
    )
    ends = _strips(rows)

    def strips(some: range) -> None:
        def work(begin: int, end: int) -> None:
            for k in some[begin:end]:
                add_to_band(ends[k], ends[k + 1], *given)

        deal(work, len(some))

    strips(range(0, len(ends) - 1, 2))
    strips(range(1, len(ends) - 1, 2))
    return float((r**2).sum())


def _strips(rows: WeightedRows) -> list[int]:
    """Where strips of cells begin, and the last one ends."""
    axis, numbers = rows.axes[0], rows.places[0].cells[rows.cells[0]]
    low = int(numbers[0]) if len(numbers) else 0
    count = max(1, (int(numbers[-1]) + 1 - low) // (axis.degree + 1)) if len(numbers) else 1
    if axis.periodic and count > 1:
        count -= count % 2  # the last strip has functions in common with the first one
    begins = low + (axis.degree + 1) * np.arange(count)
    return [*np.searchsorted(numbers, begins).tolist(), len(numbers)]
