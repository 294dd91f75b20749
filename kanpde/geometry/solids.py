"""Set operations of boxes, balls and other solids in space: points by rejection, areas and volumes
by quadrature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.ball import Ball
from kanpde.geometry.box import Box
from kanpde.geometry.domain import Domain, Face, Interval, Rejecting, operation
from kanpde.geometry.implicit import Columns, Implicit
from kanpde.geometry.mesh import Solid

POINTS_OF_QUADRATURE = {2: 1 << 16, 3: 1 << 18}
"""Sobol points by which areas and volumes are measured, by dimensions: to a part in a thousand."""


Shape = Box | Ball | Solid


@dataclass(frozen=True)
class Patch:
    """A face of a shape, as far as it is part of the boundary.

    Attributes:
        shape: Which has the face.
        face: As the shape calls it.
        turned: Whether the inside is where the shape's own normal points.
        name: As the result calls it.
        fraction: How much of the face is part of the boundary.
    """

    shape: Shape
    face: str
    turned: bool
    name: str
    fraction: float

    @property
    def whole(self) -> float:
        """Area of the whole face, of which the patch is a fraction."""
        return self.shape.faces[self.face].measure


class SolidSet(Rejecting):
    """A set operation of regions of space. Faces keep their names; sides of boxes are named after
    the way that they look.

    Args:
        sign: "-", "|" or "&".
        a: A domain of three coordinates.
        b: Another one, of the same coordinates.

    Raises:
        ProblemError: Where nothing is left, or where two shapes have a face of the same name that
            was not given to join them.
    """

    def __init__(self, sign: str, a: Domain, b: Domain):
        self.sign, self.a, self.b = sign, a, b
        if self.fill == 0:
            raise ProblemError(
                f"{self!r}: {'nothing is left of it' if sign == '-' else 'the two do not overlap'};"
                " expected a region"
            )
        for name in self.faces:
            patches = [p for p in self._patches if p.name == name]
            if len({id(p.shape) for p in patches}) > 1 and not all(
                isinstance(p.shape, Box) or p.shape.shared for p in patches
            ):
                raise ProblemError(
                    f"{self!r}: two have a face {name!r}; give one another name (name=…), or all"
                    " the same to join them"
                )

    def __repr__(self) -> str:
        return operation(self.a, self.sign, self.b)

    @property
    def vectors(self) -> Mapping[str, tuple[str, ...]]:
        return self.a.vectors

    @property
    def compound(self) -> bool:
        return True

    @property
    def reentrant(self) -> str:
        """Two that are joined meet in such edges, and what is left of a body around a box has
        them."""
        if self.sign == "|":
            return f"where {self.a!r} and {self.b!r} meet"
        parts = (self.b,) if self.sign == "-" else ()
        cut = [s for part in parts for s in _shapes(part) if not isinstance(s, Ball)]
        return f"around {cut[0]!r}" if cut else self.a.reentrant or self.b.reentrant

    @cached_property
    def bounds(self) -> Mapping[str, Interval]:  # type: ignore[override]
        a, b = self.a.bounds, self.b.bounds
        if self.sign == "-":
            return a
        if self.sign == "|":
            return {x: (min(a[x][0], b[x][0]), max(a[x][1], b[x][1])) for x in a}
        found = {x: (max(a[x][0], b[x][0]), min(a[x][1], b[x][1])) for x in a}
        if any(low >= high for low, high in found.values()):
            raise ProblemError(f"{self!r}: the two do not overlap; expected a region")
        return found

    @cached_property
    def shapes(self) -> Sequence[Shape]:
        """The shapes that it is made of."""
        return [*_shapes(self.a), *_shapes(self.b)]

    def depth(self, points: Tensor) -> Tensor:
        level = self._level(points)
        # Where boundaries of the two lie on each other, or the two touch, both levels vanish away
        # from the boundary of the result.
        seam = (level.abs() <= 1e-9 * self._size).nonzero()[:, 0]
        if len(seam):
            around = (
                1e-6
                * self._size
                * (
                    points.new_tensor(list(product((-1, 1), repeat=3)))
                    + points.new_tensor([0.1, 0.2, 0.3])
                )
            )
            found = self._level((points[seam, None] + around).reshape(-1, 3)).reshape(len(seam), -1)
            one_way = (found > 0).all(1) | (found < 0).all(1)
            level[seam] = torch.where(one_way, found[:, 0], level[seam])
        return level

    def _level(self, points: Tensor) -> Tensor:
        """Positive inside and negative outside of the closed regions that it is made of."""
        a, b = (
            part._level(points) if isinstance(part, SolidSet) else part.depth(points)
            for part in (self.a, self.b)
        )
        return (
            torch.maximum(a, b)
            if self.sign == "|"
            else torch.minimum(a, b if self.sign == "&" else -b)
        )

    @cached_property
    def fill(self) -> float:  # type: ignore[override]
        return float((self._level(self.box(_even(3, self._share))) > 0).double().mean())

    @property
    def volume(self) -> float:
        return self.fill * prod(high - low for low, high in self.bounds.values())

    @property
    def _share(self) -> int:
        """What part of the points of quadrature is taken: few where triangles are counted by the
        thousand."""
        return 16 if any(isinstance(shape, Solid) for shape in self.shapes) else 1

    @cached_property
    def _size(self) -> float:
        return max(high - low for low, high in self.bounds.values())

    @cached_property
    def _patches(self) -> list[Patch]:
        found = []
        for shape in self.shapes:
            for face in shape.faces:
                points = shape.boundary(face, _even(2, self._share))
                for turned in (False, True):
                    fraction = float(self._bounding(shape, face, turned, points).double().mean())
                    if fraction:
                        name = (
                            face
                            if not turned or not isinstance(shape, Box)
                            else face[:-1] + ("-" if face.endswith("+") else "+")
                        )
                        found.append(Patch(shape, face, turned, name, fraction))
        return found

    def _bounding(self, shape: Shape, face: str, turned: bool, points: Tensor) -> Tensor:
        """Which points of a face of a shape lie on the boundary of the result, with the inside on
        the side in question, and on no earlier shape."""
        step = 1e-6 * self._size * shape.normals(face, points)
        inner, outer = self._level(points - step) > 0, self._level(points + step) > 0
        kept = outer & ~inner if turned else inner & ~outer
        for earlier in self.shapes[: [id(s) for s in self.shapes].index(id(shape))]:
            kept &= earlier.depth(points).abs() > 1e-9 * self._size
        return kept

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        found = {}
        for name in dict.fromkeys(p.name for p in self._patches):
            patches = [p for p in self._patches if p.name == name]
            found[name] = Face(
                name, sum(p.fraction * p.whole for p in patches), *self._flat(patches)
            )
        return found

    def _flat(self, patches: Sequence[Patch]) -> tuple[str | None, int]:
        first = patches[0].shape.faces[patches[0].face]
        if len(patches) == 1 and first.coordinate and not patches[0].turned:
            end = patches[0].shape.bounds[first.coordinate][first.side > 0]
            if end == self.bounds[first.coordinate][first.side > 0]:
                return first.coordinate, first.side
        return None, 0

    @cached_property
    def vanished(self) -> Mapping[str, str]:  # type: ignore[override]
        before = {
            **self.a.vanished,
            **self.b.vanished,
            **dict.fromkeys([*self.a.faces, *self.b.faces], repr(self)),
        }
        return {name: where for name, where in before.items() if name not in self.faces}

    def boundary_kept(self, face: str, unit: Tensor) -> tuple[Tensor, Tensor]:
        patches = [p for p in self._patches if p.name == face]
        areas = unit.new_tensor([p.whole for p in patches])
        ends = areas.cumsum(0)
        place = unit[:, 0] * ends[-1]
        which = torch.bucketize(place, ends[:-1].contiguous(), right=True)
        points, kept = (
            unit.new_empty(len(unit), 3),
            torch.zeros(len(unit), dtype=torch.bool, device=unit.device),
        )
        for k, p in enumerate(patches):
            here = which == k
            part = torch.stack(
                [((place[here] - (ends[k] - areas[k])) / areas[k]).clamp(0, 1), unit[here, 1]], 1
            )
            points[here] = p.shape.boundary(p.face, part)
            kept[here] = self._bounding(p.shape, p.face, p.turned, points[here])
        return points, kept

    def kept(self, face: str) -> float:
        return self.faces[face].measure / sum(p.whole for p in self._patches if p.name == face)

    def normals(self, face: str, points: Tensor) -> Tensor:
        patches = [p for p in self._patches if p.name == face]
        normals = torch.stack(
            [(-1 if p.turned else 1) * p.shape.normals(p.face, points) for p in patches]
        )
        nearest = torch.stack([p.shape.depth(points).abs() for p in patches]).argmin(0)
        return normals[nearest, torch.arange(len(points))]

    def implicit(self, *faces: str) -> Implicit | None:
        patches = [p for p in self._patches if p.name in faces]
        if any(isinstance(p.shape, Solid) for p in patches):
            return None
        inside = self.interior(_even(3, 32)).T
        parts = [_level(p) for p in patches]
        if any(bool((part(inside) < -1e-9 * self._size).any()) for part in parts):
            # The face's plane or sphere goes on through the region.
            return None
        return Implicit(tuple(parts), True)


def _shapes(part: Domain) -> Sequence[Shape]:
    """The shapes that a region is made of."""
    if isinstance(part, SolidSet):
        return part.shapes
    assert isinstance(part, Shape)
    return [part]


def _level(patch: Patch) -> Callable[[Columns], Tensor]:
    shape = patch.shape
    assert isinstance(shape, Box | Ball)
    level = shape.implicit(patch.face)
    assert level is not None
    if not patch.turned:
        return level
    return shape.outside if isinstance(shape, Ball) else lambda columns: -level(columns)


def _even(dims: int, share: int = 1) -> Tensor:
    """Points of a Sobol sequence in the unit square or cube, shifted off the edges of its cells;
    share: one in so many of them."""
    count = POINTS_OF_QUADRATURE[dims] // share
    return torch.quasirandom.SobolEngine(dims).draw(count, dtype=torch.float64) + 0.5 / count
