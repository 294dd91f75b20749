"""Products with a matrix by runs of columns (see runs.py) in Triton, for GPUs.

Rows of J are written out, zeros included, as many as DENSE_BYTES hold at a time, and left to the
library's matrix product, part by part: 2 columns² flops a row for JᵀJ, more than the nnz² that
count, but of the kind that a GPU has most of, and ten times faster than tiles of J put together in
registers. A vector r is one column more of J, so that Jᵀr comes with JᵀJ. Sums over rows are taken
over parts whose size depends on the shapes alone, added in their order: the same input gives the
same bits. Dense rows are left to the plain products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels import runs
from kanpde.kernels.triton_algebra import on_its_device
from kanpde.kernels.triton_pieces import PARTIAL_BYTES, UNSPECIALISED, ordered_sum

DENSE_BYTES = 2**29
"""Memory for rows with their zeros, at most."""

TILE, DEPTH = 64, 16
"""Entries and rows that a program takes at a time."""

SUMS = 512
"""Parts of a sum over rows, at most; of JᵀJ, tiles of all parts together."""

ALIGNED = 8
"""Rows that are written out begin at multiples of so many numbers, which products like."""


@triton.jit
def row_products(
    values, starts, begin, run, v, n, rows, entries, count,
    depth: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """J v of rows n [depth, 1]."""
    total = tl.zeros([depth, block], values.dtype.element_ty)
    for first in range(0, entries, block):
        entry = first + tl.arange(0, block)[None, :]
        inside = (n < rows) & (entry < entries)
        a = tl.load(run + entry, mask=entry < entries, other=0)
        column = tl.load(starts + n * count + a, mask=inside, other=0) + entry - tl.load(begin + a)
        total += tl.load(values + n * entries + entry, mask=inside, other=0.0) * tl.load(
            v + column, mask=inside, other=0.0
        )
    return tl.expand_dims(tl.sum(total, axis=1), 1)


@triton.jit(do_not_specialize=(*UNSPECIALISED, "rows", "count", "bordered", "bent"))
def _spread(
    values, starts, begin, run, r, v, J, rows, entries, count, columns, line, written,
    bordered, bent, depth: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Write the rows of J, zeros included, to J [written, line], of which the first `columns` are
    J's own; run [entries]: the run of each entry. With `bordered` the next column is r, with `bent`
    as well it is r - J v."""
    n = tl.program_id(0).to(tl.int64) * depth + tl.arange(0, depth)[:, None]
    border = tl.zeros([depth, 1], values.dtype.element_ty)
    if bordered != 0:
        border += tl.load(r + n, mask=n < rows, other=0.0)
    if bent != 0:
        border -= row_products(values, starts, begin, run, v, n, rows, entries, count, depth, block)
    for first in range(0, line, block):
        at = first + tl.arange(0, block)[None, :]
        zero = tl.zeros([depth, block], values.dtype.element_ty)
        value = tl.where(at == columns, border, zero)
        tl.store(J + n * line + at, value, mask=(n < written) & (at < line))
    tl.debug_barrier()
    for first in range(0, entries, block):
        entry = first + tl.arange(0, block)[None, :]
        inside = (n < rows) & (entry < entries)
        a = tl.load(run + entry, mask=entry < entries, other=0)
        column = tl.load(starts + n * count + a, mask=inside, other=0) + entry - tl.load(begin + a)
        value = tl.load(values + n * entries + entry, mask=inside, other=0.0)
        tl.store(J + n * line + column, value, mask=inside)


@triton.jit(do_not_specialize=(*UNSPECIALISED, "rows", "count"))
def _times(
    values, starts, begin, run, v, found, rows, entries, count,
    depth: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """J v; run [entries]: the run of each entry."""
    n = tl.program_id(0).to(tl.int64) * depth + tl.arange(0, depth)[:, None]
    product = row_products(values, starts, begin, run, v, n, rows, entries, count, depth, block)
    tl.store(found + n, product, mask=n < rows)


@on_its_device
def times(values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor) -> Tensor:
    """As runs.times."""
    if list(lengths) == [len(v)]:
        return values @ v
    if not lengths or not len(values):
        return values.new_zeros(len(values))
    found = values.new_empty(len(values))
    begin, run = _layout(tuple(lengths), values.device)
    given = values.contiguous(), starts.contiguous(), begin, run, v.contiguous(), found
    _times[(triton.cdiv(len(values), DEPTH),)](
        *given, len(values), values.shape[1], len(lengths), depth=DEPTH, block=TILE
    )
    return found


@on_its_device
def pulled(
    values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor, a: Tensor, factor: float
) -> Tensor:
    """As runs.pulled."""
    if list(lengths) == [len(v)]:
        return runs.pulled(values, starts, lengths, v, a, factor)
    return _transposed(values, starts, lengths, len(v), a, factor, v)


@on_its_device
def transposed_times(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> Tensor:
    """As runs.transposed_times."""
    if list(lengths) == [columns]:
        return values.T @ r
    return _transposed(values, starts, lengths, columns, r, 1.0)


@on_its_device
def gram(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """As runs.gram."""
    if list(lengths) == [columns]:
        return runs.gram(values, starts, lengths, columns)
    return _gram(values, starts, lengths, columns)[:columns, :columns]


@on_its_device
def normal(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As runs.normal."""
    if list(lengths) == [columns] or not lengths or not len(values):
        return runs.normal(values, starts, lengths, columns, r)
    whole = _gram(values, starts, lengths, columns, r)
    return whole[:columns, :columns], whole[columns, :columns], whole[columns, columns]


def _transposed(
    values: Tensor,
    starts: Tensor,
    lengths: Sequence[int],
    columns: int,
    r: Tensor,
    factor: float,
    v: Tensor | None = None,
) -> Tensor:
    """Jᵀ (factor r), or with v Jᵀ (factor (r - J v))."""
    if not lengths or not len(values):
        return values.new_zeros(columns)
    parts, line = min(SUMS, triton.cdiv(len(values), DEPTH)), _line(columns, r)
    partial = values.new_empty(parts, line, 1)
    for k, J in enumerate(_slabs(values, starts, lengths, columns, parts, r, v)):
        right = J[:, :, columns : columns + 1]
        partial.baddbmm_(J.transpose(1, 2), right, beta=min(k, 1), alpha=factor)
    return ordered_sum(partial)[:columns, 0]


def _gram(
    values: Tensor,
    starts: Tensor,
    lengths: Sequence[int],
    columns: int,
    r: Tensor | None = None,
) -> Tensor:
    """JᵀJ, where r is one column more of J, and zeros are up to the next multiple of ALIGNED."""
    line = _line(columns, r)
    if not lengths or not len(values):
        return values.new_zeros(line, line)
    most = min(SUMS // triton.cdiv(line, 128) ** 2, PARTIAL_BYTES // (line**2 * values.itemsize))
    parts = max(1, min(most, triton.cdiv(len(values), DEPTH)))
    partial = values.new_empty(parts, line, line)
    for k, J in enumerate(_slabs(values, starts, lengths, columns, parts, r)):
        partial.baddbmm_(J.transpose(1, 2), J, beta=min(k, 1))
    return ordered_sum(partial)


def _line(columns: int, r: Tensor | None) -> int:
    """Columns of rows that are written out."""
    return triton.cdiv(columns + (r is not None), ALIGNED) * ALIGNED


def _slabs(
    values: Tensor,
    starts: Tensor,
    lengths: Sequence[int],
    columns: int,
    parts: int,
    r: Tensor | None,
    v: Tensor | None = None,
) -> Iterator[Tensor]:
    """The rows with their zeros [parts, rows of a part, columns that are written out], as many at a
    time as DENSE_BYTES hold; each slab takes the place of the one before. Behind them is r, or with
    v it is r - J v."""
    line = _line(columns, r)
    most = max(1, DENSE_BYTES // (line * values.itemsize))
    J = values.new_empty(parts, triton.cdiv(min(most, len(values)), parts), line)
    written, entries = J.shape[0] * J.shape[1], values.shape[1]
    begin, run = _layout(tuple(lengths), values.device)
    for first in range(0, len(values), written):
        at = slice(first, first + written)
        some = values[at].contiguous(), starts[at].contiguous(), begin, run
        border = some[0] if r is None else r[at].contiguous()
        way = some[0] if v is None else v.contiguous()
        sizes = len(some[0]), entries, len(lengths), columns, line, written
        behind = int(r is not None), int(v is not None)
        _spread[(triton.cdiv(written, DEPTH),)](
            *some, border, way, J, *sizes, *behind, depth=DEPTH, block=TILE
        )
        yield J


@lru_cache(maxsize=64)
def _layout(lengths: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each run begins in a row of values [runs + 1], and the run of each entry."""
    each = torch.tensor(lengths)
    begin = torch.cat([torch.zeros(1, dtype=torch.int64), each.cumsum(0)])
    return begin.to(device), torch.repeat_interleave(torch.arange(len(lengths)), each).to(device)
