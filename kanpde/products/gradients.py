"""Conjugate gradients (Hestenes and Stiefel 1952; flexible: Notay 2000, SIAM J. Sci. Comput. 22) on
the normal equations of rows of which only products are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

BEYOND_ROUNDING = 1e4
"""Growth of what is missing, beyond the least of it, at which only rounding is left."""

Linear = Callable[[Float[np.ndarray, " free"]], Float[np.ndarray, " free"]]

Settled = Callable[[Float[np.ndarray, " free"], Float[np.ndarray, " free"]], bool]
"""Whether what is missing is little beside the solution so far."""


def conjugate_gradients(
    product: Linear,
    nearly: Linear,
    right: Float[np.ndarray, " free"],
    settled: Settled,
    most: int,
) -> tuple[Float[np.ndarray, " free"], int]:
    """The solution of equations whose matrix is symmetric and positive definite.

    Args:
        product: The matrix times a vector.
        nearly: Nearly its inverse times a vector; symmetric and positive definite as well.
        right: The right side.
        settled: Whether what is missing, nearly the first vector, is little beside the second, the
            solution so far.
        most: Iterations, at most.

    Returns:
        The solution, and how many iterations it took.
    """
    x, r = np.zeros_like(right), right
    z = nearly(r)
    p, rz = z, float(r @ z)
    for k in range(most):
        if rz <= 0 or settled(z, x):
            return x, k
        q = product(p)
        share = rz / float(p @ q)
        x, before = x + share * p, r
        r = r - share * q
        z = nearly(r)
        # By the change of r: the inverse is rounded, and so not quite the same every time.
        p = z + float((r - before) @ z) / rz * p
        rz = float(r @ z)
    return x, most


def of_least_squares(
    pushed: Linear,
    lifted: Linear,
    nearly: Linear,
    right: Float[np.ndarray, " rows"],
    settled: Settled,
    most: int,
) -> tuple[Float[np.ndarray, " free"], int]:
    """What minimises |J x - right|², by products with J alone.

    Where the rows nearly meet, their rounding is felt by the condition of J, not by its square as
    in the normal equations (Hestenes and Stiefel 1952; Björck, Elfving and Strakos 1998, SIAM J.
    Matrix Anal. Appl. 19).

    Args:
        pushed: J times a vector.
        lifted: Jᵀ times rows.
        nearly: Nearly the inverse of JᵀJ times a vector; symmetric and positive definite.
        right: The rows.
        settled: Whether what is missing, nearly the first vector, is little beside the second, the
            solution so far.
        most: Iterations, at most.

    Returns:
        The solution, and how many iterations it took.
    """
    r = right
    s = lifted(r)
    x, z = np.zeros_like(s), nearly(s)
    p, sz = z, float(s @ z)
    least = sz
    for k in range(most):
        if sz <= 0 or sz > BEYOND_ROUNDING * least or settled(z, x):
            return x, k
        q = pushed(p)
        share = sz / float(q @ q)
        x, r = x + share * p, r - share * q
        s = lifted(r)
        z = nearly(s)
        before, sz = sz, float(s @ z)
        p = z + sz / before * p
        least = min(least, sz)
    return x, most
