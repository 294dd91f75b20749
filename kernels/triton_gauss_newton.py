"""Gauss-Newton products straight from the jets, for GPUs: no row of the Jacobian is ever written.

Row n of J holds the derivative of Σ_layers Σ_cq L[n,c,q] Y[n,c,q] by the coefficients of all
layers, one after the other; X is the input jet of a layer, L the adjoint of its output. With W of
triton_jet.py,

    J[n,(p,j,q)] = Σ_c W[n,c,(p,j)] L[n,c,q].

A layer is linear in its coefficients, so J v is a forward pass with v for coefficients, contracted
with L, and Jᵀ r is the gradient of the adjoints r_n L. For JᵀJ, tiles of J are made in registers
from X and L and multiplied at once, columns² flops a row; each of them is made again for every
other tile: about (columns / 64) (D(m) + ΣN_ν + M) flops an entry, more than reading it, in place of
8 bytes an entry of memory. Where those bytes are there, triton_runs.gram on the rows' runs has less
to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_algebra import dot, size_of
from kanpde.kernels.triton_jet import (
    UNSTAGED,
    chunks_of,
    forward,
    gradient,
    ordered_sum,
    tensors_of,
    weights,
)

TILE = 64
"""Columns of a tile."""

DEPTH = 16
"""Points of a tile."""


class LayerColumns(NamedTuple):
    """What a layer adds to J.

    Attributes:
        L: The adjoint of its output, [points, channels, outputs].
        X: Its input jet, [points, channels, inputs].
        knots: Of its inputs, as in pieces.py.
        degree: Of its splines.
    """

    L: Tensor
    X: Tensor
    knots: Tensor
    degree: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of its coefficients: inputs, functions, outputs."""
        return self.X.shape[2], self.knots.shape[1] - self.degree - 1, self.L.shape[2]

    @property
    def columns(self) -> int:
        """Number of its coefficients."""
        inputs, functions, outputs = self.shape
        return inputs * functions * outputs


@triton.jit
def _tile(
    L, X, breaks, middle, inverse, table, n, column, points, inputs, outputs, functions, grid,
    counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr,
):  # fmt: skip
    """J at points n (a column) and coefficients `column` (a line)."""
    row, q = column // outputs, column % outputs
    w = weights(
        X, breaks, middle, inverse, table, n, row, points, inputs, functions, grid,
        counts, width, steps,
    )  # fmt: skip
    inside = (n < points) & (row < inputs * functions)
    at = L + n * (size_of(counts) * outputs) + q
    found = w[0] * tl.load(at, mask=inside, other=0.0)
    for c in tl.static_range(1, size_of(counts)):
        found += w[c] * tl.load(at + c * outputs, mask=inside, other=0.0)
    return found


@triton.jit
def _gram(
    L1, X1, breaks1, middle1, inverse1, table1, inputs1, outputs1, functions1, grid1,
    L2, X2, breaks2, middle2, inverse2, table2, inputs2, outputs2, functions2, grid2,
    partial, points, chunk, same,
    counts: tl.constexpr, width1: tl.constexpr, width2: tl.constexpr,
    steps1: tl.constexpr, steps2: tl.constexpr, tile: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    """partial [chunks, columns of the first layer, columns of the second]: J₁ᵀ J₂ of a chunk of
    points; if they are the same layer, what is above the diagonal's tiles is left out."""
    if (same == 0) | (tl.program_id(1) <= tl.program_id(0)):
        total = tl.zeros([tile, tile], partial.dtype.element_ty)
        line = tl.arange(0, tile)[None, :]
        i, j = tl.program_id(0) * tile, tl.program_id(1) * tile
        for start in range(0, chunk, depth):
            n = tl.program_id(2).to(tl.int64) * chunk + start + tl.arange(0, depth)[:, None]
            left = _tile(
                L1, X1, breaks1, middle1, inverse1, table1, n, i + line, points,
                inputs1, outputs1, functions1, grid1, counts, width1, steps1,
            )  # fmt: skip
            right = _tile(
                L2, X2, breaks2, middle2, inverse2, table2, n, j + line, points,
                inputs2, outputs2, functions2, grid2, counts, width2, steps2,
            )  # fmt: skip
            total = dot(tl.trans(left), right, total)
        row = i + tl.arange(0, tile)[:, None]
        high, wide = inputs1 * functions1 * outputs1, inputs2 * functions2 * outputs2
        target = partial + (tl.program_id(2).to(tl.int64) * high + row) * wide + j + line
        tl.store(target, total, mask=(row < high) & (j + line < wide))


def gram(parts: Sequence[LayerColumns], counts: Counts) -> Tensor:
    """JᵀJ [columns, columns] below and on the diagonal; what stands above is not set, or zero."""
    starts = _starts(parts)
    total = parts[0].X.new_zeros(starts[-1], starts[-1])
    if not len(parts[0].X):
        return total
    with torch.cuda.device_of(total):
        _fill(total, parts, starts, counts)
    return total


def _fill(
    total: Tensor, parts: Sequence[LayerColumns], starts: Sequence[int], counts: Counts
) -> None:
    given = [_arguments(part) for part in parts]
    for a, first in enumerate(parts):
        for b, second in enumerate(parts[: a + 1]):
            tiles = triton.cdiv(first.columns, TILE), triton.cdiv(second.columns, TILE)
            chunk, chunks = chunks_of(
                len(first.X),
                tiles[0] * tiles[1],
                first.columns * second.columns * total.element_size(),
                DEPTH,
            )
            partial = total.new_empty(chunks, first.columns, second.columns)
            fixed = {
                "counts": tuple(counts),
                "width1": first.degree + 1,
                "width2": second.degree + 1,
                "steps1": given[a][1],
                "steps2": given[b][1],
            }
            operands = *given[a][0], *given[b][0], partial, len(first.X), chunk, int(a == b)
            _gram[(*tiles, chunks)](*operands, **fixed, tile=TILE, depth=DEPTH, **UNSTAGED)
            total[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = ordered_sum(partial)


def times(parts: Sequence[LayerColumns], v: Tensor, counts: Counts) -> Tensor:
    """J v, [points]."""
    split = v.split([part.columns for part in parts])
    jets = [
        forward(part.X, c.view(part.shape), part.knots, counts)
        for part, c in zip(parts, split, strict=True)
    ]
    each = [(part.L * Y).sum((1, 2)) for part, Y in zip(parts, jets, strict=True)]
    return torch.stack(each).sum(0)


def transposed_times(parts: Sequence[LayerColumns], r: Tensor, counts: Counts) -> Tensor:
    """Jᵀ r, [columns]."""
    found = []
    with torch.cuda.device_of(r):
        for part in parts:
            L, grid = part.L * r[:, None, None], tensors_of(part.knots, part.degree)
            found.append(gradient(L, part.X.contiguous(), grid, counts).view(-1))
        return torch.cat(found)


def _starts(parts: Sequence[LayerColumns]) -> list[int]:
    """Where the columns of each part begin, and where the last ones end."""
    found = [0]
    for part in parts:
        found.append(found[-1] + part.columns)
    return found


def _arguments(part: LayerColumns) -> tuple[tuple, int]:
    """What the kernel reads of a layer, and the halvings that find an interval."""
    grid = tensors_of(part.knots, part.degree)
    inputs, functions, outputs = part.shape
    sizes = inputs, outputs, functions, grid.cells
    return (part.L.contiguous(), part.X.contiguous(), *grid, *sizes), grid.steps
