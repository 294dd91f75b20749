"""Evolution on a ring by Fourier modes and exponential time differencing: a truth that shares nothing with finite differences."""

from collections.abc import Callable

import numpy as np


def integrate(linear: Callable, nonlinear: Callable, start: Callable, ends: tuple[float, float], times: np.ndarray, modes: int, steps: int) -> np.ndarray:
    """u [modes, times] of u_t = L u + N(u) at x = low + j (high - low) / modes.

    linear: the symbol of L as a function of ik; nonlinear: N as a function of u and of a function that differentiates; steps:
    between two output times. ETDRK4 with the coefficients as contour integrals: Kassam and Trefethen, SISC 26 (2005), 1214.
    """
    low, high = ends
    x = low + (high - low) * np.arange(modes) / modes
    ik = 2j * np.pi / (high - low) * np.arange(modes // 2 + 1)
    h = (times[1] - times[0]) / steps
    symbol = np.broadcast_to(linear(ik), ik.shape).astype(complex)
    z = h * symbol[:, None] + np.exp(2j * np.pi * (np.arange(64) + 0.5) / 64)
    whole, half = np.exp(h * symbol), np.exp(h * symbol / 2)
    Q, f1, f2, f3 = (
        h * f.mean(1)
        for f in (
            (np.exp(z / 2) - 1) / z,
            (-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3,
            (2 + z + np.exp(z) * (z - 2)) / z**3,
            (-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3,
        )
    )
    kept = np.arange(len(ik)) < modes / 3  # against aliasing of a quadratic term

    def rate(v: np.ndarray) -> np.ndarray:
        return kept * np.fft.rfft(nonlinear(np.fft.irfft(v, modes), lambda u: np.fft.irfft(ik * np.fft.rfft(u), modes)))

    v = np.fft.rfft(start(x))
    found = [start(x)]
    for _ in times[1:]:
        for _ in range(steps):
            first = rate(v)
            a = half * v + Q * first
            second = rate(a)
            b = half * v + Q * second
            third = rate(b)
            c = half * a + Q * (2 * third - first)
            v = whole * v + f1 * first + 2 * f2 * (second + third) + f3 * rate(c)
        found.append(np.fft.irfft(v, modes))
    return np.stack(found, 1)
