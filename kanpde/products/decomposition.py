"""Arrays as sums of products of vectors, of as few terms as an error allows.

In two coordinates the singular value decomposition has the fewest (Eckart and Young 1936). In three
the array is first reduced to a small core, along one coordinate after another (De Lathauwer, De
Moor and Vandewalle 2000; Vannieuwenhoven, Vandebril and Meerbergen 2012). The core is a sum of the
singular terms of its slices, and of fewer terms where damped steps of Gauss and Newton find these
(Kolda and Bader 2009, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg
from jaxtyping import Float

FIRST_SKETCH = 24
"""Columns of the first sketch of the range of a matrix."""

SKETCHED = 0.1
"""Share of the error that a sketch may take."""

REDUCED = 0.5
"""Share of the error that the reduction to a core may take."""

FEWER_AT_MOST = 400
"""Numbers in sums of fewer terms that are looked for."""

STEPS_FOR_FEWER = 20
"""Of Gauss and Newton, each time that there is one term more."""

LEAST_DAMPING = 1e-13
"""Of these steps, over the largest number on the diagonal."""

NEXT = 0.9
"""Share of what is missing that may be left out where the next term is looked for."""


def terms(A: Float[np.ndarray, " ..."], error: float) -> list[Float[np.ndarray, "_points terms"]]:
    """Vectors whose products add up to an array.

    Args:
        A: The array, of one to three coordinates.
        error: How far the sum may be off, root of the sum of squares.

    Returns:
        The factors of each coordinate; no columns where nothing is within the error.
    """
    if np.linalg.norm(A) <= error:
        return [np.zeros((n, 0)) for n in A.shape]
    if A.ndim == 1:
        return [A[:, None]]
    bases, core = [], A
    for i in range(A.ndim):
        flat = np.moveaxis(core, i, 0).reshape(core.shape[i], -1)
        Q = leading(flat, REDUCED * error / np.sqrt(A.ndim))
        bases.append(Q)
        rest = core.shape[:i] + core.shape[i + 1 :]
        core = np.moveaxis((Q.T @ flat).reshape(-1, *rest), 0, i)
    # what the reductions left out is orthogonal to the core
    left = np.sqrt(1 - REDUCED**2) * error
    found = _of_matrix(core, left) if A.ndim == 2 else _of_core(core, left)
    return [Q @ own for Q, own in zip(bases, found, strict=True)]


def leading(
    M: Float[np.ndarray, "rows columns"], error: float
) -> Float[np.ndarray, "rows leading"]:
    """The fewest directions that hold the columns of a matrix to within an error.

    They are taken of a random sketch of the range (Halko, Martinsson and Tropp 2011), which doubles
    until it misses no more than a share of the error; the same for the same matrix.

    Args:
        M: The matrix.
        error: Root of the sum of squares that may be missed.
    """
    random, count, most = np.random.default_rng(0), FIRST_SKETCH, min(M.shape)
    while True:
        Q = np.eye(len(M))
        if count < most:
            Q = np.linalg.qr(M @ random.standard_normal((M.shape[1], count)))[0]
        B = Q.T @ M
        if count >= most or np.linalg.norm(M - Q @ B) <= SKETCHED * error:
            break
        count *= 2
    U, s, _ = np.linalg.svd(B, full_matrices=False)
    return Q @ U[:, : _needed(s, error)]


def _needed(s: Float[np.ndarray, " values"], error: float) -> int:
    """How many of some numbers are needed, where the last ones may be off by an error together."""
    missed = np.sqrt(np.cumsum(s[::-1] ** 2))[::-1]
    return int((missed > error).sum())


def _of_matrix(
    M: Float[np.ndarray, "rows columns"], error: float
) -> list[Float[np.ndarray, "_rows terms"]]:
    U, s, V = np.linalg.svd(M, full_matrices=False)
    count = _needed(s, error)
    root = np.sqrt(s[:count])
    return [U[:, :count] * root, V[:count].T * root]


def _of_core(G: Float[np.ndarray, "a b c"], error: float) -> list[Float[np.ndarray, "_rows terms"]]:
    """The fewest terms that are found of a small array: by eigenvectors where these say all, else
    one after another, each time with steps for all of them; at worst the terms of its slices."""
    sure = min((_of_slices(G, i, error) for i in range(3)), key=_count)
    found = _by_eigenvectors(G)
    if found is not None and np.linalg.norm(_missing(G, found)) <= error:
        return found
    found = [np.zeros((n, 0)) for n in G.shape]
    while (_count(found) + 1) < min(_count(sure), FEWER_AT_MOST // sum(G.shape)):
        missing = _missing(G, found)
        more = _of_slices(missing, 0, NEXT * float(np.linalg.norm(missing)))
        found = [np.c_[p, q[:, :1]] for p, q in zip(found, more, strict=True)]
        found, off = _stepped(G, found, error)
        if off <= error:
            return found
    return sure


def _count(factors: Sequence[Float[np.ndarray, "_rows terms"]]) -> int:
    return int(factors[0].shape[1])


def _of_slices(
    G: Float[np.ndarray, "a b c"], i: int, error: float
) -> list[Float[np.ndarray, "_rows terms"]]:
    """The singular terms of the slices along a coordinate."""
    slices = np.moveaxis(G, i, 0)
    U, s, V = np.linalg.svd(slices, full_matrices=False)
    order = np.argsort(-s, axis=None, kind="stable")
    order = order[: _needed(s.ravel()[order], error)]
    own, k = np.unravel_index(order, s.shape)
    root = np.cbrt(s[own, k])
    found = [U[own, :, k].T * root, V[own, k].T * root]
    return [*found[:i], np.eye(len(slices))[:, own] * root, *found[i:]]


def _by_eigenvectors(
    G: Float[np.ndarray, "a b c"],
) -> list[Float[np.ndarray, "_rows terms"]] | None:
    """The terms of an array whose two longest coordinates are as long as there are terms (Leurgans,
    Ross and Abel 1993): those of one are eigenvectors of a mixture of slices over another mixture.
    """
    order = np.argsort([-n for n in G.shape], kind="stable")
    turned, random = G.transpose(order), np.random.default_rng(0)
    if turned.shape[0] != turned.shape[1]:
        return None
    one, other = (turned @ random.standard_normal(turned.shape[2]) for _ in range(2))
    A = np.linalg.eig(np.linalg.lstsq(other.T, one.T, rcond=None)[0].T)[1]
    if np.iscomplexobj(A):
        return None
    rest = np.linalg.lstsq(A, turned.reshape(len(A), -1), rcond=None)[0]
    U, s, V = np.linalg.svd(rest.reshape(turned.shape), full_matrices=False)
    root = np.cbrt(s[:, 0])
    found = [A * root, U[:, :, 0].T * root, V[:, 0].T * root]
    return [found[k] for k in np.argsort(order)]


def _stepped(
    G: Float[np.ndarray, "a b c"], start: Sequence[Float[np.ndarray, "_rows terms"]], error: float
) -> tuple[list[Float[np.ndarray, "_rows terms"]], float]:
    """Terms nearer to an array, by damped steps of Gauss and Newton until they are within an error,
    and how far they are off."""
    factors, off, mu = list(start), _missing(G, start), 1e-3
    ends = np.cumsum([p.size for p in factors])[:-1]
    for _ in range(STEPS_FOR_FEWER):
        if np.linalg.norm(off) <= error:
            break
        J = _jacobian(factors)
        normal, pull = J.T @ J, J.T @ off.ravel()
        while mu <= 1:
            damping = mu * float(normal.diagonal().max()) * np.eye(len(normal))
            step = scipy.linalg.solve(normal + damping, pull, assume_a="pos")
            parts = zip(factors, np.split(step, ends), strict=True)
            moved = [p + change.reshape(p.shape) for p, change in parts]
            left = _missing(G, moved)
            if np.linalg.norm(left) < np.linalg.norm(off):
                break
            mu *= 4
        else:
            break
        factors, off, mu = moved, left, max(mu / 5, LEAST_DAMPING)
    return factors, float(np.linalg.norm(off))


def _missing(
    G: Float[np.ndarray, "a b c"], factors: Sequence[Float[np.ndarray, "_rows terms"]]
) -> Float[np.ndarray, "a b c"]:
    """An array less a sum of products."""
    missing: Float[np.ndarray, "a b c"] = G - np.einsum("at,bt,ct->abc", *factors)
    return missing


def _jacobian(
    factors: Sequence[Float[np.ndarray, "_rows terms"]],
) -> Float[np.ndarray, "entries numbers"]:
    """Derivatives of a sum of products by its factors, [a b c, all numbers]."""
    A, B, C = factors
    shape, eye = (len(A) * len(B) * len(C), -1), [np.eye(len(p)) for p in factors]
    ways = ("ax,bt,ct->abcxt", "at,bx,ct->abcxt", "at,bt,cx->abcxt")
    given = ((eye[0], B, C), (A, eye[1], C), (A, B, eye[2]))
    return np.concatenate(
        [np.einsum(way, *own).reshape(shape) for way, own in zip(ways, given, strict=True)], 1
    )
