"""Rows of one piece, or of a seam where two of them meet, over the coefficients of all pieces one
after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
import torch
from jaxtyping import Float, Int

from kanpde.products.cells import add_cells
from kanpde.products.matrix_rows import MatrixRows
from kanpde.products.rows import WeightedRows, unmet
from kanpde.residual.calculus import Leaf
from kanpde.residual.residual import Residual

NOTHING_FELT = 1e-12
"""Share of the largest value of a spline where a face is, up to which another one is zero."""


@dataclass(frozen=True, eq=False)
class SeamSide:
    """What rows take of one piece.

    Attributes:
        rows: The rows, with the splines of that piece.
        first: Place of its first coefficient among those of all pieces.
        shape: Of its coefficients, [unknowns, functions of the first axis, …].
    """

    rows: WeightedRows
    first: int
    shape: tuple[int, ...]

    @property
    def part(self) -> slice:
        """Where its coefficients lie."""
        return slice(self.first, self.first + int(np.prod(self.shape)))

    def own(self, C: Float[np.ndarray, " all"]) -> Float[np.ndarray, "unknowns ..."]:
        """The coefficients of the piece.

        Args:
            C: Those of all.
        """
        return C[self.part].reshape(self.shape)


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """Residuals at points inside of one piece, on its faces, or at a seam of two.

    Attributes:
        sides: The pieces, with the same points: one, or two at a seam.
        size: How many coefficients there are in all.
    """

    sides: tuple[SeamSide, ...]
    size: int

    @property
    def residuals(self) -> tuple[Residual, ...]:
        """Pointwise functions, all of the same coordinates."""
        return self.sides[0].rows.residuals

    @property
    def normal(self) -> tuple[float | torch.Tensor, ...]:
        """Normal of a face, a number a coordinate; () inside."""
        return self.sides[0].rows.normal

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """All derivatives that the residuals depend on, side by side."""
        return tuple(leaf for side in self.sides for leaf in side.rows.leaves)

    @cached_property
    def _columns(self) -> list[slice]:
        """Which of the leaves belong to each side."""
        counts = (len(side.rows.leaves) for side in self.sides)
        return [slice(a, b) for a, b in pairwise(accumulate(counts, initial=0))]

    def derivatives(self, C: Float[np.ndarray, " all"]) -> Float[np.ndarray, "points leaves"]:
        """The derivatives at all points.

        Args:
            C: The coefficients.
        """
        return np.concatenate([side.rows.derivatives(side.own(C)) for side in self.sides], 1)

    def values(self, C: Float[np.ndarray, " all"]) -> Float[np.ndarray, "points rows"]:
        """The rows at all points.

        Args:
            C: The coefficients.
        """
        return self.sides[0].rows.evaluated(self.derivatives(C), self.leaves, False)[0]

    def linear(
        self, C: Float[np.ndarray, " all"]
    ) -> tuple[Float[np.ndarray, "points rows"], Float[np.ndarray, "points rows leaves"]]:
        """The rows at all points, and their partials by the derivatives.

        Args:
            C: The coefficients.
        """
        r, g = self.sides[0].rows.evaluated(self.derivatives(C), self.leaves, True)
        assert g is not None
        return r, g

    def unmet(self, C: Float[np.ndarray, " all"]) -> float:
        """How far the rows are from being met, over their own terms.

        Args:
            C: The coefficients.
        """
        return unmet(*self.linear(C), self.derivatives(C))

    def pushed(
        self, g: Float[np.ndarray, "points rows leaves"], D: Float[np.ndarray, " all"]
    ) -> Float[np.ndarray, "points rows"]:
        """J times a change of the coefficients.

        Args:
            g: Partials at all points.
            D: The change.
        """
        return np.einsum("pra,pa->pr", g, self.derivatives(D))

    def lifted(
        self, g: Float[np.ndarray, "points rows leaves"], r: Float[np.ndarray, "points rows"]
    ) -> Float[np.ndarray, " all"]:
        """Jᵀ times rows, by all coefficients.

        Args:
            g: Partials at all points.
            r: The rows.
        """
        found = np.zeros(self.size)
        for side, own in zip(self.sides, self._columns, strict=True):
            found[side.part] += side.rows.lifted(g[:, :, own], r).ravel()
        return found

    def diagonal(self, C: Float[np.ndarray, " all"]) -> Float[np.ndarray, " all"]:
        """Of JᵀJ, by all coefficients.

        Args:
            C: The coefficients.
        """
        found, (_, g) = np.zeros(self.size), self.linear(C)
        for side, own in zip(self.sides, self._columns, strict=True):
            found[side.part] += side.rows.diagonal_of(g[:, :, own]).ravel()
        return found

    def supports(self, shape: Sequence[int]) -> Int[np.ndarray, "blocks local"]:
        """Places of the coefficients of every cell among those of all: at a seam of those alone
        that are felt there.

        Args:
            shape: Of all coefficients.
        """
        parts = [side.first + side.rows.supports(side.shape) for side in self.sides]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts, 1)[:, self._felt]

    @cached_property
    def _felt(self) -> Int[np.ndarray, " felt"]:
        """At a seam, which of the functions that are alive on a cell have a value there, or one of
        the derivatives that are asked for: the first or the last ones of the axis across it."""
        found, before = [], 0
        for side in self.sides:
            rows = side.rows
            degrees = [axis.degree + 1 for axis in rows.axes]
            across = next(i for i, n in enumerate(rows.normal) if n)
            some = np.zeros((side.shape[0], *degrees), dtype=bool)
            for u, index in rows.leaves:
                values = np.abs(rows.alive_on_cells(across, index[across])[0, 0])
                here = np.moveaxis(some[rows.unknowns.index(u)], across, -1)
                here |= values > NOTHING_FELT * values.max()
            found.append(before + np.flatnonzero(some))
            before += some.size
        return np.concatenate(found)

    def add_to(
        self,
        C: Float[np.ndarray, " all"],
        index: Int[np.ndarray, " all"],
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
        if len(self.sides) == 1:
            side = self.sides[0]
            own = index[side.part].reshape(side.shape)
            return add_cells(side.rows, side.own(C), own, weight, columns, slope)
        r, g = self.linear(C)
        by_cell = self.sides[0].rows.by_cell(r)
        by_cell = by_cell.reshape(len(by_cell), -1)
        ways = zip(self.sides, self._columns, strict=True)
        parts = [side.rows.jacobian(g[:, :, own]) for side, own in ways]
        numbers = index[self.supports(index.shape)]
        J = np.where(numbers[:, None] < 0, 0.0, np.concatenate(parts, 2)[:, :, self._felt])
        free = numbers >= 0
        pulled = weight * np.einsum("kr,krb->kb", by_cell, J)
        np.add.at(slope, numbers[free], pulled[free])
        products = weight * np.matmul(J.transpose(0, 2, 1), J)
        n, m = np.broadcast_arrays(numbers[:, :, None], numbers[:, None, :])
        lower = (m >= n) & (n >= 0)
        np.add.at(columns, (n[lower], m[lower] - n[lower]), products[lower])
        return float((r**2).sum())


Rows = WeightedRows | JoinedRows | MatrixRows
"""Of a problem on a box, or of one on pieces."""
