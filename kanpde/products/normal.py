"""Normal equations JᵀJ d = -Jᵀr in a band, divided by their diagonal, and Cholesky's factor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.sparse.linalg import LinearOperator, onenormest

from kanpde.errors import ProblemError
from kanpde.kernels.band import add_column_sums, divide_band
from kanpde.products.axes import Axis
from kanpde.products.border import Border, Bordered, Eliminated
from kanpde.products.cells import add_cells
from kanpde.products.far import FarRows
from kanpde.products.joined import JoinedRows, Rows
from kanpde.products.matrix_rows import MatrixRows
from kanpde.products.rows import points_of

FEW_COLUMNS = 8
"""Of a matrix whose inverse is looked at as a whole."""

LEAST_RIDGE = 1e-15
"""What is added to the diagonal, which is 1, at least."""

BANDS = 2
"""That are in memory together: the equations, and what becomes their factor."""

RAISE = 30.0
"""By what it grows until Cholesky's factor exists."""


@dataclass(frozen=True)
class BandFactor:
    """Cholesky's factor of normal equations that were divided by their diagonal.

    Attributes:
        triangle: Its lower band.
        scale: Inverse roots of the diagonal.
        ridge: What was added to the diagonal, which was 1.
        norm: The 1-norm of the equations before that.
    """

    triangle: Float[np.ndarray, "band free"]
    scale: Float[np.ndarray, " free"]
    ridge: float
    norm: float

    def condition(self) -> float:
        """An estimate of the condition of the divided equations in the 1-norm: that of JᵀJ, which
        is the square of that of J (Higham and Tisseur 2000)."""
        free = self.triangle.shape[1]

        def inverse(v: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " free"]:
            return cho_solve_banded((self.triangle, True), v.ravel(), check_finite=False)

        if free < FEW_COLUMNS:
            found = np.stack([inverse(e) for e in np.eye(free)], 1)
            return self.norm * float(np.abs(found).sum(0).max(initial=0.0))
        shape = (free, free)
        whole = LinearOperator(shape, matvec=inverse, rmatvec=inverse, dtype=np.float64)
        return self.norm * float(onenormest(whole, t=1))

    def step(self, slope: Float[np.ndarray, "free ..."]) -> Float[np.ndarray, "free ..."]:
        """The step -(JᵀJ)⁻¹ Jᵀr.

        Args:
            slope: Jᵀr, or several of these side by side.
        """
        scale = self.scale.reshape(-1, *(1,) * (slope.ndim - 1))
        right = scale * slope
        return -scale * cho_solve_banded((self.triangle, True), right, check_finite=False)


@dataclass(frozen=True)
class BorderedFactor:
    """The factor of normal equations with a border.

    Attributes:
        band: That of the band.
        border: The border.
    """

    band: BandFactor
    border: Bordered

    @cached_property
    def remainder(self) -> Eliminated:
        """What is left of the border once the band is eliminated."""
        return self.border.remainder(-self.band.step(self.border.across))

    def condition(self) -> float:
        """An estimate of the condition of the divided equations of the band."""
        return self.band.condition()

    def step(self, slope: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
        """The step -(JᵀJ)⁻¹ Jᵀr.

        Args:
            slope: Jᵀr, that of the border last.
        """
        count = len(self.border.across)
        first = self.band.step(slope[:count])
        beside = -self.remainder.step(slope[count:] + self.border.across.T @ first)
        return np.r_[first - self.remainder.solved @ beside, beside]


@dataclass(frozen=True)
class Normal:
    """Normal equations of all rows together.

    Attributes:
        columns: JᵀJ, its lower band, column after column.
        slope: Jᵀr, that of the border last.
        loss: Sum of squares.
        border: JᵀJ of what is unknown beside; None where there is nothing.
    """

    columns: Float[np.ndarray, "free band"]
    slope: Float[np.ndarray, " all"]
    loss: float
    border: Bordered | None = None

    @property
    def diagonal(self) -> Float[np.ndarray, " all"]:
        """Of JᵀJ."""
        if self.border is None:
            return self.columns[:, 0]
        return np.r_[self.columns[:, 0], self.border.corner.diagonal()]

    def factor(self, least: float = 0.0) -> BandFactor | BorderedFactor:
        """Cholesky's factor, with as much added to the diagonal as it needs.

        Args:
            least: What is added to the diagonal, which is 1, at least.

        Raises:
            ProblemError: The equations are singular however much is added.
        """
        s = 1 / np.sqrt(np.maximum(self.columns[:, 0], np.finfo(float).tiny))
        ridge = max(LEAST_RIDGE, least)
        while ridge < 1.0:
            divided, sums = self.columns.copy(), np.zeros(len(s))
            divide_band(divided, s)
            add_column_sums(divided, sums)
            divided[:, 0] += ridge
            try:
                found = cholesky_banded(
                    divided.T, overwrite_ab=True, lower=True, check_finite=False
                )
            except LinAlgError:
                ridge *= RAISE
                continue
            band = BandFactor(found, s, ridge, float(sums.max(initial=0.0)))
            return band if self.border is None else BorderedFactor(band, self.border)
        raise ProblemError(
            "the normal equations of the products of splines are singular: a condition is missing,"
            " or an equation does not depend on its unknowns"
        )


def bytes_for(axes: Sequence[Axis], unknowns: int) -> float:
    """What the band and its factor take.

    Args:
        axes: Functions of each coordinate.
        unknowns: How many unknowns there are.
    """
    sizes = [axis.size for axis in axes]
    longest = max(sizes)
    axis = axes[sizes.index(longest)]
    apart = min(longest, (axis.degree + 1) * (2 if axis.periodic else 1))
    rest = unknowns * int(np.prod(sizes)) // longest
    return 8.0 * BANDS * (longest * rest) * (apart * rest)


def operations_for(axes: Sequence[Axis], unknowns: int) -> float:
    """What a step of Newton's method takes: to add up JᵀJ, and to factor it.

    Args:
        axes: Functions of each coordinate.
        unknowns: How many unknowns there are.
    """
    alive = unknowns * math.prod(axis.degree + 1 for axis in axes)
    points = math.prod(axis.cells * points_of(axis) for axis in axes)
    size = unknowns * math.prod(axis.size for axis in axes)
    width = bytes_for(axes, unknowns) / (8.0 * BANDS * size)
    return points * float(alive) ** 2 + size * width**2


def width_of(rows: Sequence[Rows], index: Int[np.ndarray, "unknowns ..."]) -> int:
    """Largest distance of two parameters that share a cell.

    Args:
        rows: All rows.
        index: Number of the parameter behind each coefficient, -1 where it is given.
    """
    flat, widest = index.ravel(), 0
    for some in rows:
        numbers = flat[some.supports(index.shape)]
        low = np.where(numbers < 0, len(flat), numbers).min(1)
        widest = max(widest, int((numbers.max(1) - low).max(initial=0)))
    return widest


def normal(
    rows: Sequence[Rows],
    C: Float[np.ndarray, "unknowns ..."],
    index: Int[np.ndarray, "unknowns ..."],
    weights: Sequence[float],
    border: Border | None = None,
) -> Normal:
    """The normal equations of all rows at given coefficients, added up cell by cell.

    Args:
        rows: All rows.
        C: The coefficients.
        index: Number of the parameter behind each coefficient, -1 where it is given.
        weights: Of the squares of each of the rows.
        border: What is unknown beside; None where there is nothing.
    """
    free = int(index.max(initial=-1)) + 1
    columns = np.zeros((free, width_of(rows, index) + 1))
    slope, loss = np.zeros(free), 0.0
    for some, weight in zip(rows, weights, strict=True):
        if isinstance(some, JoinedRows | FarRows | MatrixRows):
            loss += weight * some.add_to(C, index, weight, columns, slope)
        else:
            loss += weight * add_cells(some, C, index, weight, columns, slope)
    if border is None:
        return Normal(columns, slope, loss)
    ways = [(w, some, *some.linear(C)) for w, some in zip(weights, rows, strict=True)]
    parts = [[w**0.5 * some.pushed(g, D) for w, some, _, g in ways] for D in border.each(C.shape)]
    J = np.stack([np.concatenate([y.ravel() for y in each]) for each in parts], 1)
    across = np.zeros((free, border.count))
    for k, each in enumerate(parts):
        lifts = (w**0.5 * some.lifted(g, y) for (w, some, _, g), y in zip(ways, each, strict=True))
        whole = sum(lifts, np.zeros(C.shape))
        across[:, k] = np.bincount(index.ravel() + 1, whole.ravel(), free + 1)[1:]
    r = np.concatenate([w**0.5 * r.ravel() for w, _, r, _ in ways])
    return Normal(columns, np.r_[slope, J.T @ r], loss, Bordered(across, J.T @ J))
