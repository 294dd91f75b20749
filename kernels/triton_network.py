"""A whole spline network in Triton: the functions of network.py, for GPUs.

Narrow networks at few points spend their time on launching kernels. For them a program takes a tile
of points through all layers in one launch (triton_levels.py), and back through them again in one;
an ordered sum of the gradients of programs is one launch more: no atomics, the same input gives the
same bits. Coefficients are read as they are: each point evaluates its splines, so nothing is
prepared from the parameters.

Other networks go layer by layer, through the kernels of triton_jet.py and triton_activation.py,
SLAB points at a time, so that the jets of hidden levels take no more memory however many points
there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels import network, triton_activation, triton_jet, triton_taps
from kanpde.kernels.network import KIND, Tensors
from kanpde.kernels.pieces import degree_of
from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_algebra import on_its_device
from kanpde.kernels.triton_levels import adjoint_tiles, before, forward_tiles
from kanpde.kernels.triton_pieces import (
    PARTIAL_BYTES,
    PROGRAMS,
    UNSTAGED,
    KnotTensors,
    ordered_sum,
    tensors_of,
)

WIDEST, EDGES = 32, 256
"""Units of a level and edges of a layer, at most, for one launch."""

NARROW, FEW = 16, 2**15
"""With at most so many units one launch takes any number of points, with more of them FEW at most.
On an H200 2-10-1 at 1,000,000 points took half the time in one launch, 2-21-1 as much as by
layers."""

HIGHEST = 4
"""Degree, at most, for one launch: the adjoint of degree 3 was compiled in 5 seconds of a core, and
that of degree 7 was not ready after 110 seconds on two shared cores."""

SLAB = 2**17
"""Points that go layer by layer at a time."""

ROWS = 16
"""Points of a tile."""

RESIDENT = {"num_warps": 2, "maxnreg": 168}
"""For programs of one tile each: six of them fit on a multiprocessor at once, so that 10,000 points
need one wave of them on a GPU with more than 104. Measured on an H200: 58 µs for a closure of
2-10-1; 72 µs with four warps and all the registers that the compiler asks for."""


class Operands(NamedTuple):
    """A network as the kernels read it.

    Attributes:
        theta: The coefficients of all layers, one after the other.
        grid: The knots of all layers, one below the other.
        center: Of all activations.
        scale: Of all activations.
        functions: An input.
        fixed: What is known when a kernel is compiled.
    """

    theta: Tensor
    grid: KnotTensors
    center: Tensor
    scale: Tensor
    functions: int
    fixed: dict


@on_its_device
def forward(
    X: Tensor, C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, counts: Counts
) -> Tensor:
    """As network.forward."""
    if not in_one_launch(len(X), C, knots):
        slabs = [
            network.forward(x, C, knots, centers, scales, counts, triton_jet, triton_activation)
            for x in X.split(SLAB)
        ]
        return slabs[0] if len(slabs) == 1 else torch.cat(slabs)
    Y = X.new_empty(*X.shape[:2], C[-1].shape[2])
    _forward(X, _operands(C, knots, centers, scales, counts), Y)
    return Y


@on_its_device
def rows(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    W: Tensor,
    b: Tensor,
    counts: Counts,
) -> Tensor:
    """As network.rows."""
    if not in_one_launch(len(X), C, knots):
        return network.rows(X, C, knots, centers, scales, W, b, counts, forward)
    r = torch.empty_like(b, memory_format=torch.contiguous_format)
    _forward(X, _operands(C, knots, centers, scales, counts), r, (W, b))
    return r


def _forward(
    X: Tensor, at: Operands, found: Tensor, affine: tuple[Tensor, Tensor] | None = None
) -> None:
    """Fill `found` with the output jet, or with the rows b + Σ W·Y of W and b."""
    points, size = X.shape[:2]
    if not points:
        return
    chunk = triton.cdiv(points, PROGRAMS * ROWS) * ROWS
    programs = triton.cdiv(points, chunk)
    space = ROWS * size * before(at.fixed["widths"], len(at.fixed["widths"]) - 1)
    work = X.new_empty(max(1, programs * space))
    W, b = (X, X) if affine is None else (part.contiguous() for part in affine)
    given = at.theta, X.contiguous(), *at.grid, at.center, at.scale, W, b, found, work
    equations = 0 if affine is None else len(b)
    sizes = points, equations, at.grid.cells, at.functions, chunk, space
    forward_tiles[(programs,)](
        *given, *sizes, **at.fixed, affine=affine is not None, **UNSTAGED, **RESIDENT
    )


@on_its_device
def adjoint(
    L: Tensor,
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
) -> Tensor:
    """As network.adjoint."""
    if not in_one_launch(len(X), C, knots):
        found = []
        for part in _slabs(X, C):
            jet = SlabJets()
            inputs, before = network.inner(
                X[part], C, knots, centers, scales, counts, jet, triton_activation
            )
            found.append(
                network.back(
                    L[part], inputs, before, C, knots, scales, counts, jet, triton_activation
                )
            )
        return ordered_sum(torch.stack(found))
    return _gradient(X, C, knots, centers, scales, counts, L=L)


@on_its_device
def pullback(
    L: Tensor,
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
) -> tuple[Tensor, Tensor]:
    """As network.pullback."""
    if in_one_launch(len(X), C, knots):
        return _rows(L, X, C, knots, centers, scales, counts)
    found = [
        network.pullback(
            L[part], X[part], C, knots, centers, scales, counts, triton_jet, triton_activation
        )
        for part in _slabs(X, C)
    ]
    if len(found) == 1:
        return found[0]
    return torch.cat([values for values, _ in found]), torch.cat([starts for _, starts in found])


@on_its_device
def squares(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    W: Tensor,
    b: Tensor,
    counts: Counts,
) -> tuple[Tensor, Tensor]:
    """As network.squares: forth and back in one pass, no level is computed twice."""
    r = torch.empty_like(b, memory_format=torch.contiguous_format)
    if in_one_launch(len(X), C, knots):
        return r, _gradient(X, C, knots, centers, scales, counts, affine=(W, b, r))
    found = []
    for part in _slabs(X, C):
        jet = SlabJets()
        inputs, before = network.inner(
            X[part], C, knots, centers, scales, counts, jet, triton_activation
        )
        Y, factors = jet.forward(inputs[-1], C[-1], knots[-1], counts), W[:, part]
        r[:, part] = b[:, part] + (factors * Y).sum((2, 3))
        L = (2 * r[:, part, None, None] * factors).sum(0)
        found.append(
            network.back(L, inputs, before, C, knots, scales, counts, jet, triton_activation)
        )
    return r, ordered_sum(torch.stack(found))


def _slabs(X: Tensor, C: Tensors) -> list[slice]:
    """Points that go through the layers together: SLAB of them, or as many as their taps allow."""
    taps = sum(triton_taps.taps_bytes(X, c) for c in C if triton_taps.wide(c.shape[2]))
    each = min(SLAB, max(128, triton_taps.TAPS_BYTES // taps // 128 * 128)) if taps else SLAB
    return [slice(first, first + each) for first in range(0, max(len(X), 1), each)]


class SlabJets:
    """The layers of triton_jet for the points of one slab: forth and back they need the same taps,
    which are made once."""

    def __init__(self) -> None:
        self.taps: dict[int, Tensor] = {}

    def forward(self, X: Tensor, c: Tensor, knots: Tensor, counts: Counts) -> Tensor:
        """As plain.forward."""
        if not triton_taps.wide(c.shape[2]):
            return triton_jet.forward(X, c, knots, counts)
        W = triton_taps.taps(X.contiguous(), tensors_of(knots, degree_of(c, knots)), counts)
        Y = X.new_empty(*X.shape[:2], c.shape[2])
        triton_taps.times(W, c.contiguous(), Y)
        self.taps[id(c)] = W
        return Y

    def adjoint(
        self, L: Tensor, X: Tensor, c: Tensor, knots: Tensor, counts: Counts, back: bool = True
    ) -> tuple[Tensor, Tensor]:
        """As plain.adjoint."""
        W = self.taps.pop(id(c), None)
        if W is None:
            return triton_jet.adjoint(L, X, c, knots, counts, back)
        L, X, c = L.contiguous(), X.contiguous(), c.contiguous()
        grid = tensors_of(knots, degree_of(c, knots))
        return triton_taps.with_taps(W, L, X, c, grid, counts, back)


def _gradient(
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
    L: Tensor | None = None,
    affine: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Tensor:
    """The gradient in one launch and a sum, from the adjoint L of the output, or of Σ r² from W, b
    and the r that are to be filled."""
    parameters = sum(c.numel() for c in C)
    if not len(X):
        return X.new_zeros(parameters)
    most = max(1, min(PROGRAMS, PARTIAL_BYTES // (parameters * X.element_size())))
    chunk = triton.cdiv(len(X), most * ROWS) * ROWS
    programs = triton.cdiv(len(X), chunk)
    partial = X.new_empty(programs, parameters)
    given = (X, X, X) if affine is None else (affine[0].contiguous(), *affine[1:])
    _launch(
        (X if L is None else L.contiguous(), given[0], given[1].contiguous(), given[2]),
        X,
        _operands(C, knots, centers, scales, counts),
        (partial, X, X),
        chunk,
        affine=affine is not None,
        local=False,
    )
    return ordered_sum(partial)


def _rows(
    L: Tensor,
    X: Tensor,
    C: Tensors,
    knots: Tensors,
    centers: Tensors,
    scales: Tensors,
    counts: Counts,
) -> tuple[Tensor, Tensor]:
    """The rows of the Jacobian in one launch."""
    values = X.new_empty(len(X), sum(network.lengths(C, knots)))
    starts = torch.empty(len(X), sum(len(c) for c in C), dtype=torch.int64, device=X.device)
    if len(X):
        _launch(
            (L.contiguous(), X, X, X),
            X,
            _operands(C, knots, centers, scales, counts),
            (X, values, starts),
            triton.cdiv(len(X), PROGRAMS * ROWS) * ROWS,
            affine=False,
            local=True,
        )
    return values, starts


def _launch(
    given: tuple[Tensor, Tensor, Tensor, Tensor],
    X: Tensor,
    at: Operands,
    found: tuple[Tensor, Tensor, Tensor],
    chunk: int,
    affine: bool,
    local: bool,
) -> None:
    """Launch adjoint_tiles: given are L, W, b and r, found are partial, values and starts."""
    widths, size = at.fixed["widths"], X.shape[1]
    programs, widest, layers = triton.cdiv(len(X), chunk), max(widths), len(widths) - 1
    space = ROWS * size * (before(widths, layers) + 3 * widest)
    partial, values, starts = found
    work = X.new_empty(programs * space)
    operands = at.theta, X.contiguous(), *at.grid, at.center, at.scale
    equations = len(given[2]) if affine else 0
    sizes = len(X), equations, at.grid.cells, at.functions, chunk, space, partial.shape[-1]
    of_rows = values.shape[-1], starts.shape[-1]
    # Rows have no tiles, and shall not be compiled again where the tiles of a finer grid differ.
    tiles = () if local else tuple(_tile(p * at.functions) for p in widths[:-1])
    fixed = {**at.fixed, "tiles": tiles, "layers": layers, "widest": widest, **UNSTAGED, **RESIDENT}
    adjoint_tiles[(programs,)](
        *given, *operands, *found, work, *sizes, *of_rows, affine=affine, local=local, **fixed
    )


def _tile(rows: int) -> int:
    """Rows of a layer's gradient that are taken at a time."""
    return min(64, max(16, triton.next_power_of_2(rows)))


def in_one_launch(points: int, C: Tensors, knots: Tensors) -> bool:
    """Whether a network is narrow enough for so many points, and all layers of one grid and
    degree."""
    widths = [C[0].shape[0], *(c.shape[2] for c in C)]
    return (
        min(widths) > 0
        and max(widths) <= (WIDEST if points <= FEW else NARROW)
        and max(c.shape[0] * c.shape[2] for c in C) <= EDGES
        and degree_of(C[0], knots[0]) <= HIGHEST
        and len({(c.shape[1], k.shape[1]) for c, k in zip(C, knots, strict=True)}) == 1
    )


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _grid(knots: Tensors, degree: int) -> KnotTensors:
    """The knots of all layers one below the other; the same KnotTensors for the same Grids of the
    layers."""
    each = [tensors_of(k, degree) for k in knots]
    parts, found = _known.get(knots[-1], ([], None))
    if (
        found is None
        or len(parts) != len(each)
        or any(a is not b for a, b in zip(parts, each, strict=True))
    ):
        found = KnotTensors(*(torch.cat(rows) for rows in zip(*each, strict=True)))
        _known[knots[-1]] = (each, found)
    return found


def _operands(
    C: Tensors, knots: Tensors, centers: Tensors, scales: Tensors, counts: Counts
) -> Operands:
    degree = degree_of(C[0], knots[0])
    grid = _grid(knots, degree)
    center, scale = (
        parts[0].contiguous() if len(parts) == 1 else torch.cat([C[0].new_empty(0), *parts])
        for parts in (centers, scales)
    )
    widths = (C[0].shape[0], *(c.shape[2] for c in C))
    fixed = {
        "widths": widths,
        "counts": tuple(counts),
        "width": degree + 1,
        "steps": grid.steps,
        "kind": KIND,
        "rows": ROWS,
    }
    return Operands(_in_one_piece(C), grid, center, scale, C[0].shape[1], fixed)


def _in_one_piece(parts: Sequence[Tensor]) -> Tensor:
    """A tensor that begins where the first part does, with the others right behind it: without a
    copy if they already lie so."""
    end = parts[0].data_ptr()
    for part in parts:
        if part.data_ptr() != end or not part.is_contiguous():
            return torch.cat([part.reshape(-1) for part in parts])
        end += part.numel() * part.element_size()
    return parts[0]
