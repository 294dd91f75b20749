"""The spline layer on jets for CPUs, compiled by Numba: the formulas of plain.py in vector
instructions.

Every edge function is taken as a piecewise polynomial in τ (see pieces.py), with jets in units of
the knot interval: no basis is evaluated on the way forward. Vectors hold the outputs of one input,
whose coefficients lie together, or, where outputs are few, the inputs of one output; all algebra is
in registers (see vector_edges.py). Partial sums over points belong to chunks that depend on the
shapes alone and are added in their order: the same input gives the same bits, however many threads
there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels.compiled import called, compiled, inlined
from kanpde.kernels.pieces import degree_of, pieces
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal
from kanpde.kernels.vector_edges import (
    add_inputs,
    fill_powers,
    pull_inputs,
    pull_outputs,
    store_products,
    store_taylor,
    sum_inputs,
)
from kanpde.kernels.vectors import LANES

BLOCK = 16
"""Points that are taken through a layer together, so that coefficients stay in the cache."""

POINTS_A_THREAD = 256
"""Points that are worth a thread of their own."""

CHUNKS = 16
"""Partial sums of a gradient, at most."""


class KnotArrays(NamedTuple):
    """Knots as the kernels for CPUs need them.

    Attributes:
        low: The first ones, [inputs].
        scale: Intervals by length, [inputs].
        cells: Left end, right end, middle and inverse length of each interval, [inputs, grid, 4].
        table: The coefficients of τ^s of the splines, [inputs, grid, degree + 1, splines], the
            splines filled up to whole vectors.
    """

    low: np.ndarray
    scale: np.ndarray
    cells: np.ndarray
    table: np.ndarray


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def arrays_of(knots: Tensor, degree: int) -> KnotArrays:
    """The same KnotArrays for the same PolynomialPieces."""
    found = pieces(knots, degree)
    if _known.get(knots, (None, None))[0] is not found:
        left, right = found.breaks[:, :-1], found.breaks[:, 1:]
        scale = left.shape[1] / (right[:, -1] - left[:, 0])
        cells = torch.stack([left, right, (left + right) / 2, 1 / (right - left)], -1)
        # no number is beyond a nan: the end intervals go on
        cells[:, 0, 0] = cells[:, -1, 1] = torch.nan
        table = pad(found.table.transpose(2, 3), (0, -found.table.shape[3] % LANES))
        _known[knots] = (found, KnotArrays(*map(array, (left[:, 0], scale, cells, table))))
    return _known[knots][1]


@called
def _interval(x, low, scale, cells, p):
    """The interval that holds x; nan is in the first one."""
    grid = cells.shape[1]
    guess = (x - low[p]) * scale[p]
    g = 0
    if guess >= grid:
        g = grid - 1
    elif guess > 0:
        g = int(guess)
    while x < cells[p, g, 0]:
        g -= 1
    while x >= cells[p, g, 1]:
        g += 1
    return g


@compiled
def to_pieces(c, table, A):
    """A [inputs, grid, degree + 1, outputs]: the coefficients of τ^s of the edge functions, from
    c."""
    inputs, grid, width, outputs = A.shape
    for p in range(inputs):
        for g in range(grid):
            for s in range(width):
                for j in range(width):
                    for q in range(outputs):
                        A[p, g, s, q] += table[p, g, s, j] * c[p, g + j, q]


@compiled
def from_pieces(A, table, c):
    """The transpose: adds to c."""
    inputs, grid, width, outputs = A.shape
    for p in range(inputs):
        for g in range(grid):
            for j in range(width):
                for s in range(width):
                    for q in range(outputs):
                        c[p, g + j, q] += table[p, g, s, j] * A[p, g, s, q]


@compiled
def forward_by_outputs(X, knots, A, width, counts, begin, end, Y):
    """The output jets Y of the points begin … end, with vectors over the outputs."""
    low, scale, cells, _ = knots
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
                g = _interval(x[at], low, scale, cells, p)
                bases[place] = (p * grid + g) * len(width) * outputs
                taus[place] = (x[at] - cells[p, g, 2]) * cells[p, g, 3]
                fill_powers(x, at, inputs, cells[p, g, 3], powers, place * size, counts)
        for v in range(0, outputs, LANES):
            begin_at = min(v, outputs - LANES)
            for n in range(first, last):
                add_inputs(
                    a, bases, taus, powers, (n - first) * inputs, inputs, begin_at, outputs,
                    y, n * channels * outputs, width, counts,
                )  # fmt: skip


@compiled
def forward_by_inputs(X, knots, A, masks, width, counts, begin, end, Y):
    """As forward_by_outputs, with vectors over the inputs, and A [inputs, grid, outputs, degree + 1
    filled up to whole vectors]."""
    low, scale, cells, _ = knots
    _, channels, inputs = X.shape
    _, grid, outputs, _ = A.shape
    x, a, y, cell = X.reshape(-1), A.reshape(-1), Y.reshape(-1), cells.reshape(-1)
    for n in range(begin, end):
        for q in range(outputs):
            sum_inputs(
                a, low, scale, cell, grid, x, n * channels * inputs, inputs, masks, q, outputs,
                y, n * channels * outputs, width, counts,
            )  # fmt: skip


@inlined
def _row_by_outputs(b, base, tau, taylor, H, splines, outputs, target, to, width, counts):
    """One input's part of a row: the products of its splines' Taylor coefficients and the moments
    H, at target[to + j · outputs + q]."""
    store_taylor(b, base, tau, taylor, width, counts)
    for j in range(len(width)):
        for v in range(0, outputs, LANES):
            q = min(v, outputs - LANES)
            place = to + j * outputs + q
            store_products(taylor, j, splines, H, q, outputs, target, place, counts)


@compiled
def pull_by_outputs(
    L, X, knots, A, masks, width, counts, back, local, begin, end, size,
    inward, gradients, starts, values, place,
):  # fmt: skip
    """inward is written where the tuple `back` is not empty. Where `local` is empty, the adjoint of
    A is added to gradients [chunks of `size` points, inputs, grid, degree + 1, outputs]; else this
    layer's part of starts and values is written, see Place.
    """
    low, scale, cells, table = knots
    _, channels, inputs = X.shape
    _, grid, _, outputs = A.shape
    splines, x, a, lift = table.shape[3], X.reshape(-1), A.reshape(-1), L.reshape(-1)
    back_to, b, target = inward.reshape(-1), table.reshape(-1), values.reshape(-1)
    run, column, unit, functions, shift = place
    H = np.empty((len(counts) + 1) * outputs, X.dtype)
    taylor = np.empty((len(counts) + 1) * splines, X.dtype)
    for first in range(begin, end, BLOCK):
        gradient = gradients[first // size].reshape(-1)
        for p in range(inputs):
            for n in range(first, min(first + BLOCK, end)):
                at = n * channels * inputs + p
                g = _interval(x[at], low, scale, cells, p)
                tau = (x[at] - cells[p, g, 2]) * cells[p, g, 3]
                base = (p * grid + g) * len(width)
                pull_outputs(
                    a, base * outputs, tau, cells[p, g, 3], x, at, inputs,
                    lift, n * channels * outputs, outputs, masks, back_to, gradient, H,
                    width, counts, back, local,
                )  # fmt: skip
                if len(local):
                    starts[n, run + p] = column + unit * (functions * p + g)
                    to = n * values.shape[1] + shift + p * len(width) * outputs
                    _row_by_outputs(
                        b, base * splines, tau, taylor, H, splines, outputs, target, to,
                        width, counts,
                    )  # fmt: skip


@inlined
def _row_by_inputs(b, base, tau, taylor, H, p, inputs, outputs, row, values, n, to, width, counts):
    """One input's part of row n, at to + j · outputs + q; `row` has room for one output's."""
    splines = len(row)
    store_taylor(b, base, tau, taylor, width, counts)
    for q in range(outputs):
        for v in range(0, splines, LANES):
            store_products(
                H, q * inputs + p, outputs * inputs, taylor, v, splines, row, v, counts
            )  # fmt: skip
        for j in range(len(width)):
            values[n, to + j * outputs + q] = row[j]


@compiled
def pull_by_inputs(
    L, X, knots, A, width, counts, back, local, begin, end, size,
    inward, gradients, starts, values, place,
):  # fmt: skip
    """As pull_by_outputs, with A [inputs, grid, outputs, degree + 1 filled up to whole vectors]."""
    low, scale, cells, table = knots
    _, channels, inputs = X.shape
    _, grid, outputs, _ = A.shape
    splines, x, a, lift = table.shape[3], X.reshape(-1), A.reshape(-1), L.reshape(-1)
    back_to, b, cell = inward.reshape(-1), table.reshape(-1), cells.reshape(-1)
    chosen, taus = np.empty(inputs, np.int64), np.empty(inputs, X.dtype)
    run, column, unit, functions, shift = place
    H = np.empty((len(counts) + 1) * outputs * inputs, X.dtype)
    taylor, row = np.empty((len(counts) + 1) * splines, X.dtype), np.empty(splines, X.dtype)
    for n in range(begin, end):
        gradient = gradients[n // size].reshape(-1)
        pull_inputs(
            a, low, scale, cell, grid, x, n * channels * inputs, inputs,
            lift, n * channels * outputs, outputs, back_to, gradient, H, chosen, taus,
            width, counts, back, local,
        )  # fmt: skip
        if len(local):
            for p in range(inputs):
                starts[n, run + p] = column + unit * (functions * p + chosen[p])
                base = (p * grid + chosen[p]) * len(width) * splines
                to = shift + p * len(width) * outputs
                _row_by_inputs(
                    b, base, taus[p], taylor, H, p, inputs, outputs, row, values, n, to,
                    width, counts,
                )  # fmt: skip


class Place(NamedTuple):
    """Where a layer's part of a Jacobian's rows goes.

    Attributes:
        run: Its first run in a row.
        column: Of its first coefficient.
        unit: Columns a function.
        functions: Functions an input.
        shift: Its first entry in a row.
    """

    run: int = 0
    column: int = 0
    unit: int = 1
    functions: int = 0
    shift: int = 0


class EdgePolynomials:
    """A layer that is ready to run on ranges of points: its coefficients c [inputs, functions,
    outputs] as polynomials.

    Where neither inputs nor outputs fill a vector, `outputs` has some more, which are zero.
    """

    def __init__(self, c: Tensor, knots: Tensor, counts: Counts):
        self.shape = c.shape
        self.inputs = c.shape[0]
        self.outputs = c.shape[2] if max(c.shape[0], c.shape[2]) >= LANES else LANES
        self.knots = arrays_of(knots, degree_of(c, knots))
        *shape, self.width, splines = self.knots.table.shape
        self._by_inputs = self.outputs < LANES
        A = np.zeros((*shape, self.width, self.outputs), self.knots.table.dtype)
        to_pieces(array(c), self.knots.table, A[..., : c.shape[2]])
        if self._by_inputs:
            self.A = np.zeros((*shape, self.outputs, splines), A.dtype)
            self.A[..., : self.width] = A.swapaxes(2, 3)
        else:
            self.A = A
        self._masks = (np.repeat(np.array([0, 1], self.A.dtype), LANES),)
        self._constants = (0,) * self.width, tuple((0,) * count for count in counts)

    def forward(self, X: np.ndarray, begin: int, end: int, Y: np.ndarray) -> None:
        """Write the output jets Y [points, channels, outputs] of the points begin … end."""
        if self._by_inputs:
            forward_by_inputs(X, self.knots, self.A, *self._masks, *self._constants, begin, end, Y)
        else:
            forward_by_outputs(X, self.knots, self.A, *self._constants, begin, end, Y)

    def adjoint(
        self, L: np.ndarray, X: np.ndarray, back: bool, begin: int, end: int,
        inward: np.ndarray, gradients: np.ndarray, size: int,
    ) -> None:  # fmt: skip
        """Write the adjoint of X where it is asked for, and add that of A to gradients[n // size]
        for every point n."""
        starts, values = np.empty((1, 0), np.int64), np.empty((1, 0), X.dtype)
        found = inward, gradients, starts, values, Place()
        self._pull(L, X, back, (), begin, end, size, *found)

    def pullback(
        self, L: np.ndarray, X: np.ndarray, back: bool, begin: int, end: int,
        inward: np.ndarray, starts: np.ndarray, values: np.ndarray, place: Place,
    ) -> None:  # fmt: skip
        """Write the adjoint of X where it is asked for, and this layer's part of every point's
        row."""
        found = inward, np.empty((1, 0, 0, 0, 0), X.dtype), starts, values, place
        self._pull(L, X, back, (0,), begin, end, max(end, 1), *found)

    def _pull(
        self, L: np.ndarray, X: np.ndarray, back: bool, local: tuple[int, ...],
        begin: int, end: int, size: int, *found: np.ndarray | Place,
    ) -> None:  # fmt: skip
        work, masks = (pull_by_inputs, ()) if self._by_inputs else (pull_by_outputs, self._masks)
        given = L, X, self.knots, self.A, *masks, *self._constants
        work(*given, (0,) if back else (), local, begin, end, size, *found)

    def gradient(self, gradients: np.ndarray) -> Tensor:
        """The adjoint of the coefficients from partial sums of that of A."""
        found = np.zeros(self.shape, self.A.dtype)
        A = gradients.sum(0)
        A = np.ascontiguousarray(A[..., : self.width].swapaxes(2, 3)) if self._by_inputs else A
        from_pieces(A[..., : self.shape[2]], self.knots.table, found)
        return torch.from_numpy(found)

    def chunks(self, points: int) -> int:
        """How many points share a partial sum, from the shapes alone."""
        most = max(1, min(CHUNKS, 2**22 // max(self.A.size, 1)))
        return max(POINTS_A_THREAD, -(-points // (BLOCK * most)) * BLOCK)


def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """As plain.forward."""
    layer, x, outputs = EdgePolynomials(c, knots, counts), array(X), c.shape[2]
    found = X.new_empty(*X.shape[:2], layer.outputs)
    wide = found.numpy()
    deal(lambda begin, end: layer.forward(x, begin, end, wide), len(X), POINTS_A_THREAD)
    return found if layer.outputs == outputs else found[:, :, :outputs].contiguous()


def adjoint(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True
) -> tuple[Tensor, Tensor]:
    """As plain.adjoint."""
    layer = EdgePolynomials(c, knots, counts)
    size, lift, x = layer.chunks(len(X)), _filled(L, layer), array(X)
    inward = X.new_empty(X.shape if back else (0, *X.shape[1:]))
    gradients = np.zeros((max(1, -(-len(X) // size)), *layer.A.shape), x.dtype)
    found = inward.numpy()
    deal(
        lambda begin, end: layer.adjoint(lift, x, back, begin, end, found, gradients, size),
        len(X),
        size,
    )
    return inward if back else X.new_empty(0), layer.gradient(gradients)


def pullback(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As plain.pullback."""
    layer = EdgePolynomials(c, knots, counts)
    lift, x = _filled(L, layer), array(X)
    inward = X.new_empty(X.shape if back else (0, *X.shape[1:]))
    cells = torch.empty(len(X), layer.inputs, dtype=torch.int64)
    block = X.new_empty(len(X), layer.inputs, layer.width, layer.outputs)
    found, starts, values = inward.numpy(), cells.numpy(), block.flatten(1).numpy()
    deal(
        lambda begin, end: layer.pullback(
            lift, x, back, begin, end, found, starts, values, Place()
        ),
        len(X),
        POINTS_A_THREAD,
    )
    return inward if back else X.new_empty(0), cells, block[..., : c.shape[2]].contiguous()


def _filled(L: Tensor, layer: EdgePolynomials) -> np.ndarray:
    """L with zeros for the outputs that a vector has more."""
    more = layer.outputs - L.shape[2]
    return array(pad(L, (0, more))) if more else array(L)
