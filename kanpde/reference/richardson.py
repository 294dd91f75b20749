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
    """Relative error that rounding leaves in a solution of finite differences: a tenth of ε n^m, as measured."""
    return 0.1 * float(np.finfo(float).eps) * cells**derivative


def estimate(latest: float, before: float | None, order: int) -> float:
    """Relative error of the finest of two or three grids: latest / (2^p - 1).

    latest: distance of the two finest grids; before: of the two before them. p is the scheme's order, or the order that
    is observed between the two distances where that is lower, because the solution is not smooth or not yet resolved
    (at worst 1, so that the estimate is the whole distance). Source: Roache, Annu. Rev. Fluid Mech. 29 (1997), 123-160.
    """
    p = float(order)
    if before is not None and latest > 0:
        p = min(p, max(1.0, float(np.log2(before / latest))) if before > 0 else 1.0)
    return latest / (2**p - 1)
