"""How accurate a solution is, from the same problem on coarser grids."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from jaxtyping import Float

from kanpde.reference.norms import rms


def distance(
    fine: Float[np.ndarray, "unknowns ..."], coarse: Float[np.ndarray, "unknowns ..."]
) -> Float[np.ndarray, " unknowns"]:
    """Root mean square of fine - coarse over all nodes, by unknown and in its units."""
    return rms(fine - coarse)


def rounding(cells: int, derivative: int, steady: bool, odd: bool = False) -> float:
    """Relative error that rounding leaves, at most, from measurements.

    Noise of ε n^m in an equation of order m enters a steady solution through its low modes: ε
    n^(m-1/2) and less. An evolution averages it over its steps, but keeps what each of them leaves.
    odd: where errors grow from node to node, at order 6.
    """
    noise = float(np.finfo(float).eps) * cells ** max(2.4 if odd else 1.5, derivative - 1.0)
    return noise if steady or odd else 2e-13 + 0.1 * noise


def observed(latest: float, before: float, cells: Sequence[int]) -> float:
    """The order q at which errors C n^-q explain the distances between three grids of that many
    cells, coarsest first; at most 40."""
    coarse, middle, fine = (float(n) for n in cells)
    if latest <= 0 or before <= 0:
        return 40.0 if latest <= 0 else 0.0
    low, high = 0.0, 40.0
    for _ in range(60):
        q = (low + high) / 2
        ratio = (
            ((coarse / middle) ** -q - 1) / (1 - (fine / middle) ** -q)
            if q > 1e-9
            else log(middle / coarse) / log(fine / middle)
        )
        low, high = (q, high) if ratio < before / latest else (low, q)
    return low


def estimate(latest: float, ratio: float, order: int, seen: float | None = None) -> float:
    """Error of the finest grid: latest / (r^p - 1).

    latest: its distance to the one before; ratio: r of their cells; p is the scheme's order. Where
    the order seen between three grids is lower by more than a half, the solution is not smooth or
    not yet resolved, and p is one less than seen (at least 1). Where there are but two grids, of
    which the coarse one may not resolve the solution, p is half the order. Source: Roache, Annu.
    Rev. Fluid Mech. 29 (1997), 123-160.
    """
    p = order / 2 if seen is None else order if seen >= order - 0.5 else max(1.0, seen - 1)
    return latest / (ratio**p - 1)
