# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""A whole narrow network of spline layers with activations in between, in one launch: for networks whose time is that of launching kernels.

A program takes a block of points through all levels, with the algebra of triton_algebra.py in registers. It writes the jets of
every level, which the gradient needs, and reads them back an input at a time, from the cache: a barrier stands between levels. The gradient
is one launch more, and an ordered sum over the programs: no atomics, the same input gives the same bits.
Coefficients are read as they are: each point evaluates its splines, so nothing has to be prepared from the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_activation import activate, activate_adjoint
from kanpde.kernels.triton_algebra import (
    add,
    columns,
    compose,
    correlate,
    load_all,
    moments,
    order_of,
    size_of,
    taylor,
)
from kanpde.kernels.triton_jet import UNSTAGED, Grid, chunks_of, grid_of, ordered_sum, place, weights

WIDEST = 32
"""Units of a level, at most."""

ROWS = 16
"""Points that a program takes at a time."""


class Plan(NamedTuple):
    """What stays the same while a network trains: units of the levels, the knots of all layers one below the other (see Grid), center and
    scale of all activations one after the other, and which activation it is, "tanh" or "sin"."""

    widths: tuple[int, ...]
    grid: Grid
    center: Tensor
    scale: Tensor
    kind: str

    @property
    def functions(self) -> int:
        """Splines of an input."""
        return self.grid.cells + self.grid.table.shape[3] - 1

    @property
    def parameters(self) -> int:
        """Number of coefficients."""
        return self.functions * sum(p * q for p, q in pairwise(self.widths))


def plan(widths: Sequence[int], degree: int, knots: Sequence[Tensor], affine: Sequence[tuple[Tensor, Tensor]], kind: str = "tanh") -> Plan:
    """The plan of a network; knots: of each layer; affine: center and scale [units] of each activation (see activation.py).

    Raises ValueError where the network is too wide, or its layers do not fit together.
    """
    if max(widths) > WIDEST:
        raise ValueError(f"widths: got {tuple(widths)}; expected at most {WIDEST} units")
    if [k.shape[0] for k in knots] != list(widths[:-1]) or len({k.shape[1] for k in knots}) != 1:
        raise ValueError(f"knots: got shapes {[list(k.shape) for k in knots]}; expected equally many for all inputs of widths {tuple(widths)}")
    if [t.numel() for pair in affine for t in pair] != [w for w in widths[1:-1] for _ in range(2)]:
        raise ValueError(f"affine: got {len(affine)} pairs; expected center and scale for the levels {tuple(widths[1:-1])}")
    grids = [grid_of(k, degree) for k in knots]
    empty = knots[0].new_empty(0)
    center, scale = (torch.cat([empty, *(pair[i].to(empty) for pair in affine)]) for i in range(2))
    return Plan(tuple(widths), Grid(*(torch.cat(parts) for parts in zip(*grids, strict=True))), center, scale, kind)


@triton.constexpr_function
def before(widths, level):
    """Units of the levels 1 … level - 1, each of them counted twice: once before its activation, once behind it."""
    return 2 * sum(widths[1:level])


@triton.constexpr_function
def inputs_before(widths, layer):
    """Inputs of the layers before this one."""
    return sum(widths[:layer])


@triton.constexpr_function
def edges_before(widths, layer):
    """Edges of the layers before this one."""
    return sum(widths[i] * widths[i + 1] for i in range(layer))


@triton.constexpr_function
def layers_of(widths):
    """Number of layers."""
    return len(widths) - 1


@triton.constexpr_function
def lanes_of(widths, level, least=1):
    """Units of a level, filled up to a power of two."""
    return max(least, 1 << (widths[level] - 1).bit_length())


@triton.jit
def edge_taylor(c, table, tau, alive, inside, outputs, width: tl.constexpr, order: tl.constexpr):
    """Taylor coefficients φ_0 … φ_order of a point's edges. c: where the first coefficient of each edge is; table: where the splines of each point's
    interval begin."""
    found = ()
    for j in tl.static_range(width):
        b = taylor(load_all(table + j * width, 1, alive, width), tau, order)
        mine = tl.load(c + j * outputs, mask=inside, other=0.0)
        part = ()
        for nu in tl.static_range(order + 1):
            part = part + (b[nu][:, None] * mine,)
        found = part if j == 0 else add(found, part)
    return found


@triton.jit
def _forward(
    theta, X, breaks, middle, inverse, table, center, scale, jets, points, grid, functions,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr, kind: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """jets: the levels one after the other, each [points, channels, units]; behind each but the last, the same behind its activation."""
    size: tl.constexpr = size_of(counts)
    n = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    alive = n < points
    source = X
    for layer in tl.static_range(layers_of(widths)):
        base = tl.program_id(0) * 0 + inputs_before(widths, layer)
        q = tl.arange(0, lanes_of(widths, layer + 1))[None, :]
        inside = q < widths[layer + 1]
        y = ()
        for _ in tl.static_range(size):
            y = y + (tl.zeros([rows, lanes_of(widths, layer + 1)], jets.dtype.element_ty),)
        for p in range(widths[layer]):
            at = base + p
            cell, tau, _factor, delta = place(
                source + n * (size * widths[layer]) - inputs_before(widths, layer), breaks, middle, inverse, at, widths[layer], grid, alive, counts, steps
            )
            c = theta + functions * edges_before(widths, layer) + ((p * functions + cell) * widths[layer + 1])[:, None] + q
            splines = table + (at * grid + cell) * (width * width)
            f = edge_taylor(c, splines, tau, alive, inside, widths[layer + 1], width, order_of(counts))
            y = add(y, compose(f, columns(delta), counts))
        target = jets + points.to(tl.int64) * size * before(widths, layer + 1)
        entry = n[:, None] * (size * widths[layer + 1]) + q
        for k in tl.static_range(size):
            tl.store(target + entry + k * widths[layer + 1], y[k], mask=alive[:, None] & inside)
        if layer + 1 < layers_of(widths):
            first = inputs_before(widths, layer + 1) - widths[0]
            middles, scales = tl.load(center + first + q, mask=inside, other=0.0), tl.load(scale + first + q, mask=inside, other=1.0)
            z = activate(y, middles, scales, kind, counts)
            source = target + points.to(tl.int64) * size * widths[layer + 1]
            for k in tl.static_range(size):
                tl.store(source + entry + k * widths[layer + 1], z[k], mask=alive[:, None] & inside)
            tl.debug_barrier()


@triton.jit
def _gradient(
    theta, X, breaks, middle, inverse, table, scale, jets, L, work, partial, points, grid, functions, parameters, chunk,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr, kind: tl.constexpr, rows: tl.constexpr, tile: tl.constexpr, widest: tl.constexpr,
):  # fmt: skip
    """partial [programs, parameters]. work [programs, 2, rows, channels, widest]: room for the adjoints behind and before an activation."""
    size: tl.constexpr = size_of(counts)
    order: tl.constexpr = order_of(counts)
    room = work + tl.program_id(0).to(tl.int64) * (2 * rows * size * widest)
    local = tl.arange(0, rows)
    for start in range(0, chunk, rows):
        begin = tl.program_id(0).to(tl.int64) * chunk + start
        n = begin + local
        alive = n < points
        tl.debug_barrier()  # the last tile's partial sums are read again
        lift = L + begin * (size * widths[layers_of(widths)])
        for up in tl.static_range(layers_of(widths)):
            # layer = layers - 1 - up: constants may not be named inside of a loop
            source = X if up == layers_of(widths) - 1 else jets + points.to(tl.int64) * size * (before(widths, layers_of(widths) - 1 - up) + widths[layers_of(widths) - 1 - up])
            inputs = tl.program_id(0) * 0 + widths[layers_of(widths) - 1 - up]
            outputs = tl.program_id(0) * 0 + widths[layers_of(widths) - up]
            base = inputs_before(widths, layers_of(widths) - 1 - up)
            q = tl.arange(0, lanes_of(widths, layers_of(widths) - up, 16))[None, :]
            mine = load_all(lift + local[:, None] * (size * outputs) + q, outputs, alive[:, None] & (q < outputs), size)
            parts = partial + tl.program_id(0).to(tl.int64) * parameters + functions * edges_before(widths, layers_of(widths) - 1 - up)
            for r in range(0, widths[layers_of(widths) - 1 - up] * functions, tile):
                w = weights(
                    source, breaks + base * (grid + 1), middle + base * grid, inverse + base * grid, table + base * grid * (width * width),
                    n[:, None], r + tl.arange(0, tile)[None, :], points, inputs, functions, grid, counts, width, steps,
                )  # fmt: skip
                row = r + tl.arange(0, tile)[:, None]
                inside = (row < inputs * functions) & (q < outputs)
                total = tl.load(parts + row * outputs + q, mask=inside & (start > 0), other=0.0)
                for c in tl.static_range(size):
                    total = tl.dot(tl.trans(w[c]), mine[c], total, input_precision="tf32x3", out_dtype=partial.dtype.element_ty)
                tl.store(parts + row * outputs + q, total, mask=inside)
            if up < layers_of(widths) - 1:
                for p in range(widths[layers_of(widths) - 1 - up]):
                    at = base + p
                    cell, tau, factor, delta = place(source + n * (size * inputs) - base, breaks, middle, inverse, at, inputs, grid, alive, counts, steps)
                    c = theta + functions * edges_before(widths, layers_of(widths) - 1 - up) + ((p * functions + cell) * outputs)[:, None] + q
                    f = edge_taylor(c, table + (at * grid + cell) * (width * width), tau, alive, q < outputs, outputs, width, order + 1)
                    across = columns(delta)
                    found = correlate(f, mine, moments(mine, across, counts), across, counts)
                    for k in tl.static_range(size):
                        tl.store(room + (local * size + k) * inputs + p, tl.sum(found[k], axis=1) * factor)
                tl.debug_barrier()
                u = tl.arange(0, lanes_of(widths, layers_of(widths) - 1 - up))[None, :]
                here = local[:, None] * (size * inputs) + u
                y = load_all(source - points.to(tl.int64) * size * inputs + begin * (size * inputs) + here, inputs, alive[:, None] & (u < inputs), size)
                scales = tl.load(scale + base - widths[0] + u, mask=u < inputs, other=1.0)
                x = activate_adjoint(load_all(room + here, inputs, u < inputs, size), y, scales, kind, counts)
                lift = room + rows * size * widest
                for k in tl.static_range(size):
                    tl.store(lift + here + k * inputs, x[k], mask=u < inputs)
                tl.debug_barrier()


def forward(theta: Tensor, X: Tensor, at: Plan, counts: Counts) -> list[Tensor]:
    """The jets at every level, as a network's forward pass gives them: the input, and what each layer and each activation makes of it.

    theta: coefficients [inputs, functions, outputs] of the layers one after the other; X: jets [points, channels, inputs].
    """
    X, theta = X.contiguous(), theta.contiguous()
    points, size = X.shape[:2]
    levels = [*(w for w in at.widths[1:-1] for _ in range(2)), at.widths[-1]]
    jets = X.new_empty(points * size * sum(levels))
    if jets.numel():
        given = (theta, X, *at.grid, at.center, at.scale, jets, points, at.grid.cells, at.functions)
        _forward[(triton.cdiv(points, ROWS),)](*given, **_fixed(at, counts), rows=ROWS, **UNSTAGED)
    return [X, *(part.view(points, size, w) for part, w in zip(jets.split([points * size * w for w in levels]), levels, strict=True))]


def gradient(theta: Tensor, jets: Sequence[Tensor], L: Tensor, at: Plan, counts: Counts) -> Tensor:
    """Gradient [parameters] of Σ L·Y over all points. jets: of every level, as `forward` gives them."""
    X, L, theta = jets[0].contiguous(), L.contiguous(), theta.contiguous()
    points, size = X.shape[:2]
    if not points:
        return torch.zeros_like(theta)
    chunk, chunks = chunks_of(points, 1, at.parameters * X.element_size(), ROWS)
    partial = X.new_empty(chunks, at.parameters)
    widest = max(at.widths)
    work = X.new_empty(chunks, 2, ROWS, size, widest)
    given = (theta, X, *at.grid, at.scale, _in_one_piece(jets[1:]), L, work, partial, points, at.grid.cells, at.functions, at.parameters, chunk)
    _gradient[(chunks,)](*given, **_fixed(at, counts), rows=ROWS, tile=64, widest=widest, **UNSTAGED)
    return ordered_sum(partial)


def _in_one_piece(jets: Sequence[Tensor]) -> Tensor:
    """A tensor that begins where the first jet does, with the others right behind it: without a copy if they already lie so."""
    end = jets[0].data_ptr()
    for jet in jets:
        if jet.data_ptr() != end or not jet.is_contiguous():
            return torch.cat([jet.reshape(-1) for jet in jets])
        end += jet.numel() * jet.element_size()
    return jets[0]


def _fixed(at: Plan, counts: Counts) -> dict:
    return {"widths": at.widths, "counts": tuple(counts), "width": at.grid.table.shape[3], "steps": at.grid.steps, "kind": at.kind}
