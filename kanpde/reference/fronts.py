"""Which stretched coordinate a solution with thin layers is written in by the fewest functions.

A solution by finite differences shows where it is steep. Around those places a few widths and
shares are tried, on its values alone: how fast coefficients fall in each coordinate says which is
best, and how many functions there will be.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from jaxtyping import Float

from kanpde.reference.bases import ChebyshevSeries, FourierSeries, last_coefficients
from kanpde.reference.climb import GridSolution
from kanpde.reference.stretching import Front, Stretching

STEEP = 0.25
"""Of the largest slope, from which on a maximum counts as a front."""

MOST_FRONTS = 6
"""In one coordinate; more are no thin layers but waves."""

WIDTHS, SHARES_TRIED = (0.5, 1.0, 2.0, 4.0, 8.0), (0.15, 0.3, 0.5, 0.7, 0.85)
"""What is tried: times the half width of a front, and what all fronts share."""

TRIED = (48, 96, 192, 384)
"""Cells with which it is tried."""

FALLEN_AT_LEAST = 3.0
"""Digits by which coefficients fall before their number is extrapolated."""

PLACES = 2049
"""Where slopes are looked at."""


def stretching_for(
    solution: GridSolution, known: float, wanted: float
) -> tuple[Stretching, int] | None:
    """The best coordinate, and how many cells it takes for the coefficients to fall by so many
    digits; None where there is no front.

    Args:
        solution: On a line, at some times or none.
        known: To how many digits.
        wanted: Digits.
    """
    grid = solution.grid
    (x,) = grid.names
    values = solution.closed.reshape(*solution.closed.shape[:2], -1)
    best: tuple[Stretching, int] | None = None
    if known < FALLEN_AT_LEAST:
        return None
    candidates = _candidates(_slopes(solution, values), x in grid.periodic)
    for stretching in candidates:
        for n in TRIED:
            if best and n >= best[1]:
                break
            cells = n | (x in grid.periodic)
            basis = (FourierSeries if x in grid.periodic else ChebyshevSeries)(
                grid.bounds[x], cells, stretching
            )
            there = grid.along_axis(values, 1, basis.nodes)
            fallen = -np.log10(max(last_coefficients(basis, there, solution.scales), 1e-16))
            fallen = min(fallen, known)
            if fallen >= FALLEN_AT_LEAST:
                needed = int(np.ceil(cells * wanted / fallen))
                best = (stretching, needed) if not best or needed < best[1] else best
                break
    return best


def _slopes(solution: GridSolution, values: np.ndarray) -> Float[np.ndarray, " places"]:
    """The steepest slope of any unknown at any time, over its scale, at places along the line."""
    (x,) = solution.grid.names
    even = solution.grid.along_axis(values, 1, np.linspace(*solution.grid.bounds[x], PLACES))
    slopes = np.abs(np.gradient(even, 1 / (PLACES - 1), axis=1)).max(2)
    return (slopes / solution.scales[:, None]).max(0)


def _candidates(slopes: np.ndarray, periodic: bool) -> Iterator[Stretching]:
    """Stretchings around the maxima of the slopes, one by one and as one."""
    y = np.linspace(0, 1, len(slopes))
    peaks = _peaks(slopes)
    sets = [peaks] if 0 < len(peaks) <= MOST_FRONTS else []
    if len(peaks) > 1:
        weights = np.where(slopes > slopes.max() / 2, slopes, 0.0)
        centre = float((weights * y).sum() / weights.sum())
        spread = float(np.sqrt((weights * (y - centre) ** 2).sum() / weights.sum()))
        sets.append([(centre, spread)])
    for fronts, width, share in product(sets, WIDTHS, SHARES_TRIED):
        yield Stretching(
            tuple(Front(place, width * half, share / len(fronts)) for place, half in fronts),
            periodic,
        )


def _peaks(slopes: np.ndarray) -> list[tuple[float, float]]:
    """Place and half width of each maximum that is steep, from 0 to 1."""
    found, last = [], len(slopes) - 1
    above = np.flatnonzero(slopes > STEEP * slopes.max())
    for run in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
        top = int(run[np.argmax(slopes[run])])
        half = np.flatnonzero(slopes[run] > slopes[top] / 2)
        found.append((top / last, max(1, int(half[-1] - half[0])) / 2 / last))
    return found
