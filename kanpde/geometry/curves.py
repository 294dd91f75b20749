"""Curves that bound planar regions, segments of lines among them, with a direction; what lies to
the left is inside.

Each is a piece of a carrier, the whole line or ellipse, on which a parameter τ says where it begins
and ends: a fraction of the segment, an angle of the ellipse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.implicit import Columns

Point = tuple[float, float]

POINTS_TIMES_SEGMENTS = 1 << 15
"""Pairs of a point and a segment that are looked at together: as many as fit into a cache."""


class Curve(ABC):
    """A piece of a line or an ellipse from `start` to `end`."""

    @property
    @abstractmethod
    def span(self) -> tuple[float, float]:
        """The parameters of its ends."""

    @property
    @abstractmethod
    def length(self) -> float:
        """Its length."""

    @abstractmethod
    def at(self, tau: float) -> Point:
        """The point of a parameter."""

    @abstractmethod
    def along(self, fraction: Float[Tensor, " points"]) -> Float[Tensor, "points 2"]:
        """Points by their fraction of the length."""

    @abstractmethod
    def direction(self, tau: float) -> Point:
        """Unit tangent at a parameter, in the direction of the curve."""

    @abstractmethod
    def part(self, low: float, high: float) -> Curve:
        """A piece of the same carrier.

        Args:
            low: The parameter at which it begins.
            high: The parameter at which it ends, further on in the direction of this one.
        """

    @abstractmethod
    def reversed(self) -> Curve:
        """The same points in the other direction."""

    @abstractmethod
    def level(self, columns: Columns) -> Tensor:
        """A smooth function that is zero on the carrier, positive to its left and has a gradient of
        length 1 on it, [points]."""

    def near_level(self, columns: Columns) -> Tensor:
        """The same, for regions that lie to the left of the whole carrier, and smoother there."""
        return self.level(columns)

    @abstractmethod
    def trim(self, columns: Columns) -> Tensor:
        """A normalised function that is positive on the piece and not on the rest of the carrier,
        [points]."""

    @abstractmethod
    def distance(self, points: Float[Tensor, "points 2"]) -> Float[Tensor, " points"]:
        """Distance to the piece; to a part of an ellipse not less than it, and right near it."""

    @abstractmethod
    def outward(self, points: Float[Tensor, "points 2"]) -> Float[Tensor, "points 2"]:
        """Unit normals to the right, at points on the curve."""

    @abstractmethod
    def locate(self, point: Point) -> float:
        """Parameter of the point on the carrier next to a point near it; of closed carriers, the
        one in the span or next to it."""

    @abstractmethod
    def same(self, other: Curve, slack: float) -> bool:
        """Whether another curve is a piece of the same carrier in the same direction.

        Args:
            other: The other curve.
            slack: Distance below which two points are the same.
        """

    @abstractmethod
    def extent(self) -> tuple[Point, Point]:
        """Least and greatest coordinates."""

    @abstractmethod
    def area(self) -> float:
        """∫ (x dy − y dx) / 2 along it."""

    @property
    def start(self) -> Point:
        return self.at(self.span[0])

    @property
    def end(self) -> Point:
        return self.at(self.span[1])

    @property
    def middle(self) -> Point:
        return self.at(sum(self.span) / 2)

    @property
    def closed(self) -> bool:
        """Whether it is a whole ellipse."""
        return False

    def holds(self, point: Point, slack: float) -> bool:
        """Whether a point lies on the piece.

        Args:
            point: Any point.
            slack: Distance up to which it does.
        """
        tau = self.locate(point)
        low, high = sorted(self.span)
        near = self.at(min(max(tau, low), high))
        return hypot(near[0] - point[0], near[1] - point[1]) <= slack


@dataclass(frozen=True)
class Segment(Curve):
    """A straight piece."""

    first: Point
    last: Point

    @property
    def span(self) -> tuple[float, float]:
        return 0.0, 1.0

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        return hypot(self.last[0] - self.first[0], self.last[1] - self.first[1])

    def at(self, tau: float) -> Point:
        if tau == 1:
            return self.last
        return self.first[0] + tau * (self.last[0] - self.first[0]), self.first[1] + tau * (
            self.last[1] - self.first[1]
        )

    def along(self, fraction: Tensor) -> Tensor:
        a, b = fraction.new_tensor(self.first), fraction.new_tensor(self.last)
        return a + fraction[:, None] * (b - a)

    def direction(self, tau: float) -> Point:
        return (self.last[0] - self.first[0]) / self.length, (
            self.last[1] - self.first[1]
        ) / self.length

    def part(self, low: float, high: float) -> Segment:
        return Segment(self.at(low), self.at(high))

    def reversed(self) -> Segment:
        return Segment(self.last, self.first)

    def level(self, columns: Columns) -> Tensor:
        dx, dy = self.direction(0)
        return dx * (columns[1] - self.first[1]) - dy * (columns[0] - self.first[0])

    def trim(self, columns: Columns) -> Tensor:
        mx, my = self.middle
        return (
            (self.length / 2) ** 2 - (columns[0] - mx) ** 2 - (columns[1] - my) ** 2
        ) / self.length

    def distance(self, points: Tensor) -> Tensor:
        return _to_segments(points, *points.new_tensor([*self.first, *self.last])[:, None])

    def outward(self, points: Tensor) -> Tensor:
        dx, dy = self.direction(0)
        return points.new_tensor([dy, -dx]).expand(len(points), 2).clone()

    def locate(self, point: Point) -> float:
        return (
            (point[0] - self.first[0]) * (self.last[0] - self.first[0])
            + (point[1] - self.first[1]) * (self.last[1] - self.first[1])
        ) / self.length**2

    def same(self, other: Curve, slack: float) -> bool:
        if not isinstance(other, Segment):
            return False
        (ax, ay), (bx, by) = self.direction(0), other.direction(0)
        off = ax * (other.first[1] - self.first[1]) - ay * (other.first[0] - self.first[0])
        return hypot(ax - bx, ay - by) < 1e-9 and abs(off) <= slack

    def extent(self) -> tuple[Point, Point]:
        (a, b), (c, d) = self.first, self.last
        return (min(a, c), min(b, d)), (max(a, c), max(b, d))

    def area(self) -> float:
        (a, b), (c, d) = self.first, self.last
        return (a * d - c * b) / 2


def distance(
    curves: Sequence[Curve], points: Float[Tensor, "points 2"]
) -> Float[Tensor, " points"]:
    """Distance to the nearest of the curves, right near them.

    Args:
        curves: One or more.
        points: Any points.
    """
    found = [curve.distance(points) for curve in curves if not isinstance(curve, Segment)]
    segments = [[*curve.first, *curve.last] for curve in curves if isinstance(curve, Segment)]
    if segments:
        ends = points.new_tensor(segments).T
        found.append(
            torch.cat(
                [
                    _to_segments(part, *ends)
                    for part in points.split(max(POINTS_TIMES_SEGMENTS // len(segments), 1))
                ]
            )
        )
    return torch.stack(found).amin(0)


def _to_segments(points: Tensor, ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
    dx, dy = bx - ax, by - ay
    x, y = points[:, :1] - ax, points[:, 1:] - ay
    tau = ((x * dx + y * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return ((x - tau * dx) ** 2 + (y - tau * dy) ** 2).amin(1).sqrt()
