"""Truths that share no code with kanpde, and that say how far off they may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

Points = dict[str, NDArray[np.float64]]
"""Coordinate name to values, all of one length."""

CLOSED = 1e-14
"""Error of a closed form in double precision, over the size of its values."""

CONSTANT = 1e-9
"""An unknown that varies by less than this part of its size is constant."""


@dataclass(frozen=True)
class IndependentTruth:
    """What a problem is judged by.

    Attributes:
        points: Where it is known.
        values: At these points, by unknown.
        kind: How they came.
        errors: How far off they may be, root mean square over the scale of each unknown.
    """

    points: Points
    values: Mapping[str, NDArray[np.float64]]
    kind: str = "closed form"
    errors: Mapping[str, float] = field(default_factory=dict)

    def error(self, unknown: str) -> float:
        """How far off an unknown may be, rounding included."""
        values = self.values[unknown]
        return self.errors.get(unknown, 0.0) + CLOSED * rms(values) / scale(values)

    def distances(self, found: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Root mean square of the differences over the scale of each unknown."""
        return {u: rms(found[u] - v) / scale(v) for u, v in self.values.items()}


def rms(values: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def scale(values: NDArray[np.float64]) -> float:
    """What an error is measured by: how much values vary about their mean, or their size where they
    are constant."""
    varied, size = rms(values - values.mean()), rms(values)
    return varied if varied > CONSTANT * size else size or 1.0


def midpoints(many: int | None = None, **spans: tuple[float, float]) -> Points:
    """The midpoints of even cells, which are on no face.

    Args:
        many: Cells along each coordinate; 800 for one coordinate and 60 for two where not given.
        **spans: Ends by coordinate.
    """
    count = many or (800 if len(spans) == 1 else 60)
    axes = [a + (b - a) * (np.arange(count) + 0.5) / count for a, b in spans.values()]
    meshes = np.meshgrid(*axes, indexing="ij")
    return {x: mesh.ravel() for x, mesh in zip(spans, meshes, strict=True)}


def apart(one: Mapping[str, NDArray], other: Mapping[str, NDArray]) -> dict[str, float]:
    """By how much two ways of computing a truth differ, over the scale of each unknown."""
    return {u: rms(one[u] - v) / scale(v) for u, v in other.items()}


def marched(
    rates: Callable[[float, NDArray[np.float64]], Sequence[float]],
    start: Mapping[str, float],
    end: float,
    *,
    sizes: Sequence[float] | None = None,
) -> IndependentTruth:
    """An initial-value problem, marched by an implicit Runge-Kutta method of order 5 and by an
    explicit or a multistep one; their difference is the error.

    Args:
        rates: Derivatives of the unknowns by time, of time and unknowns.
        start: Values at time 0.
        end: The last time.
        sizes: Of the unknowns, where the start does not tell them.
    """
    points = midpoints(t=(0.0, end))
    size = np.asarray(sizes if sizes is not None else [abs(v) or 1.0 for v in start.values()])
    ways = [
        solve_ivp(
            rates,
            (0.0, end),
            list(start.values()),
            method,
            points["t"],
            rtol=1e-12,
            atol=1e-14 * size,
        )
        for method in ("Radau", "LSODA")
    ]
    first, second = (dict(zip(start, way.y, strict=True)) for way in ways)
    return IndependentTruth(
        points, second, "solve_ivp, by LSODA and by Radau", apart(first, second)
    )
