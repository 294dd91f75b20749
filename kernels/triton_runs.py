"""Products with a matrix by runs of columns (see runs.py) in Triton, for GPUs, without ever writing
its zeros to memory.

`gram` puts each tile of J, zeros included, together in registers and multiplies tiles on tensor
cores: columns² flops a row (half of 2 columns²), more than the nnz² that count, but of the kind
that a GPU has most of. A tile looks only at the runs that can reach it. Sums over rows are taken
over chunks whose size depends on the shapes alone, added in their order: the same input gives the
same bits. Dense rows are left to the plain products.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels import runs
from kanpde.kernels.triton_algebra import on_its_device
from kanpde.kernels.triton_jet import UNSTAGED, chunks_of, ordered_sum

TILE = 64
"""Columns of a tile."""

DEPTH = 16
"""Rows of a tile."""


@triton.jit
def _tile(values, starts, begin, reach, n, column, low, high, rows, entries, count):
    """J at rows n (a column) and columns `column` (a line), all of them between low and high. begin
    [runs + 1]: where the runs begin in values; reach [2, runs]: the first column that a run ever
    has, and the one behind the last."""
    found = tl.zeros([n.shape[0], column.shape[1]], values.dtype.element_ty)
    for a in range(count):
        if (tl.load(reach + a) < high) & (tl.load(reach + count + a) > low):
            first = tl.load(begin + a)
            within = column - tl.load(starts + n * count + a, mask=n < rows, other=high)
            inside = (within >= 0) & (within < tl.load(begin + a + 1) - first)
            found += tl.load(values + n * entries + first + within, mask=inside, other=0.0)
    return found


@triton.jit
def _gram(
    values,
    starts,
    begin,
    reach,
    partial,
    rows,
    entries,
    count,
    columns,
    chunk,
    tile: tl.constexpr,
    depth: tl.constexpr,
):
    """partial [chunks, columns, columns]: JᵀJ of a chunk of rows, tiles below and on the
    diagonal."""
    if tl.program_id(1) <= tl.program_id(0):
        total = tl.zeros([tile, tile], values.dtype.element_ty)
        i, j = tl.program_id(0) * tile, tl.program_id(1) * tile
        line = tl.arange(0, tile)[None, :]
        for start in range(0, chunk, depth):
            n = tl.program_id(2).to(tl.int64) * chunk + start + tl.arange(0, depth)[:, None]
            left = _tile(
                values, starts, begin, reach, n, i + line, i, i + tile, rows, entries, count
            )
            right = _tile(
                values, starts, begin, reach, n, j + line, j, j + tile, rows, entries, count
            )
            total = tl.dot(
                tl.trans(left),
                right,
                total,
                input_precision="tf32x3",
                out_dtype=values.dtype.element_ty,
            )
        row = i + tl.arange(0, tile)[:, None]
        target = partial + (tl.program_id(2).to(tl.int64) * columns + row) * columns + j + line
        tl.store(target, total, mask=(row < columns) & (j + line < columns))


@triton.jit
def _transposed_times(
    values,
    starts,
    begin,
    reach,
    r,
    partial,
    rows,
    entries,
    count,
    columns,
    chunk,
    tile: tl.constexpr,
    depth: tl.constexpr,
):
    """partial [chunks, columns]: Jᵀ r of a chunk of rows."""
    j = tl.program_id(0) * tile
    line = tl.arange(0, tile)[None, :]
    total = tl.zeros([depth, tile], values.dtype.element_ty)
    for start in range(0, chunk, depth):
        n = tl.program_id(1).to(tl.int64) * chunk + start + tl.arange(0, depth)[:, None]
        total += tl.load(r + n, mask=n < rows, other=0.0) * _tile(
            values, starts, begin, reach, n, j + line, j, j + tile, rows, entries, count
        )
    column = j + tl.arange(0, tile)
    tl.store(
        partial + tl.program_id(1).to(tl.int64) * columns + column,
        tl.sum(total, axis=0),
        mask=column < columns,
    )


@triton.jit
def _times(
    values,
    starts,
    begin,
    run,
    v,
    found,
    rows,
    entries,
    count,
    depth: tl.constexpr,
    block: tl.constexpr,
):
    """J v; run [entries]: the run of each entry."""
    n = tl.program_id(0).to(tl.int64) * depth + tl.arange(0, depth)[:, None]
    total = tl.zeros([depth, block], values.dtype.element_ty)
    for first in range(0, entries, block):
        entry = first + tl.arange(0, block)[None, :]
        inside = (n < rows) & (entry < entries)
        a = tl.load(run + entry, mask=entry < entries, other=0)
        column = tl.load(starts + n * count + a, mask=inside, other=0) + entry - tl.load(begin + a)
        total += tl.load(values + n * entries + entry, mask=inside, other=0.0) * tl.load(
            v + column, mask=inside, other=0.0
        )
    n = tl.program_id(0).to(tl.int64) * depth + tl.arange(0, depth)
    tl.store(found + n, tl.sum(total, axis=1), mask=n < rows)


@on_its_device
def times(values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor) -> Tensor:
    """As runs.times."""
    if list(lengths) == [len(v)]:
        return values @ v
    if not lengths or not len(values):
        return values.new_zeros(len(values))
    found = values.new_empty(len(values))
    begin, run = _layout(tuple(lengths), values.device)
    given = (values.contiguous(), starts.contiguous(), begin, run, v.contiguous(), found)
    _times[(triton.cdiv(len(values), DEPTH),)](
        *given, len(values), values.shape[1], len(lengths), depth=DEPTH, block=TILE
    )
    return found


@on_its_device
def transposed_times(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> Tensor:
    """As runs.transposed_times."""
    if list(lengths) == [columns]:
        return values.T @ r
    if not lengths or not len(values):
        return values.new_zeros(columns)
    tiles = triton.cdiv(columns, TILE)
    chunk, chunks = chunks_of(len(values), tiles, columns * values.element_size(), DEPTH)
    partial = values.new_empty(chunks, columns)
    given = (
        values.contiguous(),
        starts.contiguous(),
        _layout(tuple(lengths), values.device)[0],
        _reach(starts, lengths),
        r.contiguous(),
        partial,
    )
    _transposed_times[(tiles, chunks)](
        *given,
        len(values),
        values.shape[1],
        len(lengths),
        columns,
        chunk,
        tile=TILE,
        depth=DEPTH,
        **UNSTAGED,
    )
    return ordered_sum(partial)


@on_its_device
def gram(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """As runs.gram."""
    if not lengths or not len(values):
        return values.new_zeros(columns, columns)
    if list(lengths) == [columns]:
        return runs.gram(values, starts, lengths, columns)
    tiles = triton.cdiv(columns, TILE)
    chunk, chunks = chunks_of(
        len(values), tiles * (tiles + 1) // 2, columns**2 * values.element_size(), DEPTH
    )
    partial = values.new_empty(chunks, columns, columns)
    given = (
        values.contiguous(),
        starts.contiguous(),
        _layout(tuple(lengths), values.device)[0],
        _reach(starts, lengths),
        partial,
    )
    _gram[(tiles, tiles, chunks)](
        *given,
        len(values),
        values.shape[1],
        len(lengths),
        columns,
        chunk,
        tile=TILE,
        depth=DEPTH,
        **UNSTAGED,
    )
    return ordered_sum(partial)


@lru_cache(maxsize=64)
def _layout(lengths: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each run begins in a row of values [runs + 1], and the run of each entry."""
    each = torch.tensor(lengths)
    begin = torch.cat([torch.zeros(1, dtype=torch.int64), each.cumsum(0)])
    return begin.to(device), torch.repeat_interleave(torch.arange(len(lengths)), each).to(device)


def _reach(starts: Tensor, lengths: Sequence[int]) -> Tensor:
    """First column of each run in any row, and the one behind the last, [2, runs]."""
    low, high = starts.aminmax(dim=0)
    return torch.stack([low, high + _layout(tuple(lengths), starts.device)[0].diff()])
