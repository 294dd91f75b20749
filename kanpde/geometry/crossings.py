"""Where curves meet: roots of polynomials."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from kanpde.geometry.arcs import Arc
from kanpde.geometry.curves import Curve, Segment


def crossings(a: Curve, b: Curve, slack: float) -> list[float]:
    """Where a curve meets another one; for two pieces of one carrier, only where the other ends.

    Args:
        a: The curve that is cut.
        b: The other one.
        slack: Distance below which two points are the same.

    Returns:
        Parameters on a; ends of b that lie on a are among them.
    """
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
    inverse = np.linalg.inv(b.axes)
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
    samples = value(np.array(a.centre) + np.stack([np.cos(theta), np.sin(theta)], 1) @ a.axes.T)
    # Coefficients of z^k, k = -2 … 2: a polynomial of degree 4 after multiplication with z².
    modes = np.fft.fft(samples) / 8
    low, high = sorted(a.span)
    found = []
    for z in _zeros(np.array([modes[2], modes[1], modes[0], modes[-1], modes[-2]])):
        if abs(abs(z) - 1) < 1e-5:
            tau = float(np.angle(z))
            for _ in range(3):
                f, slope = (
                    np.exp(1j * tau * k) @ (m * modes[[-2, -1, 0, 1, 2]])
                    for k, m in ((np.arange(-2, 3), 1), (np.arange(-2, 3), 1j * np.arange(-2, 3)))
                )
                if abs(slope) > 1e-6 * np.abs(modes).max():
                    tau -= float((f / slope).real)
            tau = low + (tau - low) % (2 * pi)
            found.append(tau)
    return [tau for tau in found if tau < high]


def _zeros(polynomial: NDArray) -> NDArray[np.complex128]:
    """Roots of a polynomial, highest power first, of which leading and trailing coefficients that
    are rounding count as zero."""
    size = np.abs(polynomial).max()
    if size < 1e-12:
        return np.zeros(0, complex)
    kept = np.where(np.abs(polynomial) < 1e-13 * size, 0, polynomial)
    return np.roots(kept).astype(np.complex128)
