# ruff: noqa: RUF005 -- Triton joins tuples by +, and unpacks none
# mypy: disable-error-code="assignment"
"""Tiles of points through all layers of a spline network, forth and back, in Triton: what
triton_network.py launches.

A program takes a tile of points through all layers, with the algebra of triton_algebra.py in
registers; between layers the jets of the tile pass through a room of the program's own, which stays
in the cache, and a barrier. The adjoint does the same and then goes back through the layers. What a
program adds to the gradient is its own.
"""

from __future__ import annotations

import triton
import triton.language as tl

from kanpde.kernels.triton_activation import activate, activate_adjoint
from kanpde.kernels.triton_algebra import (
    add,
    columns,
    compose,
    correlate,
    dot,
    load_all,
    moments,
    order_of,
    size_of,
    taylor,
)
from kanpde.kernels.triton_pieces import UNSPECIALISED, place, weights


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


@triton.constexpr_function
def together(inputs, lanes):
    """Inputs of a layer that are taken at a time, with so many lanes for its outputs: enough
    numbers at once that the way to each of them is not waited for."""
    return min(1 << (inputs - 1).bit_length(), max(1, 32 // lanes))


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
            part = part + (tl.expand_dims(b[nu], -1) * mine,)
        found = part if j == 0 else add(found, part)
    return found


@triton.jit
def layer_jet(
    theta, source, knots, left, grid, functions,
    inputs: tl.constexpr, outputs: tl.constexpr, lanes: tl.constexpr,
    counts: tl.constexpr, width: tl.constexpr, steps, rows: tl.constexpr,
):  # fmt: skip
    """The output jet [rows, lanes] of one layer; its coefficients, inputs and knots begin at the
    pointers, `left` points are alive."""
    breaks, middle, inverse, table = knots
    several: tl.constexpr = together(inputs, lanes)
    n, q = tl.arange(0, rows)[:, None], tl.arange(0, lanes)[None, None, :]
    y = ()
    for _ in tl.static_range(size_of(counts)):
        y = y + (tl.zeros([rows, lanes], theta.dtype.element_ty),)
    for first in range(0, inputs, several):
        p = first + tl.arange(0, several)[None, :]
        alive = (n < left) & (p < inputs)
        p = tl.minimum(p, inputs - 1)
        x = source + n * (size_of(counts) * inputs)
        cell, tau, _factor, delta = place(
            x, breaks, middle, inverse, p, inputs, grid, alive, counts, steps
        )
        c = theta + tl.expand_dims((p * functions + cell) * outputs, -1) + q
        splines = table + (p * grid + cell) * (width * width)
        inside = tl.expand_dims(alive, -1) & (q < outputs)
        f = edge_taylor(c, splines, tau, alive, inside, outputs, width, order_of(counts))
        y = add(y, summed(compose(f, columns(delta), counts), 1))
    return y


@triton.jit
def summed(a, axis: tl.constexpr):
    """Sums of each tensor along an axis."""
    found = ()
    for c in tl.static_range(len(a)):
        found = found + (tl.sum(a[c], axis=axis),)
    return found


@triton.jit
def hidden(
    theta, x, breaks, middle, inverse, table, center, scale, room, left, grid, functions,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr,
    steps, kind: tl.constexpr, rows: tl.constexpr,
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
def row_of(
    W, b, r, y, here, left,
    outputs: tl.constexpr, lanes: tl.constexpr, counts: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """Write the rows r = b + Σ W·Y of one equation for a tile, from its output jet y; `here` says
    where the tile begins. Returns the rows, and then their factors W."""
    size: tl.constexpr = size_of(counts)
    n, q = tl.arange(0, rows)[:, None], tl.arange(0, lanes)[None, :]
    alive = (n < left) & (q < outputs)
    factors = load_all(W + (here + n) * (size * outputs) + q, outputs, alive, size)
    found = factors[0] * y[0]
    for c in tl.static_range(1, size):
        found += factors[c] * y[c]
    line, mine = here + tl.arange(0, rows), tl.arange(0, rows) < left
    total = tl.load(b + line, mask=mine, other=0.0) + tl.sum(found, axis=1)
    tl.store(r + line, total, mask=mine)
    return (total,) + factors


@triton.jit(do_not_specialize=UNSPECIALISED)
def forward_tiles(
    theta, X, breaks, middle, inverse, table, center, scale, W, b, Y, work,
    points, equations, grid, functions, chunk, space,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr,
    steps, kind: tl.constexpr, rows: tl.constexpr, affine: tl.constexpr,
):  # fmt: skip
    """The output jet Y [points, channels, outputs], or with `affine` Y [equations, points] =
    b + Σ W·Y. work [programs, space]: room for a tile's jets."""
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
        if affine:
            for e in range(equations):
                row_of(W, b, Y, y, begin + e * points, left, outputs, lanes, counts, rows)
        else:
            n, q = tl.arange(0, rows)[:, None], tl.arange(0, lanes)[None, :]
            for c in tl.static_range(size):
                tl.store(
                    Y + (begin + n) * (size * outputs) + c * outputs + q,
                    y[c],
                    mask=(n < left) & (q < outputs),
                )


@triton.jit
def layer_gradient(
    above, source, knots, partial, begun, left, grid, functions, steps,
    inputs: tl.constexpr, outputs: tl.constexpr, lanes: tl.constexpr, tile: tl.constexpr,
    counts: tl.constexpr, width: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """Add a tile's part to the gradient of one layer, [inputs · functions, outputs] at partial,
    from the adjoint of its output at `above`; or set it, for the first tile."""
    breaks, middle, inverse, table = knots
    size: tl.constexpr = size_of(counts)
    n = tl.arange(0, rows)[:, None]
    q = tl.arange(0, lanes)[None, :]
    at = above + n * (size * outputs) + q
    lift = load_all(at, outputs, (n < left) & (q < outputs), size)
    for r in range(0, inputs * functions, tile):
        w = weights(
            source, breaks, middle, inverse, table, n, r + tl.arange(0, tile)[None, :], left,
            inputs, functions, grid, counts, width, steps,
        )  # fmt: skip
        row = r + tl.arange(0, tile)[:, None]
        inside = (row < inputs * functions) & (q < outputs)
        total = tl.load(partial + row * outputs + q, mask=inside & begun, other=0.0)
        for c in tl.static_range(size):
            total = dot(tl.trans(w[c]), lift[c], total)
        tl.store(partial + row * outputs + q, total, mask=inside)


@triton.jit
def layer_back(
    theta, above, source, knots, target, values, starts, partial, begun, left, grid, functions,
    steps, first, entries, runs,
    inputs: tl.constexpr, outputs: tl.constexpr, lanes: tl.constexpr,
    counts: tl.constexpr, width: tl.constexpr, rows: tl.constexpr,
    back: tl.constexpr, local: tl.constexpr, single: tl.constexpr,
):  # fmt: skip
    """From the adjoint of one layer's output, at `above`: with `back` the adjoint of its input,
    [rows, channels, inputs] at target; with `single` the gradient of a layer with one output, as
    layer_gradient; with `local` its part of each point's row of the Jacobian,
    [rows, inputs · width, outputs] at values, and where its runs start, of coefficients of which
    those of the layer begin with number `first`."""
    breaks, middle, inverse, table = knots
    size: tl.constexpr = size_of(counts)
    several: tl.constexpr = together(inputs, lanes)
    n, q = tl.arange(0, rows)[:, None], tl.arange(0, lanes)[None, None, :]
    row = tl.expand_dims(n, -1)
    at = above + row * (size * outputs) + q
    lift = load_all(at, outputs, (row < left) & (q < outputs), size)
    for begin in range(0, inputs, several):
        p = begin + tl.arange(0, several)[None, :]
        alive = (n < left) & (p < inputs)
        p = tl.minimum(p, inputs - 1)
        x = source + n * (size * inputs)
        cell, tau, factor, delta = place(
            x, breaks, middle, inverse, p, inputs, grid, alive, counts, steps
        )
        across = columns(delta)
        H = moments(lift, across, counts)
        splines = table + (p * grid + cell) * (width * width)
        inside = tl.expand_dims(alive, -1) & (q < outputs)
        if back:
            c = theta + tl.expand_dims((p * functions + cell) * outputs, -1) + q
            f = edge_taylor(c, splines, tau, alive, inside, outputs, width, order_of(counts) + 1)
            found = summed(correlate(f, lift, H, across, counts), 2)
            for k in tl.static_range(size):
                tl.store(target + (n * size + k) * inputs + p, found[k] * factor, mask=alive)
        if local:
            tl.store(
                starts + n * runs + p, first + (p * functions + cell).to(tl.int64) * outputs,
                mask=alive,
            )  # fmt: skip
            for j in tl.static_range(width):
                b = taylor(load_all(splines + j * width, 1, alive, width), tau, order_of(counts))
                entry = tl.expand_dims(b[0], -1) * H[0]
                for nu in tl.static_range(1, order_of(counts) + 1):
                    entry += tl.expand_dims(b[nu], -1) * H[nu]
                here = row * entries + tl.expand_dims((p * width + j) * outputs, -1) + q
                tl.store(values + here, entry, mask=inside)
        if single:
            line = begin + tl.arange(0, several)
            parts = ()
            for j in tl.static_range(width):
                b = taylor(load_all(splines + j * width, 1, alive, width), tau, order_of(counts))
                entry = tl.expand_dims(b[0], -1) * H[0]
                for nu in tl.static_range(1, order_of(counts) + 1):
                    entry += tl.expand_dims(b[nu], -1) * H[nu]
                parts = parts + (tl.sum(entry, axis=2),)
            for f in range(functions):
                mine = tl.zeros([rows, several], theta.dtype.element_ty)
                for j in tl.static_range(width):
                    mine += tl.where(alive & (cell + j == f), parts[j], 0.0)
                here = partial + line * functions + f
                total = tl.load(here, mask=(line < inputs) & begun, other=0.0)
                tl.store(here, total + tl.sum(mine, axis=0), mask=line < inputs)


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
def rows_of(
    W, b, r, y, target, begin, points, equations, left,
    outputs: tl.constexpr, lanes: tl.constexpr, counts: tl.constexpr, rows: tl.constexpr,
):  # fmt: skip
    """Write the rows r = b + Σ W·Y of a tile from its output jet y, and to target the adjoint of
    the sum of their squares."""
    size: tl.constexpr = size_of(counts)
    n, q = tl.arange(0, rows)[:, None], tl.arange(0, lanes)[None, :]
    lift = ()
    for _ in tl.static_range(size):
        lift = lift + (tl.zeros([rows, lanes], b.dtype.element_ty),)
    for e in range(equations):
        found = row_of(W, b, r, y, begin + e * points, left, outputs, lanes, counts, rows)
        part = ()
        for c in tl.static_range(size):
            part = part + (2 * found[0][:, None] * found[1 + c],)
        lift = add(lift, part)
    for c in tl.static_range(size):
        tl.store(target + n * (size * outputs) + c * outputs + q, lift[c], mask=q < outputs)


@triton.jit
def squares_adjoint(
    W, b, r, theta, source, breaks, middle, inverse, table, target, begin, points,
    equations, left, grid, functions, widths: tl.constexpr, counts: tl.constexpr,
    width: tl.constexpr, steps, rows: tl.constexpr, layers: tl.constexpr,
):  # fmt: skip
    """The same from the jets before the last layer."""
    lanes: tl.constexpr = lanes_of(widths, layers)
    base: tl.constexpr = inputs_before(widths, layers - 1)
    y = layer_jet(
        theta + functions * edges_before(widths, layers - 1), source,
        of_layer(breaks, middle, inverse, table, grid, base, width),
        left, grid, functions, widths[layers - 1], widths[layers], lanes,
        counts, width, steps, rows,
    )  # fmt: skip
    rows_of(W, b, r, y, target, begin, points, equations, left, widths[layers], lanes, counts, rows)


@triton.jit(do_not_specialize=UNSPECIALISED)
def adjoint_tiles(
    L, W, b, r, theta, X, breaks, middle, inverse, table, center, scale,
    partial, values, starts, work,
    points, equations, grid, functions, chunk, space, parameters, entries, runs, steps,
    widths: tl.constexpr, counts: tl.constexpr, width: tl.constexpr,
    kind: tl.constexpr, rows: tl.constexpr, tiles: tl.constexpr,
    layers: tl.constexpr, widest: tl.constexpr, affine: tl.constexpr, local: tl.constexpr,
):  # fmt: skip
    """Back through all layers. The adjoint of the output is L; with `affine` it is that of Σ r²,
    with r = b + Σ W·Y. What is found is the gradient, partial [programs, parameters], or with
    `local` the rows of the Jacobian, values [points, entries] and starts [points, runs].

    work [programs, space]: room for a tile's jets, and for three of their adjoints. Of a layer only
    its number may be known in a loop that is unrolled, so what depends on it is written out in
    full."""
    size: tl.constexpr = size_of(counts)
    room = work + tl.program_id(0).to(tl.int64) * space
    behind = room + rows * size * before(widths, layers)
    own = partial + tl.program_id(0).to(tl.int64) * parameters
    for start in range(0, chunk, rows):
        begin = tl.program_id(0).to(tl.int64) * chunk + start
        left = points - begin
        x = X + begin * (size * widths[0])
        tl.debug_barrier()  # the room is still read for the tile before
        source = hidden(
            theta, x, breaks, middle, inverse, table, center, scale,
            room, left, grid, functions, widths, counts, width, steps, kind, rows,
        )  # fmt: skip
        above = L + begin * (size * widths[layers])
        if affine:
            above = behind + 2 * rows * size * widest
            squares_adjoint(
                W, b, r, theta, source, breaks, middle, inverse, table, above, begin, points,
                equations, left, grid, functions, widths, counts, width, steps, rows, layers,
            )  # fmt: skip
            tl.debug_barrier()
        for layer in tl.static_range(layers - 1, -1, -1):
            source = (
                x if layer == 0 else room + rows * size * (before(widths, layer) + widths[layer])
            )
            knots = of_layer(
                breaks, middle, inverse, table, grid, inputs_before(widths, layer), width
            )  # fmt: skip
            if not local and widths[layer + 1] > 1:
                layer_gradient(
                    above, source, knots, own + functions * edges_before(widths, layer), start > 0,
                    left, grid, functions, steps, widths[layer], widths[layer + 1],
                    lanes_of(widths, layer + 1, 16), tiles[layer], counts, width, rows,
                )  # fmt: skip
            if local or layer > 0 or widths[layer + 1] == 1:
                layer_back(
                    theta + functions * edges_before(widths, layer), above, source, knots, behind,
                    values + begin * entries + width * edges_before(widths, layer),
                    starts + begin * runs + inputs_before(widths, layer),
                    own + functions * edges_before(widths, layer), start > 0,
                    left, grid, functions, steps, functions * edges_before(widths, layer),
                    entries, runs, widths[layer], widths[layer + 1], lanes_of(widths, layer + 1),
                    counts, width, rows, layer > 0, local,
                    (widths[layer + 1] == 1) & (not local),
                )  # fmt: skip
            if layer > 0:
                tl.debug_barrier()
                above = behind + rows * size * widest
                activation_back(room, behind, above, scale, layer, widths, counts, kind, rows)
                tl.debug_barrier()
