"""Arcs of ellipses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import atan2, cos, hypot, pi, sin

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.geometry.curves import Curve, Point
from kanpde.geometry.implicit import Columns

CELLS_OF_A_QUARTER = 64
"""Cells of a quarter of an ellipse, over which its length is added up."""

STEPS_TO_THE_NEAREST = 10
"""Steps to the point of an ellipse that is next to a point."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


@dataclass(frozen=True)
class Arc(Curve):
    """A piece of the ellipse centre + R(angle) (a cos τ, b sin τ), from τ = low to high.

    Attributes:
        centre: Of the ellipse.
        radii: a and b.
        angle: By which it is turned counter-clockwise, in radians.
        low: Where the piece begins.
        high: Where it ends; it runs clockwise where that is below `low`.
    """

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
    def axes(self) -> NDArray[np.float64]:
        """Columns U, V: a point is centre + U cos τ + V sin τ."""
        c, s = cos(self.angle), sin(self.angle)
        a, b = self.radii
        return np.array([[a * c, -b * s], [a * s, b * c]])

    @cached_property
    def _lengths(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Parameters between cells, and the length up to each."""
        cells = max(int(np.ceil(abs(self.high - self.low) / (pi / 2) * CELLS_OF_A_QUARTER)), 1)
        tau = np.linspace(self.low, self.high, cells + 1)
        return tau, np.concatenate([[0.0], np.cumsum(self._length_of(tau[:-1], tau[1:]))])

    def _speed(self, tau: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = self.radii
        return np.hypot(a * np.sin(tau), b * np.cos(tau))

    def _length_of(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Length between parameters, by Gauss's rule of ten points."""
        half = (high - low) / 2
        return np.abs(half) * (
            self._speed((low + high)[:, None] / 2 + half[:, None] * _NODES) @ _WEIGHTS
        )

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        if self.radii[0] == self.radii[1]:
            return self.radii[0] * abs(self.high - self.low)
        return float(self._lengths[1][-1])

    def at(self, tau: float) -> Point:
        x, y = np.array(self.centre) + self.axes @ [cos(tau), sin(tau)]
        return float(x), float(y)

    def along(self, fraction: Tensor) -> Tensor:
        f = fraction.detach().cpu().double().numpy()
        tau = (
            self.low + f * (self.high - self.low)
            if self.radii[0] == self.radii[1]
            else self._parameter(f * self.length)
        )
        points = np.array(self.centre) + np.stack([np.cos(tau), np.sin(tau)], 1) @ self.axes.T
        return torch.from_numpy(points).to(fraction)

    def _parameter(self, length: NDArray[np.float64]) -> NDArray[np.float64]:
        """Parameters by the length up to them: Newton's method within a cell."""
        tau, lengths = self._lengths
        cell = np.clip(np.searchsorted(lengths, length, side="right") - 1, 0, len(tau) - 2)
        sign = 1 if self.high > self.low else -1
        found = tau[cell] + sign * (length - lengths[cell]) / self._speed(tau[cell])
        for _ in range(5):
            found = found - sign * (
                sign * np.sign(found - tau[cell]) * self._length_of(tau[cell], found)
                - (length - lengths[cell])
            ) / self._speed(found)
        return found

    def direction(self, tau: float) -> Point:
        x, y = self.axes @ [-sin(tau), cos(tau)] * (1 if self.high > self.low else -1)
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
        if a == b:
            # A distance outside, where it is smooth; inside it would not be, at the centre.
            return (a * a - x * x - y * y) / (2 * a) if left > 0 else (x * x + y * y).sqrt() - a
        f = (1 - (x / a) ** 2 - (y / b) ** 2) / 2
        return left * f / ((f / min(a, b)) ** 2 + (x / a**2) ** 2 + (y / b**2) ** 2).sqrt()

    def near_level(self, columns: Columns) -> Tensor:
        a, b = self.radii
        if a == b:
            return self.level(columns)
        x, y = self._local(columns)
        x, y, a, b = (x, y, a, b) if a > b else (y, x, b, a)
        q = (x / a) ** 2 + (y / b) ** 2
        if self.high > self.low:
            # Divided by |∇q| / 2 on the ellipse, in a form that does not depend on y.
            return (1 - q) / 2 / (1 / b**2 - (x / a) ** 2 * (1 / b**2 - 1 / a**2)).sqrt()
        return (q - q.sqrt()) / ((x / a**2) ** 2 + (y / b**2) ** 2).sqrt()

    def trim(self, columns: Columns) -> Tensor:
        (ax, ay), (bx, by), (mx, my) = self.start, self.end, self.middle
        nx, ny = ay - by, bx - ax
        size = hypot(nx, ny)
        sign = 1 if nx * (mx - ax) + ny * (my - ay) > 0 else -1
        return sign * (nx * (columns[0] - ax) + ny * (columns[1] - ay)) / size

    def distance(self, points: Tensor) -> Tensor:
        x, y = self._local(points.T)
        a, b = self.radii
        cosine, sine = _nearest(x.abs(), y.abs(), a, b) if a != b else (x.abs(), y.abs())
        tau = torch.atan2(sine.copysign(y), cosine.copysign(x))
        found = ((a * tau.cos() - x) ** 2 + (b * tau.sin() - y) ** 2).sqrt()
        if self.closed:
            return found
        low, high = sorted(self.span)
        ends = torch.stack(
            [(points - points.new_tensor(end)).norm(dim=1) for end in (self.start, self.end)]
        ).amin(0)
        return torch.where(low + torch.remainder(tau - low, 2 * pi) <= high, found, ends)

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
        if (
            not isinstance(other, Arc)
            or (self.high > self.low) != (other.high > other.low)
            or abs(self.angle - other.angle) > 1e-9
        ):
            return False
        return all(
            abs(v - w) <= slack
            for v, w in zip((*self.centre, *self.radii), (*other.centre, *other.radii), strict=True)
        )

    def extent(self) -> tuple[Point, Point]:
        low, high = sorted(self.span)
        taus = [low, high]
        for row in self.axes:
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


def _nearest(x: Tensor, y: Tensor, a: float, b: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the parameter of the point of an ellipse next to a point of the first
    quadrant, by its circles of curvature.

    Each step takes the point where the circle that fits best at the last one is next to the given
    point (Sarkka 2017, "Simple method for distance to ellipse").
    """
    cosine = sine = torch.full_like(x, 0.5**0.5)
    for _ in range(STEPS_TO_THE_NEAREST):
        cx, cy = (a * a - b * b) / a * cosine**3, (b * b - a * a) / b * sine**3
        away = torch.hypot(x - cx, y - cy).clamp_min(1e-300)
        stretch = torch.hypot(a * cosine - cx, b * sine - cy) / away
        cosine, sine = (
            (((x - cx) * stretch + cx) / a).clamp(0, 1),
            (((y - cy) * stretch + cy) / b).clamp(0, 1),
        )
        size = torch.hypot(cosine, sine).clamp_min(1e-300)
        cosine, sine = cosine / size, sine / size
    return cosine, sine
