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
from kanpde.kernels.pieces import degree_of, pieces, piecewise, piecewise_adjoint
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal, offsets_of
from kanpde.kernels.tiles import add_composed, add_products, add_value_adjoint, correlated, load_powers, load_value, locate, moments, taylor, taylor_adjoint

CHUNKS = 32
"""Partial sums of a gradient, at most."""


@compiled
def _forward_points(X, breaks, A, offsets, begin, end, Y):
    order, channels = len(offsets) - 2, X.shape[1]
    inputs, outputs, _, width = A.shape
    cell, tau, inverse = np.empty(TILE, np.int64), np.empty(TILE, X.dtype), np.empty(TILE, X.dtype)
    powers, w = np.empty((order + 1, channels, TILE), X.dtype), np.empty((max(width, order + 1), TILE), X.dtype)
    sums = np.empty((min(outputs, 16), channels, TILE), X.dtype)
    for first in range(begin, end, TILE):
        for start in range(0, outputs, len(sums)):
            count = min(len(sums), outputs - start)
            sums[:] = 0
            for p in range(inputs):
                load_value(X, first, p, tau)
                locate(tau, breaks[p], cell, tau, inverse)
                load_powers(X, first, p, offsets, inverse, powers)
                for q in range(count):
                    taylor(A[p, start + q], cell, tau, order, w)
                    add_composed(w, powers, offsets, sums[q])
            for i in range(min(TILE, end - first)):
                for c in range(channels):
                    for q in range(count):
                        Y[first + i, c, start + q] = sums[q, c, i]


@compiled
def _pullback_points(L, X, breaks, A, T, offsets, begin, end, size, inward, gradients, cells, block):
    """inward: empty if it is not wanted. gradients [chunks of so many points, inputs, outputs, grid, degree + 1] are added to,
    or cells and block are filled, where these are not empty."""
    order, channels = len(offsets) - 2, X.shape[1]
    inputs, outputs, _, width = A.shape
    back, local = len(inward) > 0, len(block) > 0
    cell, tau, inverse = np.empty(TILE, np.int64), np.empty(TILE, X.dtype), np.empty(TILE, X.dtype)
    powers, w = np.empty((order + 1, channels, TILE), X.dtype), np.empty((max(width, order + 2), TILE), X.dtype)
    H, S, value = np.empty((order + 1, TILE), X.dtype), np.empty((order + 1, channels, TILE), X.dtype), np.empty(TILE, X.dtype)
    lift, b = np.empty((outputs, channels, TILE), X.dtype), np.empty((width, order + 1, TILE), X.dtype)
    for first in range(begin, end, TILE):
        valid, chunk = min(TILE, end - first), first // size
        for i in range(TILE):
            n = min(first + i, len(X) - 1)
            for c in range(channels):
                for q in range(outputs):
                    lift[q, c, i] = L[n, c, q]
        for p in range(inputs):
            load_value(X, first, p, tau)
            locate(tau, breaks[p], cell, tau, inverse)
            load_powers(X, first, p, offsets, inverse, powers)
            S[:] = 0
            value[:] = 0
            if local:
                for j in range(width):
                    taylor(T[p, j], cell, tau, order, w)
                    for nu in range(order + 1):
                        for i in range(TILE):
                            b[j, nu, i] = w[nu, i]
                for i in range(valid):
                    cells[first + i, p] = cell[i]
            for q in range(outputs):
                moments(lift[q], powers, offsets, H)
                if back:
                    taylor(A[p, q], cell, tau, order + 1, w)
                    add_value_adjoint(w, H, value)
                    add_products(w, lift[q], offsets, S)
                if local:
                    for j in range(width):
                        for i in range(TILE):
                            w[0, i] = b[j, 0, i] * H[0, i]
                        for nu in range(1, order + 1):
                            for i in range(TILE):
                                w[0, i] += b[j, nu, i] * H[nu, i]
                        for i in range(valid):
                            block[first + i, p, j, q] = w[0, i]
                else:
                    taylor_adjoint(H, tau, order, w, width)
                    for i in range(valid):
                        for s in range(width):
                            gradients[chunk, p, q, cell[i], s] += w[s, i]
            if back:
                for i in range(valid):
                    inward[first + i, 0, p] = value[i] * inverse[i]
                for low in range(1, order + 1):
                    for direction in range(offsets[low + 1] - offsets[low]):
                        correlated(S, powers, offsets, low, direction, value)
                        for i in range(valid):
                            inward[first + i, offsets[low] + direction, p] = value[i] * inverse[i]


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
    return inward, piecewise_adjoint(gradients.sum(0).permute(0, 2, 3, 1), table)


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
    return array(piecewise(c, table).permute(0, 3, 1, 2))
