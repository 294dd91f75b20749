"""Evolution on a ring by Fourier modes and exponential time differencing: a truth that shares
nothing with finite differences."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy import cos, exp, sin


@dataclass(frozen=True)
class Ring:
    """u_t = L u + N(u) from a start on a periodic interval.

    linear: the symbol of L as a function of ik; nonlinear: N as a function of u and of a function
    that differentiates; modes: enough for ten digits; steps: so many a unit of time for as many
    digits.
    """

    linear: Callable
    nonlinear: Callable
    start: Callable
    ends: tuple[float, float]
    modes: int
    steps: int


RINGS = {
    "allen_cahn1d_smooth": Ring(
        lambda ik: 1e-4 * ik**2 + 5,
        lambda u, d: -5 * u**3,
        lambda x: sin(pi * x / 2) ** 2 * cos(pi * x),
        (-1, 1),
        2048,
        1024,
    ),
    "kdv1d": Ring(
        lambda ik: -(0.022**2) * ik**3,
        lambda u, d: -d(u**2) / 2,
        lambda x: cos(pi * x),
        (-1, 1),
        512,
        12_800,
    ),
    "kuramoto_sivashinsky1d": Ring(
        lambda ik: -100 / 16**2 * ik**2 - 100 / 16**4 * ik**4,
        lambda u, d: -100 / 16 * d(u**2) / 2,
        lambda x: cos(x) * (1 + sin(x)),
        (0, 2 * pi),
        512,
        25_600,
    ),
    "reaction_diffusion1d": Ring(
        lambda ik: 3 * ik**2 + 5,
        lambda u, d: -5 * u**2,
        lambda x: sum(exp(-8 * (x / pi - 1 + 2 * k) ** 2) for k in range(-3, 4)),
        (0, 2 * pi),
        64,
        1280,
    ),
}
"""The equations of the gallery that have no exact solution, written a second time."""


def integrate(ring: Ring, times: np.ndarray) -> np.ndarray:
    """u [modes, times] at x = low + j (high - low) / modes, at evenly spaced times from the start
    on.

    ETDRK4 with its coefficients as contour integrals: Kassam and Trefethen, SISC 26 (2005), 1214.
    """
    low, high = ring.ends
    x = low + (high - low) * np.arange(ring.modes) / ring.modes
    ik = 2j * pi / (high - low) * np.arange(ring.modes // 2 + 1)
    steps = max(1, round(ring.steps * (times[1] - times[0])))
    h = (times[1] - times[0]) / steps
    symbol = np.broadcast_to(ring.linear(ik), ik.shape).astype(complex)
    z = h * symbol[:, None] + exp(2j * pi * (np.arange(64) + 0.5) / 64)
    whole, half = exp(h * symbol), exp(h * symbol / 2)
    Q, first, middle, last = (
        h * f.mean(1)
        for f in (
            (exp(z / 2) - 1) / z,
            (-4 - z + exp(z) * (4 - 3 * z + z**2)) / z**3,
            (2 + z + exp(z) * (z - 2)) / z**3,
            (-4 - 3 * z - z**2 + exp(z) * (4 - z)) / z**3,
        )
    )
    kept = np.arange(len(ik)) < ring.modes / 3  # against aliasing of products

    def rate(v: np.ndarray) -> np.ndarray:
        return kept * np.fft.rfft(
            ring.nonlinear(
                np.fft.irfft(v, ring.modes), lambda u: np.fft.irfft(ik * np.fft.rfft(u), ring.modes)
            )
        )

    v, found = np.fft.rfft(ring.start(x)), [ring.start(x)]
    for _ in times[1:]:
        for _ in range(steps):
            at_v = rate(v)
            a = half * v + Q * at_v
            at_a = rate(a)
            b = half * v + Q * at_a
            at_b = rate(b)
            c = half * a + Q * (2 * at_b - at_v)
            v = whole * v + first * at_v + 2 * middle * (at_a + at_b) + last * rate(c)
        found.append(np.fft.irfft(v, ring.modes))
    return np.stack(found, 1)
