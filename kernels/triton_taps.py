# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""Spline layers on jets into many outputs by dense matrix products, for GPUs.

A layer is linear in its coefficients: with the taps

    W[n,c,(p,j)] = Σ_ν δ^ν[n,c,p] B_ν,j(x[n,p])    (zero but for degree + 1 of the j)

of all its functions, Y = W C, C̄ = Wᵀ L, and what the adjoint of the input jet needs of L and C is
D = L Cᵀ. Three products of 2 M P (grid + degree) Q flops a point, zeros included: more than there
are without them, but of the kind that a GPU has most of, and by the library that does them best.
W and D are made for as many points at a time as TAPS_BYTES hold; where there are many outputs,
making them is little of the work. The sum over points in C̄ is taken over parts that the shapes
alone decide, added in order: the same input gives the same bits.

In float64 these products run on tensor cores; in float32 they do not: TF32 has not its digits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_algebra import (
    channel,
    load_all,
    many,
    order_of,
    reaches,
    size_of,
    taylor,
)
from kanpde.kernels.triton_pieces import (
    UNSPECIALISED,
    KnotTensors,
    ordered_sum,
    place,
    weights,
)

TAPS_BYTES = 2**30
"""Memory for the taps, at most."""

WIDE = 32
"""Outputs of a layer, at least, for which its taps are written down."""

PARTS = 16
"""Parts of a sum over points: a product of few rows and columns does not fill a GPU by itself."""


def wide(outputs: int) -> bool:
    """Whether a layer has enough outputs."""
    return outputs >= WIDE


@triton.jit(do_not_specialize=UNSPECIALISED)
def _taps(
    X, breaks, middle, inverse, table, W, points, inputs, functions, grid, steps,
    counts: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """W [points, channels, inputs · functions]."""
    size: tl.constexpr = size_of(counts)
    n = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)[:, None]
    row = tl.program_id(1) * lanes + tl.arange(0, lanes)[None, :]
    w = weights(
        X, breaks, middle, inverse, table, n, row, points, inputs, functions, grid,
        counts, width, steps,
    )  # fmt: skip
    inside = (n < points) & (row < inputs * functions)
    at = W + n * (size * inputs * functions) + row
    for c in tl.static_range(size):
        tl.store(at + c * (inputs * functions), w[c], mask=inside)


@triton.jit
def inward_of(G, delta, counts: tl.constexpr):
    """The adjoint of the jet x in f∘x from G[(ν - 1) · channels + c] = f_ν L_c, ν = 1 … order + 1,
    of which channels below order ν - 1 are not read."""
    size: tl.constexpr = size_of(counts)
    total = G[0]
    for nu in tl.static_range(2, order_of(counts) + 2):
        for c in tl.static_range(channel(counts, nu - 1), size):
            total += nu * G[(nu - 1) * size + c] * delta[(nu - 2) * size + c]
    found = (total,)
    for low in tl.static_range(1, order_of(counts) + 1):
        for d in tl.static_range(many(counts, low)):
            total = G[channel(counts, low, d)]
            for k in tl.static_range(low + 1, reaches(counts, low)[d] + 1):
                for nu in tl.static_range(2, k - low + 2):
                    total += (
                        nu
                        * G[(nu - 1) * size + channel(counts, k, d)]
                        * delta[(nu - 2) * size + channel(counts, k - low, d)]
                    )
            found = found + (total,)
    return found


@triton.jit(do_not_specialize=UNSPECIALISED)
def _inward(
    D, X, breaks, middle, inverse, table, found, points, inputs, functions, grid, steps,
    counts: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """The adjoint of the input jet [points, channels, inputs] from D [points, channels, inputs ·
    functions]."""
    size: tl.constexpr = size_of(counts)
    order: tl.constexpr = order_of(counts)
    entry = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    n, p = entry // inputs, (entry % inputs).to(tl.int32)
    alive = n < points
    cell, tau, factor, delta = place(
        X + n * (size * inputs), breaks, middle, inverse, p, inputs, grid, alive, counts, steps
    )
    own = D + n * (size * inputs * functions) + p * functions + cell
    splines = table + (p * grid + cell).to(tl.int64) * (width * width)
    G = ()
    for j in tl.static_range(width):
        b = taylor(load_all(splines + j * width, 1, alive, width), tau, order + 1)
        lift = load_all(own + j, inputs * functions, alive, size)
        part = ()
        for nu in tl.static_range(1, order + 2):
            for c in tl.static_range(size):
                if c >= channel(counts, nu - 1):
                    part = part + (b[nu] * lift[c],)
                else:
                    part = part + (lift[c],)  # never read
        if j > 0:
            summed = ()
            for i in tl.static_range(len(part)):
                if i % size >= channel(counts, i // size):
                    summed = summed + (G[i] + part[i],)
                else:
                    summed = summed + (part[i],)
            G = summed
        else:
            G = part
    y = inward_of(G, delta, counts)
    for c in tl.static_range(size):
        tl.store(found + (n * size + c) * inputs + p, y[c] * factor, mask=alive)


def forward(X: Tensor, c: Tensor, grid: KnotTensors, counts: Counts) -> Tensor:
    """The output jet [points, channels, outputs], from contiguous X and c."""
    points, size, _ = X.shape
    Y = X.new_empty(points, size, c.shape[2])
    for part in _slabs(X, c):
        times(taps(X[part], grid, counts), c, Y[part])
    return Y


def adjoint(
    L: Tensor, X: Tensor, c: Tensor, grid: KnotTensors, counts: Counts, back: bool
) -> tuple[Tensor, Tensor]:
    """As plain.adjoint, from contiguous L, X and c."""
    inward = torch.empty_like(X) if back else X.new_empty(0)
    total = torch.zeros_like(c)
    for part in _slabs(X, c):
        x, lift = X[part], L[part]
        if back:
            _pull(lift, x, c, grid, counts, inward[part])
        total += transposed(taps(x, grid, counts), lift).view_as(c)
    return inward, total


def with_taps(
    W: Tensor, L: Tensor, X: Tensor, c: Tensor, grid: KnotTensors, counts: Counts, back: bool
) -> tuple[Tensor, Tensor]:
    """The same where the taps W of all points are there already."""
    inward = torch.empty_like(X) if back else X.new_empty(0)
    if back:
        _pull(L, X, c, grid, counts, inward)
    return inward, transposed(W, L).view_as(c)


def taps(X: Tensor, grid: KnotTensors, counts: Counts) -> Tensor:
    """W [points · channels, inputs · functions]."""
    points, size, inputs = X.shape
    functions = grid.cells + grid.table.shape[3] - 1
    W = X.new_empty(points * size, inputs * functions)
    rows, lanes = 4, 128
    shape = triton.cdiv(points, rows), triton.cdiv(inputs * functions, lanes)
    fixed = {"counts": tuple(counts), "width": grid.table.shape[3], "rows": rows, "lanes": lanes}
    sizes = points, inputs, functions, grid.cells, grid.steps
    if points:
        _taps[shape](X, *grid, W, *sizes, **fixed)
    return W


def taps_bytes(X: Tensor, c: Tensor) -> int:
    """Bytes of the taps of one point."""
    return X.shape[1] * c.shape[0] * c.shape[1] * X.element_size()


def times(W: Tensor, c: Tensor, Y: Tensor) -> None:
    """Fill the contiguous Y [points, channels, outputs] with W C."""
    torch.mm(W, c.view(-1, c.shape[2]), out=Y.view(-1, c.shape[2]))


def transposed(W: Tensor, L: Tensor) -> Tensor:
    """Wᵀ L [inputs · functions, outputs], the rows in PARTS and a rest."""
    L, each = L.reshape(-1, L.shape[2]), len(W) // PARTS
    whole = PARTS * each
    found = torch.mm(W[whole:].T, L[whole:])
    if each:
        rows = W[:whole].unflatten(0, (PARTS, each)), L[:whole].unflatten(0, (PARTS, each))
        found += ordered_sum(torch.bmm(rows[0].transpose(1, 2), rows[1]))
    return found


def _pull(
    L: Tensor, X: Tensor, c: Tensor, grid: KnotTensors, counts: Counts, found: Tensor
) -> None:
    """Fill `found` with the adjoint of the input jet."""
    points, _, inputs = X.shape
    functions = grid.cells + grid.table.shape[3] - 1
    D = torch.mm(L.reshape(-1, L.shape[2]), c.view(-1, c.shape[2]).T)
    fixed = {"counts": tuple(counts), "width": grid.table.shape[3], "block": 128}
    sizes = points, inputs, functions, grid.cells, grid.steps
    if points:
        _inward[(triton.cdiv(points * inputs, 128),)](D, X, *grid, found, *sizes, **fixed)


def _slabs(X: Tensor, c: Tensor) -> list[slice]:
    """Points that go together: their taps take no more than TAPS_BYTES."""
    each = max(1, TAPS_BYTES // taps_bytes(X, c))
    each = each // 128 * 128 or each
    return [slice(first, first + each) for first in range(0, len(X), each)]
