# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""Spline layers on jets into few outputs, in Triton: neighbouring threads take neighbouring inputs,
where triton_jet.py gives them neighbouring outputs, of which there are not enough here."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_algebra import (
    add,
    compose,
    correlate,
    load_all,
    moments,
    order_of,
    size_of,
    taylor,
)
from kanpde.kernels.triton_pieces import (
    UNSPECIALISED,
    KnotTensors,
    chunks_of,
    ordered_sum,
    place,
)

FEW_OUTPUTS, MANY_INPUTS = 4, 8
"""Outputs at most, and inputs at least."""

BLOCK = 128
"""Inputs of points that a program takes."""

SEVERAL = 8
"""Functions of an input whose gradients a thread sums at a time."""


def few(inputs: int, outputs: int) -> bool:
    """Whether a layer has few outputs and many inputs."""
    return outputs <= FEW_OUTPUTS and inputs >= MANY_INPUTS


@triton.jit(do_not_specialize=UNSPECIALISED)
def _forward(
    X, breaks, middle, inverse, A, Y, points, inputs, outputs, grid, steps,
    counts: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """Y from the edges A of triton_pieces.edges_of."""
    size: tl.constexpr = size_of(counts)
    n = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)[:, None]
    line = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    for q in range(outputs):
        y = ()
        for _ in tl.static_range(size):
            y = y + (tl.zeros([rows, lanes], Y.dtype.element_ty),)
        for first in range(0, inputs, lanes):
            p = first + tl.arange(0, lanes)[None, :]
            alive = (n < points) & (p < inputs)
            p = tl.minimum(p, inputs - 1)
            cell, tau, _factor, delta = place(
                X + n * (size * inputs), breaks, middle, inverse, p, inputs, grid, alive,
                counts, steps,
            )  # fmt: skip
            a = load_all(A + (p * grid + cell) * (width * outputs) + q, outputs, alive, width)
            y = add(y, compose(taylor(a, tau, order_of(counts)), delta, counts))
        for c in tl.static_range(size):
            at = Y + (line * size + c) * outputs + q
            tl.store(at, tl.sum(y[c], axis=1), mask=line < points)


@triton.jit(do_not_specialize=UNSPECIALISED)
def _pullback(
    L, X, breaks, middle, inverse, table, A, inward, cells, rows, points, inputs, outputs, grid,
    steps,
    counts: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
    back: tl.constexpr, local: tl.constexpr,
):  # fmt: skip
    """inward [points, channels, inputs] is written with `back`, cells [points, inputs] and rows
    [points, inputs, width, outputs] with `local`."""
    size: tl.constexpr = size_of(counts)
    order: tl.constexpr = order_of(counts)
    entry = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    n, p = entry // inputs, (entry % inputs).to(tl.int32)
    alive = n < points
    cell, tau, factor, delta = place(
        X + n * (size * inputs), breaks, middle, inverse, p, inputs, grid, alive, counts, steps
    )
    if local:
        tl.store(cells + entry, cell.to(tl.int64), mask=alive)
    total = ()
    for _ in tl.static_range(size):
        total = total + (tl.zeros([block], X.dtype.element_ty),)
    for q in range(outputs):
        lift = load_all(L + n * (size * outputs) + q, outputs, alive, size)
        H = moments(lift, delta, counts)
        if back:
            a = load_all(A + (p * grid + cell) * (width * outputs) + q, outputs, alive, width)
            found = correlate(taylor(a, tau, order + 1), lift, H, delta, counts)
            total = add(total, found)
        if local:
            for j in tl.static_range(width):
                start = table + ((p * grid + cell) * width + j) * width
                b = taylor(load_all(start, 1, alive, width), tau, order)
                value = b[0] * H[0]
                for nu in tl.static_range(1, order + 1):
                    value += b[nu] * H[nu]
                tl.store(rows + (entry * width + j) * outputs + q, value, mask=alive)
    if back:
        for c in tl.static_range(size):
            tl.store(inward + (n * size + c) * inputs + p, total[c] * factor, mask=alive)


@triton.jit(do_not_specialize=UNSPECIALISED)
def _gradient(
    L, X, breaks, middle, inverse, table, partial, points, inputs, outputs, functions, grid, chunk,
    steps,
    counts: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, lanes: tl.constexpr,
    several: tl.constexpr,
):  # fmt: skip
    """partial [chunks, inputs, functions, outputs] of `several` functions from a first one on and
    of one output: a thread sums what its points give to each of them."""
    size: tl.constexpr = size_of(counts)
    groups = tl.cdiv(functions, several)
    q, first = tl.program_id(1) // groups, tl.program_id(1) % groups * several
    p = tl.program_id(0) * lanes + tl.arange(0, lanes)[None, :]
    total = ()
    for _ in tl.static_range(several):
        total = total + (tl.zeros([rows, lanes], X.dtype.element_ty),)
    for start in range(0, chunk, rows):
        n = tl.program_id(2).to(tl.int64) * chunk + start + tl.arange(0, rows)[:, None]
        alive = (n < points) & (p < inputs)
        at = tl.minimum(p, inputs - 1)
        cell, tau, _factor, delta = place(
            X + n * (size * inputs), breaks, middle, inverse, at, inputs, grid, alive, counts, steps
        )
        lift = load_all(L + n * (size * outputs) + q, outputs, alive, size)
        H = moments(lift, delta, counts)
        splines = table + (at * grid + cell) * (width * width)
        found = ()
        for j in tl.static_range(width):
            b = taylor(load_all(splines + j * width, 1, alive, width), tau, order_of(counts))
            value = b[0] * H[0]
            for nu in tl.static_range(1, order_of(counts) + 1):
                value += b[nu] * H[nu]
            found = found + (value,)
        summed = ()
        for f in tl.static_range(several):
            mine = tl.zeros([rows, lanes], X.dtype.element_ty)
            for j in tl.static_range(width):
                mine += tl.where(alive & (cell + j == first + f), found[j], 0.0)
            summed = summed + (total[f] + mine,)
        total = summed
    line = tl.program_id(0) * lanes + tl.arange(0, lanes)
    base = partial + ((tl.program_id(2).to(tl.int64) * inputs + line) * functions) * outputs + q
    for f in tl.static_range(several):
        inside = (line < inputs) & (first + f < functions)
        tl.store(base + (first + f) * outputs, tl.sum(total[f], axis=0), mask=inside)


def forward(X: Tensor, A: Tensor, grid: KnotTensors, outputs: int, counts: Counts) -> Tensor:
    """The output jet [points, channels, outputs], from contiguous X and the edges A."""
    points, size, inputs = X.shape
    Y = X.new_empty(points, size, outputs)
    if points:
        lanes = min(BLOCK, triton.next_power_of_2(inputs))
        rows = max(1, 2 * BLOCK // lanes)
        fixed = {"counts": tuple(counts), "width": A.shape[2], "rows": rows, "lanes": lanes}
        sizes = points, inputs, outputs, grid.cells, grid.steps
        _forward[(triton.cdiv(points, rows),)](X, *grid[:3], A, Y, *sizes, **fixed)
    return Y


def pullback(
    L: Tensor, X: Tensor, A: Tensor, grid: KnotTensors, counts: Counts, back: bool, local: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As plain.pullback, from contiguous L and X and the edges A; what is not asked for is
    empty."""
    (points, _, inputs), outputs, width = X.shape, L.shape[2], grid.table.shape[3]
    inward = torch.empty_like(X) if back else X.new_empty(0)
    cells = torch.empty(points if local else 0, inputs, dtype=torch.int64, device=X.device)
    rows = X.new_empty(points if local else 0, inputs, width, outputs)
    if points:
        fixed = {"counts": tuple(counts), "width": width, "back": back, "local": local}
        sizes = points, inputs, outputs, grid.cells, grid.steps
        _pullback[(triton.cdiv(points * inputs, BLOCK),)](
            L, X, *grid, A, inward, cells, rows, *sizes, block=BLOCK, **fixed
        )
    return inward, cells, rows


def gradient(L: Tensor, X: Tensor, grid: KnotTensors, counts: Counts) -> Tensor:
    """The adjoint of the coefficients, [inputs, functions, outputs], from contiguous L and X."""
    (points, _, inputs), outputs = X.shape, L.shape[2]
    functions = grid.cells + grid.table.shape[3] - 1
    if not points:
        return X.new_zeros(inputs, functions, outputs)
    lanes = min(BLOCK, triton.next_power_of_2(inputs))
    rows = max(1, 2 * BLOCK // lanes)
    blocks = triton.cdiv(inputs, lanes), outputs * triton.cdiv(functions, SEVERAL)
    size = inputs * functions * outputs * X.element_size()
    chunk, chunks = chunks_of(points, blocks[0] * blocks[1], size, rows)
    partial = X.new_empty(chunks, inputs, functions, outputs)
    fixed = {"counts": tuple(counts), "width": grid.table.shape[3], "several": SEVERAL}
    sizes = points, inputs, outputs, functions, grid.cells, chunk, grid.steps
    _gradient[(*blocks, chunks)](L, X, *grid, partial, *sizes, rows=rows, lanes=lanes, **fixed)
    return ordered_sum(partial)
