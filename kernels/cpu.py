"""The spline layer on jets for CPUs, compiled by Numba: the formulas of reference.py in vector instructions.

Every edge function is taken as a piecewise polynomial in τ (see pieces.py), with jets in units of the knot interval: no
basis is evaluated on the way forward. Vectors hold the outputs of one input, whose coefficients lie together, or, where
outputs are few, the inputs of one output; all algebra is in registers (see vector_edges.py). Partial sums over points belong
to chunks that depend on the shapes alone and are added in their order: the same input gives the same bits, however many
threads there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels.compiled import compiled
from kanpde.kernels.pieces import degree_of, pieces
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal
from kanpde.kernels.vector_edges import add_inputs, fill_powers, pull_inputs, pull_outputs, store_products, store_taylor, sum_inputs
from kanpde.kernels.vectors import LANES

BLOCK = 16
"""Points that are taken through a layer together, so that coefficients stay in the cache."""

POINTS = 256
"""Points that are worth a thread of their own."""

CHUNKS = 32
"""Partial sums of a gradient, at most."""

GATHER = 1.5
"""Cost of a vector over inputs, whose coefficients are gathered, in vectors over outputs."""


class Grid(NamedTuple):
    """Knots as the kernels need them: breaks [inputs, grid + 1]; scale [inputs], intervals by length; middle and inverse length
    of each interval [inputs, grid]; table [inputs, grid, degree + 1, splines], of τ^s, the splines filled up to whole vectors."""

    breaks: np.ndarray
    scale: np.ndarray
    middle: np.ndarray
    inverse: np.ndarray
    table: np.ndarray


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _grid(knots: Tensor, degree: int) -> Grid:
    """The same Grid for the same Pieces."""
    found = pieces(knots, degree)
    if _known.get(knots, (None, None))[0] is not found:
        left, right = found.breaks[:, :-1], found.breaks[:, 1:]
        scale = left.shape[1] / (right[:, -1] - left[:, 0])
        table = pad(found.table.transpose(2, 3), (0, -found.table.shape[3] % LANES))
        _known[knots] = (found, Grid(*map(array, (found.breaks, scale, (left + right) / 2, 1 / (right - left), table))))
    return _known[knots][1]


@compiled
def _interval(x, breaks, scale, p):
    """The interval that holds x; nan is in the first one."""
    grid = breaks.shape[1] - 1
    guess = (x - breaks[p, 0]) * scale[p]
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
    inputs, grid, width, outputs = A.shape
    for p in range(inputs):
        for g in range(grid):
            for s in range(width):
                for j in range(width):
                    for q in range(outputs):
                        A[p, g, s, q] += table[p, g, s, j] * c[p, g + j, q]


@compiled
def _piecewise_adjoint(A, table, c):
    """The transpose: adds to c."""
    inputs, grid, width, outputs = A.shape
    for p in range(inputs):
        for g in range(grid):
            for j in range(width):
                for s in range(width):
                    for q in range(outputs):
                        c[p, g + j, q] += table[p, g, s, j] * A[p, g, s, q]


@compiled
def _forward_by_outputs(X, breaks, scale, middle, inverse, A, masks, width, counts, begin, end, Y):
    _, channels, inputs = X.shape
    _, grid, _, outputs = A.shape
    x, a, y = X.reshape(-1), A.reshape(-1), Y.reshape(-1)
    bases, taus = np.empty(BLOCK * inputs, np.int64), np.empty(BLOCK * inputs, X.dtype)
    size = (len(counts) + 1) * channels
    powers = np.empty(BLOCK * inputs * size, X.dtype)
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        for n in range(first, last):
            for p in range(inputs):
                at, place = n * channels * inputs + p, (n - first) * inputs + p
                g = _interval(x[at], breaks, scale, p)
                bases[place], taus[place] = (p * grid + g) * len(width) * outputs, (x[at] - middle[p, g]) * inverse[p, g]
                fill_powers(x, at, inputs, inverse[p, g], powers, place * size, counts)
        for v in range(0, outputs, LANES):
            for n in range(first, last):
                add_inputs(a, bases, taus, powers, (n - first) * inputs, inputs, min(v, outputs - LANES), outputs, y, n * channels * outputs, width, counts)


@compiled
def _forward_by_inputs(X, breaks, scale, middle, inverse, A, masks, width, counts, begin, end, Y):
    _, channels, inputs = X.shape
    _, grid, _, outputs = A.shape
    x, a, y = X.reshape(-1), A.reshape(-1), Y.reshape(-1)
    bases, taus, inverses = np.empty(inputs, np.int64), np.empty(inputs, X.dtype), np.empty(inputs, X.dtype)
    for n in range(begin, end):
        at = n * channels * inputs
        for p in range(inputs):
            g = _interval(x[at + p], breaks, scale, p)
            bases[p], taus[p], inverses[p] = (p * grid + g) * len(width) * outputs, (x[at + p] - middle[p, g]) * inverse[p, g], inverse[p, g]
        for q in range(outputs):
            sum_inputs(a, bases, taus, inverses, x, at, inputs, masks, q, outputs, y, n * channels * outputs, width, counts)


@compiled
def _pull_by_outputs(L, X, breaks, scale, middle, inverse, table, A, masks, width, counts, back, local, begin, end, size, inward, gradients, cells, block):
    """inward is written where the tuple `back` is not empty. Where `local` is not, cells and block are written; else the adjoint
    of A is added to gradients [chunks of `size` points, inputs, grid, degree + 1, outputs]."""
    _, channels, inputs = X.shape
    _, grid, _, outputs = A.shape
    splines, x, a, lift, back_to, b, target = table.shape[3], X.reshape(-1), A.reshape(-1), L.reshape(-1), inward.reshape(-1), table.reshape(-1), block.reshape(-1)
    H, values = np.empty((len(counts) + 1) * outputs, X.dtype), np.empty((len(counts) + 1) * splines, X.dtype)
    for first in range(begin, end, BLOCK):
        gradient = gradients[first // size].reshape(-1)
        for p in range(inputs):
            for n in range(first, min(first + BLOCK, end)):
                at = n * channels * inputs + p
                g = _interval(x[at], breaks, scale, p)
                tau, base = (x[at] - middle[p, g]) * inverse[p, g], (p * grid + g) * len(width) * outputs
                pull_outputs(a, base, tau, inverse[p, g], x, at, inputs, lift, n * channels * outputs, outputs, masks, back_to, gradient, H, width, counts, back, local)
                if len(local):
                    cells[n, p] = g
                    store_taylor(b, (p * grid + g) * len(width) * splines, tau, values, width, counts)
                    for j in range(len(width)):
                        to = ((n * inputs + p) * len(width) + j) * outputs
                        for v in range(0, outputs, LANES):
                            q = min(v, outputs - LANES)
                            store_products(values, j, splines, H, q, outputs, target, to + q, counts)


@compiled
def _pull_by_inputs(L, X, breaks, scale, middle, inverse, table, A, masks, width, counts, back, local, begin, end, size, inward, gradients, cells, block):
    """As _pull_by_outputs."""
    _, channels, inputs = X.shape
    _, grid, _, outputs = A.shape
    splines, x, a, lift, back_to, b = table.shape[3], X.reshape(-1), A.reshape(-1), L.reshape(-1), inward.reshape(-1), table.reshape(-1)
    bases, taus, inverses = np.empty(inputs, np.int64), np.empty(inputs, X.dtype), np.empty(inputs, X.dtype)
    H, values, row = np.empty((len(counts) + 1) * outputs * inputs, X.dtype), np.empty((len(counts) + 1) * splines, X.dtype), np.empty(splines, X.dtype)
    for n in range(begin, end):
        at = n * channels * inputs
        for p in range(inputs):
            g = _interval(x[at + p], breaks, scale, p)
            bases[p], taus[p], inverses[p] = (p * grid + g) * len(width) * outputs, (x[at + p] - middle[p, g]) * inverse[p, g], inverse[p, g]
            if len(local):
                cells[n, p] = g
        pull_inputs(a, bases, taus, inverses, x, at, inputs, lift, n * channels * outputs, outputs, masks, back_to, gradients[n // size].reshape(-1), H, width, counts, back, local)
        if len(local):
            for p in range(inputs):
                store_taylor(b, (p * grid + cells[n, p]) * len(width) * splines, taus[p], values, width, counts)
                for q in range(outputs):
                    for v in range(0, splines, LANES):
                        store_products(H, q * inputs + p, outputs * inputs, values, v, splines, row, v, counts)
                    for j in range(len(width)):
                        block[n, p, j, q] = row[j]


def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """As reference.forward."""
    grid, filled = _grid(knots, degree_of(c, knots)), _filled(c, X)
    Y = X.new_empty(*X.shape[:2], filled.shape[2])
    given, y = (array(X), *grid[:4], _edges(filled, grid), *_constants(grid, counts)), Y.numpy()
    work = _forward_by_inputs if _by_inputs(filled) else _forward_by_outputs
    deal(lambda begin, end: work(*given, begin, end, y), len(X), POINTS)
    return Y[:, :, : c.shape[2]].contiguous()


def adjoint(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True) -> tuple[Tensor, Tensor]:
    """As reference.adjoint."""
    grid, filled = _grid(knots, degree_of(c, knots)), _filled(c, X)
    A = _edges(filled, grid)
    chunks = max(1, min(CHUNKS, 2**22 // max(A.size, 1)))
    size = max(1, -(-len(X) // (BLOCK * chunks))) * BLOCK  # from the shapes alone
    gradients = torch.zeros(max(1, -(-len(X) // size)), *A.shape, dtype=X.dtype)
    inward, _, _ = _pull(_filled(L, X), X, A, grid, counts, back, (), size, gradients)
    gradient = torch.zeros_like(filled, memory_format=torch.contiguous_format)
    _piecewise_adjoint(gradients.sum(0).numpy(), grid.table, gradient.numpy())
    return inward, gradient[:, :, : c.shape[2]].contiguous()


def pullback(L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As reference.pullback."""
    grid = _grid(knots, degree_of(c, knots))
    none = torch.empty(1, 0, 0, 0, 0, dtype=X.dtype)
    inward, cells, block = _pull(_filled(L, X), X, _edges(_filled(c, X), grid), grid, counts, back, (0,), max(len(X), 1), none, POINTS)
    return inward, cells, block[:, :, :, : c.shape[2]].contiguous()


def _pull(
    L: Tensor, X: Tensor, A: np.ndarray, grid: Grid, counts: Counts, back: bool, local: tuple[int, ...], size: int, gradients: Tensor, unit: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    points, width = (len(X) if local else 0), A.shape[2]
    inward = X.new_empty(X.shape if back else (0, *X.shape[1:]))
    cells = torch.empty(points, X.shape[2], dtype=torch.int64)
    block = X.new_empty(points, X.shape[2], width, L.shape[2])
    given = (array(L), array(X), *grid, A, *_constants(grid, counts), (0,) if back else (), local)
    found = (inward.numpy(), gradients.numpy(), cells.numpy(), block.numpy())
    work = _pull_by_inputs if _by_inputs(L, X.shape[2]) else _pull_by_outputs
    deal(lambda begin, end: work(*given, begin, end, size, *found), len(X), unit or size)
    return inward if back else X.new_empty(0), cells, block


def _by_inputs(c: Tensor, inputs: int | None = None) -> bool:
    """Whether vectors hold the inputs; c [..., outputs] with as many inputs, or those of its first axis."""
    inputs, outputs = inputs or len(c), c.shape[-1]
    return inputs >= LANES and (outputs < LANES or GATHER * -(-inputs // LANES) * outputs < inputs * -(-outputs // LANES))


def _filled(c: Tensor, X: Tensor) -> Tensor:
    """c [..., outputs], with outputs that are zero where neither inputs nor outputs would fill a vector."""
    return pad(c, (0, LANES - c.shape[-1])) if c.shape[-1] < LANES and X.shape[2] < LANES else c


def _edges(c: Tensor, grid: Grid) -> np.ndarray:
    """Every edge function as a piecewise polynomial, [inputs, grid, degree + 1, outputs]."""
    inputs, cells, width, _ = grid.table.shape
    A = np.zeros((inputs, cells, width, c.shape[2]), grid.table.dtype)
    _piecewise(array(c), grid.table, A)
    return A


def _constants(grid: Grid, counts: Counts) -> tuple[np.ndarray, tuple, tuple]:
    """masks, and degree and channel layout as lengths of tuples: what a kernel is compiled for."""
    masks = np.repeat(np.array([0, 1], grid.table.dtype), LANES)
    return masks, (0,) * grid.table.shape[2], tuple((0,) * count for count in counts)
