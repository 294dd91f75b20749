"""Conjugate gradients (Hestenes and Stiefel 1952; flexible: Notay 2000, SIAM J. Sci. Comput. 22) on
the normal equations of rows of which only products are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Linear = Callable[[Float[np.ndarray, " free"]], Float[np.ndarray, " free"]]


def conjugate_gradients(
    product: Linear,
    nearly: Linear,
    right: Float[np.ndarray, " free"],
    settled: Callable[[Float[np.ndarray, " free"], Float[np.ndarray, " free"]], bool],
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
