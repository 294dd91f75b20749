"""Products with a matrix by runs of columns (see runs.py) in Triton, for GPUs.

`gram` writes rows of J out, zeros included, as many as DENSE_BYTES hold at a time, and leaves them
to the library's matrix product, part by part: 2 columns² flops a row, more than the nnz² that
count, but of the kind that a GPU has most of, and ten times faster than tiles of J put together in
registers. Jᵀr takes such tiles; one looks only at the runs that can reach it. Sums over rows are
taken over parts whose size depends on the shapes alone, added in their order: the same input gives
the same bits. Dense rows are left to the plain products.
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
from kanpde.kernels.triton_pieces import (
    PARTIAL_BYTES,
    UNSPECIALISED,
    UNSTAGED,
    chunks_of,
    ordered_sum,
)

DENSE_BYTES = 2**29
"""Memory for rows with their zeros, at most."""

TILE, DEPTH = 64, 16
"""Entries and rows that a program takes at a time."""

NARROW, DEEP = 16, 64
"""Columns and rows of a tile of J: few columns, so that few runs reach them."""


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


@triton.jit(do_not_specialize=UNSPECIALISED)
def _spread(
    values, starts, begin, run, J, rows, entries, count, columns,
    depth: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Write the entries to where they belong in J [rows, columns], of which the rest is zero; run
    [entries]: the run of each entry."""
    n = tl.program_id(0).to(tl.int64) * depth + tl.arange(0, depth)[:, None]
    entry = tl.program_id(1) * block + tl.arange(0, block)[None, :]
    inside = (n < rows) & (entry < entries)
    a = tl.load(run + entry, mask=entry < entries, other=0)
    column = tl.load(starts + n * count + a, mask=inside, other=0) + entry - tl.load(begin + a)
    value = tl.load(values + n * entries + entry, mask=inside, other=0.0)
    tl.store(J + n * columns + column, value, mask=inside)


@triton.jit(do_not_specialize=UNSPECIALISED)
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


@triton.jit(do_not_specialize=UNSPECIALISED)
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
    tiles = triton.cdiv(columns, NARROW)
    chunk, chunks = chunks_of(len(values), tiles, columns * values.element_size(), DEEP)
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
        tile=NARROW,
        depth=DEEP,
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
    rows = max(1, DENSE_BYTES // (columns * values.element_size()))
    tiles = triton.cdiv(columns, 128) ** 2
    most = min(512 // tiles, PARTIAL_BYTES // (columns**2 * values.element_size()))
    parts = max(1, min(most, triton.cdiv(len(values), DEPTH)))
    each = triton.cdiv(min(rows, len(values)), parts)
    J = values.new_empty(parts * each, columns)
    partial = values.new_zeros(parts, columns, columns)
    for part in range(0, len(values), len(J)):
        some = slice(part, part + len(J))
        _write(J.zero_(), values[some], starts[some], lengths)
        split = J.view(parts, each, columns)
        partial.baddbmm_(split.transpose(1, 2), split)
    return ordered_sum(partial)


def _write(J: Tensor, values: Tensor, starts: Tensor, lengths: Sequence[int]) -> None:
    """Put the entries into the rows of J, which are zero."""
    rows, entries = values.shape
    begin, run = _layout(tuple(lengths), values.device)
    given = values.contiguous(), starts.contiguous(), begin, run, J
    _spread[(triton.cdiv(rows, DEPTH), triton.cdiv(entries, TILE))](
        *given, rows, entries, len(lengths), J.shape[1], depth=DEPTH, block=TILE
    )


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
