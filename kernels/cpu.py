"""The spline layer on jets for CPUs, compiled by Numba: the formulas of reference.py on tiles of points.

Every edge function is taken as a piecewise polynomial in τ (see pieces.py), with jets in units of the knot interval, so that
no basis is evaluated on the way forward: the degree + 1 coefficients of a point's interval give all Taylor coefficients by
repeated synthetic division. All inner loops run over the TILE points of a tile, which lies in the first-level cache, so one
compiled function serves every degree, order, width and grid. Points are dealt out in chunks that depend on the shapes alone
and partial sums are added in their order: the same input gives the same bits, however many threads there are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kanpde.kernels.compiled import TILE, compiled
from kanpde.kernels.pieces import degree_of, pieces
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal, offsets_of
from kanpde.kernels.tiles import add_composed, add_products, add_value_adjoint, correlated, fill_powers, load, locate, moments, store, taylor, taylor_adjoint

BLOCK = 16
"""Outputs that are summed at a time."""

CHUNKS = 32
"""Partial sums of a gradient, at most."""


@compiled
def _piecewise(c, table, A):
    """A [inputs, outputs, grid, degree + 1]: the edge functions as piecewise polynomials, from their coefficients."""
    inputs, grid, width, _ = table.shape
    for p in range(inputs):
        for q in range(c.shape[2]):
            for g in range(grid):
                A[p, q, g, :] = 0
                for j in range(width):
                    for s in range(width):
                        A[p, q, g, s] += c[p, g + j, q] * table[p, g, j, s]


@compiled
def _piecewise_adjoint(A, table, c):
    """The transpose: adds to c."""
    inputs, grid, width, _ = table.shape
    for p in range(inputs):
        for q in range(c.shape[2]):
            for g in range(grid):
                for j in range(width):
                    for s in range(width):
                        c[p, g + j, q] += A[p, q, g, s] * table[p, g, j, s]


@compiled
def _forward_points(X, breaks, A, offsets, begin, end, Y):
    order, channels = len(offsets) - 2, X.shape[1]
    inputs, outputs, _, width = A.shape
    cell, tau, inverse = np.empty(TILE, np.int64), np.empty(TILE, X.dtype), np.empty(TILE, X.dtype)
    powers, w = np.empty((order + 1, channels, TILE), X.dtype), np.empty((max(width, order + 1), TILE), X.dtype)
    x, y = np.empty((inputs, channels, TILE), X.dtype), np.empty((min(outputs, BLOCK), channels, TILE), X.dtype)
    for first in range(begin, end, TILE):
        load(X, first, x)
        for start in range(0, outputs, BLOCK):
            count = min(BLOCK, outputs - start)
            y[:] = 0
            for p in range(inputs):
                locate(x[p, 0], breaks[p], cell, tau, inverse)
                fill_powers(x[p], offsets, inverse, powers)
                for q in range(count):
                    taylor(A[p, start + q], cell, tau, order, w)
                    add_composed(w, powers, offsets, y[q])
            store(y[:count], first, min(TILE, end - first), start, Y)


@compiled
def _pullback_points(L, X, breaks, A, T, offsets, begin, end, size, inward, gradients, cells, block):
    """inward: empty if it is not wanted. gradients [chunks of so many points, inputs, outputs, grid, degree + 1] are added to,
    or cells and block are filled, where these are not empty."""
    order, channels = len(offsets) - 2, X.shape[1]
    inputs, outputs, _, width = A.shape
    back, local = len(inward) > 0, len(block) > 0
    cell, tau, inverse = np.empty(TILE, np.int64), np.empty(TILE, X.dtype), np.empty(TILE, X.dtype)
    powers, w = np.empty((order + 1, channels, TILE), X.dtype), np.empty((max(width, order + 2), TILE), X.dtype)
    H, S = np.empty((order + 1, TILE), X.dtype), np.empty((order + 1, channels, TILE), X.dtype)
    x, lift = np.empty((inputs, channels, TILE), X.dtype), np.empty((outputs, channels, TILE), X.dtype)
    b, row = np.empty((width, order + 1, TILE), X.dtype), np.empty((width, outputs, TILE), X.dtype)
    for first in range(begin, end, TILE):
        valid, chunk = min(TILE, end - first), first // size
        load(X, first, x)
        load(L, first, lift)
        for p in range(inputs):
            locate(x[p, 0], breaks[p], cell, tau, inverse)
            fill_powers(x[p], offsets, inverse, powers)
            S[:] = 0
            if back:
                x[p, 0] = 0  # from here on x[p] is the adjoint
            if local:
                for j in range(width):
                    taylor(T[p, j], cell, tau, order, w)
                    b[j] = w[: order + 1]
                for i in range(valid):
                    cells[first + i, p] = cell[i]
            for q in range(outputs):
                moments(lift[q], powers, offsets, H)
                if back:
                    taylor(A[p, q], cell, tau, order + 1, w)
                    add_value_adjoint(w, H, x[p, 0])
                    add_products(w, lift[q], offsets, S)
                if local:
                    for j in range(width):
                        for i in range(TILE):
                            row[j, q, i] = b[j, 0, i] * H[0, i]
                        for nu in range(1, order + 1):
                            for i in range(TILE):
                                row[j, q, i] += b[j, nu, i] * H[nu, i]
                else:
                    taylor_adjoint(H, tau, order, w, width)
                    for i in range(valid):
                        for s in range(width):
                            gradients[chunk, p, q, cell[i], s] += w[s, i]
            if local:
                for i in range(valid):
                    for j in range(width):
                        for q in range(outputs):
                            block[first + i, p, j, q] = row[j, q, i]
            if back:
                for low in range(1, order + 1):
                    for direction in range(offsets[low + 1] - offsets[low]):
                        correlated(S, powers, offsets, low, direction, x[p, offsets[low] + direction])
                for c in range(channels):
                    for i in range(TILE):
                        x[p, c, i] *= inverse[i]
        if back:
            store(x, first, valid, 0, inward)


def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """As reference.forward."""
    breaks, table = pieces(knots, degree_of(c, knots))
    Y = X.new_empty(*X.shape[:2], c.shape[2])
    x, ends, a, y, offsets = array(X), array(breaks), _edges(c, table), Y.numpy(), offsets_of(counts)
    deal(lambda begin, end: _forward_points(x, ends, a, offsets, begin, end, y), len(X), TILE)
    return Y


def adjoint(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True) -> tuple[Tensor, Tensor]:
    """As reference.adjoint."""
    _, table = pieces(knots, degree_of(c, knots))
    entries = table[:, :, 0].numel() * c.shape[2]
    size = max(1, -(-len(X) // (TILE * max(1, min(CHUNKS, 2**22 // entries))))) * TILE  # from the shapes alone
    gradients = X.new_zeros(-(-len(X) // size), c.shape[0], c.shape[2], table.shape[1], table.shape[2])
    inward, _, _ = _pullback(L, X, c, knots, counts, back, size, gradients, local=False)
    gradient = torch.zeros_like(c, memory_format=torch.contiguous_format)
    _piecewise_adjoint(gradients.sum(0).numpy(), array(table), gradient.numpy())
    return inward, gradient


def pullback(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As reference.pullback."""
    return _pullback(L, X, c, knots, counts, back, TILE, X.new_empty(0, 0, 0, 0, 0), local=True)


def _pullback(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool, size: int, gradients: Tensor, local: bool) -> tuple[Tensor, Tensor, Tensor]:
    breaks, table = pieces(knots, degree_of(c, knots))
    points = len(X) if local else 0
    inward = X.new_empty(X.shape if back else (0, *X.shape[1:]))
    cells = torch.empty(points, X.shape[2], dtype=torch.int64)
    block = X.new_empty(points, X.shape[2], table.shape[2], c.shape[2])
    given = (array(L), array(X), array(breaks), _edges(c, table), array(table.permute(0, 2, 1, 3)), offsets_of(counts))
    found = (inward.numpy(), gradients.numpy(), cells.numpy(), block.numpy())
    deal(lambda begin, end: _pullback_points(*given, begin, end, size, *found), len(X), size)
    return inward if back else X.new_empty(0), cells, block


def _edges(c: Tensor, table: Tensor) -> np.ndarray:
    """Every edge function as a piecewise polynomial, [inputs, outputs, grid, degree + 1]."""
    A = np.empty((c.shape[0], c.shape[2], *table.shape[1:3]), array(c).dtype)
    _piecewise(array(c), array(table), A)
    return A
