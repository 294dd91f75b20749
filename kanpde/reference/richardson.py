"""How accurate a solution is, from the same problem on a grid twice as coarse."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def distance(fine: Float[np.ndarray, "unknowns ..."], coarse: Float[np.ndarray, "unknowns ..."], space: int) -> float:
    """Relative L2 norm, over all unknowns and shared nodes, of fine - coarse.

    fine has twice as many cells as coarse along the first `space` axes after the unknowns; any others are equal.
    """
    shared = fine[(slice(None), *(slice(None, None, 2),) * space)]
    size = float(np.linalg.norm(shared))
    return float(np.linalg.norm(shared - coarse)) / (size or 1.0)


def rounding(cells: int, derivative: int) -> float:
    """Relative error that rounding leaves in a solution of finite differences: a fraction of ε n^m, from measurements."""
    return (0.1 if derivative <= 2 else 0.02) * float(np.finfo(float).eps) * cells**derivative


def estimate(latest: float, before: float | None, order: int) -> float:
    """Relative error of the finest of two or three grids: latest / (2^p - 1).

    latest: distance of the two finest grids; before: of the two before them. p is the scheme's order. Where the order
    observed between the two distances is lower by more than a half, the solution is not smooth or not yet resolved, and
    p is one less than observed (at least 1, so that the estimate is at most the whole distance).
    Source: Roache, Annu. Rev. Fluid Mech. 29 (1997), 123-160.
    """
    p = float(order)
    if before is not None and latest > 0:
        observed = float(np.log2(before / latest)) if before > 0 else 0.0
        if observed < order - 0.5:
            p = max(1.0, observed - 1)
    return latest / (2**p - 1)
