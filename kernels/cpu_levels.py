"""Chunks of points through all levels of a spline network, forth and back: what cpu_network.py
calls, once a range of points.

The jets of a chunk stay in the cache, and the level's own functions are those of cpu.py and
cpu_activation.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kanpde.kernels.compiled import called, compiled
from kanpde.kernels.cpu import (
    KnotArrays,
    Place,
    forward_by_inputs,
    forward_by_outputs,
    pull_by_inputs,
    pull_by_outputs,
)
from kanpde.kernels.cpu_activation import adjoint_points, forward_points
from kanpde.kernels.vectors import LANES


class Net(NamedTuple):
    """Levels one after the other in flat arrays.

    Attributes:
        sizes: Inputs, outputs, grid, and where the level begins in low, in cells, in A and in
            table, [levels, 7].
        low: As in cpu.KnotArrays, [Σ inputs].
        scale: As in cpu.KnotArrays, [Σ inputs].
        cells: As in cpu.KnotArrays, [Σ inputs · grid, 4].
        table: As in cpu.KnotArrays, flat.
        A: The coefficients of τ^s of the edge functions, flat: [inputs, grid, degree + 1, outputs]
            a level, or [inputs, grid, outputs, degree + 1 filled up to whole vectors] for the last
            one where its outputs do not fill a vector.
        masks: LANES zeros and LANES ones.
        center: Of the activation before each input, [Σ inputs]; not used for the first level.
        factor: As center.
    """

    sizes: np.ndarray
    low: np.ndarray
    scale: np.ndarray
    cells: np.ndarray
    table: np.ndarray
    A: np.ndarray
    masks: np.ndarray
    center: np.ndarray
    factor: np.ndarray


@called
def _knots(net, i, width):
    """Those of level i."""
    inputs, grid, unit = net.sizes[i, 0], net.sizes[i, 2], net.sizes[i, 3]
    cell, at, filled = net.sizes[i, 4], net.sizes[i, 6], len(width) + -len(width) % LANES
    cells = net.cells[cell : cell + inputs * grid].reshape((inputs, grid, 4))
    table = net.table[at : at + inputs * grid * len(width) * filled]
    return KnotArrays(
        net.low[unit : unit + inputs],
        net.scale[unit : unit + inputs],
        cells,
        table.reshape((inputs, grid, len(width), filled)),
    )


@called
def _by_outputs(net, i, A, width):
    """The coefficients of level i in an array as long as net.A, with vectors over the outputs."""
    inputs, outputs, grid, at = net.sizes[i, 0], net.sizes[i, 1], net.sizes[i, 2], net.sizes[i, 5]
    own = A[at : at + inputs * grid * len(width) * outputs]
    return own.reshape((inputs, grid, len(width), outputs))


@called
def _by_inputs(net, i, A, width):
    """As _by_outputs, with vectors over the inputs."""
    inputs, outputs, grid, at = net.sizes[i, 0], net.sizes[i, 1], net.sizes[i, 2], net.sizes[i, 5]
    filled = len(width) + -len(width) % LANES
    own = A[at : at + inputs * grid * outputs * filled]
    return own.reshape((inputs, grid, outputs, filled))


@called
def _forward(net, i, x, width, counts, y):
    """Level i: the jets y from the jets x of a chunk."""
    knots = _knots(net, i, width)
    if net.sizes[i, 1] >= LANES:
        A = _by_outputs(net, i, net.A, width)
        forward_by_outputs(x, knots, A, width, counts, 0, len(x), y)
    else:
        A = _by_inputs(net, i, net.A, width)
        forward_by_inputs(x, knots, A, net.masks, width, counts, 0, len(x), y)


@called
def _pull(net, i, lift, x, width, counts, back, local, inward, gradient, starts, values, place):
    """Level i: the adjoint of its input, where the tuple `back` is not empty, and its part of the
    gradient (as long as A) or of rows."""
    knots, points = _knots(net, i, width), max(len(x), 1)
    if net.sizes[i, 1] >= LANES:
        A, part = _by_outputs(net, i, net.A, width), _by_outputs(net, i, gradient, width)
        pull_by_outputs(
            lift, x, knots, A, net.masks, width, counts, back, local, 0, len(x), points,
            inward, part.reshape((1, *part.shape)), starts, values, place,
        )  # fmt: skip
    else:
        A, part = _by_inputs(net, i, net.A, width), _by_inputs(net, i, gradient, width)
        pull_by_inputs(
            lift, x, knots, A, width, counts, back, local, 0, len(x), points,
            inward, part.reshape((1, *part.shape)), starts, values, place,
        )  # fmt: skip


@called
def _level(net, i, jets, points, channels):
    """The jets of a chunk at the inputs of level i, i > 0, among those of all hidden levels."""
    begin = points * channels * (net.sizes[i, 3] - net.sizes[0, 0])
    return jets[begin : begin + points * channels * net.sizes[i, 0]].reshape(
        (points, channels, net.sizes[i, 0])
    )


@called
def _hidden(net, x, width, counts, before, after):
    """The jets of a chunk before and after every activation; those at the input of the last
    level."""
    points, channels, _ = x.shape
    for i in range(1, len(net.sizes)):
        inputs, unit = net.sizes[i, 0], net.sizes[i, 3]
        z, y = _level(net, i, before, points, channels), _level(net, i, after, points, channels)
        _forward(net, i - 1, x, width, counts, z)
        center, factor = net.center[unit : unit + inputs], net.factor[unit : unit + inputs]
        forward_points(z, 0.0, 0.0, center, factor, counts, 0, points, y)
        x = y
    return x


@called
def _places(net, width):
    """Where each level's part of a row goes, [levels, 5]: as the entries of Place."""
    found = np.empty((len(net.sizes), 5), np.int64)
    run, column, shift = 0, 0, 0
    for i in range(len(net.sizes)):
        inputs, outputs, functions = (
            net.sizes[i, 0],
            net.sizes[i, 1],
            net.sizes[i, 2] + len(width) - 1,
        )
        # number by number: Numba takes seconds to compile an array from a tuple
        found[i, 0], found[i, 1], found[i, 2] = run, column, outputs
        found[i, 3], found[i, 4] = functions, shift
        run += inputs
        column += inputs * functions * outputs
        shift += inputs * len(width) * outputs
    return found


@called
def _back(net, lift, x, width, counts, local, jets, gradient, starts, values):
    """From the adjoint of the output of a chunk to the gradient or the rows, level after level.

    jets: those of the hidden levels before and after their activations, and room for the adjoints
    of both.
    """
    points, channels, _ = x.shape
    places = _places(net, width)
    for i in range(len(net.sizes) - 1, -1, -1):
        own = places[i]
        place = Place(own[0], own[1], own[2], own[3], own[4])
        if i == 0:
            _pull(net, i, lift, x, width, counts, (), local, x[:0], gradient, starts, values, place)
        else:
            y, inward = (
                _level(net, i, jets[1], points, channels),
                _level(net, i, jets[2], points, channels),
            )
            _pull(
                net, i, lift, y, width, counts, (0,), local, inward, gradient, starts, values, place
            )  # fmt: skip
            z, lift = (
                _level(net, i, jets[0], points, channels),
                _level(net, i, jets[3], points, channels),
            )
            factor = net.factor[net.sizes[i, 3] : net.sizes[i, 3] + net.sizes[i, 0]]
            adjoint_points(inward, z, 0.0, 0.0, factor, counts, 0, points, lift)


@compiled
def forward_range(net, x, width, counts, begin, end, chunk, y):
    """The output jets y of the points begin … end."""
    size = chunk * x.shape[1] * (len(net.low) - x.shape[2])
    before, after = np.empty(size, x.dtype), np.empty(size, x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        inputs = _hidden(net, x[first:last], width, counts, before, after)
        _forward(net, len(net.sizes) - 1, inputs, width, counts, y[first:last])


@compiled
def gradient_range(net, lift, x, width, counts, begin, end, chunk, size, gradients):
    """Add to gradients [parts of `size` points, as long as A]."""
    jets = np.empty((4, chunk * x.shape[1] * (len(net.low) - x.shape[2])), x.dtype)
    starts, values = np.empty((1, 0), np.int64), np.empty((1, 0), x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        at, part = x[first:last], gradients[first // size]
        _hidden(net, at, width, counts, jets[0], jets[1])
        _back(net, lift[first:last], at, width, counts, (), jets, part, starts, values)


@compiled
def squares_range(net, W, b, x, width, counts, begin, end, chunk, size, r, gradients):
    """As gradient_range, for the adjoint of Σ r² with r = b + Σ W·Y."""
    jets = np.empty((4, chunk * x.shape[1] * (len(net.low) - x.shape[2])), x.dtype)
    starts, values = np.empty((1, 0), np.int64), np.empty((1, 0), x.dtype)
    y = np.empty((chunk, x.shape[1], W.shape[3]), x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        at, part, lift = x[first:last], gradients[first // size], y[: last - first]
        inputs = _hidden(net, at, width, counts, jets[0], jets[1])
        _forward(net, len(net.sizes) - 1, inputs, width, counts, lift)
        _rows(W, b, lift, first, r)
        _back(net, lift, at, width, counts, (), jets, part, starts, values)


@compiled
def rows_range(net, lift, x, width, counts, begin, end, chunk, starts, values):
    """Every point's own gradient, as runs of columns."""
    jets = np.empty((4, chunk * x.shape[1] * (len(net.low) - x.shape[2])), x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        at, to, row = x[first:last], starts[first:last], values[first:last]
        _hidden(net, at, width, counts, jets[0], jets[1])
        _back(net, lift[first:last], at, width, counts, (0,), jets, net.A, to, row)


@called
def _rows(W, b, Y, first, r):
    """Rows r = b + Σ W·Y of the points that begin at `first`, and in place of their jets Y the
    adjoint 2 Σ r W."""
    equations, _, channels, outputs = W.shape
    for n in range(len(Y)):
        for e in range(equations):
            total = b[e, first + n]
            for c in range(channels):
                for q in range(outputs):
                    total += W[e, first + n, c, q] * Y[n, c, q]
            r[e, first + n] = total
        for c in range(channels):
            for q in range(outputs):
                lift = 2 * r[0, first + n] * W[0, first + n, c, q]
                for e in range(1, equations):
                    lift += 2 * r[e, first + n] * W[e, first + n, c, q]
                Y[n, c, q] = lift
