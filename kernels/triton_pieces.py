# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""What all kernels for GPUs share of a spline layer: its knots as they read them, the jets of its
inputs in units of their intervals, its functions as a matrix, and sums in order."""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels.pieces import pieces
from kanpde.kernels.triton_algebra import (
    compose,
    load_all,
    locate,
    order_of,
    powers,
    scaled,
    size_of,
    taylor,
)

PROGRAMS = 1024
"""Programs that a sum over points is dealt to, about."""

PARTIAL_BYTES = 2**28
"""Memory for partial sums, at most."""


DEPTHS = (1, 16, 128)
"""Threads that sum a number: few choices, each of which is a kernel to compile."""

UNSTAGED = {"num_stages": 1}
"""For kernels with matrix products of what they gather: Triton would keep every gathered number of
several turns of the loop in shared memory."""


UNSPECIALISED = (
    *("points", "grid", "functions", "steps", "chunk", "total", "count", "equations"),
    *("space", "parameters", "entries", "runs", "columns", "line", "written"),
)
"""Numbers whose values shall not make another kernel: compilation takes longer than they save."""


class KnotTensors(NamedTuple):
    """Knots as the kernels for GPUs need them.

    Attributes:
        breaks: Ends of the intervals, [inputs, grid + 1].
        middle: Of each interval, [inputs, grid].
        inverse: One over the length of each interval, [inputs, grid].
        table: As in pieces.py.
    """

    breaks: Tensor
    middle: Tensor
    inverse: Tensor
    table: Tensor

    @property
    def cells(self) -> int:
        """Intervals of an input."""
        return self.middle.shape[1]

    @property
    def steps(self) -> int:
        """Halvings that find an interval."""
        return (self.cells - 1).bit_length()


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def tensors_of(knots: Tensor, degree: int) -> KnotTensors:
    """The same KnotTensors for the same PolynomialPieces. Raises ValueError for knots that do not
    increase."""
    found = pieces(knots, degree)
    if _known.get(knots, (None, None))[0] is not found:
        left, right = found.breaks[:, :-1], found.breaks[:, 1:]
        middle, inverse = ((left + right) / 2).contiguous(), (1 / (right - left)).contiguous()
        table = found.table.contiguous()
        _known[knots] = (found, KnotTensors(found.breaks, middle, inverse, table))
    return _known[knots][1]


@triton.jit(do_not_specialize=(*UNSPECIALISED, "outputs"))
def _edges(C, table, A, total, grid, functions, outputs, width: tl.constexpr, block: tl.constexpr):
    """A[p,g,s,q] = Σ_j table[p,g,j,s] C[p,g+j,q], entry by entry."""
    entry = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = entry < total
    q, s, cell = entry % outputs, entry // outputs % width, entry // outputs // width
    first = cell // grid * functions + cell % grid
    found = tl.zeros([block], A.dtype.element_ty)
    for j in tl.static_range(width):
        weight = tl.load(table + (cell * width + j) * width + s, mask=inside, other=0.0)
        found += weight * tl.load(C + (first + j) * outputs + q, mask=inside, other=0.0)
    tl.store(A + entry, found, mask=inside)


@triton.jit(do_not_specialize=UNSPECIALISED)
def _ordered_sum(partial, found, total, count, depth: tl.constexpr, block: tl.constexpr):
    """found[i] = Σ_k partial[k, i]: every depth-th k in order, and then those sums as a tree."""
    entry = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)[None, :]
    k = tl.arange(0, depth)[:, None]
    s = tl.zeros([depth, block], found.dtype.element_ty)
    for first in range(0, count, depth):
        inside = (entry < total) & (first + k < count)
        s += tl.load(partial + (first + k).to(tl.int64) * total + entry, mask=inside, other=0.0)
    target = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    tl.store(found + target, tl.sum(s, axis=0), mask=target < total)


@triton.jit
def place(X, breaks, middle, inverse, p, inputs, grid, alive, counts: tl.constexpr, steps):
    """The jets of input p at X (where channel 0 of each point's inputs begins), in units of their
    intervals: cell, τ, 1 / length, powers."""
    x = load_all(X + p, inputs, alive, size_of(counts))
    cell = locate(x[0], breaks + p * (grid + 1), grid, steps)
    factor = tl.load(inverse + p * grid + cell)
    tau = (x[0] - tl.load(middle + p * grid + cell)) * factor
    return cell, tau, factor, powers(scaled(x, factor), counts)


@triton.jit
def weights(
    X, breaks, middle, inverse, table, n, row, points, inputs, functions, grid,
    counts: tl.constexpr, width: tl.constexpr, steps,
):  # fmt: skip
    """W by channel, [points, rows]: what each coefficient row = p · functions + j does to the
    output jet. n is a column, row a line."""
    p = tl.minimum(row // functions, inputs - 1)
    j = row - p * functions  # past the last row it is past the last function, and nowhere inside
    alive = (n < points) & (row < inputs * functions)
    at = X + n * (size_of(counts) * inputs)
    cell, tau, _factor, delta = place(
        at, breaks, middle, inverse, p, inputs, grid, alive, counts, steps
    )
    inside = alive & (j >= cell) & (j < cell + width)
    a = load_all(
        table + ((p * grid + cell).to(tl.int64) * width + (j - cell)) * width, 1, inside, width
    )
    w = compose(taylor(a, tau, order_of(counts)), delta, counts)
    found = ()
    for c in tl.static_range(size_of(counts)):
        found = found + (tl.where(inside, w[c], 0.0),)  # not by a product: 0 · nan
    return found


def edges_of(c: Tensor, grid: KnotTensors) -> Tensor:
    """Every edge function as a piecewise polynomial, [inputs, grid, degree + 1, outputs], from
    contiguous coefficients."""
    A = c.new_empty(*grid.middle.shape, grid.table.shape[3], c.shape[2])
    if A.numel():
        shape, block = c.shape[1:], 1024
        _edges[(triton.cdiv(A.numel(), block),)](
            c, grid.table, A, A.numel(), grid.cells, *shape, width=A.shape[2], block=block
        )
    return A


def ordered_sum(partial: Tensor) -> Tensor:
    """The sum over the first dimension of a contiguous tensor, in an order that its shape alone
    decides."""
    if len(partial) == 1:
        return partial[0]
    found = partial.new_empty(partial.shape[1:])
    if found.numel():
        # Few numbers are summed by many threads each, many numbers by a thread each.
        room = [depth for depth in DEPTHS if depth * found.numel() <= 2**22] or DEPTHS[:1]
        depth = next((depth for depth in room if depth >= len(partial)), room[-1])
        block = max(8, 512 // depth)
        _ordered_sum[(triton.cdiv(found.numel(), block),)](
            partial, found, found.numel(), len(partial), depth=depth, block=block
        )
    return found


def chunks_of(points: int, blocks: int, size: int, depth: int) -> tuple[int, int]:
    """Points of a partial sum (a multiple of `depth`) and the number of them, for sums of so many
    bytes by so many programs each."""
    most = max(
        1, min(PROGRAMS // blocks, PARTIAL_BYTES // max(size, 1), triton.cdiv(points, 4 * depth))
    )
    chunk = triton.cdiv(points, most * depth) * depth
    return chunk, triton.cdiv(points, chunk)
