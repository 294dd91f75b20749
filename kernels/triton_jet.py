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

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels import triton_few, triton_taps
from kanpde.kernels.pieces import degree_of
from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_algebra import (
    add,
    columns,
    compose,
    correlate,
    dot,
    load_all,
    moments,
    on_its_device,
    order_of,
    size_of,
    taylor,
)
from kanpde.kernels.triton_pieces import (
    UNSPECIALISED,
    UNSTAGED,
    KnotTensors,
    chunks_of,
    edges_of,
    ordered_sum,
    place,
    tensors_of,
    weights,
)


@triton.jit(do_not_specialize=UNSPECIALISED)
def _forward(
    X, breaks, middle, inverse, A, Y, points, inputs, outputs, grid,
    counts: tl.constexpr, width: tl.constexpr, steps,
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


@triton.jit(do_not_specialize=UNSPECIALISED)
def _pullback(
    L, X, breaks, middle, inverse, table, A, inward, cells, block, points, inputs, outputs, grid,
    counts: tl.constexpr, width: tl.constexpr, steps,
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


@triton.jit(do_not_specialize=UNSPECIALISED)
def _gradient(
    L, X, breaks, middle, inverse, table, partial, points, inputs, outputs, functions, grid, chunk,
    counts: tl.constexpr, width: tl.constexpr, steps,
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
    if triton_taps.wide(outputs):
        return triton_taps.forward(X, c, grid, counts)
    if triton_few.few(inputs, outputs):
        return triton_few.forward(X, edges_of(c, grid), grid, outputs, counts)
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
    if triton_taps.wide(c.shape[2]):
        return triton_taps.adjoint(L, X, c, grid, counts, back)
    inward = _pulled_back(L, X, c, grid, counts, True, False)[0] if back else X.new_empty(0)
    return inward, gradient(L, X, grid, counts)


def gradient(L: Tensor, X: Tensor, grid: KnotTensors, counts: Counts) -> Tensor:
    """The adjoint of the coefficients, [inputs, functions, outputs], from contiguous L and X."""
    points, inputs, outputs = len(X), X.shape[2], L.shape[2]
    functions = grid.cells + grid.table.shape[3] - 1
    if not points:
        return X.new_zeros(inputs, functions, outputs)
    if triton_few.few(inputs, outputs):
        return triton_few.gradient(L, X, grid, counts)
    rows = _power_of_two(inputs * functions, 16, 64)
    lanes = _power_of_two(outputs, 16, 64)
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


def _pulled_back(
    L: Tensor, X: Tensor, c: Tensor, grid: KnotTensors, counts: Counts, back: bool, local: bool
) -> tuple[Tensor, Tensor, Tensor]:
    points, size, inputs = X.shape
    outputs, width = c.shape[2], grid.table.shape[3]
    if triton_few.few(inputs, outputs):
        A = edges_of(c, grid) if back else c
        return triton_few.pullback(L, X, A, grid, counts, back, local)
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
