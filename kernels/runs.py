"""Products with a matrix whose rows are zero but for a few runs of columns, in plain PyTorch.

values [rows, Σ lengths] holds the runs one after the other, starts [rows, runs] the first column of
each, lengths their lengths, the same in every row. A row of a spline network's Jacobian has one run
an input of each layer: the degree + 1 coefficients that are alive there, times the outputs. A dense
row is one run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

ROWS = 65536
"""Rows that are written out at a time."""


def dense(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """The whole matrix, [rows, columns]."""
    if list(lengths) == [columns]:
        return values
    return values.new_zeros(len(values), columns).scatter_(1, _columns(starts, lengths), values)


def _columns(starts: Tensor, lengths: Sequence[int]) -> Tensor:
    """The column of every entry, [rows, Σ lengths]."""
    run, offset = _layout(tuple(lengths), starts.device)
    return starts.index_select(1, run).add_(offset)


@lru_cache(maxsize=64)
def _layout(lengths: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The run of every entry of a row, and its place in the run, [Σ lengths]."""
    ends = torch.tensor([0, *lengths]).cumsum(0)
    run = torch.repeat_interleave(torch.arange(len(lengths)), ends.diff())
    return run.to(device), (torch.arange(int(ends[-1])) - ends[run]).to(device)


def times(values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor) -> Tensor:
    """J v, [rows]."""
    if list(lengths) == [len(v)]:
        return values @ v
    parts = zip(values.split(ROWS), starts.split(ROWS), strict=True)
    return torch.cat([(a * v[_columns(s, lengths)]).sum(1) for a, s in parts])


def transposed_times(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> Tensor:
    """Jᵀ r, [columns]."""
    if list(lengths) == [columns]:
        return values.T @ r
    total = values.new_zeros(columns)
    for a, s, part in zip(values.split(ROWS), starts.split(ROWS), r.split(ROWS), strict=True):
        total.index_add_(0, _columns(s, lengths).view(-1), (a * part[:, None]).view(-1))
    return total


def gram(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """JᵀJ below and on the diagonal, which is all that Cholesky reads; what stands above is not
    set."""
    total = values.new_zeros(columns, columns)
    for a, s in zip(values.split(ROWS), starts.split(ROWS), strict=True):
        add_lower_gram(total, dense(a, s, lengths, columns))
    return total


def normal(
    values: Tensor,
    starts: Tensor,
    lengths: Sequence[int],
    columns: int,
    r: Tensor,
    squares: Callable[..., Tensor] = gram,
    back: Callable[..., Tensor] = transposed_times,
) -> tuple[Tensor, Tensor, Tensor]:
    """JᵀJ as `gram`, Jᵀr and r·r; squares and back: what computes `gram` and
    `transposed_times`."""
    given = values, starts, lengths, columns
    return squares(*given), back(*given, r), r @ r


def pulled(
    values: Tensor,
    starts: Tensor,
    lengths: Sequence[int],
    v: Tensor,
    a: Tensor,
    factor: float,
    there: Callable[..., Tensor] = times,
    back: Callable[..., Tensor] = transposed_times,
) -> Tensor:
    """Jᵀ (factor (a - J v)), [columns]; there and back: what computes `times` and
    `transposed_times`."""
    bent = factor * (a - there(values, starts, lengths, v))
    return back(values, starts, lengths, len(v), bent)


def add_lower_gram(total: Tensor, J: Tensor, block: int = 128) -> None:
    """Add JᵀJ below and on the diagonal, by block rows: little more than half the time of the full
    product."""
    size = J.shape[1]
    for start in range(0, size, block):
        end = min(start + block, size)
        total[start:end, :end].addmm_(J[:, start:end].T, J[:, :end])
