"""A grid whose derivatives are those of global functions: the order grows with the nodes.

On a line the unknowns are the functions' coefficients and D_α gives derivatives from them, because
values on the nodes lose ε n^2m in an m-th derivative. In the plane, where matrices of coefficients
have no zeros, they are the values on the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from kanpde.reference.bases import (
    ChebyshevSeries,
    FourierSeries,
    Functions,
    differences,
    last_coefficients,
)
from kanpde.reference.broken import BrokenSeries
from kanpde.reference.grid import Grid
from kanpde.reference.stretching import Stretching
from kanpde.residual.calculus import MultiIndex

SHOWN_CELLS = {1: 512, 2: 64}
"""Equidistant cells along a coordinate that solutions are shown and compared on, at least."""


@dataclass(frozen=True)
class CollocationGrid(Grid):
    """Nodes of Fourier's functions where a coordinate wraps round, else of Chebyshev's.

    Attributes:
        bounds: Interval by coordinate.
        cells: Along each; odd where it wraps round.
        order: The highest degree.
        periodic: The coordinates that wrap round.
        stretched: By coordinate, in what the functions are waves or polynomials, where that is not
            the coordinate itself.
        creases: By coordinate, where equations jump.
        open_ends: By coordinate, whether its lower end is no node, and its upper.
    """

    stretched: Mapping[str, Stretching] = field(kw_only=True, default_factory=dict)
    creases: Mapping[str, tuple[float, ...]] = field(kw_only=True, default_factory=dict)
    open_ends: Mapping[str, tuple[bool, bool]] = field(kw_only=True, default_factory=dict)

    @cached_property
    def along(self) -> tuple[Functions, ...]:
        """The functions along each coordinate."""
        found: list[Functions] = []
        for (x, bounds), n in zip(self.bounds.items(), self.cells, strict=True):
            if places := self.creases.get(x):
                found.append(BrokenSeries(bounds, n, places))
                continue
            if x in self.periodic:
                found.append(FourierSeries(bounds, n, self.stretched.get(x)))
                continue
            ends = self.open_ends.get(x, (False, False))
            found.append(ChebyshevSeries(bounds, n, self.stretched.get(x), ends))
        return tuple(found)

    @property
    def described(self) -> str:
        """The method in words."""
        names = dict.fromkeys(basis.named for basis in self.along)
        where = " in a stretched coordinate" if self.stretched else ""
        where = " between jumps" if self.creases else where
        count = " x ".join(str(n) for n in self.shape)
        return f"{' and '.join(names)} collocation{where}, {count} functions"

    @property
    def modal(self) -> bool:
        """Whether the unknowns are coefficients."""
        return len(self.names) == 1 and not self.creases

    def axis(self, name: str, closed: bool = False) -> Float[np.ndarray, " nodes"]:
        found = self.along[self.names.index(name)].nodes
        if closed and name in self.periodic:
            return np.append(found, self.bounds[name][1])
        return found

    def derivative(self, index: MultiIndex) -> sp.csr_matrix:
        """D_α, sparse [nodes, nodes], from coefficients on a line, else from values."""
        if index not in self._matrices:
            found = sp.identity(1, format="csr")
            for basis, m in zip(self.along, index, strict=True):
                matrix = basis.derivatives(m) if self.modal else differences(basis, m)
                found = sp.kron(found, sp.csr_matrix(matrix), format="csr")
            self._matrices[index] = found
        return self._matrices[index]

    def reading(self, name: str, to: Float[np.ndarray, " points"]) -> sp.csr_matrix:
        basis = self.along[self.names.index(name)]
        return sp.csr_matrix(basis.at(to) @ basis.analysis)

    def values(self, U: Float[np.ndarray, "fields nodes"]) -> Float[np.ndarray, "fields nodes"]:
        return U @ self.along[0].synthesis.T if self.modal else U

    def solved_for(
        self, values: Float[np.ndarray, "fields nodes"]
    ) -> Float[np.ndarray, "fields nodes"]:
        return values @ self.along[0].analysis.T if self.modal else values

    def elimination(self, width: int) -> Int[np.ndarray, " nodes"]:
        return np.arange(self.nodes)

    def even(
        self, values: Float[np.ndarray, "fields ..."], cells: Sequence[int] | None = None
    ) -> Float[np.ndarray, "fields ..."]:
        return super().even(values, cells or self.shown)

    def shared(
        self, even: np.ndarray, other: Grid, closed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return even, other.even(closed, self.shown)

    @property
    def shown(self) -> tuple[int, ...]:
        """Equidistant cells along each coordinate that solutions are shown on."""
        return tuple(max(SHOWN_CELLS[len(self.names)], n + n % 2) for n in self.cells)

    def last(
        self, closed: Float[np.ndarray, "fields ..."], scales: Float[np.ndarray, " fields"]
    ) -> Float[np.ndarray, " dims"]:
        """The last coefficients along each coordinate, relative to the fields' scales.

        Args:
            closed: Values on the closed grid.
            scales: By field.
        """
        found = []
        for i, (basis, n) in enumerate(zip(self.along, self.shape, strict=True), 1):
            lines = np.moveaxis(np.take(closed, np.arange(n), axis=i), i, 1)
            found.append(last_coefficients(basis, lines.reshape(len(closed), n, -1), scales))
        return np.array(found)

    def along_axis(self, values: np.ndarray, axis: int, to: np.ndarray) -> np.ndarray:
        basis, n = self.along[axis - 1], self.shape[axis - 1]
        flat = np.moveaxis(np.take(values, np.arange(n), axis=axis), axis, 0)
        moved = basis.at(to) @ (basis.analysis @ flat.reshape(n, -1))
        return np.moveaxis(moved.reshape(len(to), *flat.shape[1:]), 0, axis)
