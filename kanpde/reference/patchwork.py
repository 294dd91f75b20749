"""A grid on a domain in pieces: each piece has nodes of its own, those on an interface twice, and
D_α never reaches from one piece into another.

Pieces that are boxes lie on common lines, which planes through all of their faces cut into
intervals of as many cells each, so that nodes of neighbours meet. Other pieces are embedded in one
grid over the bounding box: its lines cross an interface at the same places from both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise, product

import numpy as np
import scipy  # whose parts are imported when they are first used
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int

from kanpde.geometry import Domain, Pieces, SpaceTime
from kanpde.geometry.regions import Region
from kanpde.problem.formulation import Formulation
from kanpde.reference.crossings import TOUCHING
from kanpde.reference.embedded import Embedded
from kanpde.reference.grid import EQUIDISTANT, Grid, scattered
from kanpde.reference.stencils import graded
from kanpde.residual.calculus import MultiIndex


@dataclass(frozen=True)
class LineGrid(Grid):
    """A tensor grid on lines that are given.

    Attributes:
        lines: Places along each coordinate.
    """

    lines: tuple[Float[np.ndarray, " _nodes"], ...] = field(kw_only=True)

    def axis(self, name: str, closed: bool = False) -> Float[np.ndarray, " nodes"]:
        return self.lines[self.names.index(name)]

    def onto(
        self, values: Float[np.ndarray, "fields ..."], axes: Sequence[Float[np.ndarray, " _nodes"]]
    ) -> Float[np.ndarray, "fields ..."]:
        """Values on other lines in the same box.

        Args:
            values: [fields, nodes along each coordinate …].
            axes: The other lines, by coordinate.
        """
        for i, to in enumerate(axes, 1):
            values = self.along_axis(values, i, to)
        return values


@dataclass(frozen=True)
class Rim:
    """Where some nodes of a piece lie on its boundary.

    Attributes:
        face: What the domain calls the face, such as "left.x-" or "left|right".
        piece: The piece that the nodes belong to.
        axis: The coordinate that the boundary is flat along; None on curved ones.
        inwards: By which a node's number grows from there to the next layer inside; 0 on curved
            boundaries.
        nodes: Their numbers.
    """

    face: str
    piece: str
    axis: int | None
    inwards: int
    nodes: Int[np.ndarray, " nodes"]


@dataclass(frozen=True)
class Patchwork(Grid):
    """The grids of all pieces as one, their nodes one piece after the other.

    Attributes:
        pieces: The domain.
        homes: Of each unknown, the pieces that it lives in.
        patches: The grids by piece.
    """

    pieces: Pieces = field(kw_only=True)
    homes: tuple[frozenset[str], ...] = field(kw_only=True)
    patches: Mapping[str, LineGrid | Embedded] = field(kw_only=True)

    @property
    def nodes(self) -> int:
        return sum(patch.nodes for patch in self.patches.values())

    @cached_property
    def first(self) -> Mapping[str, int]:
        """Number of each piece's first node."""
        counts = np.cumsum([0, *(patch.nodes for patch in self.patches.values())])
        return dict(zip(self.patches, counts.tolist(), strict=False))

    def own(self, piece: str) -> slice:
        """The nodes of a piece."""
        return slice(self.first[piece], self.first[piece] + self.patches[piece].nodes)

    def points(self) -> dict[str, torch.Tensor]:
        found = [patch.points() for patch in self.patches.values()]
        return {x: torch.cat([at[x] for at in found]) for x in self.names}

    def derivative(self, index: MultiIndex) -> sp.csr_matrix:
        if index not in self._matrices:
            self._matrices[index] = sp.block_diag(
                [patch.derivative(index) for patch in self.patches.values()], format="csr"
            )
        return self._matrices[index]

    def close_by(self, piece: str) -> tuple[Int[np.ndarray, " close"], sp.csr_matrix]:
        """Nodes of an embedded piece that have no equation, and rows [close, nodes] that vanish
        where their values are interpolated; none in a box."""
        patch, nodes = self.patches[piece], np.zeros(0, dtype=int)
        if not isinstance(patch, Embedded):
            return nodes, sp.csr_matrix((0, self.nodes))
        nodes, rows = patch.close_by
        found = sp.coo_matrix(rows)
        columns = found.col + self.first[piece]
        shape = (len(nodes), self.nodes)
        return nodes + self.first[piece], sp.csr_matrix((found.data, (found.row, columns)), shape)

    # Boundaries

    @cached_property
    def places(self) -> Float[np.ndarray, "nodes dims"]:
        """Coordinates of all nodes."""
        return np.stack([x.numpy() for x in self.points().values()], 1)

    @cached_property
    def size(self) -> float:
        """The longest side of the bounding box."""
        return max(b - a for a, b in self.bounds.values())

    @cached_property
    def sides(self) -> tuple[Rim, ...]:
        """All faces of all pieces with the nodes on them. A node where a face ends is on the next
        one as well."""
        return tuple(
            replace(side, nodes=side.nodes + self.first[piece])
            for piece, patch in self.patches.items()
            for side in (
                _flat_sides(self.pieces, piece, patch)
                if isinstance(patch, LineGrid)
                else _curved_sides(self.pieces, piece, patch)
            )
        )

    @cached_property
    def spot(self) -> Int[np.ndarray, " nodes"]:
        """A number by node that nodes at the same place share; -1 inside of a piece."""
        found = np.full(self.nodes, -1)
        rim = np.unique(np.concatenate([side.nodes for side in self.sides]))
        same = scipy.spatial.cKDTree(self.places[rim]).query_pairs(
            4 * TOUCHING * self.size, output_type="ndarray"
        )
        joined = sp.coo_matrix((np.ones(len(same)), (same[:, 0], same[:, 1])), (len(rim),) * 2)
        found[rim] = sp.csgraph.connected_components(joined, directed=False)[1]
        return found

    # What factors and solutions ask for

    @cached_property
    def _lines(self) -> list[Float[np.ndarray, " _nodes"]]:
        """All lines along each coordinate."""
        return [
            np.unique(
                np.concatenate(
                    [
                        patch.lines[a] if isinstance(patch, LineGrid) else patch.axes[a]
                        for patch in self.patches.values()
                    ]
                )
            )
            for a in range(len(self.names))
        ]

    def elimination(self, width: int) -> Int[np.ndarray, " nodes"]:
        lattice = [
            np.interp(column, x, np.arange(len(x)))
            for column, x in zip(self.places.T, self._lines, strict=True)
        ]
        return scattered(np.stack(lattice, 1), width)

    def close(self, values: Float[np.ndarray, "fields nodes"]) -> Float[np.ndarray, "fields nodes"]:
        """The values themselves, NaN where an unknown does not live."""
        found = values.copy()
        for v, homes in enumerate(self.homes):
            for piece in self.patches:
                if piece not in homes:
                    found[v, self.own(piece)] = np.nan
        return found

    def open(self, values: Float[np.ndarray, "fields nodes"]) -> Float[np.ndarray, "fields nodes"]:
        return np.nan_to_num(values)

    def even(
        self, values: Float[np.ndarray, "fields nodes ..."], cells: Sequence[int] | None = None
    ) -> Float[np.ndarray, "fields ..."]:
        """Values on the lines of `shown`, those of the first of two pieces where they meet; NaN
        beside all pieces. cells: as `shown` takes them."""
        shown = self.shown(cells)
        more = values.shape[2:]
        found = np.full((len(values), *(len(x) for x in shown), *more), np.nan)
        for piece, patch in reversed(list(self.patches.items())):
            part = values[:, self.own(piece)]
            if isinstance(patch, Embedded):
                flat = np.moveaxis(part.reshape(*part.shape[:2], -1), 2, 1)
                seen = patch.close(flat.reshape(-1, patch.nodes))
                seen = np.moveaxis(seen.reshape(len(values), -1, *seen.shape[1:]), 1, -1)
                seen = seen.reshape(len(values), *seen.shape[1:-1], *more)
                within = np.isfinite(patch.close(np.zeros((1, patch.nodes)))[0])
                found[:, within] = seen[:, within]
                continue
            slices, axes = zip(*_within(shown, patch), strict=True)
            part = part.reshape(len(values), *patch.shape, *more)
            found[(slice(None), *slices)] = patch.onto(part, axes)
        return found

    def shown(self, cells: Sequence[int] | None = None) -> list[Float[np.ndarray, " _nodes"]]:
        """The lines on which values are given out: equidistant between planes. cells: along each
        coordinate, by default those of this grid."""
        first = next(iter(self.patches.values()))
        if isinstance(first, Embedded):
            return [
                np.linspace(*ends, n + 1)
                for ends, n in zip(self.bounds.values(), first.shown, strict=True)
            ]
        cuts = planes(self.pieces)
        return [
            np.concatenate(
                [np.linspace(a, b, n + 1)[int(k > 0) :] for k, (a, b) in enumerate(pairwise(x))]
            )
            for x, n in zip(cuts, cells or self.cells, strict=True)
        ]

    def shared(
        self, even: np.ndarray, other: Grid, closed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See Grid; zero beside the pieces that an unknown lives in."""
        assert isinstance(other, Patchwork)
        if not isinstance(next(iter(self.patches.values())), Embedded):
            return np.nan_to_num(even), np.nan_to_num(other.even(closed, self.cells))
        found = [even, other.even(closed)]
        sizes = [np.array(v.shape[1 : 1 + len(self.names)]) - 1 for v in found]
        common = np.gcd(*sizes)
        fine, coarse = (
            v[
                (
                    slice(None),
                    *(slice(None, None, n // k) for n, k in zip(size, common, strict=True)),
                )
            ]
            for v, size in zip(found, sizes, strict=True)
        )
        known = np.isfinite(fine) & np.isfinite(coarse)
        return np.where(known, fine, 0.0), np.where(known, coarse, 0.0)

    def moved(
        self, other: Grid, values: Float[np.ndarray, "fields coarse"]
    ) -> Float[np.ndarray, "fields nodes"]:
        assert isinstance(other, Patchwork)
        known = np.nan_to_num(values)
        return np.concatenate(
            [
                patch.moved(
                    other.patches[piece], other.patches[piece].close(known[:, other.own(piece)])
                )
                for piece, patch in self.patches.items()
            ],
            1,
        )


def space_of(domain: Domain) -> Domain:
    """A domain without its time."""
    return domain.region if isinstance(domain, SpaceTime) else domain


def piece_of(domain: Domain) -> str:
    """The name of a piece, which may be one in time."""
    region = space_of(domain)
    assert isinstance(region, Region)
    return region.name


def numbers(problem: Formulation) -> dict[str, int]:
    """The numbers of the unknowns by their names, or by those of their copies on pieces."""
    pieces = space_of(problem.domain)
    plain = {
        name: name.removesuffix(f"_{pieces.home(name)}") if isinstance(pieces, Pieces) else name
        for name in problem.copies
    }
    return {name: problem.unknowns.index(u) for name, u in plain.items()}


def homes_of(problem: Formulation) -> tuple[frozenset[str], ...]:
    """Of each unknown, the pieces that it lives in."""
    pieces, number = space_of(problem.domain), numbers(problem)
    assert isinstance(pieces, Pieces)
    return tuple(
        frozenset(pieces.home(name) for name in problem.copies if number[name] == v)
        for v in range(len(problem.unknowns))
    )


def in_boxes(pieces: Pieces) -> bool:
    """Whether all pieces are boxes."""
    return all(region.domain.is_box for region in pieces.regions.values())


def planes(pieces: Pieces) -> list[Float[np.ndarray, " _cuts"]]:
    """By coordinate the places of all faces of pieces that are boxes, from the lowest on."""
    found = []
    for x, (low, high) in pieces.bounds.items():
        ends = np.sort([end for region in pieces.regions.values() for end in region.bounds[x]])
        apart = np.diff(ends, prepend=-np.inf) > TOUCHING * (high - low)
        found.append(ends[apart])
    return found


def boxes(
    pieces: Pieces, cells: Sequence[int], order: int, homes: tuple[frozenset[str], ...]
) -> Patchwork:
    """The grid of pieces that are boxes.

    Args:
        pieces: The domain.
        cells: Along each coordinate, in every interval between planes.
        order: Of accuracy.
        homes: Of each unknown, the pieces that it lives in.
    """
    cuts, lines = planes(pieces), []
    for x, n in zip(cuts, cells, strict=True):
        part = graded(n) if order > EQUIDISTANT else np.linspace(0, 1, n + 1)
        inner = [a + (b - a) * part[:-1] for a, b in pairwise(x)]
        lines.append(np.concatenate([*inner, x[-1:]]))
    patches = {}
    for name, region in pieces.regions.items():
        own = []
        for x, (a, b) in zip(lines, region.bounds.values(), strict=True):
            low, high = (int(np.abs(x - end).argmin()) for end in (a, b))
            own.append(x[low : high + 1])
        patches[name] = LineGrid(
            region.bounds, tuple(len(x) - 1 for x in own), order, lines=tuple(own)
        )
    return Patchwork(
        pieces.bounds, tuple(cells), order, pieces=pieces, homes=homes, patches=patches
    )


def embedded(
    pieces: Pieces, cells: Sequence[int], order: int, homes: tuple[frozenset[str], ...]
) -> Patchwork:
    """The grid of pieces of any shape.

    Args:
        pieces: The domain.
        cells: Along each coordinate of the bounding box.
        order: Of accuracy.
        homes: Of each unknown, the pieces that it lives in.

    Raises:
        ReferenceUnavailable: Where a grid is too coarse for a piece.
    """
    patches = {
        name: Embedded(pieces.bounds, tuple(cells), order, domain=region.domain)
        for name, region in pieces.regions.items()
    }
    return Patchwork(
        pieces.bounds, tuple(cells), order, pieces=pieces, homes=homes, patches=patches
    )


def _within(
    shown: Sequence[Float[np.ndarray, " _nodes"]], patch: LineGrid
) -> Iterator[tuple[slice, np.ndarray]]:
    """By coordinate which of some lines lie in a piece, and where they lie."""
    for x, (a, b) in zip(shown, patch.bounds.values(), strict=True):
        low, high = (int(np.abs(x - end).argmin()) for end in (a, b))
        yield slice(low, high + 1), np.clip(x[low : high + 1], a, b)


def _flat_sides(pieces: Pieces, piece: str, patch: LineGrid) -> Iterator[Rim]:
    """The sides of a box. What lies beyond is asked in the middle between nodes."""
    region = pieces.regions[piece]
    numbers = np.arange(patch.nodes).reshape(patch.shape)
    for axis, x in enumerate(patch.names):
        layer = int(np.prod(patch.shape[axis + 1 :]))
        for side, sign in ((-1, "-"), (1, "+")):
            on = np.take(numbers, 0 if side < 0 else patch.shape[axis] - 1, axis=axis)
            middles = [(line[1:] + line[:-1]) / 2 for line in patch.lines]
            middles[axis] = np.array([patch.bounds[x][0 if side < 0 else 1]])
            shape = tuple(len(m) for a, m in enumerate(middles) if a != axis)
            at = np.stack([m.ravel() for m in np.meshgrid(*middles, indexing="ij")], 1)
            for face, met in _beyond(pieces, region, region.full(f"{x}{sign}"), at).items():
                nodes = on[_corners_of(met.reshape(shape))]
                yield Rim(face, piece, axis, -side * layer, nodes)


def _beyond(
    pieces: Pieces, region: Region, outer: str, at: Float[np.ndarray, "points dims"]
) -> dict[str, Bool[np.ndarray, " points"]]:
    """Which of some points on the boundary of a piece belong to which face of the domain: to a
    contact, or else to the outer face."""
    points, free, found = torch.from_numpy(at), np.ones(len(at), dtype=bool), {}
    for name, contact in pieces.contacts.items():
        if region.name not in (contact.first.name, contact.second.name):
            continue
        other = contact.second if contact.first.name == region.name else contact.first
        met = other.depth(points).numpy() >= -4 * TOUCHING * max(
            b - a for a, b in pieces.bounds.values()
        )
        if met.any():
            found[name] = met
            free &= ~met
    return {**found, outer: free} if free.any() else found


def _corners_of(cells: Bool[np.ndarray, "*cells"]) -> Bool[np.ndarray, "*nodes"]:
    """The nodes at the corners of some cells of a tensor grid."""
    found = np.zeros(tuple(n + 1 for n in cells.shape), dtype=bool)
    for corner in product((0, 1), repeat=cells.ndim):
        found[tuple(slice(c, c + n) for c, n in zip(corner, cells.shape, strict=True))] |= cells
    return found


def _curved_sides(pieces: Pieces, piece: str, patch: Embedded) -> Iterator[Rim]:
    """The sides of an embedded piece: crossings on faces that other pieces touch nowhere, and those
    on the other faces, which belong to contacts as far as another piece is there."""
    region = pieces.regions[piece]
    for name, face in region.domain.faces.items():
        nodes = patch.face(face)
        if region.full(name) in region.faces and region.kept(region.full(name)) == (
            region.domain.kept(name)
        ):
            yield Rim(region.full(name), piece, None, 0, nodes)
            continue
        for label, met in _beyond(pieces, region, region.full(name), patch.places[nodes]).items():
            if label in pieces.faces:
                yield Rim(label, piece, None, 0, nodes[met])
