"""A domain that is no box among the cells of its bounding box: which cells lie in it, which
functions are felt there, and points along its boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float

from kanpde.geometry import Pieces, SpaceTime
from kanpde.geometry.domain import Domain
from kanpde.products.axes import Axis
from kanpde.products.rows import Places, points_of

FINER_WHERE_CUT = 2
"""Times as many points along each coordinate in cells that the boundary crosses."""

POINTS_ALONG = 6
"""On a boundary curve, for the length of a cell."""

POINTS_ACROSS = 4
"""On a boundary surface, for the length of a cell along each of two ways."""

FEWEST_ALONG = 24
"""On a face, at least."""

SEEN_ALONG = 4001
"""Places of a face at which lengths of cells are looked at."""

MOST_ACROSS = 1 << 16
"""Points on a surface, at most."""

WHOLE_SIDE = 1e-9
"""Share of a side of the bounding box that a face may lack that counts as all of it."""


@dataclass(frozen=True, eq=False)
class OnFace:
    """Points along a face.

    Attributes:
        points: In space.
        normals: Outward.
        weights: Of quadrature.
    """

    points: Float[np.ndarray, "points dims"]
    normals: Float[np.ndarray, "points dims"]
    weights: Float[np.ndarray, " points"]


@dataclass(frozen=True, eq=False)
class Inside:
    """A domain of two or three coordinates among the cells of its bounding box.

    Attributes:
        region: Space.
        axes: Functions of each coordinate of space.
    """

    region: Domain
    axes: tuple[Axis, ...]

    @cached_property
    def whole(self) -> Bool[np.ndarray, " ..."]:
        """Cells all of whose points lie inside, [cells_x, cells_y, ...]."""
        return np.asarray(self._each(1).all(self._points))

    @cached_property
    def cut(self) -> Bool[np.ndarray, " ..."]:
        """Cells that the boundary crosses, with points inside, likewise."""
        return np.asarray(self._each(FINER_WHERE_CUT).any(self._points) & ~self.whole)

    @property
    def _points(self) -> tuple[int, ...]:
        """Which axes of `_each` are points of cells."""
        return tuple(range(1, 2 * len(self.axes), 2))

    def _each(self, finer: int) -> Bool[np.ndarray, " ..."]:
        """Which Gauss points lie inside, [cells_x, points_x, cells_y, points_y, ...]."""
        places = [Places.inside(axis, finer * points_of(axis)) for axis in self.axes]
        shape = [n for p in places for n in p.x.shape]
        return inside(self.region, [p.x.ravel() for p in places]).reshape(shape)

    @cached_property
    def felt(self) -> Bool[np.ndarray, " ..."]:
        """The functions that do not vanish in the domain or on its boundary, [functions_x, ...]."""
        occupied = self.whole | self.cut
        for face in self.region.faces:
            points = self.along(face).points
            cells = (axis.cell_of(x) for axis, x in zip(self.axes, points.T, strict=True))
            occupied[tuple(cells)] = True
        return self._holding(occupied)

    @cached_property
    def firm(self) -> Bool[np.ndarray, " ..."]:
        """The functions all of whose cells lie inside, likewise."""
        return ~self._holding(~self.whole)

    def _holding(self, cells: Bool[np.ndarray, " ..."]) -> Bool[np.ndarray, " ..."]:
        """The functions that do not vanish on some of these cells."""
        found = cells.astype(float)
        for i, axis in enumerate(self.axes):
            alive = np.zeros((axis.cells, axis.size))
            np.put_along_axis(alive, axis.alive, 1.0, 1)
            found = np.moveaxis(np.tensordot(alive, found, (0, i)), 0, i)
        return found > 0

    def along(self, face: str) -> OnFace:
        """Points along a face, as dense as cells are there.

        Args:
            face: Its name.
        """
        return self._on_curve(face) if len(self.axes) == 2 else self._on_surface(face)

    def _on_surface(self, face: str) -> OnFace:
        """Points of Sobol's sequence, which are even on the face, as dense as where its cells are
        shortest."""
        seen = self.region.boundary(face, _even(SEEN_ALONG)).numpy()
        ways = zip(self.axes, seen.T, strict=True)
        shortest = min(float(np.diff(axis.breaks)[axis.cell_of(x)].min()) for axis, x in ways)
        measure = self.region.faces[face].measure
        count = max(FEWEST_ALONG**2, measure * (POINTS_ACROSS / shortest) ** 2)
        # Of a surface that another shape cuts off, some points are no part.
        asked = math.ceil(count / self.region.kept(face))
        points = self.region.boundary(face, _even(min(asked, MOST_ACROSS)))
        weights = np.full(len(points), measure / len(points))
        return OnFace(points.numpy(), self.region.normals(face, points).numpy(), weights)

    def _on_curve(self, face: str) -> OnFace:
        """The same on a curve, where each part of it has its own density."""
        unit = torch.linspace(0, 1, SEEN_ALONG, dtype=torch.float64)
        seen = self.region.boundary(face, unit[:, None]).numpy()
        ways = zip(self.axes, seen.T, strict=True)
        lengths = np.min([np.diff(axis.breaks)[axis.cell_of(x)] for axis, x in ways], 0)
        measure = self.region.faces[face].measure
        middle = (1 / lengths[1:] + 1 / lengths[:-1]) / 2
        cells = np.r_[0, np.cumsum(middle * np.diff(unit.numpy()) * measure)]
        count = max(FEWEST_ALONG, int(np.ceil(POINTS_ALONG * cells[-1])))
        ends = np.interp(np.linspace(0, cells[-1], count + 1), cells, unit.numpy())
        places = torch.from_numpy((ends[1:] + ends[:-1]) / 2)
        points = self.region.boundary(face, places[:, None])
        normals = self.region.normals(face, points)
        return OnFace(points.numpy(), normals.numpy(), np.diff(ends) * measure)


def _even(count: int) -> Float[torch.Tensor, "points 2"]:
    """Points of Sobol's sequence in the unit square, off the edges of its cells."""
    engine = torch.quasirandom.SobolEngine(2)
    return engine.draw(count, dtype=torch.float64) + 0.5 / 2 ** math.ceil(math.log2(count))


@lru_cache(maxsize=4)
def _inside_of(region: Domain, axes: tuple[Axis, ...]) -> Inside:
    return Inside(region, axes)


def space_of(domain: Domain) -> Domain:
    """A domain without its time.

    Args:
        domain: Any.
    """
    return domain.region if isinstance(domain, SpaceTime) else domain


def inside_of(domain: Domain, axes: Sequence[Axis]) -> Inside:
    """A domain among the cells of its bounding box.

    Args:
        domain: No box; it may have a time.
        axes: Functions of each coordinate.
    """
    return _inside_of(space_of(domain), tuple(axes[: len(domain.space)]))


def curved(domain: Domain) -> Domain | None:
    """A domain that is only a part of its bounding box; None for boxes and pieces.

    Args:
        domain: Any.
    """
    return None if domain.is_box or isinstance(domain, Pieces) else domain


def inside(
    region: Domain, grid: Sequence[Float[np.ndarray, " points"]]
) -> Bool[np.ndarray, " all"]:
    """Which points of a grid lie in a domain.

    Args:
        region: The domain.
        grid: The points along every coordinate.
    """
    return _inside(region, tuple(np.ascontiguousarray(x, dtype=float).tobytes() for x in grid))


@lru_cache(maxsize=64)
def _inside(region: Domain, grid: tuple[bytes, ...]) -> Bool[np.ndarray, " all"]:
    """The same, which is asked for again and again where time goes by."""
    mesh = np.meshgrid(*(np.frombuffer(x) for x in grid), indexing="ij")
    points = torch.from_numpy(np.stack([x.ravel() for x in mesh], 1))
    found = region.inside(points).numpy()
    found.setflags(write=False)
    return found


def flat_side(domain: Domain, face: str) -> str:
    """The side of the bounding box that a face is the whole of, such as "x-"; empty where it is
    none.

    Args:
        domain: Any.
        face: Its name.
    """
    if domain.is_box:
        return face
    found, space = domain.faces[face], space_of(domain)
    if found.coordinate is None:
        return ""
    side = f"{found.coordinate}{'-' if found.side < 0 else '+'}"
    if found.coordinate == domain.time:
        return side
    sizes = [b - a for x, (a, b) in space.bounds.items() if x != found.coordinate]
    whole = float(np.prod(sizes))
    return side if space.faces[face].measure >= (1 - WHOLE_SIDE) * whole else ""
