"""Products with a matrix by runs of columns (see runs.py) for CPUs, without ever writing its
zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kanpde.kernels import runs
from kanpde.kernels.compiled import compiled
from kanpde.kernels.threads import array, deal
from kanpde.kernels.vectors import LANES, add_scaled

BAND = 48
"""Rows of the normal matrix that one thread fills at a time: they stay in the second-level
cache."""

FULL = 0.5
"""From this share of entries on, a dense product is faster."""


@compiled
def _gram_band(values, starts, first, low, high, total):
    """Add the rows low … high of JᵀJ, up to the run on the diagonal. first [runs + 1]: where the
    runs begin in `values`."""
    columns, flat, target = total.shape[1], values.reshape(-1), total.reshape(-1)
    for n in range(len(values)):
        for a in range(len(first) - 1):
            shift = first[a] - starts[n, a]
            for row in range(max(starts[n, a], low), min(first[a + 1] - shift, high)):
                v = values[n, row + shift]
                for b in range(a + 1):
                    to, source, length = (
                        row * columns + starts[n, b],
                        n * values.shape[1] + first[b],
                        first[b + 1] - first[b],
                    )
                    whole = length - length % LANES
                    for j in range(0, whole, LANES):
                        add_scaled(target, to + j, v, flat, source + j)
                    for j in range(whole, length):
                        target[to + j] += v * flat[source + j]


@compiled
def _times(values, starts, first, v, begin, end, found):
    for n in range(begin, end):
        total = 0.0 * values[n, 0]
        for a in range(len(first) - 1):
            part, source = v[starts[n, a] :], values[n, first[a] : first[a + 1]]
            for j in range(len(source)):
                total += source[j] * part[j]
        found[n] = total


@compiled
def _transposed_times(values, starts, first, r, found):
    for n in range(len(values)):
        for a in range(len(first) - 1):
            target, source = found[starts[n, a] :], values[n, first[a] : first[a + 1]]
            for j in range(len(source)):
                target[j] += r[n] * source[j]


def gram(values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int) -> Tensor:
    """As runs.gram. The runs of a row must come in the order of their columns."""
    if sum(lengths) > FULL * columns:
        return runs.gram(values, starts, lengths, columns)
    total = values.new_zeros(columns, columns)
    given, target = (array(values), array(starts), _first(lengths)), total.numpy()
    bands = -(-columns // BAND)

    def work(begin: int, end: int) -> None:
        for pair in range(begin, end):  # a short band and a long one: every pair is as much work
            for band in {pair, bands - 1 - pair}:
                _gram_band(*given, band * BAND, min((band + 1) * BAND, columns), target)

    deal(work, -(-bands // 2))
    return total


def times(values: Tensor, starts: Tensor, lengths: Sequence[int], v: Tensor) -> Tensor:
    """As runs.times."""
    if list(lengths) == [len(v)]:
        return values @ v
    found = values.new_zeros(len(values))
    if lengths:
        given, target = (array(values), array(starts), _first(lengths), array(v)), found.numpy()
        deal(lambda begin, end: _times(*given, begin, end, target), len(values))
    return found


def transposed_times(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> Tensor:
    """As runs.transposed_times."""
    if list(lengths) == [columns]:
        return values.T @ r
    found = torch.zeros(columns, dtype=values.dtype)
    _transposed_times(array(values), array(starts), _first(lengths), array(r), found.numpy())
    return found


def normal(
    values: Tensor, starts: Tensor, lengths: Sequence[int], columns: int, r: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As runs.normal."""
    return runs.normal(values, starts, lengths, columns, r, gram, transposed_times)


def pulled(
    values: Tensor,
    starts: Tensor,
    lengths: Sequence[int],
    v: Tensor,
    a: Tensor,
    factor: float,
) -> Tensor:
    """As runs.pulled."""
    return runs.pulled(values, starts, lengths, v, a, factor, times, transposed_times)


def _first(lengths: Sequence[int]) -> np.ndarray:
    return np.cumsum(np.array([0, *lengths]))
