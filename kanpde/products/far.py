"""Rows of least squares with integrals or values at other places, by which every row may depend on
all coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

from kanpde.errors import ProblemError
from kanpde.products.axes import Axis
from kanpde.products.rows import Places, WeightedRows
from kanpde.residual.calculus import Leaf
from kanpde.residual.elsewhere import OtherPlaces, Rule, gathered
from kanpde.residual.residual import Residual, check_finite

POINTS_OF_A_PART = {1: 8, 2: 4}
"""Nodes of quadrature on a cell, by how many coordinates may be integrated over: exact for
polynomials of nearly twice the degree of the splines on a line."""

VALUES_AT_ONCE = 4_000_000
"""Values at other places that are held at once."""


@dataclass(frozen=True, eq=False)
class _Elsewhere:
    """Functions of one unknown at the places that a residual asks for: along some coordinates these
    are moved, along the others they are those of the points.

    Attributes:
        unknown: Its number.
        moved: Numbers of the axes along which places are moved; the others stay.
        matrix: Functions of the moved axes at the different places, sparse [some, functions].
        which: The place of every node, [points, each].
        still: Functions of the other axes at the different points along these, [few, functions].
        point: Which of these every point is, [points].
        sizes: How many functions every axis has.
    """

    unknown: int
    moved: tuple[int, ...]
    matrix: sp.csr_matrix
    which: Int[np.ndarray, "points each"]
    still: Float[np.ndarray, "few functions"]
    point: Int[np.ndarray, " points"]
    sizes: tuple[int, ...]

    @property
    def each(self) -> int:
        """How many places there are for a point."""
        return self.which.shape[1]

    @property
    def _order(self) -> tuple[int, ...]:
        """The axes, moved ones first."""
        return (*self.moved, *(i for i in range(len(self.sizes)) if i not in self.moved))

    def values(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "points each"]:
        """The derivative at the places.

        Args:
            C: The coefficients.
        """
        own = C[self.unknown].transpose(self._order).reshape(self.matrix.shape[1], -1)
        known = (self.matrix @ own) @ self.still.T
        return known[self.which, self.point[:, None]]

    def lifted(self, g: Float[np.ndarray, "points each"]) -> Float[np.ndarray, " ..."]:
        """By all coefficients of the unknown, the sum of slopes times functions.

        Args:
            g: Slopes by the places.
        """
        some, few = self.matrix.shape[0], len(self.still)
        code = self.which * few + self.point[:, None]
        sums = np.bincount(code.ravel(), g.ravel(), some * few).reshape(some, few)
        return self._in_order((self.matrix.T @ sums @ self.still)[None])[0]

    def rows(self, g: Float[np.ndarray, "points each"]) -> Float[np.ndarray, "points ..."]:
        """By all coefficients of the unknown, the derivatives of every point's sum of slopes times
        values.

        Args:
            g: Slopes by the places.
        """
        points, each = self.which.shape
        if (self.which == self.which[:1]).all():
            along_moved = g @ self.matrix[self.which[0]].toarray()
        else:
            where = np.repeat(np.arange(points), each)
            shape = (points, self.matrix.shape[0])
            along_moved = sp.csr_matrix((g.ravel(), (where, self.which.ravel())), shape=shape)
            along_moved = (along_moved @ self.matrix).toarray()
        return self._in_order(along_moved[:, :, None] * self.still[self.point][:, None])

    def _in_order(
        self, values: Float[np.ndarray, "points moved still"]
    ) -> Float[np.ndarray, "points ..."]:
        """Values by functions of the moved axes and of the others, with the axes in order."""
        order = self._order
        whole = values.reshape(len(values), *(self.sizes[i] for i in order))
        return whole.transpose(0, *(1 + order.index(i) for i in range(len(order))))


@dataclass(frozen=True, eq=False)
class FarRows(WeightedRows):
    """Rows of residuals of which some ask for values at other places."""

    @cached_property
    def elsewhere(self) -> tuple[tuple[_Elsewhere, ...], ...]:
        """What each of the residuals asks for at other places."""
        normal = self.normals()
        found = []
        for one in self.residuals:
            own, places = [], one.places(self.coordinates, normal)
            for afar, place in zip(one.afar, places, strict=True):
                moved = tuple(i for i, x in enumerate(one.coordinates) if x in afar.moved)
                own += [self._asked(place, moved, leaf) for leaf in afar.leaves]
            found.append(tuple(own))
        return tuple(found)

    def _asked(self, place: OtherPlaces, moved: tuple[int, ...], leaf: Leaf) -> _Elsewhere:
        """What gives one leaf at its places."""
        names, (u, index) = self.residuals[0].coordinates, leaf
        ((different, which),) = gathered([place], [names[i] for i in moved])
        others = [i for i in range(len(names)) if i not in moved]
        here = np.zeros((len(which.T), 0))
        if others:
            here = np.stack([self.coordinates[names[i]].numpy() for i in others], 1)
        few, point = np.unique(here, axis=0, return_inverse=True)
        matrix = functions_at([self.axes[i] for i in moved], different, [index[i] for i in moved])
        still = np.ones((len(few), 1))
        if others:
            axes = [self.axes[i] for i in others]
            still = functions_at(axes, few, [index[i] for i in others]).toarray()
        sizes = tuple(axis.size for axis in self.axes)
        return _Elsewhere(
            self.unknowns.index(u), moved, matrix, which.T, still, point.ravel(), sizes
        )

    @cached_property
    def _widths(self) -> list[slice]:
        """Columns of the values at other places, residual by residual."""
        first = len(self.leaves)
        ends = [first]
        for own in self.elsewhere:
            ends.append(ends[-1] + sum(one.each for one in own))
        return [slice(a, b) for a, b in pairwise(ends)]

    def derivatives(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "points columns"]:
        here = super().derivatives(C)
        return np.concatenate([here, *(one.values(C) for own in self.elsewhere for one in own)], 1)

    def values(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "points rows"]:
        """The rows at all points, in parts where there are many."""
        step = max(1, VALUES_AT_ONCE // max(1, self._width))
        count = int(np.prod([p.x.size for p in self.places]))
        if count <= step:
            return super().values(C)
        first, parts = self.places[0], []
        cells = max(1, step * len(first.cells) // count)
        for k in range(0, len(first.cells), cells):
            some = slice(k, k + cells)
            own = Places(first.cells[some], first.x[some], first.weights[some])
            parts.append(replace(self, places=(own, *self.places[1:])).values(C))
        return np.concatenate(parts)

    @property
    def _width(self) -> int:
        """About how many values at other places there are for a point."""
        every = [afar for one in self.residuals for afar in one.afar]
        most = max(len(afar.moved) for afar in every)
        each = POINTS_OF_A_PART.get(most, POINTS_OF_A_PART[2])
        nodes = int(np.prod([each * axis.cells for axis in self.axes[:most]]))
        return 2 * nodes * sum(len(afar.leaves) for afar in every)

    def evaluated(
        self,
        derivatives: Float[np.ndarray, "points columns"],
        leaves: Sequence[Leaf],
        partials: bool,
    ) -> tuple[Float[np.ndarray, "points rows"], Float[np.ndarray, "points rows columns"] | None]:
        D, values, slopes = torch.from_numpy(derivatives), [], []
        normal = self.normals()
        for one, far in zip(self.residuals, self._widths, strict=True):
            columns = [*(leaves.index(leaf) for leaf in one.needs), *range(far.start, far.stop)]
            r, g = one(self.coordinates, D[:, columns], normal, partials)
            if not bool(r.isfinite().all()):
                check_finite(one, r, self.coordinates, D[:, columns])
                raise ProblemError(f"{one.name}: the products of splines are not finite any more")
            values.append(r.numpy())
            if g is not None:
                wide = np.zeros((len(r), one.equations, derivatives.shape[1]))
                wide[:, :, columns] = g.numpy()
                slopes.append(wide)
        scale = self.roots[:, None] / np.array(self.sizes)
        found = np.concatenate(values, 1) * scale
        return found, np.concatenate(slopes, 1) * scale[..., None] if partials else None

    def lifted(
        self,
        g: Float[np.ndarray, "points rows columns"],
        r: Float[np.ndarray, "points rows"],
    ) -> Float[np.ndarray, "unknowns ..."]:
        found = super().lifted(g[:, :, : len(self.leaves)], r)
        lift = np.einsum("pra,pr->pa", g[:, :, len(self.leaves) :], r)
        first = 0
        for one in (one for own in self.elsewhere for one in own):
            found[one.unknown] += one.lifted(lift[:, first : first + one.each])
            first += one.each
        return found

    def diagonal_of(
        self, g: Float[np.ndarray, "points rows columns"]
    ) -> Float[np.ndarray, "unknowns ..."]:
        shape = (len(self.unknowns), *(axis.size for axis in self.axes))
        found = np.zeros(int(np.prod(shape)))
        for e in range(g.shape[1]):
            found += (self._whole(g[:, e]) ** 2).sum(0)
        return found.reshape(shape)

    def supports(self, shape: Sequence[int]) -> Int[np.ndarray, "blocks local"]:
        """All coefficients: any of them may share a row with any other."""
        return np.arange(int(np.prod(shape)))[None]

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
            columns: The lower band of JᵀJ, column after column, which is added to: all of it.
            slope: Jᵀr, which is added to.

        Returns:
            The sum of the squares, without the weight.
        """
        r, g = self.linear(C)
        numbers, free = index.ravel(), len(slope)
        some = np.flatnonzero(numbers >= 0)
        pick = sp.csr_matrix(
            (np.ones(len(some)), (some, numbers[some])), shape=(len(numbers), free)
        )
        J = np.concatenate([(pick.T @ self._whole(g[:, e]).T).T for e in range(g.shape[1])])
        slope += weight * (J.T @ r.T.ravel())
        products = weight * (J.T @ J)
        for k in range(free):
            columns[k, : free - k] += products[k, k:]
        return float((r**2).sum())

    def _whole(self, g: Float[np.ndarray, "points columns"]) -> Float[np.ndarray, "points all"]:
        """Derivatives of one row at all points by all coefficients."""
        size = int(np.prod([axis.size for axis in self.axes]))
        found = np.zeros((len(g), len(self.unknowns), size))
        for a, (u, index) in enumerate(self.leaves):
            if g[:, a].any():
                part = sp.diags(g[:, a]) @ self._here(index)
                found[:, self.unknowns.index(u)] += part.toarray()
        first = len(self.leaves)
        for one in (one for own in self.elsewhere for one in own):
            mine = g[:, first : first + one.each]
            if mine.any():
                found[:, one.unknown] += one.rows(mine).reshape(len(g), -1)
            first += one.each
        return found.reshape(len(g), -1)

    def _here(self, index: tuple[int, ...]) -> sp.csr_matrix:
        """A derivative of all functions at all points, [points, functions]."""
        if index not in self._wholes:
            found = sp.identity(1, format="csr")
            for i, order in enumerate(index):
                found = sp.kron(found, sp.csr_matrix(self._matrix(i, order)), format="csr")
            self._wholes[index] = found
        return self._wholes[index]

    @cached_property
    def _wholes(self) -> dict[tuple[int, ...], sp.csr_matrix]:
        return {}


def functions_at(
    axes: Sequence[Axis], points: Float[np.ndarray, "some dims"], index: Sequence[int]
) -> sp.csr_matrix:
    """A derivative of all products of functions at points, sparse [some, functions].

    Args:
        axes: Functions of each coordinate.
        points: Where.
        index: How often by every coordinate.
    """
    found = axes[0].matrix(points[:, 0], index[0])
    for axis, x, order in zip(axes[1:], points.T[1:], index[1:], strict=True):
        own = axis.matrix(np.ascontiguousarray(x), order)
        found = _by_rows(found, own)
    return found


def _by_rows(A: sp.csr_matrix, B: sp.csr_matrix) -> sp.csr_matrix:
    """Products of every entry of a row with every entry of the same row of another matrix; both
    have the same number of entries in all rows."""
    count = A.shape[0]
    a, b = A.indptr[1] if count else 0, B.indptr[1] if count else 0
    columns = A.indices.reshape(count, a, 1) * B.shape[1] + B.indices.reshape(count, 1, b)
    data = A.data.reshape(count, a, 1) * B.data.reshape(count, 1, b)
    starts = np.arange(count + 1) * (a * b)
    return sp.csr_matrix(
        (data.ravel(), columns.ravel(), starts), shape=(count, A.shape[1] * B.shape[1])
    )


def with_rule(residuals: Sequence[Residual], axes: Sequence[Axis]) -> tuple[Residual, ...]:
    """Residuals whose integrals have their nodes on the cells of axes.

    Args:
        residuals: Any.
        axes: Functions of each coordinate.
    """
    found = []
    for one in residuals:
        if one.afar:
            ways = zip(one.coordinates, axes, strict=True)
            breaks = {x: tuple(axis.breaks.tolist()) for x, axis in ways}
            most = max(len(afar.moved) for afar in one.afar)
            points = POINTS_OF_A_PART.get(most, POINTS_OF_A_PART[2])
            one = replace(one, rule=Rule(points=points, breaks=breaks))
        found.append(one)
    return tuple(found)


def rows_for(residuals: Sequence[Residual]) -> type[WeightedRows]:
    """The class of rows that residuals take.

    Args:
        residuals: Any.
    """
    return FarRows if any(one.afar for one in residuals) else WeightedRows


def once(residual: Residual, axis: int) -> bool:
    """Whether a condition asks for the same at all points of a face, so that one of them will do.

    Args:
        residual: Of the condition.
        axis: Number of the coordinate that is constant on the face.
    """
    names = residual.coordinates
    others = [x for k, x in enumerate(names) if k != axis]
    if residual.needs or not residual.afar or not residual.extent:
        return False
    ends = [residual.extent[x] for x in names]
    at = {x: torch.tensor(pair, dtype=torch.float64) for x, pair in zip(names, ends, strict=True)}
    at[names[axis]] = at[names[axis]][:1].expand(2)
    places = residual.places(at, {x: torch.zeros_like(v) for x, v in at.items()})
    return all(bool((one.at[x][:, 0] == one.at[x][:, 1]).all()) for one in places for x in others)
