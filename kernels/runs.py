"""Products with a matrix whose rows are zero but for a few runs of columns, in plain PyTorch.

values [rows, Σ lengths] holds the runs one after the other, starts [rows, runs] the first column of
each, lengths their lengths, the same in every row. A row of a spline network's Jacobian has one run
an input of each layer: the degree + 1 coefficients that are alive there, times the outputs. A dense
row is one run.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ROWS = 65536
"""Rows that are written out at a time where the products are dense."""


def dense(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """The whole matrix, [rows, columns]."""
    if list(lengths) == [columns]:
        return values
    offsets = (
        torch.cat([torch.arange(n, device=values.device) for n in lengths])
        if lengths
        else starts.new_empty(0)
    )
    run = torch.repeat_interleave(
        torch.arange(len(lengths), device=values.device),
        torch.tensor(list(lengths), dtype=torch.int64, device=values.device),
    )
    return values.new_zeros(len(values), columns).scatter_(1, starts[:, run] + offsets, values)


def times(values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor) -> Tensor:
    """J v, [rows]."""
    parts = zip(values.split(ROWS), starts.split(ROWS), strict=True)
    return torch.cat([dense(a, s, lengths, len(v)) @ v for a, s in parts])


def transposed_times(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> Tensor:
    """Jᵀ r, [columns]."""
    total = values.new_zeros(columns)
    for a, s, part in zip(values.split(ROWS), starts.split(ROWS), r.split(ROWS), strict=True):
        total += dense(a, s, lengths, columns).T @ part
    return total


def gram(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """JᵀJ below and on the diagonal, which is all that Cholesky reads; what stands above is not
    set."""
    total = values.new_zeros(columns, columns)
    for a, s in zip(values.split(ROWS), starts.split(ROWS), strict=True):
        add_lower_gram(total, dense(a, s, lengths, columns))
    return total


def add_lower_gram(total: Tensor, J: Tensor, block: int = 128) -> None:
    """Add JᵀJ below and on the diagonal, by block rows: little more than half the time of the full
    product."""
    size = J.shape[1]
    for start in range(0, size, block):
        end = min(start + block, size)
        total[start:end, :end].addmm_(J[:, start:end].T, J[:, :end])
