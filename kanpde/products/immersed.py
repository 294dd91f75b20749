"""Rows of least squares on a domain that is no box, with splines on its bounding box: residuals at
the points of cells that lie inside, conditions at points along the boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int

from kanpde.geometry.domain import Domain
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.products.axes import Axis
from kanpde.products.balance import row_sizes
from kanpde.products.far import functions_at
from kanpde.products.ghosts import GhostRows, ghosts
from kanpde.products.held import Held
from kanpde.products.inside import FINER_WHERE_CUT, Inside, inside, inside_of, space_of
from kanpde.products.rows import Places, Tempered, WeightedRows, points_of


@dataclass(frozen=True, eq=False)
class MaskedRows(WeightedRows):
    """Residuals at those points of cells that lie in a domain.

    Attributes:
        domain: No box.
        only: Cells of space that they are taken on; None for all.
    """

    domain: Domain | None = None
    only: Bool[np.ndarray, " ..."] | None = None

    def everywhere(self) -> WeightedRows:
        """The same on all cells."""
        return replace(self, only=None)

    @cached_property
    def _kept(self) -> Bool[np.ndarray, " all"]:
        """Which products of places are points."""
        assert self.domain is not None
        dims = len(self.domain.space)
        found = inside(space_of(self.domain), [p.x.ravel() for p in self.places[:dims]])
        if self.only is not None:
            counts = [p.x.shape[1] for p in self.places[:dims]]
            found = found & np.kron(self.only, np.ones(counts, dtype=bool)).ravel()
        rest = int(np.prod([p.x.size for p in self.places[dims:]]))
        return np.repeat(found, rest)

    @cached_property
    def _blocks(self) -> Int[np.ndarray, " blocks"]:
        """Which cells have points."""
        return np.flatnonzero(super().by_cell(np.ones((int(self._kept.sum()), 1))).any((1, 2)))

    @cached_property
    def coordinates(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
        kept = torch.from_numpy(self._kept)
        return {x: column[kept] for x, column in super().coordinates.items()}

    @cached_property
    def cells(self) -> Int[np.ndarray, "dims blocks"]:  # type: ignore[override]
        return super().cells[:, self._blocks]

    def picked(self, values: Float[np.ndarray, " all"]) -> Float[np.ndarray, " points"]:
        return values[self._kept]

    def filled(self, values: Float[np.ndarray, "points ..."]) -> Float[np.ndarray, "all ..."]:
        found = np.zeros((len(self._kept), *values.shape[1:]))
        found[self._kept] = values
        return found

    def by_cell(
        self, values: Float[np.ndarray, "points columns"]
    ) -> Float[np.ndarray, "blocks each columns"]:
        return super().by_cell(values)[self._blocks]


@dataclass(frozen=True, eq=False)
class ScatteredRows(WeightedRows):
    """Residuals at single points, each on a cell of its own: all places have as many."""

    @cached_property
    def coordinates(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
        names = self.residuals[0].coordinates
        ways = zip(names, self.places, strict=True)
        return {x: torch.from_numpy(p.x.ravel()) for x, p in ways}

    @property
    def _weights(self) -> Float[np.ndarray, " points"]:
        return np.sqrt(np.prod([p.weights.ravel() for p in self.places], 0))

    @cached_property
    def cells(self) -> Int[np.ndarray, "dims blocks"]:  # type: ignore[override]
        return np.tile(np.arange(len(self.places[0].cells)), (len(self.places), 1))

    def derivatives(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "points leaves"]:
        found = np.empty((len(self.roots), len(self.leaves)))
        for a, (u, index) in enumerate(self.leaves):
            found[:, a] = self._functions(index) @ C[self.unknowns.index(u)].ravel()
        return found

    def lifted(
        self, g: Float[np.ndarray, "points rows leaves"], r: Float[np.ndarray, "points rows"]
    ) -> Float[np.ndarray, "unknowns ..."]:
        shape = [axis.size for axis in self.axes]
        found = np.zeros((len(self.unknowns), *shape))
        lift = np.einsum("pra,pr->ap", g, r)
        for (u, index), own in zip(self.leaves, lift, strict=True):
            found[self.unknowns.index(u)] += (self._functions(index).T @ own).reshape(shape)
        return found

    def diagonal_of(
        self, g: Float[np.ndarray, "points rows leaves"]
    ) -> Float[np.ndarray, "unknowns ..."]:
        shape = [axis.size for axis in self.axes]
        found = np.zeros((len(self.unknowns), *shape))
        for u in dict.fromkeys(u for u, _ in self.leaves):
            own = [(a, index) for a, (v, index) in enumerate(self.leaves) if v == u]
            for e in range(g.shape[1]):
                J = sum(sp.diags(g[:, e, a]) @ self._functions(index) for a, index in own)
                squares = np.asarray(J.power(2).sum(0))
                found[self.unknowns.index(u)] += squares.reshape(shape)
        return found

    def by_cell(
        self, values: Float[np.ndarray, "points columns"]
    ) -> Float[np.ndarray, "blocks each columns"]:
        return values[:, None]

    def _functions(self, index: tuple[int, ...]) -> sp.csr_matrix:
        """A derivative of all functions at the points."""
        if index not in self._known:
            points = np.stack([p.x.ravel() for p in self.places], 1)
            self._known[index] = functions_at(self.axes, points, index)
        return self._known[index]

    @cached_property
    def _known(self) -> dict[tuple[int, ...], sp.csr_matrix]:
        return {}


def immersed(
    problem: Formulation, axes: Sequence[Axis], given: Held, tempered: Tempered | None
) -> tuple[WeightedRows | GhostRows, ...]:
    """The rows of a problem on a domain that is no box.

    Args:
        problem: What is to be solved.
        axes: Functions of each coordinate.
        given: What its conditions give.
        tempered: What residuals at points are multiplied by; None for ones.
    """
    axes, unknowns, domain = tuple(axes), problem.unknowns, problem.domain
    at, dims = inside_of(domain, axes), len(domain.space)
    ones = (1.0,) * sum(e.equations for e in problem.equations)
    rows: list[WeightedRows | GhostRows] = []
    sizes = ones
    for cells, finer in ((at.whole, 1), (at.cut, FINER_WHERE_CUT)):
        if not cells.any():
            continue
        times = [finer if i < dims else 1 for i in range(len(axes))]
        ways = zip(axes, times, strict=True)
        places = tuple(Places.inside(axis, n * points_of(axis)) for axis, n in ways)
        own = MaskedRows(
            problem.equations, ones, axes, unknowns, places, tempered=tempered, domain=domain
        )
        if not rows:
            sizes = row_sizes(own, given.C)
        rows.append(replace(own, sizes=sizes, only=cells))
    ghost = ghosts(axes[:dims], at, [one.diagonal(given.C) for one in rows])
    return (*rows, *(_on_face(c, axes, unknowns, at, tempered) for c in given.soft), *ghost)


def _on_face(
    c: Constraint,
    axes: tuple[Axis, ...],
    unknowns: tuple[str, ...],
    at: Inside,
    tempered: Tempered | None,
) -> ScatteredRows:
    """The rows of a condition on a face, in the order of the cells of the first coordinate."""
    face = at.along(c.face)
    cells = [axis.cell_of(x) for axis, x in zip(axes, face.points.T, strict=True)]
    order = np.argsort(cells[0], kind="stable")
    weights = [face.weights, *[np.ones(len(order))] * (len(axes) - 1)]
    places = tuple(
        Places(cell[order], x[order, None], w[order, None])
        for cell, x, w in zip(cells, face.points.T, weights, strict=True)
    )
    normal = tuple(torch.from_numpy(n[order]) for n in face.normals.T)
    sizes = (1.0,) * c.residual.equations
    return ScatteredRows((c.residual,), sizes, axes, unknowns, places, normal, c, tempered)
