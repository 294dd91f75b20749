# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""A whole spline network in Triton: the functions of network.py, for GPUs.

Narrow networks at few points spend their time on launching kernels. For them a program takes a tile
of points through all layers in one launch, with the algebra of triton_algebra.py in registers;
between layers the jets of the tile pass through a room of the program's own, which stays in the
cache, and a barrier. The adjoint does the same and then goes back through the layers, again in one
launch; what a program adds to the gradient is its own too, and an ordered sum over programs is one
launch more: no atomics, the same input gives the same bits. Coefficients are read as they are: each
point evaluates its splines, so nothing is prepared from the parameters.

Other networks go layer by layer, through the kernels of triton_jet.py and triton_activation.py,
SLAB points at a time, so that the jets of hidden levels take no more memory however many points
there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.kernels import network, triton_activation, triton_jet
from kanpde.kernels.network import KIND, Tensors
from kanpde.kernels.pieces import degree_of
from kanpde.kernels.taylor import Counts
from kanpde.kernels.triton_activation import activate, activate_adjoint
from kanpde.kernels.triton_algebra import (
    add,
    columns,
    compose,
    correlate,
    dot,
    load_all,
    moments,
    on_its_device,
    order_of,
    size_of,
    taylor,
)
from kanpde.kernels.triton_jet import (
    PROGRAMS,
    UNSTAGED,
    KnotTensors,
    chunks_of,
    ordered_sum,
    place,
    tensors_of,
    weights,
)

WIDEST = 32
"""Units of a level, at most, for one launch."""

FEW = 2**15
"""Points, at most, for one launch. Unmeasured."""

SLAB = 2**17
"""Points that go layer by layer at a time."""

ROWS = 16
"""Points of a tile."""


@triton.constexpr_function
def before(widths, level):
    """Units of the hidden levels below this one, each counted twice: before its activation, and
    after it."""
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
def of_layer(
    breaks, middle, inverse, table, grid, inputs: tl.constexpr, width: tl.constexpr
):  # fmt: skip
    """Where the knots of a layer begin; `inputs`: of the layers before it."""
    at = inputs * grid
    return breaks + inputs * (grid + 1), middle + at, inverse + at, table + at * (width * width)


@triton.jit
def edge_taylor(c, table, tau, alive, inside, outputs, width: tl.constexpr, order: tl.constexpr):
    """Taylor coefficients φ_0 … φ_order of the edges. c: where the first coefficient of each edge
    is that is alive at its point; table: where the splines of each point's interval begin."""
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
def layer_jet(
    theta, source, knots, left, grid, functions,
    inputs: tl.constexpr, outputs: tl.constexpr, lanes: tl.constexpr,
    counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """The output jet [rows, lanes] of one layer; its coefficients, inputs and knots begin at the
    pointers, `left` points are alive."""
    breaks, middle, inverse, table = knots
    n, q = tl.arange(0, rows), tl.arange(0, lanes)[None, :]
    y = ()
    for _ in tl.static_range(size_of(counts)):
        y = y + (tl.zeros([rows, lanes], theta.dtype.element_ty),)
    for p in range(inputs):
        x = source + n * (size_of(counts) * inputs)
        cell, tau, _factor, delta = place(
            x, breaks, middle, inverse, p, inputs, grid, n < left, counts, steps
        )
        c = theta + ((p * functions + cell) * outputs)[:, None] + q
        splines = table + (p * grid + cell) * (width * width)
        f = edge_taylor(
            c, splines, tau, n < left, q < outputs, outputs, width, order_of(counts)
        )  # fmt: skip
        y = add(y, compose(f, columns(delta), counts))
    return y


@triton.jit
def hidden(
    theta, x, breaks, middle, inverse, table, center, scale, room, left, grid, functions,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr,
    steps: tl.constexpr, kind: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """Fill the room with the jets of the hidden levels, before and after their activations, from
    the inputs x of a tile; returns where the last layer's inputs are."""
    size: tl.constexpr = size_of(counts)
    source = x
    for layer in tl.static_range(layers_of(widths) - 1):
        knots = of_layer(
            breaks, middle, inverse, table, grid, inputs_before(widths, layer), width
        )  # fmt: skip
        y = layer_jet(
            theta + functions * edges_before(widths, layer), source, knots, left, grid, functions,
            widths[layer], widths[layer + 1], lanes_of(widths, layer + 1),
            counts, width, steps, rows,
        )  # fmt: skip
        u = tl.arange(0, lanes_of(widths, layer + 1))[None, :]
        inside = u < widths[layer + 1]
        unit = inputs_before(widths, layer + 1) - widths[0] + u
        z = activate(
            y,
            tl.load(center + unit, mask=inside, other=0.0),
            tl.load(scale + unit, mask=inside, other=1.0),
            kind,
            counts,
        )
        target = (
            room
            + rows * size * before(widths, layer + 1)
            + tl.arange(0, rows)[:, None] * (size * widths[layer + 1])
            + u
        )
        for c in tl.static_range(size):
            tl.store(target + c * widths[layer + 1], y[c], mask=inside)
            tl.store(target + (rows * size + c) * widths[layer + 1], z[c], mask=inside)
        source = room + rows * size * (before(widths, layer + 1) + widths[layer + 1])
        tl.debug_barrier()
    return source


@triton.jit
def _forward(
    theta, X, breaks, middle, inverse, table, center, scale, Y, work,
    points, grid, functions, chunk, space,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr,
    steps: tl.constexpr, kind: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """work [programs, space]: room for a tile's jets."""
    size: tl.constexpr = size_of(counts)
    last: tl.constexpr = layers_of(widths) - 1
    base: tl.constexpr = inputs_before(widths, last)
    outputs: tl.constexpr = widths[last + 1]
    lanes: tl.constexpr = lanes_of(widths, last + 1)
    room = work + tl.program_id(0).to(tl.int64) * space
    for start in range(0, chunk, rows):
        begin = tl.program_id(0).to(tl.int64) * chunk + start
        left = points - begin
        tl.debug_barrier()  # the room is still read for the tile before
        source = hidden(
            theta, X + begin * (size * widths[0]), breaks, middle, inverse, table, center, scale,
            room, left, grid, functions, widths, counts, width, steps, kind, rows,
        )  # fmt: skip
        knots = of_layer(breaks, middle, inverse, table, grid, base, width)
        y = layer_jet(
            theta + functions * edges_before(widths, last), source, knots, left, grid, functions,
            widths[last], outputs, lanes, counts, width, steps, rows,
        )  # fmt: skip
        n, q = tl.arange(0, rows)[:, None], tl.arange(0, lanes)[None, :]
        for c in tl.static_range(size):
            tl.store(
                Y + (begin + n) * (size * outputs) + c * outputs + q,
                y[c],
                mask=(n < left) & (q < outputs),
            )


@triton.jit
def layer_gradient(
    source, knots, lift, partial, first, left, grid, functions, inputs, outputs,
    lanes: tl.constexpr, counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr,
    rows: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """Add a tile's part to the gradient of one layer, [inputs · functions, outputs] at partial; or
    set it, for the first tile."""
    breaks, middle, inverse, table = knots
    q = tl.arange(0, lanes)[None, :]
    for r in range(0, inputs * functions, tile):
        n = tl.arange(0, rows)[:, None]
        w = weights(
            source, breaks, middle, inverse, table, n, r + tl.arange(0, tile)[None, :], left,
            inputs, functions, grid, counts, width, steps,
        )  # fmt: skip
        row = r + tl.arange(0, tile)[:, None]
        inside = (row < inputs * functions) & (q < outputs)
        total = tl.load(partial + row * outputs + q, mask=inside & (first == 0), other=0.0)
        for c in tl.static_range(size_of(counts)):
            total = dot(tl.trans(w[c]), lift[c], total)
        tl.store(partial + row * outputs + q, total, mask=inside)


@triton.jit
def layer_back(
    theta, source, knots, lift, target, left, grid, functions,
    inputs: tl.constexpr, outputs: tl.constexpr, lanes: tl.constexpr,
    counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """Write the adjoint of one layer's input, [rows, channels, inputs], from that of its output,
    `lift`."""
    breaks, middle, inverse, table = knots
    size: tl.constexpr = size_of(counts)
    n, q = tl.arange(0, rows), tl.arange(0, lanes)[None, :]
    for p in range(inputs):
        x = source + n * (size * inputs)
        cell, tau, factor, delta = place(
            x, breaks, middle, inverse, p, inputs, grid, n < left, counts, steps
        )
        c = theta + ((p * functions + cell) * outputs)[:, None] + q
        splines = table + (p * grid + cell) * (width * width)
        f = edge_taylor(
            c, splines, tau, n < left, q < outputs, outputs, width, order_of(counts) + 1
        )  # fmt: skip
        across = columns(delta)
        found = correlate(f, lift, moments(lift, across, counts), across, counts)
        for k in tl.static_range(size):
            tl.store(target + (n * size + k) * inputs + p, tl.sum(found[k], axis=1) * factor)


@triton.jit
def activation_back(
    room, behind, above, scale, layer: tl.constexpr, widths: tl.constexpr, counts: tl.constexpr,
    kind: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """Write to `above` the adjoint of the input of the activation before a layer, from that of its
    output, `behind`, and its input in the room."""
    size: tl.constexpr = size_of(counts)
    n = tl.arange(0, rows)[:, None]
    u = tl.arange(0, lanes_of(widths, layer))[None, :]
    inside = u < widths[layer]
    here = n * (size * widths[layer]) + u
    y = load_all(room + rows * size * before(widths, layer) + here, widths[layer], inside, size)
    unit = inputs_before(widths, layer) - widths[0] + u
    factor = tl.load(scale + unit, mask=inside, other=1.0)
    lift = load_all(behind + here, widths[layer], inside, size)
    found = activate_adjoint(lift, y, factor, kind, counts)
    for c in tl.static_range(size):
        tl.store(above + here + c * widths[layer], found[c], mask=inside)


@triton.jit
def _adjoint(
    L, theta, X, breaks, middle, inverse, table, center, scale, partial, work,
    points, grid, functions, chunk, space, parameters,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr, steps: tl.constexpr,
    kind: tl.constexpr, rows: tl.constexpr, tile: tl.constexpr,
    layers: tl.constexpr, widest: tl.constexpr,
):  # fmt: skip
    """partial [programs, parameters]. work [programs, space]: room for a tile's jets, and for two
    of their adjoints. Of a layer only its number may be known in a loop that is unrolled, so what
    depends on it is written out in full."""
    size: tl.constexpr = size_of(counts)
    room = work + tl.program_id(0).to(tl.int64) * space
    behind = room + rows * size * before(widths, layers)
    own = partial + tl.program_id(0).to(tl.int64) * parameters
    for start in range(0, chunk, rows):
        begin = tl.program_id(0).to(tl.int64) * chunk + start
        left = points - begin
        x = X + begin * (size * widths[0])
        tl.debug_barrier()  # the room is still read for the tile before
        hidden(
            theta, x, breaks, middle, inverse, table, center, scale,
            room, left, grid, functions, widths, counts, width, steps, kind, rows,
        )  # fmt: skip
        above = L + begin * (size * widths[layers])
        for layer in tl.static_range(layers - 1, -1, -1):
            source = (
                x if layer == 0 else room + rows * size * (before(widths, layer) + widths[layer])
            )
            knots = of_layer(
                breaks, middle, inverse, table, grid, inputs_before(widths, layer), width
            )  # fmt: skip
            n = tl.arange(0, rows)[:, None]
            q = tl.arange(0, lanes_of(widths, layer + 1, 16))[None, :]
            alive = (n < left) & (q < widths[layer + 1])
            at = above + n * (size * widths[layer + 1]) + q
            lift = load_all(at, widths[layer + 1], alive, size)
            layer_gradient(
                source, knots, lift, own + functions * edges_before(widths, layer), start == 0,
                left, grid, functions, widths[layer], widths[layer + 1],
                lanes_of(widths, layer + 1, 16), counts, width, steps, rows, tile,
            )  # fmt: skip
            if layer > 0:
                layer_back(
                    theta + functions * edges_before(widths, layer), source, knots, lift, behind,
                    left, grid, functions, widths[layer], widths[layer + 1],
                    lanes_of(widths, layer + 1, 16), counts, width, steps, rows,
                )  # fmt: skip
                tl.debug_barrier()
                above = behind + rows * size * widest
                activation_back(room, behind, above, scale, layer, widths, counts, kind, rows)
                tl.debug_barrier()


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
    X, points, size = X.contiguous(), *X.shape[:2]
    Y = X.new_empty(points, size, C[-1].shape[2])
    if points:
        at = _operands(C, knots, centers, scales, counts)
        chunk = triton.cdiv(points, PROGRAMS * ROWS) * ROWS
        programs = triton.cdiv(points, chunk)
        space = ROWS * size * before(at.fixed["widths"], len(C))
        work = X.new_empty(max(1, programs * space))
        given = at.theta, X, *at.grid, at.center, at.scale, Y, work
        sizes = points, at.grid.cells, at.functions, chunk, space
        _forward[(programs,)](*given, *sizes, **at.fixed, **UNSTAGED)
    return Y


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
        slabs = zip(L.split(SLAB), X.split(SLAB), strict=True)
        found = [
            network.adjoint(
                lift, x, C, knots, centers, scales, counts, triton_jet, triton_activation
            )
            for lift, x in slabs
        ]
        return ordered_sum(torch.stack(found))
    L, X, points, size = L.contiguous(), X.contiguous(), *X.shape[:2]
    parameters = sum(c.numel() for c in C)
    if not points:
        return X.new_zeros(parameters)
    at = _operands(C, knots, centers, scales, counts)
    widest = max(at.fixed["widths"])
    chunk, programs = chunks_of(points, 1, parameters * X.element_size(), ROWS)
    space = ROWS * size * (before(at.fixed["widths"], len(C)) + 2 * widest)
    partial, work = X.new_empty(programs, parameters), X.new_empty(programs * space)
    given = L, at.theta, X, *at.grid, at.center, at.scale, partial, work
    sizes = points, at.grid.cells, at.functions, chunk, space, parameters
    fixed = {**at.fixed, "tile": 64, "layers": len(C), "widest": widest, **UNSTAGED}
    _adjoint[(programs,)](*given, *sizes, **fixed)
    return ordered_sum(partial)


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
    slabs = zip(L.split(SLAB), X.split(SLAB), strict=True)
    found = [
        network.pullback(lift, x, C, knots, centers, scales, counts, triton_jet, triton_activation)
        for lift, x in slabs
    ]
    if len(found) == 1:
        return found[0]
    return torch.cat([values for values, _ in found]), torch.cat([starts for _, starts in found])


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
    """As network.squares."""
    return network.squares(X, C, knots, centers, scales, W, b, counts, forward, adjoint)


def in_one_launch(points: int, C: Tensors, knots: Tensors) -> bool:
    """Whether a network is narrow, the points few, and all layers of one grid and degree."""
    widths = [C[0].shape[0], *(c.shape[2] for c in C)]
    return (
        points <= FEW
        and min(widths) > 0
        and max(widths) <= WIDEST
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
    center, scale = (torch.cat([C[0].new_empty(0), *parts]) for parts in (centers, scales))
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
