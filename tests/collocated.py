"""Solutions on curved and cornered regions by collocation on the boundary: functions that solve the
equation, fitted to the data there.

By the maximum principle the error inside is at most that on the boundary: 2e-14 for `holes` and
`lshape`, 2e-5 for `screened`, where it sits in the corners (in the middle digits stand still from
1e-8 on). The collocation is that of Barnett and Betcke 2008; functions with poles in images of the
holes and with the singularities of the corners make it converge geometrically.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import iv, kv

Function = Callable[[np.ndarray, np.ndarray], np.ndarray]


def fitted(
    basis: Callable[[np.ndarray, np.ndarray], list[np.ndarray]],
    x: np.ndarray,
    y: np.ndarray,
    data: np.ndarray,
) -> Function:
    """The combination of the basis that is nearest to the data at points of the boundary."""
    A = np.stack(basis(x, y), 1)
    scale = np.linalg.norm(A, axis=0)
    c = np.linalg.lstsq(A / scale, data, rcond=1e-15)[0] / scale
    return lambda x, y: np.stack(basis(x, y), 1) @ c


def ring(at: complex, radius: float, count: int, shift: float = 0.0) -> np.ndarray:
    """Points of a circle as complex numbers."""
    return at + radius * np.exp(2j * np.pi * (np.arange(count) + shift) / count)


def clustered(count: int) -> np.ndarray:
    """Points of [-1, 1] that crowd at the ends."""
    return np.sin(np.linspace(-1, 1, count) * np.pi / 2)


HOLE = complex(0.3, 0.3)


def holes() -> Function:
    """poisson2d_holes. The basis has the symmetry of the square; its poles lie in a hole and in
    that hole's images in two sides."""

    def basis(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        turned = [w * 1j**k for k in range(4) for z in [x + 1j * y] for w in (z, z.conj())]
        found = [((x + 1j * y) / 0.75) ** n for n in range(0, 81, 4)]
        for at, count in ((HOLE, 24), (complex(0.7, 0.3), 14), (complex(0.7, 0.7), 14)):
            found.append(sum(np.log(np.abs(w - at)) for w in turned) + 0j)
            for n in range(1, count + 1):
                powers = [(0.1 * at / abs(at) / (w - at)) ** n for w in turned]
                found += (
                    [sum(powers)]
                    if at.real == at.imag
                    else [sum(powers), sum(1j**n * p for p in powers)]
                )
        return [f.real for f in found]

    side = clustered(1201) / 2 + 0.5j
    z = np.concatenate([side, ring(HOLE, 0.1, 800)])
    return fitted(basis, z.real, z.imag, np.concatenate([np.ones(len(side)), np.zeros(800)]))


def polar(
    x: np.ndarray, y: np.ndarray, direction: float, opening: float
) -> tuple[np.ndarray, np.ndarray]:
    """Radius, and the angle from a direction, cut opposite to the middle of the opening."""
    w = (x + 1j * y) * np.exp(-1j * (direction + opening / 2))
    return np.maximum(np.abs(w), 1e-300), np.angle(w) + opening / 2


def logarithmic(n: float, r: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The imaginary part of z^n log z."""
    return r**n * (np.log(r) * np.sin(n * angle) + angle * np.cos(n * angle))


L_SHAPE = [(-1, -1), (0, -1), (0, 0), (1, 0), (1, 1), (-1, 1)]


def lshape() -> Function:
    """poisson2d_lshape: -y²/2 and harmonic functions, among them those of the corners."""
    right = [
        (-1, -1, 0.0),
        (0, -1, np.pi / 2),
        (1, 0, np.pi / 2),
        (1, 1, np.pi),
        (-1, 1, 1.5 * np.pi),
    ]

    def basis(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        r, angle = polar(x, y, 0.0, 1.5 * np.pi)
        found = [(r / 1.45) ** (2 * k / 3) * np.sin(2 * k * angle / 3) for k in range(1, 61)]
        found += [logarithmic(n, r, angle) for n in (2, 4, 6, 8)]
        found += [
            part
            for n in range(30)
            for z in [((x + 1j * y) / 1.45) ** n]
            for part in ((z.real, z.imag) if n else (z.real,))
        ]
        for at_x, at_y, direction in right:
            found += [
                logarithmic(n, *polar((x - at_x) / 2.3, (y - at_y) / 2.3, direction, np.pi / 2))
                for n in (2, 4, 6)
            ]
        return found

    s = (1 + clustered(400)) / 2
    ends = list(zip(L_SHAPE, L_SHAPE[1:] + L_SHAPE[:1], strict=True))
    x, y = (np.concatenate([a[i] + (b[i] - a[i]) * s for a, b in ends]) for i in (0, 1))
    harmonic = fitted(basis, x, y, y**2 / 2)
    return lambda x, y: harmonic(x, y) - y**2 / 2


DISCS = [(0.5, 0.5, 0.2), (0.4, -0.4, 0.4), (-0.2, -0.7, 0.1), (-0.6, 0.5, 0.3)]


def driven(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A solution of -Δu + 64u = 10 (17 + x² + y²) sin πx sin 4πy, whatever its values on the
    boundary."""
    k, factor = np.pi * np.array([1, 4]), 17 * np.pi**2 + 64
    s, total = [np.sin(k[0] * x), np.sin(k[1] * y)], 0.0
    for i, at in enumerate((x, y)):
        total = (
            total
            + s[0] * s[1] * (at**2 / factor + 2 / factor**2 - 8 * k[i] ** 2 / factor**3)
            + 4 * k[i] / factor**2 * at * np.cos(k[i] * at) * s[1 - i]
        )
    return 10 * (17 / factor * s[0] * s[1] + total)


def screened() -> Function:
    """poisson2d_holes_source: Bessel functions about the holes, sources around the square, and the
    square's corners."""

    def corner(nu: int, r: np.ndarray, angle: np.ndarray, h: float = 1e-4) -> np.ndarray:
        """∂/∂ν of I_ν(8r) sin νθ, which is to -Δ + 64 what Im z^ν log z is to Δ."""
        return (
            iv(nu + h, 8 * r) * np.sin((nu + h) * angle)
            - iv(nu - h, 8 * r) * np.sin((nu - h) * angle)
        ) / (2 * h)

    def basis(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        found = []
        for at_x, at_y, radius in DISCS:
            r, angle = np.hypot(x - at_x, y - at_y), np.arctan2(y - at_y, x - at_x)
            waves = [(m, kv(m, 8 * r) / kv(m, 8 * radius)) for m in range(17)]
            found += [w * np.cos(m * angle) for m, w in waves] + [
                w * np.sin(m * angle) for m, w in waves[1:]
            ]
        for s in 1.25 * (2 * np.arange(100) + 1 - 100) / 100:
            found += [
                kv(0, 8 * np.hypot(x - a, y - b))
                for a, b in ((s, 1.25), (s, -1.25), (1.25, s), (-1.25, s))
            ]
        for cx in (-1, 1):
            for cy in (-1, 1):
                found += [
                    corner(nu, *polar(1 - cx * x, 1 - cy * y, 0.0, np.pi / 2)) for nu in (2, 4, 6)
                ]
        return found

    t, one = clustered(500), np.ones(500)
    z = np.concatenate(
        [
            t + 1j,
            t - 1j,
            one + 1j * t,
            -one + 1j * t,
            *(ring(complex(a, b), r, 300) for a, b, r in DISCS),
        ]
    )
    data = np.concatenate([np.full(2000, 0.2), np.ones(1200)])
    free = fitted(basis, z.real, z.imag, data - driven(z.real, z.imag))
    return lambda x, y: free(x, y) + driven(x, y)
