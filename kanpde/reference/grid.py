"""A tensor grid on a box: its nodes, D_α as Kronecker products of 1-D matrices, and the nodes on
its faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

from kanpde.geometry import Face
from kanpde.geometry.domain import Interval
from kanpde.reference.stencils import graded, interpolation, matrix
from kanpde.residual.calculus import MultiIndex

EQUIDISTANT = 4
"""The highest order whose closures are stable on equidistant nodes."""


@dataclass(frozen=True)
class Grid:
    """A tensor grid, its nodes numbered in C order.

    bounds: interval by coordinate; cells: how many along each; order: of accuracy of all
    differences; periodic: the coordinates that wrap round, whose last node is left out because it
    repeats the first. Nodes are equidistant, but `graded` towards the ends of intervals that do not
    wrap round where the order is above 4.
    """

    bounds: Mapping[str, Interval]
    cells: tuple[int, ...]
    order: int
    periodic: frozenset[str] = frozenset()
    _matrices: dict[MultiIndex, sp.csr_matrix] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        return tuple(self.bounds)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each coordinate."""
        return tuple(
            n if x in self.periodic else n + 1 for x, n in zip(self.bounds, self.cells, strict=True)
        )

    @cached_property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(np.prod(self.shape))

    def axis(self, name: str, closed: bool = False) -> Float[np.ndarray, " nodes"]:
        """Node positions along a coordinate; closed: with the end point of a periodic one."""
        a, b = self.bounds[name]
        i = self.names.index(name)
        if self.order > EQUIDISTANT and name not in self.periodic:
            found = a + (b - a) * graded(self.cells[i])
            found[-1] = b
            return found
        full = np.linspace(a, b, self.cells[i] + 1)
        return full if closed else full[: self.shape[i]]

    def even(
        self, values: Float[np.ndarray, "fields ..."], cells: Sequence[int] | None = None
    ) -> Float[np.ndarray, "fields ..."]:
        """Values on the closed grid, interpolated to equidistant nodes; cells: between them, by
        default as many as the grid has."""
        for i, (x, n) in enumerate(zip(self.names, cells or self.cells, strict=True), 1):
            values = self.along_axis(values, i, np.linspace(*self.bounds[x], n + 1))
        return values

    def shared(
        self, even: np.ndarray, other: Grid, closed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Two solutions at the same nodes: one of this grid as `even` gives it, one of another as
        `close` does."""
        return even, other.even(closed, self.cells)

    def moved(
        self, other: Grid, values: Float[np.ndarray, "fields ..."]
    ) -> Float[np.ndarray, "fields nodes"]:
        """Values on the nodes from those on the closed nodes of another grid."""
        return self.open(self.interpolate(other, values))

    def interpolate(
        self, other: Grid, values: Float[np.ndarray, "fields ..."]
    ) -> Float[np.ndarray, "fields ..."]:
        """Values on the closed grid from those on another one of the same box."""
        for i, x in enumerate(self.names, 1):
            values = other.along_axis(values, i, self.axis(x, closed=True))
        return values

    def along_axis(self, values: np.ndarray, axis: int, to: np.ndarray) -> np.ndarray:
        """Values on the closed grid, interpolated along one coordinate.

        Args:
            values: [fields, nodes along each coordinate, …].
            axis: Of the array.
            to: Places along the coordinate.
        """
        name = self.names[axis - 1]
        x = self.axis(name, closed=True)
        if len(x) == len(to) and (x == to).all():
            return values
        flat = np.moveaxis(values, axis, 0)
        if name in self.periodic:
            around = min(self.order // 2 + 2, len(x) - 1)
            a, b = self.bounds[name]
            x = np.concatenate([x[-1 - around : -1] - (b - a), x, x[1 : 1 + around] + (b - a)])
            flat = np.concatenate([flat[-1 - around : -1], flat, flat[1 : 1 + around]])
        moved = interpolation(x, to, self.order + 3) @ flat.reshape(len(x), -1)
        return np.moveaxis(moved.reshape(len(to), *flat.shape[1:]), 0, axis)

    def reading(self, name: str, to: Float[np.ndarray, " points"]) -> sp.csr_matrix:
        """The matrix [points, nodes] from values on the nodes along a coordinate to those at
        places.

        Args:
            name: Of the coordinate.
            to: The places.
        """
        x = self.axis(name, closed=True)
        if name not in self.periodic:
            return interpolation(x, to, self.order + 3)
        around, n = min(self.order // 2 + 2, len(x) - 1), len(x) - 1
        a, b = self.bounds[name]
        x = np.concatenate([x[-1 - around : -1] - (b - a), x, x[1 : 1 + around] + (b - a)])
        found = interpolation(x, to, self.order + 3).tocoo()
        columns = (found.col - around) % n
        return sp.csr_matrix((found.data, (found.row, columns)), shape=(len(to), n))

    def points(self) -> dict[str, torch.Tensor]:
        """Coordinates of all nodes, [nodes] each."""
        mesh = np.meshgrid(*(self.axis(x) for x in self.names), indexing="ij")
        return {
            x: torch.from_numpy(np.ascontiguousarray(m).ravel())
            for x, m in zip(self.names, mesh, strict=True)
        }

    def derivative(self, index: MultiIndex) -> sp.csr_matrix:
        """D_α, sparse [nodes, nodes]."""
        if index not in self._matrices:
            found = sp.identity(1, format="csr")
            for x, m in zip(self.names, index, strict=True):
                a, b = self.bounds[x]
                found = sp.kron(
                    found,
                    matrix(self.axis(x), m, self.order, b - a if x in self.periodic else None),
                    format="csr",
                )
            self._matrices[index] = found
        return self._matrices[index]

    def face(self, face: Face, layer: int = 0) -> Int[np.ndarray, " nodes"]:
        """Nodes on a face, or that many layers inside it, always in the same order along the
        face."""
        assert face.coordinate is not None
        i = self.names.index(face.coordinate)
        numbers = np.arange(self.nodes).reshape(self.shape)
        return np.take(
            numbers, layer if face.side < 0 else self.shape[i] - 1 - layer, axis=i
        ).ravel()

    def values(self, U: Float[np.ndarray, "fields nodes"]) -> Float[np.ndarray, "fields nodes"]:
        """Values on the nodes, from what systems of equations solve for: here they are the same.

        Args:
            U: Field by field.
        """
        return U

    def solved_for(
        self, values: Float[np.ndarray, "fields nodes"]
    ) -> Float[np.ndarray, "fields nodes"]:
        """The inverse of `values`.

        Args:
            values: On the nodes.
        """
        return values

    def elimination(self, width: int) -> Int[np.ndarray, " nodes"]:
        """An order of elimination by nested dissection with separators `width` nodes thick."""
        return dissection(self.shape, width, [x in self.periodic for x in self.names])

    def close(self, values: Float[np.ndarray, "fields nodes"]) -> Float[np.ndarray, "fields ..."]:
        """Values on the nodes, reshaped to the grid and with the repeated end of periodic
        coordinates added."""
        found = values.reshape(len(values), *self.shape)
        for i, x in enumerate(self.names, 1):
            if x in self.periodic:
                found = np.concatenate([found, np.take(found, [0], axis=i)], axis=i)
        return found

    def open(self, values: Float[np.ndarray, "fields ..."]) -> Float[np.ndarray, "fields nodes"]:
        """The inverse of `close`."""
        return np.ascontiguousarray(
            values[(slice(None), *(slice(0, n) for n in self.shape))]
        ).reshape(len(values), -1)


def dissection(
    shape: Sequence[int], width: int, periodic: Sequence[bool] = ()
) -> Int[np.ndarray, " nodes"]:
    """Elimination order of the nodes by nested dissection with separators `width` nodes thick.

    periodic: which axes wrap round; they are cut open first.

    Source: George, SIAM J. Numer. Anal. 10 (1973), 345-363. On a tensor grid it needs no graph
    algorithm, and it leaves several times less fill than the orderings that SuperLU brings.
    """
    found: list[np.ndarray] = []

    def split(block: np.ndarray) -> None:
        axis = int(np.argmax(block.shape))
        n = block.shape[axis]
        if n <= 2 * width + 2 or block.size <= 64:
            found.append(block.ravel())
            return
        low = (n - width) // 2
        first, separator, second = np.split(block, [low, low + width], axis=axis)
        split(first)
        split(second)
        found.append(separator.ravel())

    whole, cuts = np.arange(int(np.prod(shape))).reshape(shape), []
    for axis, wraps in enumerate(periodic):
        if wraps and shape[axis] > 2 * width:
            cut, whole = np.split(whole, [width], axis=axis)
            cuts.append(cut.ravel())
    split(whole)
    return np.concatenate(found + cuts)


def scattered(places: Float[np.ndarray, "nodes dims"], width: int) -> Int[np.ndarray, " nodes"]:
    """The same for nodes at places that need not fill a box, in units of a cell."""
    found: list[np.ndarray] = []

    def split(nodes: np.ndarray) -> None:
        at = places[nodes]
        axis = int(np.argmax(np.ptp(at, axis=0)))
        low = np.floor(np.median(at[:, axis])) - width / 2 + 0.25
        first, second = at[:, axis] < low, at[:, axis] >= low + width
        if len(nodes) <= 64 or not first.any() or not second.any():
            found.append(nodes)
            return
        split(nodes[first])
        split(nodes[second])
        found.append(nodes[~first & ~second])

    split(np.arange(len(places)))
    return np.concatenate(found)
