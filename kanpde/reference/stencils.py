"""Finite-difference weights, and sparse differentiation matrices in one dimension built from them.

A centred stencil of accuracy p (even) is used wherever it fits. At the ends of an interval the closures are one-sided
stencils on m + p points for derivative m, whose truncation error is of the same order p; a periodic matrix wraps round.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable


def weights(offsets: Float[np.ndarray, " points"], derivative: int) -> Float[np.ndarray, " points"]:
    """Weights w with Σ w_i f(x_i) ≈ f^(m)(0), exact for polynomials of degree below the number of points.

    offsets: distinct x_i, at least derivative + 1 of them. Source: Fornberg, Math. Comp. 51 (1988), 699-706.
    """
    x = np.asarray(offsets, dtype=float)
    table = np.zeros((len(x), derivative + 1))
    table[0, 0] = 1.0
    c1 = 1.0
    for i in range(1, len(x)):
        top = min(i, derivative)
        gaps = x[i] - x[:i]
        c2 = float(np.prod(gaps))
        for m in range(top, -1, -1):
            lower = table[i - 1, m - 1] if m else 0.0
            table[i, m] = c1 / c2 * (m * lower - x[i - 1] * table[i - 1, m])
        for j in range(i):
            for m in range(top, -1, -1):
                lower = table[j, m - 1] if m else 0.0
                table[j, m] = (x[i] * table[j, m] - m * lower) / gaps[j]
        c1 = c2
    return table[:, derivative]


def half_width(derivative: int, accuracy: int) -> int:
    """Points on either side of the centre that a centred stencil of an even accuracy takes."""
    return (derivative + 1) // 2 - 1 + accuracy // 2


def matrix(nodes: int, step: float, derivative: int, accuracy: int, periodic: bool = False) -> sp.csr_matrix:
    """Sparse [nodes, nodes] matrix of the m-th derivative on equidistant nodes, of order `accuracy` (even) in every row.

    A periodic grid leaves out the end point that repeats the first. Raises ReferenceUnavailable for too few nodes.
    """
    if accuracy < 2 or accuracy % 2:
        raise ReferenceUnavailable(f"finite differences of order {accuracy}: expected 2, 4 or another even order")
    if derivative == 0:
        return sp.identity(nodes, format="csr")
    half, one_sided = half_width(derivative, accuracy), derivative + accuracy
    if nodes < max(one_sided, 2 * half + 1):
        raise ReferenceUnavailable(f"{nodes} nodes along a coordinate; a derivative of order {derivative} to accuracy {accuracy} takes at least {max(one_sided, 2 * half + 1)}")
    centred = np.arange(-half, half + 1)
    row, reach = np.arange(nodes)[:, None], np.broadcast_to(centred, (nodes, len(centred)))
    values = np.broadcast_to(weights(centred.astype(float), derivative), reach.shape)
    if periodic:
        return _scaled(np.broadcast_to(row, reach.shape), (row + reach) % nodes, values, nodes, step, derivative)
    inner = slice(half, nodes - half)
    rows: list[np.ndarray] = [np.broadcast_to(row, reach.shape)[inner]]
    columns: list[np.ndarray] = [(row + reach)[inner]]
    data: list[np.ndarray] = [values[inner]]
    near = np.arange(one_sided)
    for i in range(half):
        w = weights((near - i).astype(float), derivative)
        rows += [np.full(one_sided, i), np.full(one_sided, nodes - 1 - i)]
        columns += [near, nodes - 1 - near]
        data += [w, (-1) ** derivative * w]
    flat = [np.concatenate([part.ravel() for part in parts]) for parts in (rows, columns, data)]
    return _scaled(flat[0], flat[1], flat[2], nodes, step, derivative)


def _scaled(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, nodes: int, step: float, derivative: int) -> sp.csr_matrix:
    data = values.ravel() / step**derivative
    found = sp.coo_matrix((data, (rows.ravel(), columns.ravel())), shape=(nodes, nodes)).tocsr()
    found.eliminate_zeros()
    return found
