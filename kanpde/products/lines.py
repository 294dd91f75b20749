"""Points of collocation along one coordinate, as many as splines that meet the conditions at its
ends, and derivatives there by the values there.

At a clamped end the first spline alone has a value, and the first two have slopes: a u + b u_n = g
is met by the first coefficient. The points are Greville's, of which one is left out for each
condition: the end itself where the value is given, else the third one, with which all eigenvalues
of the second derivative are real and negative (measured, degrees 5 to 9, on equal and on graded
cells; without the second or the end, those of high degrees are not). Where splines wrap around, the
points are the knots.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft as fft
import torch
from jaxtyping import Complex, Float, Inexact
from numpy.polynomial import legendre

from kanpde.products.axes import Matrix, SplineAxis
from kanpde.products.rows import DENSE_UP_TO

HIGHEST = 2
"""Order of derivatives along a coordinate."""

LEFT_OUT = 2
"""Number of Greville's point that is left out where a slope is given."""

EQUAL_CELLS = 1e-9
"""Difference of lengths of cells that are equal, over their mean."""

REAL_BUT_ROUNDED = 1e-9
"""Imaginary part of eigenvalues that are real but for rounding, over the largest."""


BETWEEN = 2
"""Points at which equations are looked at between those of collocation, over these."""

WELL_CONDITIONED = 1e4
"""Condition of vectors that are far enough from one another."""


@dataclass(frozen=True)
class End:
    """A condition a u + b u_n = g at one end, with u_n along the outward normal.

    Attributes:
        a: Of the value.
        b: Of the slope.
    """

    a: float
    b: float

    def weights(self, axis: SplineAxis, lower: bool) -> tuple[float, float]:
        """What the first coefficient is of g, and of the second one.

        Args:
            axis: The splines.
            lower: Whether this is the end where the coordinate begins.
        """
        cells = np.diff(axis.breaks)
        steep = self.b * axis.degree / float(cells[0 if lower else -1])
        return 1 / (self.a + steep), steep / (self.a + steep)


@dataclass(frozen=True, eq=False)
class Line:
    """Splines of one coordinate that meet conditions at its ends.

    Attributes:
        axis: The splines.
        lower: The condition where the coordinate begins; None where it wraps around.
        upper: The condition where it ends.
        inner: Whether either end itself is none of the points, as where some value is given there.
    """

    axis: SplineAxis
    lower: End | None = None
    upper: End | None = None
    inner: tuple[bool, bool] = (True, True)

    @cached_property
    def at(self) -> Float[np.ndarray, " points"]:
        """The points."""
        p, knots, size = self.axis.degree, self.axis.knots, self.axis.size
        if self.axis.periodic and p % 2:
            return self.axis.breaks[:-1]
        found = np.array([knots[i + 1 : i + p + 1].mean() for i in range(size)])
        if self.axis.periodic:
            low, high = self.axis.ends
            return low + (found - low) % (high - low)
        first, last = (0 if inner else LEFT_OUT for inner in self.inner)
        return np.delete(found, [first, size - 1 - last])

    def matrix(self, order: int) -> Matrix:
        """Derivatives of the splines at the points.

        Args:
            order: Of differentiation.
        """
        known, key = self.axis.kept, (order, self.inner)
        if key not in known:
            found = self.axis.matrix(self.at, order)
            known[key] = found.toarray() if self.axis.size <= DENSE_UP_TO else found
        return known[key]

    @cached_property
    def lift(self) -> Float[np.ndarray, "splines points"]:
        """From values at the points to coefficients, where all that is given is zero."""
        free = np.eye(self.axis.size)
        if not self.axis.periodic:
            assert self.lower is not None
            assert self.upper is not None
            free = free[:, 1:-1]
            free[0, 0] = self.lower.weights(self.axis, True)[1]
            free[-1, -1] = self.upper.weights(self.axis, False)[1]
        return np.linalg.solve((self.matrix(0) @ free).T, free.T).T

    def lifted(self, values: Float[np.ndarray, " ..."], i: int) -> Float[np.ndarray, " ..."]:
        """From values at the points to coefficients, where all that is given is zero.

        Args:
            values: Along an axis the points.
            i: Number of that axis.
        """
        return around(self.lift[:, :1], values, i) if self.equal else times(self.lift, values, i)

    @cached_property
    def derivatives(self) -> tuple[Float[np.ndarray, "points points"], ...]:
        """Derivatives at the points by the values there, from order 0 on."""
        orders = range(1, HIGHEST + 1)
        return np.eye(len(self.at)), *(self.matrix(k) @ self.lift for k in orders)

    @cached_property
    def between(self) -> PointsBetween:
        """Points between those of collocation."""
        return PointsBetween(self)

    @cached_property
    def equal(self) -> bool:
        """Whether it wraps around on equal cells, so that Fourier's modes diagonalise all."""
        cells = np.diff(self.axis.breaks)
        return self.axis.periodic and bool(np.ptp(cells) < EQUAL_CELLS * cells.mean())

    @cached_property
    def _eigen(self) -> tuple[Inexact[np.ndarray, "points points"], ...]:
        """Vectors of the second derivative, and the inverse of these; where some are nearly the
        same, as with pairs of waves around a circle, those of its symmetric part."""
        second = self.derivatives[2]
        values, Q = np.linalg.eig(second)
        if np.abs(values.imag).max() < REAL_BUT_ROUNDED * np.abs(values).max():
            Q = Q.real
        if np.linalg.cond(Q) < WELL_CONDITIONED:
            return Q, np.linalg.inv(Q)
        # Points stand for their surroundings: the products of functions weigh them so.
        root = np.sqrt(np.abs(np.gradient(np.sort(self.at))))[np.argsort(np.argsort(self.at))]
        weighted = second * root[:, None] / root
        vectors = np.linalg.eigh((weighted + weighted.T) / 2)[1]
        return vectors / root[:, None], vectors.T * root

    @property
    def real(self) -> bool:
        """Whether the modes are real."""
        return not self.equal and not np.iscomplexobj(self._eigen[0])

    @cached_property
    def symbols(self) -> tuple[Complex[np.ndarray, " points"], ...]:
        """What each derivative is to each of the modes; of those that it mixes, to itself."""
        if self.equal:
            return tuple(fft.fft(D[:, 0]) for D in self.derivatives)
        Q, back = self._eigen
        return tuple(np.einsum("ij,ji->i", back @ D, Q) + 0j for D in self.derivatives)

    def to_modes(self, values: Inexact[np.ndarray, " ..."], i: int) -> Inexact[np.ndarray, " ..."]:
        """From values at the points to modes, real ones of real values where modes are real.

        Args:
            values: Along an axis the points.
            i: Number of that axis.
        """
        return fft.fft(values, axis=i) if self.equal else _times(self._eigen[1], values, i)

    def to_values(self, modes: Inexact[np.ndarray, " ..."], i: int) -> Inexact[np.ndarray, " ..."]:
        """From modes to values at the points.

        Args:
            modes: Along an axis.
            i: Number of that axis.
        """
        return fft.ifft(modes, axis=i) if self.equal else _times(self._eigen[0], modes, i)


@dataclass(frozen=True, eq=False)
class PointsBetween:
    """Points between those of collocation, Gauss's: twice as many on every cell.

    Attributes:
        line: Has the points of collocation.
    """

    line: Line

    @cached_property
    def rule(self) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
        """The points and their weights."""
        axis = self.line.axis
        held = np.bincount(axis.cell_of(self.line.at), minlength=axis.cells)
        low, half = axis.breaks[:-1], np.diff(axis.breaks) / 2
        at, weights = [], []
        for cell, count in enumerate(BETWEEN * np.maximum(held, 1)):
            z, w = legendre.leggauss(count)
            at.append(low[cell] + half[cell] * (z + 1))
            weights.append(half[cell] * w)
        return np.concatenate(at), np.concatenate(weights)

    @property
    def at(self) -> Float[np.ndarray, " points"]:
        """The points."""
        return self.rule[0]

    def matrix(self, order: int) -> Matrix:
        """Derivatives of the splines at the points.

        Args:
            order: Of differentiation.
        """
        if order not in self._matrices:
            self._matrices[order] = self.line.axis.matrix(self.at, order)
        return self._matrices[order]

    @cached_property
    def _matrices(self) -> dict[int, Matrix]:
        return {}

    def nearest(self, values: Float[np.ndarray, " ..."], i: int) -> Float[np.ndarray, " ..."]:
        """What the nearest spline has at points of collocation.

        Args:
            values: Along an axis those at these points.
            i: Number of that axis.
        """
        if self.line.equal:
            return around(self.means[:, : len(self.at) // self.line.axis.cells], values, i)
        return times(self.means, values, i)

    @cached_property
    def means(self) -> Float[np.ndarray, "points between"]:
        """From values at the points to those that the nearest spline has at points of
        collocation."""
        axis = self.line.axis
        B = axis.matrix(self.at).toarray()
        weighted = B.T * self.rule[1]
        return self.line.matrix(0) @ np.linalg.solve(weighted @ B, weighted)


def around(
    columns: Float[np.ndarray, "points offsets"], values: Float[np.ndarray, " ..."], i: int
) -> Float[np.ndarray, " ..."]:
    """What equal cells around a circle make of one another, applied along one axis of an array.

    Args:
        columns: What all points take of those of the first cell.
        values: Of each cell as many as there are columns.
        i: Number of the axis.
    """
    count, offsets = columns.shape
    parts = np.moveaxis(values, i, 0).reshape(count, offsets, -1)
    there = torch.fft.rfft(torch.from_numpy(np.ascontiguousarray(parts)), dim=0)
    symbols = torch.fft.rfft(torch.from_numpy(columns.copy()), dim=0)
    found = torch.fft.irfft((there * symbols[:, :, None]).sum(1), n=count, dim=0).numpy()
    rest = [*values.shape[:i], *values.shape[i + 1 :]]
    return np.moveaxis(found.reshape(count, *rest), 0, i)


def times(
    matrix: Inexact[np.ndarray, "to from"], values: Inexact[np.ndarray, " ..."], i: int
) -> Inexact[np.ndarray, " ..."]:
    """A matrix applied along one axis of an array, in the precision of this.

    Args:
        matrix: What is applied.
        values: The array.
        i: Number of the axis.
    """
    before, after = values.shape[:i], values.shape[i + 1 :]
    if values.dtype in (np.float32, np.complex64):
        matrix = matrix.astype(np.complex64 if np.iscomplexobj(matrix) else np.float32)
    if not after:
        return values @ matrix.T
    flat = values.reshape(*before, values.shape[i], -1)
    return np.matmul(matrix, flat).reshape(*before, len(matrix), *after)


def _times(
    matrix: Inexact[np.ndarray, "to from"], values: Inexact[np.ndarray, " ..."], i: int
) -> Inexact[np.ndarray, " ..."]:
    """The same of complex values, as two of real ones where the matrix is real."""
    if np.iscomplexobj(matrix) or not np.iscomplexobj(values):
        return times(matrix, values, i)
    return times(matrix, values.real, i) + 1j * times(matrix, values.imag, i)
