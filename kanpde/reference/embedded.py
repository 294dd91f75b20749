"""A Cartesian grid inside a domain that is no box: its nodes inside, the points where its lines
cross the boundary, and D_α on both.

Along each line differences run from crossing to crossing (`chords`). At the crossings, where only
boundary conditions ask for derivatives, and where a chord is too short, they come from polynomials
fitted to the values around (`fits`). A node closer to the boundary than a quarter of a cell takes
its value from those along its line by interpolation, in place of an equation, so that no arm is
tiny.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy  # whose parts are imported when they are first used
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int

from kanpde.errors import ReferenceUnavailable, listed
from kanpde.geometry import Domain, Face
from kanpde.geometry.planar import Planar
from kanpde.reference.chords import Chords, chords
from kanpde.reference.crossings import TOUCHING, crossings, is_inside, nodes_inside
from kanpde.reference.fits import fitted, monomials
from kanpde.reference.grid import Grid, scattered
from kanpde.residual.calculus import MultiIndex

HIGHEST_DERIVATIVE = 2
"""Order of the derivatives that can be had beside a boundary."""

SPREAD = 128
"""Points along each direction of a face in space, from which its place is known."""

SIGHT = 0.3
"""Of a cell, by which a line of sight may leave the domain."""


@dataclass(frozen=True)
class Embedded(Grid):
    """Nodes of a Cartesian grid over the bounding box that lie inside a domain of space, in C
    order, then the crossings.

    domain: of space; bounds: of its bounding box; cells: along each coordinate; order: of accuracy
    of all differences; graded: places along each coordinate to which lines crowd as s^q, and q.
    Raises ReferenceUnavailable where a grid is too coarse for the domain.
    """

    domain: Domain = field(kw_only=True)
    graded: tuple[Mapping[float, float], ...] = field(kw_only=True, default=())

    @cached_property
    def axes(self) -> list[Float[np.ndarray, " _nodes"]]:
        """Places of the grid's lines along each coordinate."""
        towards = self.graded or ({},) * len(self.names)
        return [
            crowded(*self.bounds[x], n, at)
            for x, n, at in zip(self.names, self.cells, towards, strict=True)
        ]

    def lattice(self, at: Float[np.ndarray, "points dims"]) -> Float[np.ndarray, "points dims"]:
        """Coordinates in cells."""
        return np.stack(
            [
                np.interp(column, x, np.arange(len(x)))
                for column, x in zip(at.T, self.axes, strict=True)
            ],
            1,
        )

    def spacing(self, at: Float[np.ndarray, "points dims"]) -> Float[np.ndarray, "points dims"]:
        """Length of a cell along each coordinate around points."""
        columns = []
        for column, x in zip(at.T, self.axes, strict=True):
            k = np.clip(np.searchsorted(x, column, side="right") - 1, 0, len(x) - 2)
            columns.append(np.diff(x)[k])
        return np.stack(columns, 1)

    @cached_property
    def size(self) -> float:
        """The longest side of the bounding box."""
        return max(b - a for a, b in self.bounds.values())

    @cached_property
    def inside(self) -> Bool[np.ndarray, "*nodes"]:
        """Which nodes of the whole grid are unknowns."""
        found = nodes_inside(self.domain, self.axes, self.size)
        if not found.any():
            raise ReferenceUnavailable(
                f"no node of a grid of {' x '.join(map(str, self.cells))} cells lies inside the"
                " domain"
            )
        return found

    @property
    def nodes(self) -> int:
        """Number of points, crossings included."""
        return len(self.places)

    @property
    def degree(self) -> int:
        """Of the fitted polynomials: errors that change with where lines cross are then of a higher
        order than the others."""
        return max(self.order + 1, 4)

    @property
    def inner(self) -> int:
        """Number of nodes inside."""
        return int(self.inside.sum())

    @cached_property
    def _crossed(self):
        """Crossings along each axis, the numbers of their points, and the points, each once."""
        found = [
            crossings(self.domain, self.axes, self.inside, axis, self.size)
            for axis in range(len(self.names))
        ]
        at = np.concatenate([c.at for c in found])
        same = scipy.spatial.cKDTree(at).query_pairs(TOUCHING * self.size, output_type="ndarray")
        first = np.arange(len(at))
        np.minimum.at(first, same[:, 1], same[:, 0])
        kept, number = np.unique(first[first], return_inverse=True)
        return (
            found,
            np.split(number + self.inner, np.cumsum([len(c.arm) for c in found])[:-1]),
            at[kept],
        )

    @cached_property
    def places(self) -> Float[np.ndarray, "nodes dims"]:
        """Coordinates of all points."""
        inner = np.stack([x[i] for x, i in zip(self.axes, np.nonzero(self.inside), strict=True)], 1)
        return np.concatenate([inner, self._crossed[2]])

    def points(self) -> dict[str, torch.Tensor]:
        """Coordinates of all points by name, [nodes] each."""
        return {
            x: torch.from_numpy(np.ascontiguousarray(column))
            for x, column in zip(self.names, self.places.T, strict=True)
        }

    @cached_property
    def _chords(self) -> list[Chords]:
        found, numbers, _ = self._crossed
        return [
            chords(self.inside, a, self.axes[a], c, n)
            for a, (c, n) in enumerate(zip(found, numbers, strict=True))
        ]

    # Faces

    @cached_property
    def _faces(self) -> dict[str, Int[np.ndarray, " _nodes"]]:
        gap = np.stack(
            [_gap(self.domain, face, self.places[self.inner :]) for face in self.domain.faces]
        )
        unmet = [
            face
            for face, least in zip(self.domain.faces, gap.min(1, initial=np.inf), strict=True)
            if least > 1e3 * TOUCHING * self.size
        ]
        if unmet and isinstance(self.domain, Planar):
            raise ReferenceUnavailable(
                f"no line of a grid of {' x '.join(map(str, self.cells))} cells meets"
                f" {listed(unmet)}: it is too coarse for the domain"
            )
        on = gap <= gap.min(0) + 1e3 * TOUCHING * self.size
        return {
            face: self.inner + np.flatnonzero(row)
            for face, row in zip(self.domain.faces, on, strict=True)
        }

    def face(self, face: Face, layer: int = 0) -> Int[np.ndarray, " nodes"]:
        """Points on a face; those where two faces meet are on both."""
        if layer:
            raise ReferenceUnavailable(
                f"two conditions on {face.name!r} for one unknown; on domains that are no box"
                " finite differences take one"
            )
        return self._faces[face.name]

    # Differences

    def derivative(self, index: MultiIndex) -> sp.csr_matrix:
        """D_α, sparse [nodes, nodes]. Raises ReferenceUnavailable for derivatives of more than
        second order."""
        if index not in self._matrices:
            self._matrices[index] = self._derivative(index)
        return self._matrices[index]

    def _derivative(self, index: MultiIndex) -> sp.csr_matrix:
        if sum(index) > HIGHEST_DERIVATIVE:
            raise ReferenceUnavailable(
                f"a derivative of order {sum(index)}: beside a boundary that is no face of a box"
                f" there are derivatives up to order {HIGHEST_DERIVATIVE}"
            )
        if not any(index):
            return sp.identity(self.nodes, format="csr")
        along = [a for a, m in enumerate(index) if m]
        fits = self._fitted_rows(index)
        if len(along) > 1:
            first, second = (
                self.derivative(tuple(int(a == b) for b in range(len(index)))) for a in along
            )
            return sp.vstack([(first @ second)[: self.inner], fits[self.inner :]], format="csr")
        (axis,) = along
        (rows, columns, values), short = self._chords[axis].rows(index[axis], self.order)
        plain = sp.csr_matrix((values, (rows, columns)), shape=(self.nodes, self.nodes))
        taken = np.zeros(self.nodes)
        taken[short] = taken[self.inner :] = 1.0
        return (plain + sp.diags(taken) @ fits).tocsr()

    @cached_property
    def _fits(self):
        """Where derivatives are fitted, from which points, and with what weights."""
        short = [
            self._chords[a].rows(m, self.order)[1] for a in range(len(self.names)) for m in (1, 2)
        ]
        at = np.unique(np.concatenate([*short, np.arange(self.inner, self.nodes)]))
        used = self._used(at)
        near, weights = self._fitted(self.places[at], used, np.searchsorted(used, at))
        return at, near, weights

    def _fitted(
        self, at: np.ndarray, used: np.ndarray, own: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which points are around places, and the weights that give derivatives there."""
        near, weights = fitted(
            at,
            self.places[used],
            self.lattice(at),
            self.lattice(self.places[used]),
            self.spacing(at),
            self.degree,
            own,
            self._seen,
            used >= self.inner if own is not None else np.zeros(len(used), dtype=bool),
        )
        return used[near], weights

    def _used(self, also: np.ndarray) -> np.ndarray:
        """The points that fits take: all but nodes that are interpolated themselves."""
        free = np.ones(self.nodes, dtype=bool)
        free[self.close_by[0]] = False
        free[also] = True
        return np.flatnonzero(free)

    def _fitted_rows(self, index: MultiIndex) -> sp.csr_matrix:
        at, near, weights = self._fits
        values = weights[:, monomials(len(index), self.degree).index(index)]
        rows = np.broadcast_to(at[:, None], near.shape)
        return sp.csr_matrix(
            (values.ravel(), (rows.ravel(), near.ravel())), shape=(self.nodes, self.nodes)
        )

    def _seen(self, at: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Whether the straight line between two points stays in the domain."""
        found, slack = (
            np.ones(near.shape[:2], dtype=bool),
            SIGHT * self.spacing(at).min(1, keepdims=True),
        )
        for part in (0.25, 0.5, 0.75):
            between = at[:, None] + part * (near - at[:, None])
            found &= (
                self.domain.depth(torch.from_numpy(between.reshape(-1, near.shape[2])))
                .numpy()
                .reshape(found.shape)
                >= -slack
            )
        return found

    @cached_property
    def close_by(self) -> tuple[Int[np.ndarray, " close"], sp.csr_matrix]:
        """Nodes next to the boundary that have no equation, and rows [close, nodes] that vanish
        where their values are interpolated."""
        found, _, _ = self._crossed
        arm = np.full((len(self.names), self.inner), np.inf)
        number = np.cumsum(self.inside.ravel()).reshape(self.inside.shape) - 1
        for a, c in enumerate(found):
            np.minimum.at(arm[a], number[tuple(c.inner.T)], c.arm)
        taken = [np.ones(self.inner, dtype=bool) for _ in self.names]
        for a, lines in enumerate(self._chords):
            nodes = lines.target
            taken[a][lines.number[nodes]] = lines.taken[nodes]
        close = np.flatnonzero(~np.all(taken, axis=0))
        weights = sp.csr_matrix((self.nodes, self.nodes))
        best = np.where(np.stack(taken)[:, close], np.inf, arm[:, close])
        left = np.ones(len(close), dtype=bool)
        for a in range(len(self.names)):
            (rows, columns, values), short = self._chords[a].rows(0, self.order + 2)
            best[a, np.isin(close, short)] = np.inf
        chosen = np.where(np.isfinite(best.min(0)), best.argmin(0), -1)
        for a in range(len(self.names)):
            (rows, columns, values), _ = self._chords[a].rows(0, self.order + 2)
            here = np.isin(rows, close[chosen == a])
            weights = weights + sp.csr_matrix(
                (values[here], (rows[here], columns[here])), shape=weights.shape
            )
            left &= chosen != a
        if left.any():
            at, used = close[left], np.setdiff1d(np.arange(self.nodes), close)
            near, fits = self._fitted(self.places[at], used, None)
            rows = np.broadcast_to(at[:, None], near.shape)
            weights = weights + sp.csr_matrix(
                (fits[:, 0].ravel(), (rows.ravel(), near.ravel())), shape=weights.shape
            )
        return close, (sp.identity(self.nodes, format="csr") - weights)[close].tocsr()

    def elimination(self, width: int) -> Int[np.ndarray, " nodes"]:
        """An order of elimination by nested dissection."""
        return scattered(self.lattice(self.places), width)

    # Values on the whole grid

    @cached_property
    def _shown(self) -> tuple[np.ndarray, sp.csr_matrix]:
        """Nodes of the whole grid, flat, that lie in the closed domain, and the matrix of their
        values."""
        mesh = np.stack(
            [
                m.ravel()
                for m in np.meshgrid(
                    *(
                        np.linspace(*ends, n + 1)
                        for ends, n in zip(self.bounds.values(), self.shown, strict=True)
                    ),
                    indexing="ij",
                )
            ],
            1,
        )
        at = np.flatnonzero(is_inside(self.domain, mesh, TOUCHING * self.size))
        gap, nearest = scipy.spatial.cKDTree(self.places).query(mesh[at])
        met = gap <= 2 * TOUCHING * self.size
        rows = np.flatnonzero(met)
        matrix = sp.csr_matrix(
            (np.ones(len(rows)), (rows, nearest[met])), shape=(len(at), self.nodes)
        )
        if not met.all():
            near, fits = self._fitted(
                mesh[at[~met]], np.setdiff1d(np.arange(self.nodes), self.close_by[0]), None
            )
            rows = np.broadcast_to(np.flatnonzero(~met)[:, None], near.shape)
            matrix = matrix + sp.csr_matrix(
                (fits[:, 0].ravel(), (rows.ravel(), near.ravel())), shape=matrix.shape
            )
        return at, matrix

    @property
    def shown(self) -> tuple[int, ...]:
        """Cells of the equidistant grid on which values are given: half as many where the lines
        crowd."""
        return tuple(n // 2 for n in self.cells) if self.graded else self.cells

    def close(self, values: Float[np.ndarray, "fields nodes"]) -> Float[np.ndarray, "fields ..."]:
        """Values on the whole grid over the bounding box, NaN outside of the domain."""
        at, matrix = self._shown
        found = np.full((len(values), int(np.prod([n + 1 for n in self.shown]))), np.nan)
        found[:, at] = (matrix @ values.T).T
        return found.reshape(len(values), *(n + 1 for n in self.shown))

    def even(self, values: np.ndarray, cells: Sequence[int] | None = None) -> np.ndarray:
        """What `close` gives is on equidistant nodes already."""
        return values

    def shared(
        self, even: np.ndarray, other: Grid, closed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Two solutions at the nodes that both show inside the domain, [fields, nodes …]."""
        sizes = [np.array(v.shape[1 : 1 + len(self.names)]) - 1 for v in (even, closed)]
        fine, coarse = (
            v[
                (
                    slice(None),
                    *(slice(None, None, n // k) for n, k in zip(size, np.gcd(*sizes), strict=True)),
                )
            ]
            for v, size in zip((even, closed), sizes, strict=True)
        )
        known = np.isfinite(fine).all(0) & np.isfinite(coarse).all(0)
        return fine[:, known], coarse[:, known]

    def moved(self, other: Grid, values: np.ndarray) -> np.ndarray:
        """Values on the nodes from those on the whole of another grid, by linear interpolation, or
        from the nearest node."""
        axes = [
            np.linspace(*self.bounds[x], n)
            for x, n in zip(self.names, values.shape[1:], strict=True)
        ]
        mesh = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], 1)
        known = np.isfinite(values).all(0).ravel()
        flat = values.reshape(len(values), -1)[:, known].T
        found = scipy.interpolate.LinearNDInterpolator(mesh[known], flat)(self.places)
        nearest = flat[scipy.spatial.cKDTree(mesh[known]).query(self.places)[1]]
        return np.where(np.isfinite(found), found, nearest).T


def crowded(
    low: float, high: float, cells: int, towards: Mapping[float, float]
) -> Float[np.ndarray, " nodes"]:
    """Nodes on an interval, as s^q towards some places in it, each of which is a node; even where
    there is none. towards: q by place."""
    ends = sorted({low, high, *towards})
    share = np.maximum(4, np.round(cells * np.diff(ends) / (high - low)).astype(int))
    share[np.argmax(share)] += cells - share.sum()
    if share.min() < 4:
        raise ReferenceUnavailable(
            f"{cells} cells are too few for lines that crowd to {len(towards)} corners"
        )
    found = [np.array([low])]
    for a, b, n in zip(ends, ends[1:], share, strict=False):
        s, p, q = np.arange(1, n + 1) / n, towards.get(a, 1.0), towards.get(b, 1.0)
        turn = p / (p + q)  # halfway, where both halves have the same spacing
        s = np.where(
            s < turn, (s / turn) ** p / 2, 1 - np.maximum(0, (1 - s) / (1 - turn)) ** q / 2
        )
        found.append(np.where(s == 1, b, a + (b - a) * s))
    return np.concatenate(found)


def _gap(
    domain: Domain, face: str, at: Float[np.ndarray, "points dims"]
) -> Float[np.ndarray, " points"]:
    """Distance of points on the boundary from a face; in space, from the nearest of many points of
    it."""
    if isinstance(domain, Planar):
        return np.min(
            [curve.distance(torch.from_numpy(at)).numpy() for curve in domain.curves(face)], axis=0
        )
    if len(domain.faces) == 1:
        return np.zeros(len(at))
    unit = np.stack(
        [
            m.ravel()
            for m in np.meshgrid(
                *[(np.arange(SPREAD) + 0.5) / SPREAD] * (at.shape[1] - 1), indexing="ij"
            )
        ],
        1,
    )
    return scipy.spatial.cKDTree(domain.boundary(face, torch.from_numpy(unit)).numpy()).query(at)[0]
