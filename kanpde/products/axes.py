"""Functions of one coordinate, of which products are made: B-splines on cells of any length, and
polynomials over one span of time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from numpy.polynomial import legendre

from kanpde.kernels.de_boor import fill_splines


class Axis(ABC):
    """Functions of one coordinate with local support: on every cell the same number of them.

    Attributes:
        breaks: Ends of the cells, ascending.
        degree: Of the polynomials.
        periodic: Whether they wrap around.
    """

    breaks: Float[np.ndarray, " ends"]
    degree: int
    periodic: bool = False

    @cached_property
    def kept(self) -> dict[Hashable, Matrix]:
        """Matrices of its functions that are asked for again and again."""
        return {}

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.breaks) - 1

    @property
    def ends(self) -> tuple[float, float]:
        """Where the coordinate begins and ends."""
        return float(self.breaks[0]), float(self.breaks[-1])

    @property
    @abstractmethod
    def size(self) -> int:
        """How many functions there are."""

    @property
    @abstractmethod
    def alive(self) -> Int[np.ndarray, "cells support"]:
        """Numbers of the functions that do not vanish on a cell."""

    @abstractmethod
    def local(
        self, cell: Int[np.ndarray, " points"], x: Float[np.ndarray, " points"], order: int
    ) -> Float[np.ndarray, "points support"]:
        """Derivatives of the functions that are alive on given cells.

        Args:
            cell: The cell of every point.
            x: The points.
            order: Of differentiation.
        """

    def cell_of(self, x: Float[np.ndarray, " points"]) -> Int[np.ndarray, " points"]:
        """The cell of every point, the first or the last one for points outside.

        Args:
            x: The points.
        """
        return np.clip(np.searchsorted(self.breaks, x, "right") - 1, 0, self.cells - 1)

    def matrix(
        self,
        x: Float[np.ndarray, " points"],
        order: int = 0,
        cell: Int[np.ndarray, " points"] | None = None,
    ) -> sp.csr_matrix:
        """Derivatives of all functions at points, sparse [points, size].

        Args:
            x: The points.
            order: Of differentiation.
            cell: Of every point; by default found.
        """
        cell = self.cell_of(x) if cell is None else cell
        values, columns = self.local(cell, x, order), self.alive[cell]
        begins = columns.shape[1] * np.arange(len(x) + 1)
        return sp.csr_matrix((values.ravel(), columns.ravel(), begins), shape=(len(x), self.size))

    def gauss(
        self, count: int
    ) -> tuple[Float[np.ndarray, "cells points"], Float[np.ndarray, "cells points"]]:
        """Points and weights of Gauss's rule on every cell.

        Args:
            count: Points a cell.
        """
        z, w = legendre.leggauss(count)
        half = np.diff(self.breaks)[:, None] / 2
        return self.breaks[:-1, None] + half * (z + 1), np.abs(half) * w


FEWEST_CELLS = 6
"""Cells along a coordinate, at least."""

CELLS_OF_A_PIECE = 4
"""Between two creases, or a crease and an end, at least: they have degree more functions than
cells, and four Gauss points a cell have to tell them apart."""


@dataclass(frozen=True, eq=False)
class SplineAxis(Axis):
    """B-splines: of knots that are clamped at both ends, or that wrap around.

    Where the right side of an equation jumps, so do derivatives of its solution: there knots are
    repeated, so that the splines have just as many continuous derivatives as the solution has.

    Attributes:
        breaks: Ends of the cells, ascending.
        degree: Of the polynomials.
        periodic: Whether they wrap around; there are then at least degree + 1 cells.
        creases: Those of the inner ends of cells at which fewer derivatives are continuous.
        smooth: How many are at creases, of which the 0-th is the function.
        fewest: Cells that there are at least, where cells follow errors.
    """

    breaks: Float[np.ndarray, " ends"]
    degree: int
    periodic: bool = False
    creases: tuple[float, ...] = ()
    smooth: int = 0
    fewest: int = FEWEST_CELLS

    @cached_property
    def first(self) -> Int[np.ndarray, " cells"]:
        """Number of the first function that is alive on each cell: how many knots, degree left out,
        are before it."""
        return np.r_[0, np.cumsum(self._repeats[1:-1])]

    @cached_property
    def knots(self) -> Float[np.ndarray, " knots"]:
        """All knots, degree more than ends of cells on either side."""
        p, b = self.degree, self.breaks
        if not self.periodic:
            return np.r_[[b[0]] * p, np.repeat(b, self._repeats), [b[-1]] * p]
        circle = np.repeat(b[:-1], self._repeats[:-1])
        k = np.arange(-p, self.size + p + 1)
        return circle[k % self.size] + (b[-1] - b[0]) * (k // self.size)

    @property
    def size(self) -> int:
        return int(self.first[-1]) + 1 + (0 if self.periodic else self.degree)

    @cached_property
    def alive(self) -> Int[np.ndarray, "cells support"]:
        return (self.first[:, None] + np.arange(self.degree + 1)) % self.size

    @cached_property
    def _repeats(self) -> Int[np.ndarray, " ends"]:
        """How many knots lie at each end of a cell, those beside the ends of the axis left out."""
        return np.where(self.at_creases, self.degree - self.smooth, 1)

    @cached_property
    def at_creases(self) -> Bool[np.ndarray, " ends"]:
        """Which ends of cells are creases."""
        return np.isin(self.breaks, self.creases)

    def spread(
        self, x: Float[np.ndarray, " fine"], count: Float[np.ndarray, " fine"]
    ) -> SplineAxis:
        """The same splines on other cells, which have creases at their ends.

        Args:
            x: Increasing, from end to end.
            count: How many cells lie before each of them, increasing from 0.
        """
        ends = np.array([x[0], *self.creases, x[-1]])
        before = np.interp(ends, x, count)
        fewest = CELLS_OF_A_PIECE if self.creases else 1
        parts = []
        for low, high in pairwise(before):
            cells = max(math.ceil(high - low - 1e-9), fewest)
            parts.append(np.interp(np.linspace(low, high, cells + 1), count, x)[:-1])
        for part, end in zip(parts, ends[:-1], strict=True):
            part[0] = end
        return replace(self, breaks=np.r_[np.concatenate(parts), ends[-1]])

    def local(
        self, cell: Int[np.ndarray, " points"], x: Float[np.ndarray, " points"], order: int
    ) -> Float[np.ndarray, "points support"]:
        found = np.empty((len(x), self.degree + 1))
        fill_splines(self.knots, self.first[cell], order, np.ascontiguousarray(x), found)
        return found


@dataclass(frozen=True, eq=False)
class Modes(Axis):
    """Polynomials of one span of time: 1, s, …, then integrals of Legendre's.

    The first `order` of them carry the values and rates at the beginning, where all others vanish
    with as many derivatives; the order-th derivatives of the others are orthonormal in s, which
    goes from -1 to 1. They are far better conditioned than Bernstein's.

    Attributes:
        breaks: Where the span begins and ends, which is earlier where a march goes back in time.
        degree: Of the polynomials.
        order: Of the equations in time, 1 or more.
    """

    breaks: Float[np.ndarray, " ends"]
    degree: int
    order: int = 1

    @property
    def size(self) -> int:
        return self.degree + 1

    @property
    def half(self) -> float:
        """Half the length of the span; negative where a march goes back in time."""
        return float(self.breaks[1] - self.breaks[0]) / 2

    @cached_property
    def alive(self) -> Int[np.ndarray, "cells support"]:
        return np.arange(self.size)[None]

    @property
    def series(self) -> Float[np.ndarray, "functions terms"]:
        """Each function as a series of Legendre's polynomials in s."""
        return _series(self.degree, self.order, 0)

    def local(
        self, cell: Int[np.ndarray, " points"], x: Float[np.ndarray, " points"], order: int
    ) -> Float[np.ndarray, "points support"]:
        s = (x - self.breaks[0]) / self.half - 1
        series = _series(self.degree, self.order, order)
        return legendre.legvander(s, self.degree) @ series.T / self.half**order

    def legendre(self, C: Float[np.ndarray, "... modes"]) -> Float[np.ndarray, "... modes"]:
        """Coefficients of Legendre's polynomials from those of the functions.

        Args:
            C: Coefficients, along the last axis.
        """
        return C @ self.series

    def turning(self) -> Float[np.ndarray, "modes modes"]:
        """The matrix from coefficients to those of the same function on the functions that begin at
        the other end."""
        series = self.legendre(np.eye(self.size))
        mirrored = series * (-1.0) ** np.arange(self.size)
        return np.linalg.solve(series.T, mirrored.T).T


@lru_cache(maxsize=64)
def _series(degree: int, order: int, derivative: int) -> Float[np.ndarray, "functions terms"]:
    """A derivative of each function of a span as a series of Legendre's polynomials in s.

    Args:
        degree: Of the polynomials.
        order: Of the equations in time.
        derivative: How often by s.
    """
    table = np.zeros((degree + 1, degree + 1))
    for j in range(degree + 1):
        found: Float[np.ndarray, " terms"]
        if j < order:
            start = np.polynomial.Polynomial([1.0, 1.0]) ** j / float(np.prod(range(1, j + 1)))
            found = legendre.poly2leg(start.coef)
        else:
            top = np.zeros(j - order + 1)
            top[-1] = (2 * (j - order) + 1) ** 0.5
            found = legendre.legint(top, order, lbnd=-1)
        own = legendre.legder(found, derivative)
        table[j, : len(own)] = own
    return table


Matrix: TypeAlias = np.ndarray | sp.spmatrix
"""Values of functions at points: dense where there are few, which is quicker."""


def along(matrices: Sequence[Matrix], C: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
    """A product of matrices, one an axis, applied to an array: those first that make it smallest.

    Args:
        matrices: [points, functions], one for each of the last axes of C.
        C: Coefficients; further axes before those stay.
    """
    first = C.ndim - len(matrices)
    growth = [matrix.shape[0] / matrix.shape[1] for matrix in matrices]
    for i in np.argsort(growth, kind="stable"):
        C = _along(matrices[i], C, first + int(i))
    return C


def _along(matrix: Matrix, C: Float[np.ndarray, " ..."], i: int) -> Float[np.ndarray, " ..."]:
    before, after = C.shape[:i], C.shape[i + 1 :]
    count, rest = matrix.shape[0], int(np.prod(after))
    if rest == 1:
        return (matrix @ C.reshape(-1, C.shape[i]).T).T.reshape(*before, count, *after)
    if isinstance(matrix, np.ndarray):
        return np.matmul(matrix, C.reshape(-1, C.shape[i], rest)).reshape(*before, count, *after)
    moved = np.moveaxis(C, i, 0)
    flat = matrix @ np.ascontiguousarray(moved).reshape(len(moved), -1)
    return np.moveaxis(flat.reshape(-1, *before, *after), 0, i)
