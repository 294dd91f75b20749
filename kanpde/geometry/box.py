"""Boxes: intervals, rectangles and their like in any number of dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.curves import Segment
from kanpde.geometry.domain import (
    Corner,
    Domain,
    Face,
    Interval,
    checked_interval,
    refuse_nameless,
)
from kanpde.geometry.implicit import Implicit, Level
from kanpde.geometry.planar import BoundaryCurve, Planar
from kanpde.geometry.sides import ManySides
from kanpde.geometry.vector import FEW, Vector, taken_apart


class Box(Domain):
    """The product of named intervals: `Box(x=(-1, 1), y=(0, 2))`; faces "x-", "x+", "y-", "y+".

    Args:
        *nameless: Nothing, since coordinates have names.
        **intervals: (low, high) by coordinate, in the order of the coordinates; one to five names.
            A name may stand for many coordinates: `Box(x=Vector(100, (0, 1)))`. With more than five
            in all, the ends of all components of a vector are one face "x-" and one face "x+".

    Raises:
        ProblemError: For intervals that are not finite and increasing, or for no or more than five
            names.
    """

    def __init__(self, *nameless: object, **intervals: tuple[float, float] | Vector):
        refuse_nameless("Box", nameless, ("x", "y", "z", "v", "w"))
        if not 1 <= len(intervals) <= FEW:
            more = f"; more are a vector, Box(x=Vector({len(intervals)}, (0, 1)))"
            raise ProblemError(
                f"Box(…): got {len(intervals) or 'no'} coordinates; expected 1 to {FEW}, such as"
                f" Box(x=(0, 1), y=(0, 2)){more if intervals else ''}"
            )
        kind, self._intervals = type(self).__name__, intervals
        flat, self._vectors = taken_apart(kind, intervals, None)
        self._bounds = {x: checked_interval(kind, x, interval) for x, interval in flat.items()}

    def __repr__(self) -> str:
        shown = {
            name: f"Vector({len(own)}, {_shown(self._bounds[own[0]])})"
            for name, own in self._vectors.items()
        }
        shown |= {x: _shown(self._bounds[x]) for x in self._intervals if x not in shown}
        return f"{type(self).__name__}({', '.join(f'{x}={shown[x]}' for x in self._intervals)})"

    @property
    def bounds(self) -> Mapping[str, Interval]:
        return self._bounds

    @property
    def vectors(self) -> Mapping[str, tuple[str, ...]]:
        return self._vectors

    @cached_property
    def _many(self) -> ManySides | None:
        """The faces, where there are so many that those of a vector go together."""
        return ManySides(self._bounds, self._vectors) if len(self._bounds) > FEW else None

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        if self._many:
            return self._many.faces()
        lengths = {x: b - a for x, (a, b) in self._bounds.items()}
        found = {}
        for x in lengths:
            measure = prod(length for y, length in lengths.items() if y != x)
            for sign, side in (("-", -1), ("+", 1)):
                found[x + sign] = Face(x + sign, measure, x, side)
        return found

    @property
    def is_box(self) -> bool:
        return self._many is None

    def depth(self, points: Tensor) -> Tensor:
        ends = points.new_tensor(list(self.bounds.values()))
        return torch.minimum(points - ends[:, 0], ends[:, 1] - points).amin(1)

    @property
    def volume(self) -> float:
        return prod(b - a for a, b in self._bounds.values())

    def implicit(self, *faces: str) -> Implicit | None:
        if self._many:
            # A product of so many distances is zero everywhere but in the middle.
            return None
        return Implicit(tuple(self._distance(face) for face in faces), True)

    def _distance(self, face: str) -> Level:
        axis, side = self._place(face)
        low, high = self._bounds[self.coordinates[axis]]
        return (
            (lambda columns: columns[axis] - low)
            if side < 0
            else (lambda columns: high - columns[axis])
        )

    @property
    def corners(self) -> tuple[Corner, ...]:
        return Sides(self).corners if len(self._bounds) == 2 else ()

    def interior(self, unit: Tensor) -> Tensor:
        return self.box(unit)

    def boundary(self, face: str, unit: Tensor) -> Tensor:
        if self._many:
            return self.interior(self._many.place(face, unit))
        axis, side = self._place(face)
        full = torch.cat(
            [unit[:, :axis], unit.new_full((len(unit), 1), (side + 1) / 2), unit[:, axis:]], 1
        )
        return self.interior(full)

    def normals(self, face: str, points: Tensor) -> Tensor:
        if self._many:
            return self._many.normals(face, points)
        axis, side = self._place(face)
        normals = torch.zeros_like(points)
        normals[:, axis] = side
        return normals

    def _place(self, face: str) -> tuple[int, int]:
        where = self.faces[face]
        assert where.coordinate is not None
        return self.coordinates.index(where.coordinate), where.side


def _shown(interval: Interval) -> str:
    return f"({interval[0]:g}, {interval[1]:g})"


class Sides(Planar):
    """A rectangle as a planar region, which is what set operations take.

    Args:
        box: Of two coordinates.
    """

    def __init__(self, box: Box):
        self._box = box

    def __repr__(self) -> str:
        return repr(self._box)

    @property
    def names(self) -> tuple[str, str]:
        x, y = self._box.coordinates
        return x, y

    @cached_property
    def bounding(self) -> Sequence[BoundaryCurve]:  # type: ignore[override]
        (x, (a, b)), (y, (c, d)) = self._box.bounds.items()
        sides = (
            (f"{x}-", 0, (a, d), (a, c)),
            (f"{x}+", 0, (b, c), (b, d)),
            (f"{y}-", 1, (a, c), (b, c)),
            (f"{y}+", 1, (b, d), (a, d)),
        )
        return [
            BoundaryCurve(Segment(start, end), face, True, axis) for face, axis, start, end in sides
        ]

    def depth(self, points: Tensor) -> Tensor:
        return self._box.depth(points)
