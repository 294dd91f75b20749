"""Solvers that share nothing with kanpde, for problems in two coordinates and time on rectangles:
Fourier's and cosine series in space, and steps in time of fourth and eighth order.

Their own error is the difference from a coarser run in space and time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import TypeAlias

import numpy as np
import scipy.fft as fft
from jaxtyping import Complex, Float
from scipy.integrate import solve_ivp

CONTOUR = 32
"""Points of the contours over which the coefficients of a step are means."""

Waves: TypeAlias = Complex[np.ndarray, "unknowns x half"]
"""Fourier's coefficients of real unknowns."""


def periodic(
    start: Callable[..., Float[np.ndarray, "unknowns x y"]],
    linear: Callable[[Float[np.ndarray, "x half"]], Float[np.ndarray, "unknowns x half"]],
    rest: Callable[[Waves, Spectral], Waves],
    bounds: tuple[float, float],
    time: float,
    size: tuple[int, int],
) -> Float[np.ndarray, "unknowns x y"]:
    """The end of u_t = L u + N(u) on a doubly periodic square, by exponential Runge-Kutta steps of
    fourth order (Cox and Matthews 2002; Kassam and Trefethen 2005, SIAM J. Sci. Comput. 26).

    Args:
        start: Values at grids of x and y.
        linear: L by the squares of wave numbers.
        rest: N.
        bounds: Of both coordinates.
        time: How long.
        size: Points along a coordinate, and steps.
    """
    n, steps = size
    low, high = bounds
    x = low + (high - low) * np.arange(n) / n
    space = Spectral(n, high - low)
    L, dt = linear(space.square), time / steps
    roots = np.exp(1j * pi * (np.arange(1, CONTOUR + 1) - 0.5) / CONTOUR)
    mean = np.zeros((4, *L.shape))
    for z in roots:
        a = dt * L + z
        e = np.exp(a)
        each = (
            (np.exp(a / 2) - 1) / a,
            (-4 - a + e * (4 - 3 * a + a**2)) / a**3,
            (2 + a + e * (a - 2)) / a**3,
            (-4 - 3 * a - a**2 + e * (4 - a)) / a**3,
        )
        mean += np.real(each) * dt / CONTOUR
    whole, half = np.exp(dt * L), np.exp(dt * L / 2)
    w = fft.rfft2(start(*np.meshgrid(x, x, indexing="ij")))
    for _ in range(steps):
        first = rest(w, space)
        a = half * w + mean[0] * first
        second = rest(a, space)
        third = rest(half * w + mean[0] * second, space)
        fourth = rest(half * a + mean[0] * (2 * third - first), space)
        w = whole * w + mean[1] * first + 2 * mean[2] * (second + third) + mean[3] * fourth
    return space.values(w)


class Spectral:
    """Fourier's series on a square.

    Args:
        n: Points along a coordinate.
        length: Of its sides.
    """

    def __init__(self, n: int, length: float):
        self.n, turn = n, 2 * pi / length
        self.kx = turn * fft.fftfreq(n, 1 / n)[:, None]
        self.ky = turn * np.arange(n // 2 + 1)[None]
        self.square = self.kx**2 + self.ky**2
        most = 2 / 3 * turn * n / 2
        self.kept = (np.abs(self.kx) < most) & (self.ky < most)

    def values(self, w: Waves) -> Float[np.ndarray, "unknowns x y"]:
        """Values on the grid."""
        return fft.irfft2(w, s=(self.n, self.n))

    def waves(self, values: Float[np.ndarray, "unknowns x y"]) -> Waves:
        """Series of products, without the waves that are not told from others."""
        return self.kept * fft.rfft2(values)


def insulated_wave(
    start: Callable[..., Float[np.ndarray, "x y"]],
    speed: Callable[..., Float[np.ndarray, "x y"]],
    length: float,
    time: float,
    size: tuple[int, float],
) -> Float[np.ndarray, "x y"]:
    """The end of u_tt = c² Δu with u_n = 0 on a square, at the middles of equal cells, by cosines
    and Dormand and Prince's steps of eighth order.

    Args:
        start: Values at grids of x and y, from rest.
        speed: c.
        length: Of the sides.
        time: How long.
        size: Cells along a coordinate, and the relative tolerance of steps.
    """
    n, tolerance = size
    x = length * (np.arange(n) + 0.5) / n
    grid = np.meshgrid(x, x, indexing="ij")
    k = pi / length * np.arange(n)
    square, c2 = k[:, None] ** 2 + k**2, speed(*grid) ** 2

    def rate(t: float, both: Float[np.ndarray, " all"]) -> Float[np.ndarray, " all"]:
        u, v = both.reshape(2, n, n)
        return np.stack([v, -c2 * fft.idctn(square * fft.dctn(u))]).ravel()

    begin = np.stack([start(*grid), np.zeros((n, n))]).ravel()
    found = solve_ivp(rate, (0, time), begin, "DOP853", rtol=tolerance, atol=tolerance / 100)
    return found.y[: n * n, -1].reshape(n, n)
