"""How large each unknown is, how much of it rounding makes, and what its errors are relative to.

Each unknown has its own norm: none hides behind another that is larger, in whatever units they are.
An unknown that vanishes (by symmetry, say) is nothing but rounding, and no error is relative to
that; so the size of rounding is measured.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

EPSILON = float(np.finfo(float).eps)

EVEN = 1e-8
"""Of its size, by which an unknown must vary for its errors to be relative to its variation."""

LEAST_SQUARED, MOST_SQUARED = 1e-120, 1e120
"""Sizes between which squares neither vanish nor overflow, nor do those of much smaller values
that matter."""

VANISHING = 1e3
"""Times its rounding, up to which an unknown counts as zero."""


def rms(values: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " unknowns"]:
    """Root mean square of each unknown; inf where it is not finite.

    Args:
        values: On the nodes. Their squares may overflow or vanish.
    """
    flat = values.reshape(len(values), -1)
    largest = np.abs(flat).max(1, initial=0.0)
    if flat.size and (largest > LEAST_SQUARED).all() and (largest < MOST_SQUARED).all():
        return np.sqrt(np.einsum("ij,ij->i", flat, flat) / flat.shape[1])
    finite = np.isfinite(largest)
    unit = np.where(finite & (largest > 0), largest, 1.0)[:, None]
    parts = np.where(np.isfinite(flat), flat, 0.0) / unit
    mean = np.sqrt((parts**2).sum(1) / max(1, flat.shape[1]))
    return np.where(finite, unit[:, 0] * mean, np.inf)


def deviation(
    values: Float[np.ndarray, "unknowns ..."], about: Float[np.ndarray, " unknowns"] | None = None
) -> Float[np.ndarray, " unknowns"]:
    """Root mean square of each unknown about a constant.

    Args:
        values: On the nodes.
        about: The constants, by default the unknowns' means.
    """
    flat = values.reshape(len(values), -1)
    return rms(flat - (flat.mean(1) if about is None else about)[:, None])


def scales(
    values: Float[np.ndarray, "unknowns ..."], noise: Float[np.ndarray, " unknowns"]
) -> Float[np.ndarray, " unknowns"]:
    """What the errors of each unknown are relative to: how much it varies about its mean.

    That is its size where it is constant, and the size of what cancels in its equations where it
    vanishes; 1 where nothing else is known.

    Args:
        values: On the nodes.
        noise: The size of each unknown's rounding, 0 where it is not known.
    """
    size, found = rms(values), deviation(values)
    found = np.where(found > EVEN * size, found, size)
    found = np.where(size > VANISHING * noise, found, noise / EPSILON)
    return np.where(found > 0, found, 1.0)


def rounding_of(
    A: sp.spmatrix,
    solve: Callable[[np.ndarray], np.ndarray],
    U: Float[np.ndarray, " size"],
    nodes: int,
    values: Callable[[np.ndarray], np.ndarray] = lambda U: U,
    draws: int = 1,
) -> Float[np.ndarray, " unknowns"]:
    """The size that rounding alone has in each unknown of a solution of A U = b: what an error of
    one unit in the last place of every term of its equations makes.

    Args:
        A: Sparse, [rows, size].
        solve: Applies its inverse, or that of least squares.
        U: The solution: the unknowns on the nodes one after another, then a few more numbers.
        nodes: How many.
        values: Those on the nodes, where the unknowns are something else.
        draws: How many times signs are drawn, of which this is the root mean square.
    """
    terms, rng = abs(A) @ np.abs(U), np.random.default_rng(0)
    drawn = [rng.choice([-1.0, 1.0], len(terms)) for _ in range(draws)]
    each = [rms(values(by_unknown(solve(EPSILON * terms * s), nodes))) for s in drawn]
    return rms(np.stack(each, 1))


def by_unknown(U: Float[np.ndarray, " size"], nodes: int) -> Float[np.ndarray, "unknowns nodes"]:
    """The unknowns on the nodes, without the few more numbers that follow them.

    Args:
        U: The unknowns one after another, then fewer numbers than nodes.
        nodes: How many.
    """
    return U[: len(U) - len(U) % nodes].reshape(-1, nodes)
