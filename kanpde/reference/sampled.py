"""A residual at points of finite elements: the values of its leaves there, and what vectors and
matrices come of its own values and partials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

from kanpde.reference.assembly import evaluate
from kanpde.reference.elements import Tabulated
from kanpde.residual.calculus import MultiIndex, Values
from kanpde.residual.residual import Residual


@dataclass(frozen=True)
class Numbering:
    """How numbers of a system are laid out: the unknowns on all nodes, one after another.

    Attributes:
        coordinates: Of space.
        time: The name of the time, or None.
        number: Of each unknown, by name.
        nodes: How many.
        linear: Numbers of the unknowns that linear functions suffice for.
    """

    coordinates: tuple[str, ...]
    time: str | None
    number: Mapping[str, int]
    nodes: int
    linear: frozenset[int] = frozenset()

    def split(self, index: MultiIndex) -> tuple[MultiIndex, int]:
        """An index of differentiation, in space and in time."""
        return index[: len(self.coordinates)], sum(index[len(self.coordinates) :])

    def normals(self, normal: Float[np.ndarray, "*points 2"]) -> Values:
        """Components by coordinate, [points] each: none along the time.

        Args:
            normal: Of unit length.
        """
        found = columns(self.coordinates, normal)
        if self.time is not None:
            found[self.time] = torch.zeros_like(found[self.coordinates[0]])
        return found

    def functions(
        self, table: Tabulated, unknown: int
    ) -> Mapping[MultiIndex, Float[np.ndarray, "triangles points functions"]]:
        """Those of an unknown.

        Args:
            table: Of all.
            unknown: Its number.
        """
        return table.linear if unknown in self.linear else table.functions


@dataclass(frozen=True, eq=False)
class Sampling:
    """A residual at the points of some triangles.

    Attributes:
        residual: Pointwise.
        table: The functions there.
        layout: Of the system.
        normal: Outward unit normals [triangles, points, 2], on a boundary.
        beside: The functions in the triangles of another piece, at the same points.
        crossed: The unknowns of that piece.
        on: The side of an interface that an equation holds on, 0 or 1.
    """

    residual: Residual
    table: Tabulated
    layout: Numbering
    normal: Float[np.ndarray, "triangles points 2"] | None = None
    beside: Tabulated | None = None
    crossed: frozenset[str] = frozenset()
    on: int = 0

    @property
    def tables(self) -> tuple[Tabulated, ...]:
        """The functions on this side and, where there is one, on the other."""
        return (self.table,) if self.beside is None else (self.table, self.beside)

    def side(self, unknown: str) -> int:
        """The number, among `tables`, of the side that an unknown lives on."""
        return int(unknown in self.crossed)

    @property
    def shape(self) -> tuple[int, int]:
        """Triangles, and points of each."""
        return self.table.at.shape[0], self.table.at.shape[1]

    @cached_property
    def _at(self) -> dict[str, torch.Tensor]:
        return columns(self.layout.coordinates, self.table.at)

    @cached_property
    def _normals(self) -> Values | None:
        return None if self.normal is None else self.layout.normals(self.normal)

    def evaluated(
        self,
        fields: Sequence[Float[np.ndarray, " size"]],
        t: float | None,
        partials: bool,
        share: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Values [triangles, points, equations] and partials [triangles, points, equations,
        leaves].

        Args:
            fields: U and its derivatives in time.
            t: The time.
            partials: Whether they are wanted.
            share: Of all first derivatives in space, that is taken in their place.
        """
        leaves = np.empty((*self.shape, len(self.residual.needs)))
        for a, (u, index) in enumerate(self.residual.needs):
            (space, rate), v = self.layout.split(index), self.layout.number[u]
            table = self.tables[self.side(u)]
            values = fields[rate][v * self.layout.nodes + table.nodes]
            functions = self.layout.functions(table, v)[space]
            leaves[..., a] = np.einsum("tqm,tm->tq", functions, values)
            if sum(space) == 1:
                leaves[..., a] *= share
        at = self._at
        if t is not None and self.layout.time:
            time = torch.full((leaves[..., 0].size,), t, dtype=torch.float64)
            at = {**at, self.layout.time: time}
        flat = leaves.reshape(-1, leaves.shape[-1])
        values, slopes = evaluate(self.residual, at, flat, self._normals, partials)
        found = values.reshape(*self.shape, -1)
        if slopes is None:
            return found, None
        return found, slopes.reshape(*self.shape, *slopes.shape[1:])

    def linearised(
        self, slopes: Float[np.ndarray, "triangles points leaves"], rate: complex, side: int = 0
    ) -> dict[int, np.ndarray]:
        """By unknown the partials of one of its values by the numbers on the nodes of each
        triangle, [triangles, points, functions].

        Args:
            slopes: By leaves.
            rate: By which derivatives in time are U's.
            side: Whose unknowns are meant.
        """
        found: dict[int, np.ndarray] = {}
        for a, (u, index) in enumerate(self.residual.needs):
            (space, order), v = self.layout.split(index), self.layout.number[u]
            if self.side(u) == side and slopes[..., a].any():
                weight = slopes[..., a] * rate**order
                functions = self.layout.functions(self.tables[side], v)[space]
                part = weight[..., None] * functions
                found[v] = found[v] + part if v in found else part
        return found

    def second(
        self, slopes: Float[np.ndarray, "triangles points leaves"]
    ) -> dict[int, Float[np.ndarray, "triangles points 2 2"]]:
        """By unknown A_kl = -∂R/∂u_kl, mixed ones split evenly.

        Args:
            slopes: Of one equation.
        """
        found: dict[int, np.ndarray] = {}
        for a, (u, index) in enumerate(self.residual.needs):
            space, v = self.layout.split(index)[0], self.layout.number[u]
            if sum(space) == 2:
                A = found.setdefault(v, np.zeros((*self.shape, 2, 2)))
                k, m = (i for i in range(2) for _ in range(space[i]))
                A[..., k, m] -= slopes[..., a] / 2
                A[..., m, k] -= slopes[..., a] / 2
        return {v: A for v, A in found.items() if A.any()}

    def gradient(self, unknown: int) -> Float[np.ndarray, "triangles points functions 2"]:
        """Of an unknown's functions."""
        functions = self.layout.functions(self.table, unknown)
        return np.stack([functions[1, 0], functions[0, 1]], -1)


class Sum:
    """A vector and a matrix that integrals are added to.

    Args:
        layout: Of the system.
        size: Of the system.
    """

    def __init__(self, layout: Numbering, size: int):
        self._layout, self._size = layout, size
        self.vector = np.zeros(size)
        self._entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(
        self,
        nodes: Int[np.ndarray, "triangles functions"],
        unknown: int,
        tested: Float[np.ndarray, "triangles points functions"],
        values: Float[np.ndarray, "triangles points"],
    ) -> None:
        """∫ values v, for all test functions v of an unknown.

        Args:
            nodes: Of each triangle.
            unknown: Its number.
            tested: The test functions, times weights.
            values: At the points.
        """
        found = np.einsum("tqm,tq->tm", tested, values)
        rows = unknown * self._layout.nodes + nodes
        self.vector += np.bincount(rows.ravel(), found.ravel(), self._size)

    def add_slopes(
        self,
        nodes: Int[np.ndarray, "triangles functions"],
        unknown: int,
        tested: Float[np.ndarray, "triangles points functions"],
        by: Int[np.ndarray, "triangles functions"],
        partials: Mapping[int, np.ndarray],
    ) -> None:
        """The partials of the same.

        Args:
            nodes: Of each triangle.
            unknown: Its number.
            tested: The test functions, times weights.
            by: The nodes by whose numbers is differentiated.
            partials: Of the values, by unknown.
        """
        for v, part in partials.items():
            block = np.matmul(tested.transpose(0, 2, 1), part)
            rows = np.broadcast_to((unknown * self._layout.nodes + nodes)[:, :, None], block.shape)
            at = np.broadcast_to((v * self._layout.nodes + by)[:, None, :], block.shape)
            kept = block != 0
            self._entries.append((block[kept], rows[kept], at[kept]))

    def matrix(self) -> sp.csr_matrix:
        """All that was added."""
        if not self._entries:
            return sp.csr_matrix((self._size, self._size))
        data, rows, at = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        return sp.coo_matrix((data, (rows, at)), shape=(self._size, self._size)).tocsr()


def columns(
    names: Sequence[str], points: Float[np.ndarray, "*points 2"]
) -> dict[str, torch.Tensor]:
    """Points by coordinate, [points] each.

    Args:
        names: Of the coordinates.
        points: In their order.
    """
    flat = points.reshape(-1, len(names))
    return {
        x: torch.from_numpy(np.ascontiguousarray(c)) for x, c in zip(names, flat.T, strict=True)
    }
