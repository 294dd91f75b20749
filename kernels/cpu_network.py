"""A whole spline network for CPUs: chunks of points go through all levels, forth and back, in one
compiled call a range of points.

Nothing is kept of the forward pass but its output; the adjoint of a chunk computes the jets of the
hidden levels again (see cpu_levels.py).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels import cpu, cpu_activation, network
from kanpde.kernels.cpu import (
    BLOCK,
    CHUNKS,
    POINTS_A_THREAD,
    KnotArrays,
    arrays_of,
    from_pieces,
    to_pieces,
)
from kanpde.kernels.cpu_levels import Net, forward_range, gradient_range, rows_range, squares_range
from kanpde.kernels.network import Tensors
from kanpde.kernels.pieces import degree_of
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal
from kanpde.kernels.vectors import LANES

CACHED = 2**12
"""Numbers of one level's jets that a chunk holds: all levels together stay in the first-level cache
of narrow networks."""


class Shape:
    """What the knots and the widths of a network alone say: the same for all its coefficients.

    Attributes:
        shapes: Of the coefficients of each level, (inputs, functions, outputs).
        grids: The knots of each level.
        sizes: As in cpu_levels.Net; and so are arrays (low, scale, cells, table) and masks.
        entries: Numbers in the coefficients of τ^s of all levels.
        first: Ones, as many as inputs of the first level.
    """

    def __init__(self, shapes: list[tuple[int, ...]], grids: list[KnotArrays]):
        self.shapes, self.grids = shapes, grids
        self.width, self.filled = grids[0].table.shape[2:]
        rows, begin = [], np.zeros(4, np.int64)
        for (inputs, _, outputs), grid in zip(shapes, grids, strict=True):
            cells = grid.table.shape[1]
            rows.append((inputs, outputs, cells, *begin))
            width = self.width if outputs >= LANES else self.filled
            begin += inputs, inputs * cells, inputs * cells * width * outputs, grid.table.size
        self.sizes, self.entries = np.array(rows), int(begin[2])
        low, scale, cells, table = ([grid[k] for grid in grids] for k in range(4))
        self.arrays = (
            np.concatenate(low),
            np.concatenate(scale),
            np.concatenate([c.reshape(-1, 4) for c in cells]),
            np.concatenate([t.reshape(-1) for t in table]),
        )
        self.masks = np.repeat(np.array([0, 1], self.arrays[0].dtype), LANES)
        self.first = np.ones(shapes[0][0], self.arrays[0].dtype)

    def level(self, A: np.ndarray, i: int) -> np.ndarray:
        """The coefficients of level i in A, [inputs, grid, degree + 1, outputs]."""
        inputs, outputs, cells, _, _, at, _ = self.sizes[i]
        if outputs >= LANES:
            own = A[at : at + inputs * cells * self.width * outputs]
            return own.reshape(inputs, cells, self.width, outputs)
        own = A[at : at + inputs * cells * outputs * self.filled]
        filled = own.reshape(inputs, cells, outputs, self.filled)
        return filled[..., : self.width].swapaxes(2, 3)


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _shape(C: Tensors, knots: Tensors) -> Shape:
    """The same Shape for the same knots and widths."""
    grids = [arrays_of(at, degree_of(c, at)) for c, at in zip(C, knots, strict=True)]
    shapes = [tuple(c.shape) for c in C]
    found = _known.get(knots[0])
    if (
        found is None
        or found.shapes != shapes
        or any(a is not b for a, b in zip(found.grids, grids, strict=True))
    ):
        found = _known[knots[0]] = Shape(shapes, grids)
    return found


class LevelPolynomials:
    """A network that is ready to run on ranges of points."""

    def __init__(
        self, C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, counts: Counts
    ):
        self.shape = shape = _shape(C, knots)
        A = np.zeros(shape.entries, shape.first.dtype)
        for i, (c, grid) in enumerate(zip(C, shape.grids, strict=True)):
            to_pieces(array(c), grid.table, shape.level(A, i))
        center = np.concatenate([shape.first, *map(array, centers)])
        factor = np.concatenate([shape.first, *(1 / array(s) for s in scales)])
        self.net = Net(shape.sizes, *shape.arrays, A, shape.masks, center, factor)
        self.constants = (0,) * shape.width, tuple((0,) * n for n in counts)
        widest = max(max(inputs, outputs) for inputs, _, outputs in shape.shapes)
        self.chunk = max(1, CACHED // ((1 + sum(counts)) * widest * BLOCK)) * BLOCK

    def parts(self, points: int) -> tuple[int, np.ndarray]:
        """How many points share a partial sum, a multiple of the chunk, from the shapes alone; and
        room for the sums."""
        most = max(1, min(CHUNKS, 2**22 // max(len(self.net.A), 1)))
        size = -(-max(POINTS_A_THREAD, -(-points // most)) // self.chunk) * self.chunk
        return size, np.zeros((max(1, -(-points // size)), len(self.net.A)), self.net.A.dtype)

    def gradient(self, gradients: np.ndarray) -> Tensor:
        """The adjoint of the coefficients, flat, from the partial sums of that of A."""
        total, at = gradients.sum(0), 0
        found = np.zeros(sum(p * n * q for p, n, q in self.shape.shapes), total.dtype)
        for i, (shape, grid) in enumerate(zip(self.shape.shapes, self.shape.grids, strict=True)):
            to = found[at : at + math.prod(shape)]
            from_pieces(self.shape.level(total, i), grid.table, to.reshape(shape))
            at += len(to)
        return torch.from_numpy(found)


def forward(
    X: Tensor, C: Tensor, knots: Tensor, centers: Tensor, scales: Tensor, counts: Counts
) -> Tensor:
    """As network.forward."""
    if _chained(C, knots):
        return network.forward(X, C, knots, centers, scales, counts, cpu, cpu_activation)
    levels, x, Y = (
        LevelPolynomials(C, knots, centers, scales, counts),
        array(X),
        X.new_empty(*X.shape[:2], C[-1].shape[2]),
    )
    y = Y.numpy()
    deal(
        lambda begin, end: forward_range(
            levels.net, x, *levels.constants, begin, end, levels.chunk, y
        ),
        len(X),
        levels.chunk,
    )
    return Y


def adjoint(
    L: Tensor,
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
) -> Tensor:
    """As network.adjoint."""
    if _chained(C, knots):
        return network.adjoint(L, X, C, knots, centers, scales, counts, cpu, cpu_activation)
    levels, lift, x = LevelPolynomials(C, knots, centers, scales, counts), array(L), array(X)
    size, gradients = levels.parts(len(X))
    deal(
        lambda begin, end: gradient_range(
            levels.net, lift, x, *levels.constants, begin, end, levels.chunk, size, gradients
        ),
        len(X),
        size,
    )
    return levels.gradient(gradients)


def squares(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    W: Tensor,
    b: Tensor,
    counts: Counts,
) -> tuple[Tensor, Tensor]:
    """As network.squares; each chunk of points goes forth and back while its jets are in the
    cache."""
    if _chained(C, knots):
        return network.squares(X, C, knots, centers, scales, W, b, counts, forward, adjoint)
    levels, w, at, x = (
        LevelPolynomials(C, knots, centers, scales, counts),
        array(W),
        array(b),
        array(X),
    )
    r = torch.empty_like(b, memory_format=torch.contiguous_format)
    rows, (size, gradients) = r.numpy(), levels.parts(len(X))
    deal(
        lambda begin, end: squares_range(
            levels.net, w, at, x, *levels.constants, begin, end, levels.chunk, size, rows, gradients
        ),
        len(X),
        size,
    )
    return r, levels.gradient(gradients)


def rows(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    W: Tensor,
    b: Tensor,
    counts: Counts,
) -> Tensor:
    """As network.rows."""
    return network.rows(X, C, knots, centers, scales, W, b, counts, forward)


def pullback(
    L: Tensor,
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
) -> tuple[Tensor, Tensor]:
    """As network.pullback."""
    if _chained(C, knots):
        return network.pullback(L, X, C, knots, centers, scales, counts, cpu, cpu_activation)
    levels, lift, x = LevelPolynomials(C, knots, centers, scales, counts), array(L), array(X)
    starts = torch.empty(len(X), sum(map(len, C)), dtype=torch.int64)
    values = X.new_empty(len(X), sum(p * levels.shape.width * q for p, _, q in levels.shape.shapes))
    at, to = starts.numpy(), values.numpy()
    deal(
        lambda begin, end: rows_range(
            levels.net, lift, x, *levels.constants, begin, end, levels.chunk, at, to
        ),
        len(X),
        levels.chunk,
    )
    return values, starts


def _chained(C: Tensors, knots: Tensors) -> bool:
    """Whether some level does not fill a vector, or the degrees differ: then level after level for
    all points."""
    return (
        any(c.shape[2] < LANES for c in C[:-1])
        or max(C[-1].shape[0], C[-1].shape[2]) < LANES
        or len({degree_of(c, at) for c, at in zip(C, knots, strict=True)}) > 1
    )
