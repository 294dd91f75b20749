# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""The spline layer on jets in Triton: the functions of plain.py, for GPUs.

Edge functions are taken as piecewise polynomials in τ (see pieces.py), with jets in units of the
knot interval. A program of `forward` or `pullback` holds a block of points with all channels of up
to 128 outputs in registers and walks over the inputs: it finds the interval once for each point and
input, reads the degree + 1 coefficients of each edge, and does the algebra of triton_algebra.py.
Nothing is saved but the input jet. An interval's coefficients lie together with those of the other
outputs, so neighbouring threads read neighbouring numbers.

The gradient of the coefficients is a sum over points that go to different intervals. It is taken as
a matrix product,

    C̄[(p,j),q] = Σ_{n,c} W[n,c,(p,j)] L[n,c,q],      W[n,c,(p,j)] = Σ_ν δ^ν[n,c,p] B_ν,j(x[n,p])
    (zero but for degree + 1 of the j),

with W made in registers, never stored: 2 M (grid + degree) flops an edge and point, zeros included,
in place of 2 (D(m) + degree + 1) without them and with a scatter. That needs no atomics, and runs
on tensor cores, in float64 as it is, in float32 as three products of parts (tf32x3), which keeps
float32's digits. Each program sums over a chunk of points whose size depends on the shapes alone,
and the chunks are added in their order: the same input gives the same bits. An adjoint L that is
not finite makes all of the layer's gradient so.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels.pieces import degree_of, pieces
from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_algebra import (
    add,
    columns,
    compose,
    correlate,
    dot,
    load_all,
    locate,
    moments,
    on_its_device,
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


UNSTAGED = {"num_stages": 1}
"""For kernels with matrix products of what they gather: Triton would keep every gathered number of
several turns of the loop in shared memory."""


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


@triton.jit
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


@triton.jit
def _ordered_sum(partial, found, total, count, block: tl.constexpr):
    """found[i] = Σ_k partial[k, i], k in order."""
    entry = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = entry < total
    s = tl.zeros([block], found.dtype.element_ty)
    at = partial + entry
    for _ in range(count):
        s += tl.load(at, mask=inside, other=0.0)
        at += total
    tl.store(found + entry, s, mask=inside)


@triton.jit
def place(
    X, breaks, middle, inverse, p, inputs, grid, alive, counts: tl.constexpr, steps: tl.constexpr
):
    """The jets of input p at X (where channel 0 of each point's inputs begins), in units of their
    intervals: cell, τ, 1 / length, powers."""
    x = load_all(X + p, inputs, alive, size_of(counts))
    cell = locate(x[0], breaks + p * (grid + 1), grid, steps)
    factor = tl.load(inverse + p * grid + cell)
    tau = (x[0] - tl.load(middle + p * grid + cell)) * factor
    return cell, tau, factor, powers(scaled(x, factor), counts)


@triton.jit
def _forward(
    X, breaks, middle, inverse, A, Y, points, inputs, outputs, grid,
    counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr,
    rows: tl.constexpr, lanes: tl.constexpr, repeats: tl.constexpr,
):  # fmt: skip
    size: tl.constexpr = size_of(counts)
    n = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    alive = n < points
    q = tl.program_id(1) * lanes * repeats + tl.arange(0, lanes)
    y = ()
    for _ in tl.static_range(repeats * size):
        y = y + (tl.zeros([rows, lanes], Y.dtype.element_ty),)
    for p in range(inputs):
        cell, tau, _factor, delta = place(
            X + n * (size * inputs), breaks, middle, inverse, p, inputs, grid, alive, counts, steps
        )
        start = A + (p * grid + cell).to(tl.int64) * (width * outputs)
        found = ()
        for r in tl.static_range(repeats):
            at = (q + r * lanes)[None, :]
            a = load_all(start[:, None] + at, outputs, at < outputs, width)
            f = taylor(a, tau[:, None], order_of(counts))
            found = found + compose(f, columns(delta), counts)
        y = add(y, found)
    for r in tl.static_range(repeats):
        at = (q + r * lanes)[None, :]
        for c in tl.static_range(size):
            tl.store(
                Y + (n * size + c)[:, None] * outputs + at,
                y[r * size + c],
                mask=alive[:, None] & (at < outputs),
            )


@triton.jit
def _pullback(
    L, X, breaks, middle, inverse, table, A, inward, cells, block, points, inputs, outputs, grid,
    counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr,
    rows: tl.constexpr, lanes: tl.constexpr, repeats: tl.constexpr,
    back: tl.constexpr, local: tl.constexpr,
):  # fmt: skip
    """inward [output blocks, points, channels, inputs] is written with `back`, cells and block with
    `local`."""
    size: tl.constexpr = size_of(counts)
    order: tl.constexpr = order_of(counts)
    n = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    alive = n < points
    q = tl.program_id(1) * lanes * repeats + tl.arange(0, lanes)
    lift = ()
    for r in tl.static_range(repeats):
        at = (q + r * lanes)[None, :]
        lift = lift + load_all(
            L + n[:, None] * (size * outputs) + at, outputs, alive[:, None] & (at < outputs), size
        )
    for p in range(inputs):
        cell, tau, factor, delta = place(
            X + n * (size * inputs), breaks, middle, inverse, p, inputs, grid, alive, counts, steps
        )
        cell = (p * grid + cell).to(tl.int64)
        if local:  # noqa: SIM102 -- the outer one is decided when this is compiled
            if tl.program_id(1) == 0:
                tl.store(cells + n * inputs + p, cell - p * grid, mask=alive)
        across = columns(delta)
        total = ()
        for r in tl.static_range(repeats):
            at = (q + r * lanes)[None, :]
            mine = ()
            for c in tl.static_range(size):
                mine = mine + (lift[r * size + c],)
            H = moments(mine, across, counts)
            if back:
                a = load_all(
                    A + cell[:, None] * (width * outputs) + at, outputs, at < outputs, width
                )
                found = correlate(taylor(a, tau[:, None], order + 1), mine, H, across, counts)
                total = found if r == 0 else add(total, found)
            if local:
                for j in tl.static_range(width):
                    b = taylor(
                        load_all(table + (cell * width + j) * width, 1, alive, width), tau, order
                    )
                    entry = b[0][:, None] * H[0]
                    for nu in tl.static_range(1, order + 1):
                        entry += b[nu][:, None] * H[nu]
                    tl.store(
                        block + ((n * inputs + p) * width + j)[:, None] * outputs + at,
                        entry,
                        mask=alive[:, None] & (at < outputs),
                    )
        if back:
            for c in tl.static_range(size):
                target = (
                    inward + ((tl.program_id(1).to(tl.int64) * points + n) * size + c) * inputs + p
                )
                tl.store(target, tl.sum(total[c], axis=1) * factor, mask=alive)


@triton.jit
def weights(
    X, breaks, middle, inverse, table, n, row, points, inputs, functions, grid,
    counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr,
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


@triton.jit
def _gradient(
    L, X, breaks, middle, inverse, table, partial, points, inputs, outputs, functions, grid, chunk,
    counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr,
    rows: tl.constexpr, lanes: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    """partial [chunks, inputs · functions, outputs]: Σ_c Wᵀ L over `chunk` points, a multiple of
    `depth`."""
    size: tl.constexpr = size_of(counts)
    row = tl.program_id(0) * rows + tl.arange(0, rows)[None, :]
    q = tl.program_id(1) * lanes + tl.arange(0, lanes)[None, :]
    first = tl.program_id(2).to(tl.int64) * chunk
    total = tl.zeros([rows, lanes], partial.dtype.element_ty)
    for start in range(0, chunk, depth):
        n = first + start + tl.arange(0, depth)[:, None]
        w = weights(
            X, breaks, middle, inverse, table, n, row, points, inputs, functions, grid,
            counts, width, steps,
        )  # fmt: skip
        lift = load_all(L + n * (size * outputs) + q, outputs, (n < points) & (q < outputs), size)
        for c in tl.static_range(size):
            total = dot(tl.trans(w[c]), lift[c], total)
    at = tl.program_id(0) * rows + tl.arange(0, rows)[:, None]
    entry = (tl.program_id(2).to(tl.int64) * (inputs * functions) + at) * outputs + q
    tl.store(partial + entry, total, mask=(at < inputs * functions) & (q < outputs))


@on_its_device
def forward(X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
    """As plain.forward."""
    grid, X, c = tensors_of(knots, degree_of(c, knots)), X.contiguous(), c.contiguous()
    points, size, inputs = X.shape
    outputs = c.shape[2]
    Y = X.new_empty(points, size, outputs)
    if not Y.numel():
        return Y
    fixed = {"counts": tuple(counts), "width": grid.table.shape[3], "steps": grid.steps}
    tile = _tile(outputs, X.dtype)
    shape = (
        triton.cdiv(points, tile["rows"]),
        triton.cdiv(outputs, tile["lanes"] * tile["repeats"]),
    )
    _forward[shape](
        X, *grid[:3], edges_of(c, grid), Y, points, inputs, outputs, grid.cells, **fixed, **tile
    )
    return Y


@on_its_device
def pullback(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As plain.pullback."""
    grid = tensors_of(knots, degree_of(c, knots))
    given = L.contiguous(), X.contiguous(), c.contiguous()
    return _pulled_back(*given, grid, counts, back, True)


@on_its_device
def adjoint(
    L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True
) -> tuple[Tensor, Tensor]:
    """As plain.adjoint."""
    L, X, c = L.contiguous(), X.contiguous(), c.contiguous()
    grid = tensors_of(knots, degree_of(c, knots))
    inward = _pulled_back(L, X, c, grid, counts, True, False)[0] if back else X.new_empty(0)
    return inward, gradient(L, X, grid, counts)


def gradient(L: Tensor, X: Tensor, grid: KnotTensors, counts: Counts) -> Tensor:
    """The adjoint of the coefficients, [inputs, functions, outputs], from contiguous L and X."""
    points, inputs, outputs = len(X), X.shape[2], L.shape[2]
    functions = grid.cells + grid.table.shape[3] - 1
    if not points:
        return X.new_zeros(inputs, functions, outputs)
    rows, lanes = _power_of_two(inputs * functions, 16, 64), _power_of_two(outputs, 16, 64)
    depth = 16
    blocks = triton.cdiv(inputs * functions, rows) * triton.cdiv(outputs, lanes)
    chunk, chunks = chunks_of(
        points, blocks, inputs * functions * outputs * X.element_size(), depth
    )
    partial = X.new_empty(chunks, inputs, functions, outputs)
    shape = (triton.cdiv(inputs * functions, rows), triton.cdiv(outputs, lanes), chunks)
    fixed = {
        "counts": tuple(counts),
        "width": grid.table.shape[3],
        "steps": grid.steps,
        "rows": rows,
        "lanes": lanes,
        "depth": depth,
        **UNSTAGED,
    }
    _gradient[shape](
        L, X, *grid, partial, points, inputs, outputs, functions, grid.cells, chunk, **fixed
    )
    return ordered_sum(partial)


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
    """The sum over the first dimension of a contiguous tensor, in its order."""
    found = partial.new_empty(partial.shape[1:])
    if found.numel() and len(partial) > 1:
        _ordered_sum[(triton.cdiv(found.numel(), 256),)](
            partial, found, found.numel(), len(partial), block=256
        )
    return found if len(partial) > 1 else partial[0]


def chunks_of(points: int, blocks: int, size: int, depth: int) -> tuple[int, int]:
    """Points of a partial sum (a multiple of `depth`) and the number of them, for sums of so many
    bytes by so many programs each."""
    most = max(
        1, min(PROGRAMS // blocks, PARTIAL_BYTES // max(size, 1), triton.cdiv(points, 4 * depth))
    )
    chunk = triton.cdiv(points, most * depth) * depth
    return chunk, triton.cdiv(points, chunk)


def _pulled_back(
    L: Tensor, X: Tensor, c: Tensor, grid: KnotTensors, counts: Counts, back: bool, local: bool
) -> tuple[Tensor, Tensor, Tensor]:
    points, size, inputs = X.shape
    outputs, width = c.shape[2], grid.table.shape[3]
    tile = _tile(outputs, X.dtype)
    shape = (
        triton.cdiv(points, tile["rows"]),
        triton.cdiv(outputs, tile["lanes"] * tile["repeats"]),
    )
    partial = X.new_empty(shape[1] if back else 0, points, size, inputs)
    cells = torch.empty(points if local else 0, inputs, dtype=torch.int64, device=X.device)
    block = X.new_empty(points if local else 0, inputs, width, outputs)
    if points and inputs:
        fixed = {
            "counts": tuple(counts),
            "width": width,
            "steps": grid.steps,
            "back": back,
            "local": local,
        }
        A = edges_of(c, grid) if back else c
        found = partial, cells, block
        _pullback[shape](
            L, X, *grid, A, *found, points, inputs, outputs, grid.cells, **fixed, **tile
        )
    return ordered_sum(partial) if back else X.new_empty(0), cells, block


def _power_of_two(n: int, low: int, high: int) -> int:
    return max(low, min(high, triton.next_power_of_2(n)))


def _tile(outputs: int, dtype: torch.dtype) -> dict[str, int]:
    """A program's points (rows) and outputs (lanes · repeats), and its warps. A thread takes one
    point and two outputs (four in float32) of each repeat: enough outputs that finding the
    interval, which all threads of a point do, is little of the work. Unmeasured.
    """
    wide = 16 // dtype.itemsize
    lanes = _power_of_two(outputs, 1, 8 * wide if outputs <= 32 * wide else 16 * wide)
    warps = 4 if outputs <= 8 * wide else 8
    return {
        "rows": max(16, 32 * warps * min(wide, lanes) // lanes),
        "lanes": lanes,
        "repeats": min(4, triton.cdiv(outputs, lanes)),
        "num_warps": warps,
    }
