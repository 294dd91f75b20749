"""Finite-difference weights on any nodes, and sparse differentiation and interpolation matrices in
one dimension built from them.

A centred stencil of accuracy p (even) is used wherever it fits. At the ends of an interval the
closures are one-sided stencils on m + p points for derivative m, whose truncation error is of the
same order p; a periodic matrix wraps round.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable


def weights(
    offsets: Float[np.ndarray, "... points"], derivative: int
) -> Float[np.ndarray, "... points"]:
    """Weights w with Σ w_i f(x_i) ≈ f^(m)(0), exact for polynomials of degree below the number of
    points.

    offsets: distinct x_i, at least derivative + 1 of them, stencil by stencil. Source: Fornberg,
    Math. Comp. 51 (1988), 699-706.
    """
    x = np.asarray(offsets, dtype=float)
    table = np.zeros((*x.shape, derivative + 1))
    table[..., 0, 0] = 1.0
    c1 = np.ones(x.shape[:-1])
    for i in range(1, x.shape[-1]):
        gaps = x[..., i, None] - x[..., :i]
        c2 = gaps.prod(-1)
        last = table[..., i - 1, :].copy()
        for m in range(min(i, derivative), -1, -1):
            lower, below = (last[..., m - 1], table[..., :i, m - 1]) if m else (0.0, 0.0)
            table[..., i, m] = c1 / c2 * (m * lower - x[..., i - 1] * last[..., m])
            table[..., :i, m] = (x[..., i, None] * table[..., :i, m] - m * below) / gaps
        c1 = c2
    return table[..., derivative]


def half_width(derivative: int, accuracy: int) -> int:
    """Points on either side of the centre that a centred stencil of an even accuracy takes."""
    return (derivative + 1) // 2 - 1 + accuracy // 2


def graded(cells: int) -> Float[np.ndarray, " nodes"]:
    """Nodes (1 - cos πi/n) / 2 on [0, 1], which crowd at the ends as those of Chebyshev do.

    One-sided closures on equidistant nodes feed energy in from order 6 on (u_t = -u_x grows like
    e^{n t / 4}); on these nodes the spectra stay in the left half-plane at every order. Source:
    Hermanns and Hernández, Int. J. Numer. Meth. Fluids 56 (2008), 233-255.
    """
    return np.sin(np.pi * np.arange(cells + 1) / (2 * cells)) ** 2


def matrix(
    x: Float[np.ndarray, " nodes"], derivative: int, accuracy: int, period: float | None = None
) -> sp.csr_matrix:
    """Sparse [nodes, nodes] matrix of the m-th derivative on the nodes x, of order `accuracy`
    (even) in every row.

    period: of a grid of equidistant nodes that leaves out the end point that repeats the first.
    Raises ReferenceUnavailable for too few nodes.
    """
    nodes = len(x)
    if accuracy < 2 or accuracy % 2:
        raise ReferenceUnavailable(
            f"finite differences of order {accuracy}: expected 2, 4 or another even order"
        )
    if derivative == 0:
        return sp.identity(nodes, format="csr")
    half, one_sided = half_width(derivative, accuracy), derivative + accuracy
    # a centred stencil never takes more
    if nodes < one_sided:
        raise ReferenceUnavailable(
            f"{nodes} nodes along a coordinate; a derivative of order {derivative} to accuracy"
            f" {accuracy} takes at least {one_sided}"
        )
    row, centred = np.arange(nodes)[:, None], np.arange(-half, half + 1)
    if period is not None:
        step = period / nodes
        values = np.broadcast_to(
            _balanced(weights(centred * 1.0, derivative) / step**derivative, half),
            (nodes, len(centred)),
        )
        return _sparse(np.broadcast_to(row, values.shape), (row + centred) % nodes, values, nodes)
    blocks = [(row[half : nodes - half], centred + row[half : nodes - half])]
    blocks += [(row[:half], np.broadcast_to(np.arange(one_sided), (half, one_sided)))]
    blocks += [
        (
            row[nodes - half :],
            np.broadcast_to(np.arange(nodes - one_sided, nodes), (half, one_sided)),
        )
    ]
    flat = [
        (
            np.broadcast_to(rows, columns.shape).ravel(),
            columns.ravel(),
            _balanced(scaled(x[columns] - x[rows], derivative), rows - columns[:, :1]).ravel(),
        )
        for rows, columns in blocks
    ]
    rows, columns, data = (np.concatenate(part) for part in zip(*flat, strict=True))
    return _sparse(rows, columns, data, nodes)


def interpolation(
    x: Float[np.ndarray, " nodes"], to: Float[np.ndarray, " points"], degree: int
) -> sp.csr_matrix:
    """Sparse [points, nodes] matrix of interpolation by polynomials through the degree + 1 nodes
    around each point."""
    size = min(degree + 1, len(x))
    first = np.clip(np.searchsorted(x, to) - size // 2, 0, len(x) - size)[:, None]
    columns = first + np.arange(size)
    data = scaled(x[columns] - to[:, None], 0)
    rows = np.broadcast_to(np.arange(len(to))[:, None], columns.shape)
    return sp.csr_matrix((data.ravel(), (rows.ravel(), columns.ravel())), shape=(len(to), len(x)))


def scaled(offsets: np.ndarray, derivative: int) -> np.ndarray:
    """Weights of many stencils, computed in units of their own length."""
    length = np.abs(offsets).max(-1, keepdims=True)
    return weights(offsets / length, derivative) / length**derivative


def _balanced(values: np.ndarray, centre: np.ndarray | int) -> np.ndarray:
    """Weights of a derivative with the centre's replaced by what makes constants vanish, exactly.

    A sum of weights that is off by their rounding acts as a term ε u / h^m, the same at every node.
    Weights are therefore multiples of 2^-50 of the largest, so that sums of them are exact. Source
    of the balance: Baltensperger and Trummer, SIAM J. Sci. Comput. 24 (2003), 1465-1487, section 4.
    """
    unit = 2.0 ** (np.ceil(np.log2(np.abs(values).max(-1, keepdims=True))) - 50)
    at_centre = np.arange(values.shape[-1]) == centre
    others = np.where(at_centre, 0.0, np.round(values / unit) * unit)
    return np.where(at_centre, -others.sum(-1, keepdims=True), others)


def _sparse(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, nodes: int) -> sp.csr_matrix:
    found = sp.coo_matrix(
        (values.ravel(), (rows.ravel(), columns.ravel())), shape=(nodes, nodes)
    ).tocsr()
    found.eliminate_zeros()
    return found
