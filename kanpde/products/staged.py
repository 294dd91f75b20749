"""Rows of a span of time at its points of collocation, on a domain that is no box.

Space and time are apart: what stands at one time is a function of space, of which a row takes
derivatives at its point. Points come first, and the times of each of them one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float

from kanpde.kernels.stencils import add_to_stencils
from kanpde.products.axes import Axis, Matrix, along
from kanpde.products.far import functions_at
from kanpde.products.immersed import MaskedRows, ScatteredRows
from kanpde.products.rows import Places
from kanpde.products.stages import Stages
from kanpde.residual.calculus import Leaf
from kanpde.residual.residual import Residual

CELLS_AT_ONCE = 512
"""Whose rows are formed at once."""

Stencils = Float[np.ndarray, "unknowns unknowns x y around_x around_y"]
"""Products of rows, of every function with those around it (see `add_to_stencils`)."""


class AtAllTimes:
    """Rows at points of space, each at all points in time: their own coordinates and derivatives,
    and those of functions of space alone.

    A part of `StagedCells` and `StagedFace`, which say where the points are.
    """

    axes: tuple[Axis, ...]
    places: tuple[Places, ...]
    unknowns: tuple[str, ...]
    residuals: tuple[Residual, ...]
    leaves: Sequence[Leaf]
    roots: Float[np.ndarray, " points"]
    points: Float[np.ndarray, "points 2"]
    stages: Stages | None

    @cached_property
    def coordinates(self) -> dict[str, torch.Tensor]:
        """Of all points, at all times."""
        times = self.places[-1].x.ravel()
        columns = (
            *(np.repeat(x, len(times)) for x in self.points.T),
            np.tile(times, len(self.points)),
        )
        names = self.residuals[0].coordinates
        return {x: torch.from_numpy(c) for x, c in zip(names, columns, strict=True)}

    def derivatives(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "points leaves"]:
        """The derivatives at all points and times.

        Args:
            C: The coefficients.
        """
        assert self.stages is not None
        found = np.empty((len(self.roots), len(self.leaves)))
        for a, (u, (*index, order)) in enumerate(self.leaves):
            own = C[self.unknowns.index(u)] @ self.stages.rates[order].T
            found[:, a] = self.seen((index[0], index[1]), np.moveaxis(own, -1, 0)).T.ravel()
        return found

    def seen(
        self, index: tuple[int, int], c: Float[np.ndarray, "times x y"]
    ) -> Float[np.ndarray, "times points"]:
        """A derivative of functions of space at the points.

        Args:
            index: How often by each coordinate.
            c: Their coefficients.
        """
        return (self.functions(index) @ c.reshape(len(c), -1).T).T

    def unseen(
        self, index: tuple[int, int], v: Float[np.ndarray, "times points"]
    ) -> Float[np.ndarray, "times x y"]:
        """By all coefficients, the sums of values at the points times a derivative.

        Args:
            index: How often by each coordinate.
            v: The values.
        """
        shape = [axis.size for axis in self.axes[:2]]
        return (self.functions(index).T @ v.T).T.reshape(-1, *shape)

    def functions(self, index: tuple[int, int]) -> sp.csr_matrix:
        """A derivative of all functions of space at the points.

        Args:
            index: How often by each coordinate.
        """
        if index not in self._known:
            self._known[index] = functions_at(self.axes[:2], self.points, index)
        return self._known[index]

    @cached_property
    def _known(self) -> dict[tuple[int, int], sp.csr_matrix]:
        return {}


@dataclass(frozen=True, eq=False)
class StagedCells(AtAllTimes, MaskedRows):  # type: ignore[misc]
    """Equations at points of cells in a domain.

    Attributes:
        stages: Points in time.
        scattered: Whether points are so few of the products of places that each stands alone.
    """

    stages: Stages | None = None
    scattered: bool = False

    @cached_property
    def roots(self) -> Float[np.ndarray, " points"]:  # type: ignore[override]
        space = np.multiply.outer(*(np.sqrt(p.weights.ravel()) for p in self.places[:2]))
        return np.repeat(space.ravel()[self.held], self.places[-1].x.size)

    def seen(
        self, index: tuple[int, int], c: Float[np.ndarray, "times x y"]
    ) -> Float[np.ndarray, "times points"]:
        if self.scattered:
            return super().seen(index, c)
        return along(self._ways(index), c).reshape(len(c), -1)[:, self.held]

    def unseen(
        self, index: tuple[int, int], v: Float[np.ndarray, "times points"]
    ) -> Float[np.ndarray, "times x y"]:
        if self.scattered:
            return super().unseen(index, v)
        whole = np.zeros((len(v), len(self.held)))
        whole[:, self.held] = v
        places = [p.x.size for p in self.places[:2]]
        return along([way.T for way in self._ways(index)], whole.reshape(-1, *places))

    @cached_property
    def points(self) -> Float[np.ndarray, "points 2"]:  # type: ignore[override]
        """Where they are."""
        grid = np.meshgrid(*[p.x.ravel() for p in self.places[:2]], indexing="ij")
        return np.stack([x.ravel()[self.held] for x in grid], 1)

    @cached_property
    def held(self) -> Bool[np.ndarray, " products"]:
        """Which products of places in space are points."""
        return self._space._kept

    def add_products(
        self,
        first: Float[np.ndarray, "points rows leaves"],
        second: Float[np.ndarray, "points rows leaves"],
        whole: Stencils,
    ) -> None:
        """Add AᵀB of rows in space to those of all, in place.

        Args:
            first: Partials of A by the derivatives, [points of space, …].
            second: Those of B.
            whole: To which they are added.
        """
        rows, some = self._space, range(0, self._space.cells.shape[1], CELLS_AT_ONCE)
        ways = zip(rows.axes, rows.places, rows.cells, strict=True)
        starts = [axis.alive[p.cells[c], 0] for axis, p, c in ways]
        sizes = np.array([axis.degree + 1 for axis in rows.axes])
        each = [self._by_cell(g) for g in (first, second)]
        used = [(g != 0).any(0) for g in (first, second)]
        for low in some:
            now = slice(low, low + CELLS_AT_ONCE)
            cells = rows.cells[:, now]
            A = rows._jacobian(each[0][now], used[0], cells)
            B = A if first is second else rows._jacobian(each[1][now], used[1], cells)
            G = np.matmul(A.transpose(0, 2, 1), B)
            add_to_stencils(G, starts[0][now], starts[1][now], sizes, whole)

    def _by_cell(
        self, g: Float[np.ndarray, "points rows leaves"]
    ) -> Float[np.ndarray, "blocks each rows leaves"]:
        found = self._space.by_cell(g.reshape(len(g), -1))
        return found.reshape(*found.shape[:2], *g.shape[1:])

    @cached_property
    def _space(self) -> MaskedRows:
        """The rows of one time, with the functions of space alone."""
        some = self.axes[:2], self.unknowns, self.places[:2]
        return MaskedRows(self.residuals, self.sizes, *some, domain=self.domain, only=self.only)

    def _ways(self, index: tuple[int, int]) -> list[Matrix]:
        return [self._matrix(i, order) for i, order in enumerate(index)]


@dataclass(frozen=True, eq=False)
class StagedFace(AtAllTimes, ScatteredRows):  # type: ignore[misc]
    """A condition at points along a face, at the points in time.

    Attributes:
        stages: Points in time.
    """

    stages: Stages | None = None

    @cached_property
    def points(self) -> Float[np.ndarray, "points 2"]:  # type: ignore[override]
        """Where they are."""
        return np.stack([p.x.ravel() for p in self.places[:2]], 1)

    @property
    def _weights(self) -> Float[np.ndarray, " points"]:
        space = np.sqrt(np.prod([p.weights.ravel() for p in self.places[:2]], 0))
        return np.repeat(space, self.places[-1].x.size)


Staged = StagedCells | StagedFace
