"""Regions of the plane, bounded by segments and arcs: what they all share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import atan2, hypot, pi
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.curves import Curve, Point
from kanpde.geometry.domain import Corner, Domain, Face, Interval
from kanpde.geometry.implicit import Implicit
from kanpde.geometry.levels import vanishing

if TYPE_CHECKING:
    from kanpde.geometry.triangulation import Triangulation

SAME_POINT = 1e-9
"""Distance, relative to the size of a region, below which two points are the same."""

NO_CORNER = 1e-6
"""Angle, in radians, below which two curves meet without a corner."""


@dataclass(frozen=True)
class BoundaryCurve:
    """A curve of the boundary, the inside to its left, and the face that it belongs to.

    Attributes:
        curve: Where it runs.
        face: The name of the face.
        shared: Whether curves of other shapes may belong to a face of this name.
        axis: Of the side of a box its coordinate; the face is named after the way that it looks.
    """

    curve: Curve
    face: str
    shared: bool
    axis: int | None = None


class Planar(Domain):
    """A region of two coordinates. Points of faces are evenly spread by length, none is
    rejected."""

    @property
    @abstractmethod
    def bounding(self) -> Sequence[BoundaryCurve]:
        """The boundary."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, str]:
        """Names of the two coordinates."""

    @property
    def seams(self) -> Sequence[BoundaryCurve]:
        """Curves inside, at which solutions may have kinks."""
        return ()

    def own_triangles(self) -> Triangulation | None:
        """Triangles that it came with, None where it came with none."""
        return None

    @cached_property
    def size(self) -> float:
        """Length by which roundings are judged."""
        return max(b - a for a, b in self.bounds.values())

    @cached_property
    def bounds(self) -> Mapping[str, Interval]:  # type: ignore[override]
        extents = [bound.curve.extent() for bound in self.bounding]
        return {
            name: (min(low[i] for low, _ in extents), max(high[i] for _, high in extents))
            for i, name in enumerate(self.names)
        }

    @cached_property
    def volume(self) -> float:  # type: ignore[override]
        return sum(bound.curve.area() for bound in self.bounding)

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        found = {}
        for name in dict.fromkeys(bound.face for bound in self.bounding):
            curves = self.curves(name)
            found[name] = Face(name, sum(curve.length for curve in curves), *self._flat(curves))
        return found

    def curves(self, face: str) -> list[Curve]:
        """The curves of a face."""
        return [bound.curve for bound in self.bounding if bound.face == face]

    def _flat(self, curves: Sequence[Curve]) -> tuple[str | None, int]:
        """The coordinate and the side where the face lies at an end of the bounding box."""
        for i, (name, ends) in enumerate(self.bounds.items()):
            for side, end in zip((-1, 1), ends, strict=True):
                if all(
                    abs(v[i] - end) <= SAME_POINT * self.size
                    for curve in curves
                    for v in curve.extent()
                ):
                    return name, side
        return None, 0

    def boundary(self, face: str, unit: Float[Tensor, "points 1"]) -> Float[Tensor, "points 2"]:
        return spread(self.curves(face), unit[:, 0])

    def normals(self, face: str, points: Tensor) -> Tensor:
        curves = self.curves(face)
        if len(curves) == 1 or not len(points):
            return curves[0].outward(points)
        nearest = torch.stack([curve.distance(points) for curve in curves]).argmin(0)
        return torch.stack([curve.outward(points) for curve in curves])[
            nearest, torch.arange(len(points))
        ]

    def implicit(self, *faces: str) -> Implicit | None:
        return vanishing(
            [bound.curve for bound in self.bounding if bound.face in faces],
            self._probes,
            1e3 * SAME_POINT * self.size,
        )

    @cached_property
    def _probes(self) -> Tensor:
        """Points all over the region and its boundary, the ends of its curves among them."""
        fractions = torch.linspace(0, 1, 129, dtype=torch.float64)
        unit = torch.rand(4096, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return torch.cat(
            [self.interior(unit), *(bound.curve.along(fractions) for bound in self.bounding)]
        )

    @cached_property
    def corners(self) -> tuple[Corner, ...]:  # type: ignore[override]
        found = []
        for before in self.bounding:
            if before.curve.closed:
                continue
            at, (dx, dy) = before.curve.end, before.curve.direction(before.curve.span[1])
            back, best = atan2(-dy, -dx), None
            for after in self.bounding:
                if (
                    not after.curve.closed
                    and _apart(after.curve.start, at) <= 1e3 * SAME_POINT * self.size
                ):
                    direction = atan2(*after.curve.direction(after.curve.span[0])[::-1])
                    opening = (back - direction) % (2 * pi)
                    if best is None or opening < best[0]:
                        best = opening, direction, after
            if best is not None and (abs(best[0] - pi) > NO_CORNER or best[2].face != before.face):
                found.append(Corner(at, best[0], (before.face, best[2].face), best[1]))
        return tuple(found)


def spread(
    curves: Sequence[Curve], fraction: Float[Tensor, " points"]
) -> Float[Tensor, "points 2"]:
    """Points on curves, one after another.

    Args:
        curves: One or more.
        fraction: Of the length of all curves together, between 0 and 1.
    """
    lengths = fraction.new_tensor([curve.length for curve in curves])
    ends = lengths.cumsum(0)
    place = fraction * ends[-1]
    which = torch.bucketize(place, ends[:-1].contiguous(), right=True)
    points = fraction.new_empty(len(fraction), 2)
    for k, curve in enumerate(curves):
        here = which == k
        if here.any():
            points[here] = curve.along(
                ((place[here] - (ends[k] - lengths[k])) / lengths[k]).clamp(0, 1)
            )
    return points


def _apart(a: Point, b: Point) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])
