"""WeightedRows of least squares: residuals at Gauss points of cells, inside or on a face, and their
derivatives by the coefficients, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from kanpde.errors import ProblemError
from kanpde.problem.constraints import Constraint
from kanpde.products.axes import Axis, Matrix, along
from kanpde.residual.calculus import Leaf
from kanpde.residual.residual import Residual, check_finite

KEPT_UP_TO = 1000
"""Points of an axis whose matrices it keeps."""

DENSE_UP_TO = 100
"""Functions of a coordinate up to which a matrix of all is quicker than a sparse one."""

Tempered = Callable[[torch.Tensor, bool], torch.Tensor]
"""A factor at points [points, dims], inside or on a face."""


@dataclass(frozen=True)
class Places:
    """Points along one coordinate, the same number on each of some cells.

    Attributes:
        cells: Numbers of the cells.
        x: The points.
        weights: Those of a rule of quadrature.
    """

    cells: Int[np.ndarray, " cells"]
    x: Float[np.ndarray, "cells points"]
    weights: Float[np.ndarray, "cells points"]

    @classmethod
    def inside(cls, axis: Axis, count: int) -> Places:
        """Gauss points of all cells.

        Args:
            axis: Has the cells.
            count: Points a cell.
        """
        return cls(np.arange(axis.cells), *axis.gauss(count))

    @classmethod
    def middle(cls, axis: Axis) -> Places:
        """One point, for what is the same everywhere along a coordinate.

        Args:
            axis: Has the cells.
        """
        k = axis.cells // 2
        x = axis.breaks[k : k + 2].mean().reshape(1, 1)
        return cls(np.array([k]), x, np.ones((1, 1)))

    @classmethod
    def end(cls, axis: Axis, lower: bool) -> Places:
        """One end of a coordinate.

        Args:
            axis: Has it.
            lower: Whether it is the beginning.
        """
        x = np.array([[axis.ends[0 if lower else 1]]])
        return cls(np.array([0 if lower else axis.cells - 1]), x, np.ones((1, 1)))


@dataclass(frozen=True, eq=False)
class WeightedRows:
    """Residuals at points of cells, times the roots of the weights of quadrature.

    Attributes:
        residuals: Pointwise functions, all of the same coordinates.
        sizes: What the rows are divided by, one a row of all residuals together.
        axes: Functions of each coordinate.
        unknowns: Names of the unknowns.
        places: Points along each coordinate.
        normal: Of a face, a number a coordinate, or one a point; () inside.
        condition: The condition that holds on the face; None inside.
        tempered: What residuals at points are multiplied by, inside or on a face; None for ones.
    """

    residuals: tuple[Residual, ...]
    sizes: tuple[float, ...]
    axes: tuple[Axis, ...]
    unknowns: tuple[str, ...]
    places: tuple[Places, ...]
    normal: tuple[float | torch.Tensor, ...] = ()
    condition: Constraint | None = None
    tempered: Tempered | None = None

    def everywhere(self) -> WeightedRows:
        """The same on all cells, where they are those of some cells alone."""
        return self

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """All derivatives that the residuals depend on, of those unknowns that there are here."""
        needs = (leaf for one in self.residuals for leaf in one.needs)
        return tuple(dict.fromkeys(leaf for leaf in needs if leaf[0] in self.unknowns))

    @cached_property
    def coordinates(self) -> dict[str, torch.Tensor]:
        """Of all points, [points] each."""
        grid = np.meshgrid(*[p.x.ravel() for p in self.places], indexing="ij")
        names = self.residuals[0].coordinates
        return {x: torch.from_numpy(g.ravel()) for x, g in zip(names, grid, strict=True)}

    @cached_property
    def roots(self) -> Float[np.ndarray, " points"]:
        """Roots of the weights, tempered; zero where the condition does not hold."""
        found = self.picked(self._weights)
        if self.condition is not None and self.condition.where is not None:
            found = found * self.condition.where(self.coordinates).numpy()
        if self.tempered is not None:
            points = torch.stack(list(self.coordinates.values()), 1)
            found = found * self.tempered(points, bool(self.normal)).numpy()
        return found

    @property
    def _weights(self) -> Float[np.ndarray, " all"]:
        """Roots of the weights of all products of places."""
        found = np.ones(1)
        for p in self.places:
            found = np.multiply.outer(found, np.sqrt(p.weights.ravel())).ravel()
        return found

    def picked(self, values: Float[np.ndarray, " all"]) -> Float[np.ndarray, " points"]:
        """Of values at all products of places, those at the points: here all of them.

        Args:
            values: One a product.
        """
        return values

    def filled(self, values: Float[np.ndarray, "points ..."]) -> Float[np.ndarray, "all ..."]:
        """Values at all products of places, nothing where there is no point.

        Args:
            values: At the points.
        """
        return values

    @cached_property
    def cells(self) -> Int[np.ndarray, "dims blocks"]:
        """Numbers of all cells, among those of each axis that have points."""
        along_each = [np.arange(len(p.cells)) for p in self.places]
        return np.stack([c.ravel() for c in np.meshgrid(*along_each, indexing="ij")])

    def supports(self, shape: Sequence[int]) -> Int[np.ndarray, "blocks local"]:
        """Places of the coefficients of every cell in the array of all of them.

        Args:
            shape: Of that array.
        """
        return self._alive(self.cells, shape)

    def derivatives(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "points leaves"]:
        """The derivatives at all points.

        Args:
            C: The coefficients.
        """
        found = np.empty((len(self.roots), len(self.leaves)))
        for a, (u, index) in enumerate(self.leaves):
            matrices = [self._matrix(i, order) for i, order in enumerate(index)]
            found[:, a] = self.picked(along(matrices, C[self.unknowns.index(u)]).ravel())
        return found

    def values(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "points rows"]:
        """The rows at all points.

        Args:
            C: The coefficients.
        """
        return self._evaluated(C, False)[0]

    def unmet(self, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """How far the rows are from being met: the largest of their norms over those of their own
        terms.

        Args:
            C: The coefficients.
        """
        r, g = self.linear(C)
        return unmet(r, g, self.derivatives(C))

    def jacobian(
        self, g: Float[np.ndarray, "points rows leaves"]
    ) -> Float[np.ndarray, "blocks all local"]:
        """Derivatives of the rows of all cells by their coefficients.

        Args:
            g: Partials at all points. Of derivatives by coordinates that have no axis here, as of
                time where rows are those of space alone, they say how much.
        """
        by_cell = self.by_cell(g.reshape(len(g), -1))
        by_cell = by_cell.reshape(*by_cell.shape[:2], *g.shape[1:])
        return self._jacobian(by_cell, (g != 0).any(0), self.cells)

    def linear(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> tuple[Float[np.ndarray, "points rows"], Float[np.ndarray, "points rows leaves"]]:
        """The rows at all points, and their partials by the derivatives.

        Args:
            C: The coefficients.
        """
        r, g = self._evaluated(C, True)
        assert g is not None
        return r, g

    def pushed(
        self,
        g: Float[np.ndarray, "points rows leaves"],
        D: Float[np.ndarray, "unknowns ..."],
    ) -> Float[np.ndarray, "points rows"]:
        """J times a change of the coefficients.

        Args:
            g: Partials at all points.
            D: The change.
        """
        return np.einsum("pra,pa->pr", g, self.derivatives(D))

    def lifted(
        self,
        g: Float[np.ndarray, "points rows leaves"],
        r: Float[np.ndarray, "points rows"],
    ) -> Float[np.ndarray, "unknowns ..."]:
        """Jᵀ times rows, by all coefficients.

        Args:
            g: Partials at all points.
            r: The rows.
        """
        shape = [p.x.size for p in self.places]
        found = np.zeros((len(self.unknowns), *(axis.size for axis in self.axes)))
        lift = np.einsum("pra,pr->ap", g, r)
        for (u, index), own in zip(self.leaves, lift, strict=True):
            matrices = [self._matrix(i, order).T for i, order in enumerate(index)]
            found[self.unknowns.index(u)] += along(matrices, self.filled(own).reshape(shape))
        return found

    def diagonal(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
        """Of JᵀJ, by all coefficients.

        Args:
            C: The coefficients.
        """
        return self.diagonal_of(self.linear(C)[1])

    def diagonal_of(
        self, g: Float[np.ndarray, "points rows leaves"]
    ) -> Float[np.ndarray, "unknowns ..."]:
        """Of JᵀJ, by all coefficients.

        Args:
            g: Partials at all points.
        """
        shape = [p.x.size for p in self.places]
        found = np.zeros((len(self.unknowns), *(axis.size for axis in self.axes)))
        for a, (u, first) in enumerate(self.leaves):
            for b, (v, second) in enumerate(self.leaves[: a + 1]):
                lift = np.einsum("pr,pr->p", g[:, :, a], g[:, :, b]) * (1.0 if a == b else 2.0)
                if u != v or not lift.any():
                    continue
                ways = zip(first, second, strict=True)
                both = [
                    _times(self._matrix(i, p), self._matrix(i, q)).T
                    for i, (p, q) in enumerate(ways)
                ]
                found[self.unknowns.index(u)] += along(both, self.filled(lift).reshape(shape))
        return found

    def _evaluated(
        self, C: Float[np.ndarray, "unknowns ..."], partials: bool
    ) -> tuple[Float[np.ndarray, "points rows"], Float[np.ndarray, "points rows leaves"] | None]:
        return self.evaluated(self.derivatives(C), self.leaves, partials)

    def evaluated(
        self,
        derivatives: Float[np.ndarray, "points leaves"],
        leaves: Sequence[Leaf],
        partials: bool,
    ) -> tuple[Float[np.ndarray, "points rows"], Float[np.ndarray, "points rows leaves"] | None]:
        """The rows at all points, and where wanted their partials.

        Args:
            derivatives: At the points.
            leaves: Which they are.
            partials: Whether the partials are wanted.

        Raises:
            ProblemError: The residual is not finite.
        """
        D, values, slopes = torch.from_numpy(derivatives), [], []
        normal = self.normals()
        for one in self.residuals:
            columns = [leaves.index(leaf) for leaf in one.needs]
            r, g = one(self.coordinates, D[:, columns], normal, partials)
            if not bool(r.isfinite().all()):
                check_finite(one, r, self.coordinates, D[:, columns])
                raise ProblemError(f"{one.name}: the products of splines are not finite any more")
            values.append(r.numpy())
            if g is not None:
                wide = np.zeros((len(r), one.equations, len(leaves)))
                wide[:, :, columns] = g.numpy()
                slopes.append(wide)
        scale = self.roots[:, None] / np.array(self.sizes)
        found = np.concatenate(values, 1) * scale
        return found, np.concatenate(slopes, 1) * scale[..., None] if partials else None

    def normals(self) -> dict[str, torch.Tensor] | None:
        """Outward normals at all points; None inside."""
        if not self.normal:
            return None
        ways = zip(self.coordinates.items(), self.normal, strict=True)
        return {x: torch.zeros_like(column) + n for (x, column), n in ways}

    def _matrix(self, i: int, order: int) -> Matrix:
        known = self._matrices
        if (i, order) not in known:
            known[i, order] = _matrix_of(self.axes[i], self.places[i], order)
        return known[i, order]

    @cached_property
    def _matrices(self) -> dict[tuple[int, int], Matrix]:
        return {}

    def _local(self, i: int, order: int) -> Float[np.ndarray, "cells points support"]:
        """Derivatives of the functions of one axis that are alive, cell by cell."""
        places, axis = self.places[i], self.axes[i]
        cell = np.repeat(places.cells, places.x.shape[1])
        return axis.local(cell, places.x.ravel(), order).reshape(*places.x.shape, -1)

    def _jacobian(
        self,
        g: Float[np.ndarray, "blocks points rows leaves"],
        used: Bool[np.ndarray, "rows leaves"],
        cells: Int[np.ndarray, "dims blocks"],
    ) -> Float[np.ndarray, "blocks all local"]:
        """Derivatives of the rows of some cells by their coefficients."""
        blocks, points, rows = g.shape[:3]
        support = int(np.prod([axis.degree + 1 for axis in self.axes]))
        J = np.zeros((blocks, points, rows, len(self.unknowns), support))
        for a, (u, index) in enumerate(self.leaves):
            if not used[:, a].any():
                continue
            product = np.ones((blocks, 1, 1))
            for i, order in enumerate(index[: len(self.axes)]):
                own = self.alive_on_cells(i, order)[cells[i]]
                product = np.einsum("kap,kbq->kabpq", product, own).reshape(
                    blocks, product.shape[1] * own.shape[1], -1
                )
            k = self.unknowns.index(u)
            for e in np.flatnonzero(used[:, a]):
                J[:, :, e, k] += g[:, :, e, a, None] * product
        return J.reshape(blocks, points * rows, -1)

    def alive_on_cells(self, i: int, order: int) -> Float[np.ndarray, "cells points support"]:
        """Derivatives of the functions of one axis that are alive on its cells, at their points.

        Args:
            i: Number of the axis.
            order: Of differentiation.
        """
        if (i, order) not in self._locals:
            self._locals[i, order] = self._local(i, order)
        return self._locals[i, order]

    @cached_property
    def _locals(self) -> dict[tuple[int, int], Float[np.ndarray, "cells points support"]]:
        return {}

    def by_cell(
        self, values: Float[np.ndarray, "points columns"]
    ) -> Float[np.ndarray, "blocks each columns"]:
        """Values at all points, those of a cell together.

        Args:
            values: Point after point.
        """
        shape = [n for p in self.places for n in p.x.shape]
        dims = len(self.places)
        split = self.filled(values).reshape(*shape, -1)
        moved = split.transpose(*range(0, 2 * dims, 2), *range(1, 2 * dims, 2), 2 * dims)
        blocks = int(np.prod(shape[::2]))
        return moved.reshape(blocks, -1, values.shape[1])

    def _alive(
        self, cells: Int[np.ndarray, "dims blocks"], shape: Sequence[int]
    ) -> Int[np.ndarray, "blocks local"]:
        """Places of the coefficients of some cells in the array of all of them."""
        blocks = cells.shape[1]
        place = np.zeros((blocks, 1), dtype=np.int64)
        for i, axis in enumerate(self.axes):
            own = axis.alive[self.places[i].cells[cells[i]]]
            place = (place[:, :, None] * axis.size + own[:, None, :]).reshape(blocks, -1)
        first = np.arange(len(self.unknowns)) * int(np.prod(shape[1:]))
        return (first[None, :, None] + place[:, None, :]).reshape(blocks, -1)


def unmet(
    r: Float[np.ndarray, "points rows"],
    g: Float[np.ndarray, "points rows leaves"],
    derivatives: Float[np.ndarray, "points leaves"],
) -> float:
    """How far rows are from being met: the largest of their norms over those of their own terms.

    Args:
        r: The rows.
        g: Their partials.
        derivatives: By which these are.
    """
    terms = g * derivatives[:, None]
    rest = r - terms.sum(2)
    sizes = np.sqrt(((terms**2).sum(2) + rest**2).sum(0))
    return float((np.sqrt((r**2).sum(0)) / np.maximum(sizes, np.finfo(float).tiny)).max())


def points_of(axis: Axis) -> int:
    """Gauss points a cell: as many as functions for a polynomial, and four for splines, which have
    one function a cell (degree + 1 points give the same errors, and take longer).

    Args:
        axis: Functions of the coordinate.
    """
    return axis.size if axis.cells == 1 else 4


def _matrix_of(axis: Axis, places: Places, order: int) -> Matrix:
    """Derivatives of all functions of an axis at places. Those at few places the axis keeps: other
    rows ask for them again, as those of all members of a family do."""
    few = places.x.size <= KEPT_UP_TO
    key = (order, places.x.tobytes()) if few else None
    if key in axis.kept:
        return axis.kept[key]
    cell = np.repeat(places.cells, places.x.shape[1])
    matrix = axis.matrix(places.x.ravel(), order, cell)
    found = matrix.toarray() if few and axis.size <= DENSE_UP_TO else matrix
    if key is not None:
        axis.kept[key] = found
    return found


def _times(A: Matrix, B: Matrix) -> Matrix:
    """The products of the entries of two matrices."""
    return A * B if isinstance(A, np.ndarray) else A.multiply(B).tocsr()
