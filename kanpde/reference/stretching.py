"""Coordinates in which a thin layer is wide: s(x), in which global functions see no front.

s adds to x one arctangent for each front, whose slope is a peak at its place, as wide as it is. A
function with poles at a distance of the width from the real axis, as fronts tanh (x - c) / w have
them, is written in s by a few times fewer functions. s is analytic, so that nothing else is made
rough. Source: Bayliss and Turkel, J. Comput. Phys. 101 (1992), 349-359; Tee and Trefethen, SIAM J.
Sci. Comput. 28 (2006), 1798-1811.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from jaxtyping import Float

NEWTON_STEPS = 100
"""Of the search for x by s at most, which bisections may take."""

FOUND = 4 * np.finfo(float).eps
"""Where that search has come to rounding: what s is off by, or what a step moves x by over x."""


@dataclass(frozen=True)
class Front:
    """Where functions are packed.

    Attributes:
        place: From 0 to 1 along the interval.
        width: Of the peak, in the same unit.
        share: Of all functions, what the front gets.
    """

    place: float
    width: float
    share: float


@dataclass(frozen=True)
class Stretching:
    """s from 0 to 1 for y = (x - a) / (b - a) from 0 to 1, with its derivatives.

    Attributes:
        fronts: With shares that sum to less than 1.
        periodic: Whether y wraps round.
    """

    fronts: tuple[Front, ...]
    periodic: bool

    def __call__(self, y: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """s.

        Args:
            y: Places.
        """
        found = (1 - self._shared) * y
        for front in self.fronts:
            low, high = (self._arctangent(front, np.array([end]))[0] for end in (0.0, 1.0))
            found = found + front.share * (self._arctangent(front, y) - low) / (high - low)
        return found

    def derivatives(
        self, y: Float[np.ndarray, " points"], order: int
    ) -> list[Float[np.ndarray, " points"]]:
        """ds/dy, d²s/dy², … as many as wanted, at most 4.

        Args:
            y: Places.
            order: How many.
        """
        found = [np.full_like(y, 1 - self._shared)] + [np.zeros_like(y) for _ in range(order - 1)]
        for front in self.fronts:
            low, high = (self._arctangent(front, np.array([end]))[0] for end in (0.0, 1.0))
            for m, part in enumerate(self._peaks(front, y, order)):
                found[m] = found[m] + front.share / (high - low) * part
        return found

    def inverse(self, s: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """y, by Newton's method kept within an interval that is halved.

        Args:
            s: From 0 to 1.
        """
        low, high = np.zeros_like(s), np.ones_like(s)
        y = s.copy()
        for _ in range(NEWTON_STEPS):
            gap = self(y) - s
            low, high = np.where(gap <= 0, y, low), np.where(gap >= 0, y, high)
            before, y = y, y - gap / self.derivatives(y, 1)[0]
            y = np.where((y >= low) & (y <= high), y, (low + high) / 2)
            if ((np.abs(gap) <= FOUND) | (np.abs(y - before) <= FOUND * y)).all():
                break
        return np.where(s <= 0, 0.0, np.where(s >= 1, 1.0, y))

    @property
    def _shared(self) -> float:
        return sum(front.share for front in self.fronts)

    def _arctangent(self, front: Front, y: np.ndarray) -> np.ndarray:
        """Its derivative is the first of `_peaks`."""
        if not self.periodic:
            return np.arctan((y - front.place) / front.width)
        turns = y - front.place
        whole = np.round(turns)
        angle = pi * (turns - whole)
        return np.arctan2(np.sin(angle), np.tanh(pi * front.width) * np.cos(angle)) + pi * whole

    def _peaks(self, front: Front, y: np.ndarray, count: int) -> Sequence[np.ndarray]:
        """Im 1 / z with z = y - place - i width and its derivatives, or where y wraps round, those
        of the sum over all turns, Im π cot πz: the first few of the four."""
        z = y - front.place - 1j * front.width
        if not self.periodic:
            return [(p / z**m).imag for m, p in ((1, 1), (2, -1), (3, 2), (4, -6))[:count]]
        c = 1 / np.tan(pi * z)
        first = -(1 + c**2)
        second = -2 * c * first
        third = -2 * (first**2 + c * second)
        return [(pi ** (m + 1) * p).imag for m, p in enumerate((c, first, second, third)[:count])]


def chain(
    inner: Sequence[Float[np.ndarray, " points"]],
    outer: Sequence[Float[np.ndarray, "points functions"]],
) -> Float[np.ndarray, "points functions"]:
    """The derivative of f(s(x)) of the order that `inner` and `outer` go up to, at most 4: Faà di
    Bruno's formula.

    Args:
        inner: s', s'', …
        outer: f', f'', … by s.
    """
    s = [part[:, None] for part in inner]
    f = outer
    if len(s) == 1:
        return s[0] * f[0]
    if len(s) == 2:
        return s[0] ** 2 * f[1] + s[1] * f[0]
    if len(s) == 3:
        return s[0] ** 3 * f[2] + 3 * s[0] * s[1] * f[1] + s[2] * f[0]
    return (
        s[0] ** 4 * f[3]
        + 6 * s[0] ** 2 * s[1] * f[2]
        + (3 * s[1] ** 2 + 4 * s[0] * s[2]) * f[1]
        + s[3] * f[0]
    )
