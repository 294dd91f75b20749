"""The spline layer on jets for CPUs, compiled by Numba: the formulas of reference.py with vectors over the outputs.

Every edge function is taken as a piecewise polynomial in τ (see pieces.py), with jets in units of the knot interval: no
basis is evaluated on the way forward. The coefficients of all outputs of one interval lie together, so a point loads them
without gathering, and the algebra in between is in registers (see instructions.py). Points go through in blocks, input by
input, so that one input's coefficients stay in the cache. Partial sums over points belong to chunks that depend on the
shapes alone and are added in their order: the same input gives the same bits, however many threads there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels.compiled import compiled
from kanpde.kernels.instructions import LANES, add_edges, fill_powers, pull_edges, store_products, store_taylor, sum_lanes
from kanpde.kernels.pieces import degree_of, pieces
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal

BLOCK = 16
"""Points that are taken through all inputs together."""

POINTS = 256
"""Points that are worth a thread of their own."""

CHUNKS = 32
"""Partial sums of a gradient, at most."""


class Grid(NamedTuple):
    """Knots as the kernels need them: breaks [inputs, grid + 1]; middle and inverse length of each interval [inputs, grid];
    table [inputs, grid, degree + 1, splines], of τ^s, the splines filled up with zeros to whole vectors."""

    breaks: np.ndarray
    middle: np.ndarray
    inverse: np.ndarray
    table: np.ndarray


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _grid(knots: Tensor, degree: int) -> Grid:
    """The same Grid for the same Pieces."""
    found = pieces(knots, degree)
    if _known.get(knots, (None, None))[0] is not found:
        left, right = found.breaks[:, :-1], found.breaks[:, 1:]
        table = found.table.transpose(2, 3)
        grid = Grid(*map(array, (found.breaks, (left + right) / 2, 1 / (right - left), pad(table, (0, -table.shape[3] % LANES)))))
        _known[knots] = (found, grid)
    return _known[knots][1]


@compiled
def _interval(x, breaks, p):
    """The interval that holds x; nan is in the first one."""
    grid = breaks.shape[1] - 1
    guess = (x - breaks[p, 0]) * grid / (breaks[p, grid] - breaks[p, 0])
    g = 0
    if guess >= grid:
        g = grid - 1
    elif guess > 0:
        g = int(guess)
    while g > 0 and x < breaks[p, g]:
        g -= 1
    while g < grid - 1 and x >= breaks[p, g + 1]:
        g += 1
    return g


@compiled
def _piecewise(c, table, A):
    """A [inputs, grid, degree + 1, outputs]: the coefficients of τ^s of the edge functions, from c."""
    inputs, grid, width, _ = A.shape
    for p in range(inputs):
        for g in range(grid):
            for s in range(width):
                for j in range(width):
                    for q in range(c.shape[2]):
                        A[p, g, s, q] += table[p, g, s, j] * c[p, g + j, q]


@compiled
def _piecewise_adjoint(A, table, c):
    """The transpose: adds to c."""
    inputs, grid, width, _ = A.shape
    for p in range(inputs):
        for g in range(grid):
            for j in range(width):
                for s in range(width):
                    for q in range(c.shape[2]):
                        c[p, g + j, q] += table[p, g, s, j] * A[p, g, s, q]


@compiled
def _forward_points(X, breaks, middle, inverse, A, width, counts, begin, end, Y):
    _, channels, inputs = X.shape
    _, grid, _, lanes = A.shape
    outputs, x, a = Y.shape[2], X.reshape(-1), A.reshape(-1)
    y, powers = np.empty(BLOCK * channels * lanes, X.dtype), np.empty((len(counts) + 1) * channels, X.dtype)
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        y[:] = 0
        for p in range(inputs):
            for n in range(first, last):
                at = n * channels * inputs + p
                g = _interval(x[at], breaks, p)
                tau = (x[at] - middle[p, g]) * inverse[p, g]
                fill_powers(x, at, inputs, inverse[p, g], powers, counts)
                for v in range(0, lanes, LANES):
                    add_edges(a, (p * grid + g) * len(width) * lanes + v, lanes, tau, powers, y, (n - first) * channels * lanes + v, width, counts)
        for n in range(first, last):
            for c in range(channels):
                for q in range(outputs):
                    Y[n, c, q] = y[((n - first) * channels + c) * lanes + q]


@compiled
def _pullback_points(L, X, breaks, middle, inverse, table, A, width, counts, back, local, begin, end, size, inward, gradients, cells, block):
    """inward is written where the tuple `back` is not empty. Where `local` is not, cells and block are written; else the adjoint
    of A is added to gradients [chunks of `size` points, inputs, grid, degree + 1, outputs]."""
    _, channels, inputs = X.shape
    _, grid, _, lanes = A.shape
    outputs, splines, x, a, b = L.shape[2], table.shape[3], X.reshape(-1), A.reshape(-1), table.reshape(-1)
    lift, powers = np.zeros(BLOCK * channels * lanes, X.dtype), np.empty((len(counts) + 1) * channels, X.dtype)
    adjoint, H = np.empty(channels * LANES, X.dtype), np.empty((len(counts) + 1) * lanes, X.dtype)
    values, row = np.empty((len(counts) + 1) * splines, X.dtype), np.empty(len(width) * outputs + lanes, X.dtype)
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        for n in range(first, last):
            for c in range(channels):
                for q in range(outputs):
                    lift[((n - first) * channels + c) * lanes + q] = L[n, c, q]
        gradient = gradients[first // size].reshape(-1)
        for p in range(inputs):
            for n in range(first, last):
                at = n * channels * inputs + p
                g = _interval(x[at], breaks, p)
                tau = (x[at] - middle[p, g]) * inverse[p, g]
                fill_powers(x, at, inputs, inverse[p, g], powers, counts)
                adjoint[:] = 0
                for v in range(0, lanes, LANES):
                    base = (p * grid + g) * len(width) * lanes + v
                    pull_edges(a, base, lanes, tau, powers, lift, (n - first) * channels * lanes + v, adjoint, gradient, H, width, counts, back, local)
                if len(back):
                    for c in range(channels):
                        inward[n, c, p] = sum_lanes(adjoint, c * LANES) * inverse[p, g]
                if len(local):
                    cells[n, p] = g
                    for v in range(0, splines, LANES):
                        store_taylor(b, (p * grid + g) * len(width) * splines + v, splines, tau, values, v, width, counts)
                    for j in range(len(width)):
                        for v in range(0, lanes, LANES):  # what is written past the outputs is overwritten by the next j
                            store_products(values, j, splines, H, v, lanes, row, j * outputs + v, counts)
                    target = block[n, p].reshape(-1)
                    for k in range(len(target)):
                        target[k] = row[k]


def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """As reference.forward."""
    grid = _grid(knots, degree_of(c, knots))
    Y = X.new_empty(*X.shape[:2], c.shape[2])
    given, y = (array(X), *grid[:3], _edges(c, grid), *_constants(grid, counts)), Y.numpy()
    deal(lambda begin, end: _forward_points(*given, begin, end, y), len(X), POINTS)
    return Y


def adjoint(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True) -> tuple[Tensor, Tensor]:
    """As reference.adjoint."""
    grid = _grid(knots, degree_of(c, knots))
    A = _edges(c, grid)
    chunks = max(1, min(CHUNKS, 2**22 // max(A.size, 1)))
    size = max(1, -(-len(X) // (BLOCK * chunks))) * BLOCK  # from the shapes alone
    gradients = torch.zeros(max(1, -(-len(X) // size)), *A.shape, dtype=X.dtype)
    inward, _, _ = _pullback(L, X, A, grid, counts, back, (), size, gradients)
    gradient = torch.zeros_like(c, memory_format=torch.contiguous_format)
    _piecewise_adjoint(gradients.sum(0).numpy(), grid.table, gradient.numpy())
    return inward, gradient


def pullback(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As reference.pullback."""
    grid = _grid(knots, degree_of(c, knots))
    none = torch.empty(1, 0, 0, 0, 0, dtype=X.dtype)
    return _pullback(L, X, _edges(c, grid), grid, counts, back, (0,), max(len(X), 1), none, POINTS)


def _pullback(
    L: Tensor, X: Tensor, A: np.ndarray, grid: Grid, counts: Counts, back: bool, local: tuple[int, ...], size: int, gradients: Tensor, unit: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    points, width = (len(X) if local else 0), A.shape[2]
    inward = X.new_empty(X.shape if back else (0, *X.shape[1:]))
    cells = torch.empty(points, X.shape[2], dtype=torch.int64)
    block = X.new_empty(points, X.shape[2], width, L.shape[2])
    given = (array(L), array(X), *grid, A, *_constants(grid, counts), (0,) if back else (), local)
    found = (inward.numpy(), gradients.numpy(), cells.numpy(), block.numpy())
    deal(lambda begin, end: _pullback_points(*given, begin, end, size, *found), len(X), unit or size)
    return inward if back else X.new_empty(0), cells, block


def _edges(c: Tensor, grid: Grid) -> np.ndarray:
    """Every edge function as a piecewise polynomial, [inputs, grid, degree + 1, outputs], filled up to whole vectors."""
    inputs, cells, width, _ = grid.table.shape
    A = np.zeros((inputs, cells, width, c.shape[2] + -c.shape[2] % LANES), grid.table.dtype)
    _piecewise(array(c), grid.table, A)
    return A


def _constants(grid: Grid, counts: Counts) -> tuple[tuple, tuple]:
    """Degree and channel layout as lengths of tuples: what a kernel is compiled for."""
    return (0,) * grid.table.shape[2], tuple((0,) * count for count in counts)
