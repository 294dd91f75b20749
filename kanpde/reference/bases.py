"""Global functions along one coordinate: Fourier's on what wraps round, Chebyshev's polynomials
between two ends, with their derivatives at the nodes.

Derivatives of the functions are computed one by one, each to its own last digits. A solution whose
coefficients fall keeps its digits in them: the high functions, whose m-th derivatives are as large
as n^2m at the ends, have small coefficients. Differences of values on the nodes lose ε n^2m.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import factorial, pi
from typing import Protocol

import numpy as np
from jaxtyping import Float

from kanpde.geometry.domain import Interval
from kanpde.reference.stretching import Stretching, chain

TAIL = 0.1
"""The part of the coefficients that counts as the last ones."""


class Functions(Protocol):
    """As many functions on an interval as there are nodes."""

    @property
    def named(self) -> str:
        """After whom they are."""

    @property
    def bounds(self) -> Interval:
        """Ends of the interval."""

    @property
    def cells(self) -> int:
        """Nodes, without an end of what does not wrap round."""

    @property
    def nodes(self) -> Float[np.ndarray, " nodes"]:
        """Where equations hold, without the repeated end of what wraps round."""

    def at(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points functions"]:
        """The functions at any points of the interval."""

    def derivatives(self, order: int) -> Float[np.ndarray, "nodes functions"]:
        """A derivative of the functions at the nodes."""

    @property
    def synthesis(self) -> Float[np.ndarray, "nodes functions"]:
        """Values at the nodes from coefficients."""

    @property
    def analysis(self) -> Float[np.ndarray, "functions nodes"]:
        """Coefficients from values at the nodes."""

    def degrees(self) -> Float[np.ndarray, " functions"]:
        """How far along in its expansion each function is, from 0 to 1."""


@dataclass(frozen=True)
class FourierSeries:
    """1, cos θ, sin θ, cos 2θ, … with θ = 2π (x - a) / (b - a), on equidistant nodes.

    Their number is odd: a highest cosine without its sine would have a derivative that no node
    sees.

    Attributes:
        bounds: a and b, of which b is no node, because it repeats a.
        cells: How many nodes, and functions.
        stretching: In whose s the functions are waves; None where that is x itself.
    """

    bounds: Interval
    cells: int
    stretching: Stretching | None = None

    @property
    def named(self) -> str:
        return "Fourier"

    @cached_property
    def nodes(self) -> Float[np.ndarray, " nodes"]:
        return _places(self.bounds, np.arange(self.cells) / self.cells, self.stretching)

    def at(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points functions"]:
        s = _stretched(self.bounds, x, self.stretching)
        return self._waves(np.outer(s, self._numbers), 0)

    def derivatives(self, order: int) -> Float[np.ndarray, "nodes functions"]:
        # Whole turns are taken off as integers: a phase is right to its last digit.
        turns = np.outer(np.arange(self.cells), self._numbers) % self.cells / self.cells
        return _chained(self, order, lambda m: self._waves(turns, m))

    @cached_property
    def synthesis(self) -> Float[np.ndarray, "nodes functions"]:
        return self.derivatives(0)

    @cached_property
    def analysis(self) -> Float[np.ndarray, "functions nodes"]:
        found = 2 * self.synthesis.T / self.cells
        found[0] /= 2
        return found

    def degrees(self) -> Float[np.ndarray, " functions"]:
        return self._numbers / max(1, self.cells // 2)

    @property
    def _numbers(self) -> np.ndarray:
        """Of the waves: 0, 1, 1, 2, 2, …"""
        return (np.arange(self.cells) + 1) // 2

    def _waves(self, turns: np.ndarray, order: int) -> np.ndarray:
        angle, k = 2 * pi * turns, np.arange(self.cells)
        c, s = np.cos(angle), np.sin(angle)
        # A derivative takes (cos, sin) to (-sin, cos).
        ahead = [(c, s), (-s, c), (-c, -s), (s, -c)][order % 4]
        size = (2 * pi * self._numbers) ** order
        return np.where((k % 2 == 1) | (k == 0), ahead[0], ahead[1]) * size


@dataclass(frozen=True)
class ChebyshevSeries:
    """T_0, T_1, … on nodes (1 - cos θ) / 2, where θ are equidistant.

    Ends are nodes, as Lobatto's are, or are open, as with Radau's and Gauss's: there an equation
    that degenerates is not asked for what it does not determine. Source: Boyd, Chebyshev and
    Fourier Spectral Methods (2001), chapters 4 and 18.

    Attributes:
        bounds: The ends.
        cells: One less than there are nodes, and functions: the highest degree.
        stretching: In whose s the functions are polynomials; None where that is x itself.
        open_ends: Whether the lower end is no node, and the upper.
    """

    bounds: Interval
    cells: int
    stretching: Stretching | None = None
    open_ends: tuple[bool, bool] = (False, False)

    @property
    def named(self) -> str:
        return "Chebyshev"

    @cached_property
    def nodes(self) -> Float[np.ndarray, " nodes"]:
        found = _places(self.bounds, self._squared_sines, self.stretching)
        if not self.open_ends[1]:
            found[-1] = self.bounds[1]
        return found

    def at(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points functions"]:
        s = _stretched(self.bounds, x, self.stretching)
        half = np.arcsin(np.sqrt(np.clip(s, 0.0, 1.0)))
        k = np.arange(self.cells + 1)
        return (-1.0) ** k * np.cos(2 * np.outer(half, k))

    def derivatives(self, order: int) -> Float[np.ndarray, "nodes functions"]:
        return _chained(self, order, self._polynomials)

    def _polynomials(self, order: int) -> np.ndarray:
        """T_k^(m) = 2^(m-1) (m-1)! k C_{k-m}^(m), Gegenbauer's polynomials, on (0, 1)."""
        if order == 0:
            return (-1.0) ** np.arange(self.cells + 1) * self._cosines
        s, k = 2 * self._squared_sines - 1, np.arange(self.cells + 1)
        found = np.zeros((len(s), len(k)))
        found[:, order:] = gegenbauer(s, order, len(k) - order)
        return found * (2.0 ** (2 * order - 1) * factorial(order - 1) * k)

    @cached_property
    def synthesis(self) -> Float[np.ndarray, "nodes functions"]:
        return self.derivatives(0)

    @cached_property
    def analysis(self) -> Float[np.ndarray, "functions nodes"]:
        k, n = np.arange(self.cells + 1), self.cells
        norms = np.where((k == 0) | ((k == n) & (not any(self.open_ends))), 0.5, 1.0)
        share = self.shares / self.shares.sum()
        return 2 * np.outer(norms * (-1.0) ** k, share) * self._cosines.T

    @cached_property
    def shares(self) -> Float[np.ndarray, " nodes"]:
        """Of each node in sums over θ: 1, and half at ends."""
        found = np.ones(self.cells + 1)
        for end, open_there in zip((0, -1), self.open_ends, strict=True):
            found[end] = 1.0 if open_there else 0.5
        return found

    @property
    def parts(self) -> tuple[np.ndarray, int]:
        """p and q, the nodes' θ = π p / q."""
        left, right = self.open_ends
        p = (2 if left or right else 1) * np.arange(self.cells + 1) + left
        return p, (2 * self.cells + left + right if left or right else self.cells)

    def degrees(self) -> Float[np.ndarray, " functions"]:
        return np.arange(self.cells + 1) / self.cells

    @property
    def _squared_sines(self) -> np.ndarray:
        """The nodes on (0, 1)."""
        p, q = self.parts
        return np.sin(pi * p / (2 * q)) ** 2

    @cached_property
    def _cosines(self) -> np.ndarray:
        """cos kθ by node, whose whole turns are taken off as integers."""
        p, q = self.parts
        return np.cos(pi * (np.outer(p, np.arange(self.cells + 1)) % (2 * q)) / q)


def _places(bounds: Interval, s: np.ndarray, stretching: Stretching | None) -> np.ndarray:
    a, b = bounds
    return a + (b - a) * (s if stretching is None else stretching.inverse(s))


def _stretched(bounds: Interval, x: np.ndarray, stretching: Stretching | None) -> np.ndarray:
    a, b = bounds
    y = (x - a) / (b - a)
    return y if stretching is None else stretching(y)


def _chained(
    basis: FourierSeries | ChebyshevSeries, order: int, by_s: Callable[[int], np.ndarray]
) -> Float[np.ndarray, "nodes functions"]:
    """A derivative by x of functions of s, of which those by s are given."""
    a, b = basis.bounds
    if order == 0 or basis.stretching is None:
        return by_s(order) / (b - a) ** order
    inner = basis.stretching.derivatives((basis.nodes - a) / (b - a), order)
    return chain(inner, [by_s(m) for m in range(1, order + 1)]) / (b - a) ** order


def gegenbauer(
    s: Float[np.ndarray, " points"], power: int, count: int
) -> Float[np.ndarray, "points count"]:
    """C_0^(λ), C_1^(λ), … by their recurrence, which is stable on [-1, 1].

    Args:
        s: Points.
        power: λ, at least 1.
        count: How many.
    """
    found = np.ones((len(s), count))
    if count > 1:
        found[:, 1] = 2 * power * s
    for n in range(2, count):
        low, high = n + 2 * power - 2, 2 * (n + power - 1)
        found[:, n] = (high * s * found[:, n - 1] - low * found[:, n - 2]) / n
    return found


def last_coefficients(
    basis: Functions,
    values: Float[np.ndarray, "fields nodes lines"],
    scales: Float[np.ndarray, " fields"],
) -> float:
    """The largest of the last coefficients of any field, over its scale.

    Args:
        basis: Of the functions.
        values: At its nodes, of each field on some lines.
        scales: By field.
    """
    end = basis.degrees() > 1 - TAIL
    tail = np.abs(basis.analysis[end] @ values).max((1, 2))
    return float((tail / scales).max())


def differences(basis: Functions, order: int) -> Float[np.ndarray, "nodes nodes"]:
    """The matrix that takes values on the nodes to a derivative there.

    Rows sum to zero exactly in what they add up, so that constants vanish. Source: Baltensperger
    and Trummer, SIAM J. Sci. Comput. 24 (2003), 1465-1487; Welfert, SIAM J. Numer. Anal. 34 (1997),
    1640-1657, for the recursion of the orders.

    Args:
        basis: Whose functions run through the values.
        order: Of the derivative.
    """
    n = len(basis.nodes)
    if order == 0:
        return np.eye(n)
    if not isinstance(basis, ChebyshevSeries):
        return basis.derivatives(order) @ basis.analysis
    a, b = basis.bounds
    diagonal, (p, q) = np.eye(n, dtype=bool), basis.parts
    # x_i - x_j by a product of sines, which does not cancel.
    angle = pi * p / (2 * q)
    gap = np.sin(angle[:, None] + angle) * np.sin(angle[:, None] - angle)
    gap[diagonal] = 1.0
    # Weights of the barycentric formula, one over each.
    left, right = basis.open_ends
    size = (np.sin(angle) if left else 1.0) * (np.cos(angle) if right else 1.0) * basis.shares
    sign = (-1.0) ** np.arange(n) / size
    ratio = sign[:, None] / sign
    found = np.eye(n)
    for m in range(1, order + 1):
        found = m / gap * (ratio * np.diag(found)[:, None] - found)
        found[diagonal] = 0.0
        found[diagonal] = -found.sum(1)
    return found / (b - a) ** order
