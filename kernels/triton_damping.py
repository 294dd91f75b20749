# mypy: disable-error-code="assignment"
"""The functions of damping.py in Triton: one launch each, where the parts of it, on a few hundred
parameters, are little more than their launches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels.triton_algebra import on_its_device

BLOCK_ROWS, BLOCK_COLUMNS, LINE = 4, 128, 512
"""Rows and columns of a matrix, and numbers of a vector, that a program takes at a time."""


@triton.jit
def mean_of(normal, stride, begin, end, line: tl.constexpr):
    """The mean of the diagonal from one number to another."""
    total = tl.zeros([line], normal.dtype.element_ty)
    for first in range(begin, end, line):
        i = first + tl.arange(0, line)
        total += tl.load(normal + i * stride, mask=i < end, other=0.0)
    return tl.sum(total, axis=0) / (end - begin)


@triton.jit
def metric_of(
    normal, stride, first, mean, ends, layers, size, count: tl.constexpr, line: tl.constexpr
):  # fmt: skip
    """W of `count` parameters from a first one on, those of the layers between `ends`; mean: of the
    diagonal."""
    i = first + tl.arange(0, count)
    d = tl.load(normal + i * stride, mask=i < size, other=0.0)
    for layer in range(layers):
        begin, end = tl.load(ends + layer), tl.load(ends + layer + 1)
        if (begin < first + count) & (end > first):
            own = mean_of(normal, stride, begin, end, line)
            d = tl.where((i >= begin) & (i < end), own, d)
    least = (0 * d + 1) / 100000000  # 1e-8 would be one of float32
    root = tl.sqrt(tl.maximum(tl.where(mean > 0, d / mean, 0.0), least))
    return 1 / tl.where(layers > 0, root, tl.sqrt(root))


@triton.jit(do_not_specialize=("squares", "stride", "layers", "size"))
def _rescaled(
    normal, slope, squares, ends, scaled, diagonal, W, descent, numbers, stride, layers, size,
    rows: tl.constexpr, block: tl.constexpr, line: tl.constexpr,
):  # fmt: skip
    """stride: numbers between two rows of the matrix."""
    mean = mean_of(normal, stride + 1, 0, size, line)
    start = tl.program_id(0) * rows
    i = start + tl.arange(0, rows)
    own = metric_of(normal, stride + 1, start, mean, ends, layers, size, rows, line)
    tl.store(W + i, own, mask=i < size)
    tl.store(descent + i, -own * tl.load(slope + i, mask=i < size, other=0.0), mask=i < size)
    d = tl.load(normal + i * (stride + 1), mask=i < size, other=0.0)
    tl.store(diagonal + i, d * own * own, mask=i < size)
    here = i.to(tl.int64)[:, None]
    for first in range(0, size, block):
        j = first + tl.arange(0, block)[None, :]
        inside = (here < size) & (j < size)
        across = metric_of(normal, stride + 1, first, mean, ends, layers, size, block, line)
        value = tl.load(normal + here * stride + j, mask=inside, other=0.0)
        tl.store(scaled + here * size + j, value * own[:, None] * across[None, :], mask=inside)
    if tl.program_id(0) == 0:
        top = tl.zeros([line], normal.dtype.element_ty)
        for first in range(0, size, line):
            k = first + tl.arange(0, line)
            w = metric_of(normal, stride + 1, first, mean, ends, layers, size, line, line)
            squared = tl.load(normal + k * (stride + 1), mask=k < size, other=0.0) * w * w
            top = tl.where(squared > top, squared, top)
        tl.store(numbers, tl.load(squares))
        tl.store(numbers + 1, tl.max(top, axis=0))


@triton.jit(do_not_specialize=("squares", "size"))
def _judged(
    squares, failed, velocity, correction, found, accept, size, line: tl.constexpr
):  # fmt: skip
    straight = tl.zeros([line], velocity.dtype.element_ty)
    bent = tl.zeros([line], velocity.dtype.element_ty)
    for first in range(0, size, line):
        i = first + tl.arange(0, line)
        v = tl.load(velocity + i, mask=i < size, other=0.0)
        c = tl.load(correction + i, mask=i < size, other=0.0)
        straight += v * v
        bent += c * c
    short = 2 * tl.sqrt(tl.sum(bent, axis=0)) <= accept * tl.sqrt(tl.sum(straight, axis=0))
    taken = short & (tl.load(failed) == 0)
    tl.store(found, tl.where(taken, tl.load(squares), float("inf")))


@on_its_device
def rescaled(
    normal: Tensor, slope: Tensor, squares: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As damping.rescaled; rows of `normal` may lie apart."""
    size = len(slope)
    scaled, numbers = normal.new_empty(size, size), normal.new_empty(2)
    diagonal, W, descent = torch.empty_like(slope), torch.empty_like(slope), torch.empty_like(slope)
    ends, layers = _ends(tuple(n for n in sizes if n), normal.device)
    given = normal, slope.contiguous(), squares, ends
    _rescaled[(triton.cdiv(size, BLOCK_ROWS),)](
        *given, scaled, diagonal, W, descent, numbers, normal.stride(0), layers, size,
        rows=BLOCK_ROWS, block=BLOCK_COLUMNS, line=LINE,
    )  # fmt: skip
    return scaled, diagonal, W, descent, numbers


@on_its_device
def judged(
    squares: Tensor, failed: Tensor, velocity: Tensor, correction: Tensor, accept: float
) -> Tensor:
    """As damping.judged."""
    found = torch.empty_like(squares)
    _judged[(1,)](
        squares, failed, velocity.contiguous(), correction.contiguous(), found, float(accept),
        len(velocity), line=LINE,
    )  # fmt: skip
    return found


@lru_cache(maxsize=64)
def _ends(sizes: tuple[int, ...], device: torch.device) -> tuple[Tensor, int]:
    """Where layers begin, and behind the last; and how many there are."""
    return torch.tensor([0, *accumulate(sizes)], device=device), len(sizes)
