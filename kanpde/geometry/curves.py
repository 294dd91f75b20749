"""Curves that bound planar regions: segments of lines and arcs of ellipses, with a direction; what lies to the left is inside.

Each is a piece of a carrier, the whole line or ellipse, on which a parameter τ says where it begins and ends: a fraction of the
segment, an angle of the ellipse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import atan2, cos, hypot, pi, sin

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from kanpde.geometry.implicit import Columns

Point = tuple[float, float]

CELLS = 64
"""Cells of a quarter of an ellipse, over which its length is added up."""

IN_CACHE = 1 << 15
"""Pairs of a point and a segment that are looked at together."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


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
        """The piece of the same carrier between two parameters, which lie in its direction."""

    @abstractmethod
    def reversed(self) -> Curve:
        """The same points in the other direction."""

    @abstractmethod
    def level(self, columns: Columns) -> Tensor:
        """A smooth function that is zero on the carrier, positive to its left and has a gradient of length 1 on it, [points]."""

    @abstractmethod
    def trim(self, columns: Columns) -> Tensor:
        """A normalised function that is positive on the piece and not on the rest of the carrier, [points]."""

    @abstractmethod
    def distance(self, points: Float[Tensor, "points 2"]) -> Float[Tensor, " points"]:
        """Distance to the piece, right near it."""

    @abstractmethod
    def outward(self, points: Float[Tensor, "points 2"]) -> Float[Tensor, "points 2"]:
        """Unit normals to the right, at points on the curve."""

    @abstractmethod
    def locate(self, point: Point) -> float:
        """Parameter of the point on the carrier next to a point near it; of closed carriers, the one in the span or next to it."""

    @abstractmethod
    def same(self, other: Curve, slack: float) -> bool:
        """Whether the other is a piece of the same carrier in the same direction."""

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
        """Whether a point lies on the piece."""
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
        return self.first[0] + tau * (self.last[0] - self.first[0]), self.first[1] + tau * (self.last[1] - self.first[1])

    def along(self, fraction: Tensor) -> Tensor:
        a, b = fraction.new_tensor(self.first), fraction.new_tensor(self.last)
        return a + fraction[:, None] * (b - a)

    def direction(self, tau: float) -> Point:
        return (self.last[0] - self.first[0]) / self.length, (self.last[1] - self.first[1]) / self.length

    def part(self, low: float, high: float) -> Segment:
        return Segment(self.at(low), self.at(high))

    def reversed(self) -> Segment:
        return Segment(self.last, self.first)

    def level(self, columns: Columns) -> Tensor:
        dx, dy = self.direction(0)
        return dx * (columns[1] - self.first[1]) - dy * (columns[0] - self.first[0])

    def trim(self, columns: Columns) -> Tensor:
        mx, my = self.middle
        return ((self.length / 2) ** 2 - (columns[0] - mx) ** 2 - (columns[1] - my) ** 2) / self.length

    def distance(self, points: Tensor) -> Tensor:
        return _to_segments(points, *points.new_tensor([*self.first, *self.last])[:, None])

    def outward(self, points: Tensor) -> Tensor:
        dx, dy = self.direction(0)
        return points.new_tensor([dy, -dx]).expand(len(points), 2).clone()

    def locate(self, point: Point) -> float:
        return ((point[0] - self.first[0]) * (self.last[0] - self.first[0]) + (point[1] - self.first[1]) * (self.last[1] - self.first[1])) / self.length**2

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


@dataclass(frozen=True)
class Arc(Curve):
    """A piece of the ellipse centre + R(angle) (a cos τ, b sin τ), from τ = low to high; clockwise where high < low."""

    centre: Point
    radii: Point
    angle: float
    low: float
    high: float

    @property
    def span(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def closed(self) -> bool:
        return abs(self.high - self.low) >= 2 * pi - 1e-12

    @property
    def _axes(self) -> NDArray[np.float64]:
        """Columns U, V: a point is centre + U cos τ + V sin τ."""
        c, s = cos(self.angle), sin(self.angle)
        a, b = self.radii
        return np.array([[a * c, -b * s], [a * s, b * c]])

    @cached_property
    def _lengths(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Parameters between cells, and the length up to each."""
        cells = max(int(np.ceil(abs(self.high - self.low) / (pi / 2) * CELLS)), 1)
        tau = np.linspace(self.low, self.high, cells + 1)
        return tau, np.concatenate([[0.0], np.cumsum(self._length_of(tau[:-1], tau[1:]))])

    def _speed(self, tau: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = self.radii
        return np.hypot(a * np.sin(tau), b * np.cos(tau))

    def _length_of(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        """Length between parameters, by Gauss's rule of ten points."""
        half = (high - low) / 2
        return np.abs(half) * (self._speed((low + high)[:, None] / 2 + half[:, None] * _NODES) @ _WEIGHTS)

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        if self.radii[0] == self.radii[1]:
            return self.radii[0] * abs(self.high - self.low)
        return float(self._lengths[1][-1])

    def at(self, tau: float) -> Point:
        x, y = np.array(self.centre) + self._axes @ [cos(tau), sin(tau)]
        return float(x), float(y)

    def along(self, fraction: Tensor) -> Tensor:
        f = fraction.detach().cpu().double().numpy()
        tau = self.low + f * (self.high - self.low) if self.radii[0] == self.radii[1] else self._parameter(f * self.length)
        points = np.array(self.centre) + np.stack([np.cos(tau), np.sin(tau)], 1) @ self._axes.T
        return torch.from_numpy(points).to(fraction)

    def _parameter(self, length: NDArray[np.float64]) -> NDArray[np.float64]:
        """Parameters by the length up to them: Newton's method within a cell."""
        tau, lengths = self._lengths
        cell = np.clip(np.searchsorted(lengths, length, side="right") - 1, 0, len(tau) - 2)
        sign = 1 if self.high > self.low else -1
        found = tau[cell] + sign * (length - lengths[cell]) / self._speed(tau[cell])
        for _ in range(5):
            found = found - sign * (sign * np.sign(found - tau[cell]) * self._length_of(tau[cell], found) - (length - lengths[cell])) / self._speed(found)
        return found

    def direction(self, tau: float) -> Point:
        x, y = self._axes @ [-sin(tau), cos(tau)] * (1 if self.high > self.low else -1)
        return float(x / hypot(x, y)), float(y / hypot(x, y))

    def part(self, low: float, high: float) -> Arc:
        return replace(self, low=low, high=high)

    def reversed(self) -> Arc:
        return replace(self, low=self.high, high=self.low)

    def _local(self, columns: Columns) -> tuple[Tensor, Tensor]:
        """Coordinates along the axes, from the centre."""
        c, s = cos(self.angle), sin(self.angle)
        x, y = columns[0] - self.centre[0], columns[1] - self.centre[1]
        return c * x + s * y, c * y - s * x

    def level(self, columns: Columns) -> Tensor:
        x, y = self._local(columns)
        a, b = self.radii
        left = 1 if self.high > self.low else -1
        if a == b:  # a distance outside, where it is smooth; inside it would not be, at the centre
            return (a * a - x * x - y * y) / (2 * a) if left > 0 else (x * x + y * y).sqrt() - a
        f = (1 - (x / a) ** 2 - (y / b) ** 2) / 2
        return left * f / (f * f / (a * b) + (x / a**2) ** 2 + (y / b**2) ** 2).sqrt()

    def trim(self, columns: Columns) -> Tensor:
        (ax, ay), (bx, by), (mx, my) = self.start, self.end, self.middle
        nx, ny = ay - by, bx - ax
        size = hypot(nx, ny)
        sign = 1 if nx * (mx - ax) + ny * (my - ay) > 0 else -1
        return sign * (nx * (columns[0] - ax) + ny * (columns[1] - ay)) / size

    def distance(self, points: Tensor) -> Tensor:
        x, y = self._local(points.T)
        a, b = self.radii
        tau = torch.atan2(y / b, x / a)
        low, high = sorted(self.span)
        tau = low + torch.remainder(tau - low, 2 * pi)
        beyond = tau > high
        tau = torch.where(beyond & (tau - high > low + 2 * pi - tau), low, torch.where(beyond, high, tau))
        return ((a * tau.cos() - x) ** 2 + (b * tau.sin() - y) ** 2).sqrt()

    def outward(self, points: Tensor) -> Tensor:
        x, y = self._local(points.T)
        a, b = self.radii
        left = 1 if self.high > self.low else -1
        gx, gy = left * x / a**2, left * y / b**2
        size = (gx**2 + gy**2).sqrt()
        c, s = cos(self.angle), sin(self.angle)
        return torch.stack([(c * gx - s * gy) / size, (s * gx + c * gy) / size], 1)

    def locate(self, point: Point) -> float:
        c, s = cos(self.angle), sin(self.angle)
        x, y = point[0] - self.centre[0], point[1] - self.centre[1]
        tau = atan2((c * y - s * x) / self.radii[1], (c * x + s * y) / self.radii[0])
        low, high = sorted(self.span)
        tau = low + (tau - low) % (2 * pi)
        return tau - 2 * pi if tau - high > low + 2 * pi - tau else tau

    def same(self, other: Curve, slack: float) -> bool:
        if not isinstance(other, Arc) or (self.high > self.low) != (other.high > other.low) or abs(self.angle - other.angle) > 1e-9:
            return False
        return all(abs(v - w) <= slack for v, w in zip((*self.centre, *self.radii), (*other.centre, *other.radii), strict=True))

    def extent(self) -> tuple[Point, Point]:
        low, high = sorted(self.span)
        taus = [low, high]
        for row in self._axes:
            extreme = atan2(row[1], row[0])
            for k in (0, 1):
                tau = low + (extreme + k * pi - low) % (2 * pi)
                taus += [tau] if tau < high else []
        points = np.array([self.at(tau) for tau in taus])
        least, greatest = points.min(0), points.max(0)
        return (float(least[0]), float(least[1])), (float(greatest[0]), float(greatest[1]))

    def area(self) -> float:
        a, b = self.radii
        (x0, y0), (x1, y1) = self.start, self.end
        cx, cy = self.centre
        return a * b * (self.high - self.low) / 2 + (cx * (y1 - y0) - cy * (x1 - x0)) / 2


def distance(curves: Sequence[Curve], points: Float[Tensor, "points 2"]) -> Float[Tensor, " points"]:
    """Distance to the nearest of the curves, right near them."""
    found = [curve.distance(points) for curve in curves if not isinstance(curve, Segment)]
    segments = [[*curve.first, *curve.last] for curve in curves if isinstance(curve, Segment)]
    if segments:
        ends = points.new_tensor(segments).T
        found.append(torch.cat([_to_segments(part, *ends) for part in points.split(max(IN_CACHE // len(segments), 1))]))
    return torch.stack(found).amin(0)


def _to_segments(points: Tensor, ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
    dx, dy = bx - ax, by - ay
    x, y = points[:, :1] - ax, points[:, 1:] - ay
    tau = ((x * dx + y * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return ((x - tau * dx) ** 2 + (y - tau * dy) ** 2).amin(1).sqrt()


def crossings(a: Curve, b: Curve, slack: float) -> list[float]:
    """Parameters on a at which it meets b, ends of b that lie on a among them; none for pieces of one carrier but these."""
    found = [tau for tau in _roots(a, b) if b.holds(a.at(tau), slack)]
    found += [a.locate(end) for end in (b.start, b.end) if not b.closed and a.holds(end, slack)]
    low, high = sorted(a.span)
    return [tau for tau in found if low < tau < high]


def _quadratic(b: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The carrier of b as xᵀQx + gᵀx + c = 0."""
    if isinstance(b, Segment):
        dx, dy = b.direction(0)
        n = np.array([-dy, dx])
        return np.zeros((2, 2)), n, -float(n @ b.first)
    assert isinstance(b, Arc)
    inverse = np.linalg.inv(b._axes)
    Q, centre = inverse.T @ inverse, np.array(b.centre)
    return Q, -2 * Q @ centre, float(centre @ Q @ centre) - 1


def _roots(a: Curve, b: Curve) -> list[float]:
    """Parameters at which a, or its carrier, meets the carrier of b."""
    Q, g, c = _quadratic(b)

    def value(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.einsum("...i,ij,...j->...", p, Q, p) + p @ g + c

    if isinstance(a, Segment):
        p, d = np.array(a.first), np.array(a.last) - np.array(a.first)
        polynomial = np.array([d @ Q @ d, 2 * p @ Q @ d + g @ d, float(value(p))])
        return [float(r.real) for r in _zeros(polynomial) if abs(r.imag) < 1e-7]
    assert isinstance(a, Arc)
    theta = 2 * pi * np.arange(8) / 8
    samples = value(np.array(a.centre) + np.stack([np.cos(theta), np.sin(theta)], 1) @ a._axes.T)
    modes = np.fft.fft(samples) / 8  # z^k, k = -2 … 2: a polynomial of degree 4 after multiplication with z²
    low, high = sorted(a.span)
    found = []
    for z in _zeros(np.array([modes[2], modes[1], modes[0], modes[-1], modes[-2]])):
        if abs(abs(z) - 1) < 1e-5:
            tau = float(np.angle(z))
            for _ in range(3):
                f, slope = (np.exp(1j * tau * k) @ (m * modes[[-2, -1, 0, 1, 2]]) for k, m in ((np.arange(-2, 3), 1), (np.arange(-2, 3), 1j * np.arange(-2, 3))))
                if abs(slope) > 1e-6 * np.abs(modes).max():
                    tau -= float((f / slope).real)
            tau = low + (tau - low) % (2 * pi)
            found.append(tau)
    return [tau for tau in found if tau < high]


def _zeros(polynomial: NDArray) -> NDArray[np.complex128]:
    """Roots of a polynomial, highest power first, of which leading and trailing coefficients that are rounding count as zero."""
    size = np.abs(polynomial).max()
    if size < 1e-12:
        return np.zeros(0, complex)
    kept = np.where(np.abs(polynomial) < 1e-13 * size, 0, polynomial)
    return np.roots(kept).astype(np.complex128)
