"""Chunks of points through all levels of a spline network, forth and back: what cpu_network.py
calls, once a range of points.

The jets of a chunk stay in the cache, and the level's own functions are those of cpu.py and
cpu_activation.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kanpde.kernels.compiled import compiled
from kanpde.kernels.cpu import (
    Place,
    forward_by_inputs,
    forward_by_outputs,
    pull_by_inputs,
    pull_by_outputs,
)
from kanpde.kernels.cpu_activation import adjoint_points, forward_points
from kanpde.kernels.vectors import LANES


class Net(NamedTuple):
    """Levels one behind the other in flat arrays. sizes [levels, 7]: inputs, outputs, grid, and
    where the level begins in low, in cells, in A and in table. low, scale [Σ inputs], cells [Σ
    inputs · grid, 4], table: as in cpu.Grid. A: the coefficients of τ^s of the edge functions,
    [inputs, grid, degree + 1, outputs] a level, or [inputs, grid, outputs, degree + 1 filled up to
    whole vectors] for the last one where its outputs do not fill a vector. center, factor [Σ
    inputs]: of the activation before each input, not used for the first level."""

    sizes: np.ndarray
    low: np.ndarray
    scale: np.ndarray
    cells: np.ndarray
    table: np.ndarray
    A: np.ndarray
    masks: np.ndarray
    center: np.ndarray
    factor: np.ndarray


@compiled
def _forward(net, i, x, width, counts, y):
    """Level i: the jets y from the jets x of a chunk."""
    inputs, outputs, grid, unit, cell, at = (
        net.sizes[i, 0],
        net.sizes[i, 1],
        net.sizes[i, 2],
        net.sizes[i, 3],
        net.sizes[i, 4],
        net.sizes[i, 5],
    )
    low, scale, cells = (
        net.low[unit : unit + inputs],
        net.scale[unit : unit + inputs],
        net.cells[cell : cell + inputs * grid].reshape((inputs, grid, 4)),
    )
    if outputs >= LANES:
        A = net.A[at : at + inputs * grid * len(width) * outputs].reshape(
            (inputs, grid, len(width), outputs)
        )
        forward_by_outputs(x, low, scale, cells, A, width, counts, 0, len(x), y)
    else:
        filled = len(width) + -len(width) % LANES
        A = net.A[at : at + inputs * grid * outputs * filled].reshape(
            (inputs, grid, outputs, filled)
        )
        forward_by_inputs(x, low, scale, cells, A, net.masks, width, counts, 0, len(x), y)


@compiled
def _pull(net, i, lift, x, width, counts, back, local, inward, gradient, starts, values, place):
    """Level i: the adjoint of its input, where the tuple `back` is not empty, and its part of the
    gradient (as long as A) or of rows."""
    inputs, outputs, grid, unit, cell, at = (
        net.sizes[i, 0],
        net.sizes[i, 1],
        net.sizes[i, 2],
        net.sizes[i, 3],
        net.sizes[i, 4],
        net.sizes[i, 5],
    )
    low, scale, cells = (
        net.low[unit : unit + inputs],
        net.scale[unit : unit + inputs],
        net.cells[cell : cell + inputs * grid].reshape((inputs, grid, 4)),
    )
    filled, points = len(width) + -len(width) % LANES, max(len(x), 1)
    table = net.table[
        net.sizes[i, 6] : net.sizes[i, 6] + inputs * grid * len(width) * filled
    ].reshape((inputs, grid, len(width), filled))
    if outputs >= LANES:
        shape = (inputs, grid, len(width), outputs)
        A = net.A[at : at + inputs * grid * len(width) * outputs].reshape(shape)
        part = gradient[at : at + A.size].reshape((1, *shape))
        pull_by_outputs(
            lift,
            x,
            low,
            scale,
            cells,
            table,
            A,
            net.masks,
            width,
            counts,
            back,
            local,
            0,
            len(x),
            points,
            inward,
            part,
            starts,
            values,
            place,
        )
    else:
        shape = (inputs, grid, outputs, filled)
        A = net.A[at : at + inputs * grid * outputs * filled].reshape(shape)
        part = gradient[at : at + A.size].reshape((1, *shape))
        pull_by_inputs(
            lift,
            x,
            low,
            scale,
            cells,
            table,
            A,
            width,
            counts,
            back,
            local,
            0,
            len(x),
            points,
            inward,
            part,
            starts,
            values,
            place,
        )


@compiled
def _level(net, i, jets, points, channels):
    """The jets of a chunk at the inputs of level i, i > 0, among those of all hidden levels."""
    begin = points * channels * (net.sizes[i, 3] - net.sizes[0, 0])
    return jets[begin : begin + points * channels * net.sizes[i, 0]].reshape(
        (points, channels, net.sizes[i, 0])
    )


@compiled
def _hidden(net, x, width, counts, before, behind):
    """The jets of a chunk before and behind every activation; those at the input of the last
    level."""
    points, channels, _ = x.shape
    for i in range(1, len(net.sizes)):
        z, y, unit = (
            _level(net, i, before, points, channels),
            _level(net, i, behind, points, channels),
            net.sizes[i, 3],
        )
        _forward(net, i - 1, x, width, counts, z)
        forward_points(
            z,
            0.0,
            0.0,
            net.center[unit : unit + net.sizes[i, 0]],
            net.factor[unit : unit + net.sizes[i, 0]],
            counts,
            0,
            points,
            y,
        )
        x = y
    return x


@compiled
def _back(
    net, lift, x, width, counts, local, before, behind, inward, outward, gradient, starts, values
):
    """From the adjoint of the output of a chunk to the gradient or the rows, level after level."""
    points, channels, _ = x.shape
    levels = len(net.sizes)
    run, column, shift = (
        np.empty(levels, np.int64),
        np.empty(levels, np.int64),
        np.empty(levels, np.int64),
    )
    runs, columns, entries = 0, 0, 0
    for i in range(levels):
        run[i], column[i], shift[i] = runs, columns, entries
        inputs, outputs = net.sizes[i, 0], net.sizes[i, 1]
        runs, columns, entries = (
            runs + inputs,
            columns + inputs * (net.sizes[i, 2] + len(width) - 1) * outputs,
            entries + inputs * len(width) * outputs,
        )
    for i in range(levels - 1, -1, -1):
        place = Place(
            run[i], column[i], net.sizes[i, 1], net.sizes[i, 2] + len(width) - 1, shift[i]
        )
        if i == 0:
            _pull(net, i, lift, x, width, counts, (), local, x[:0], gradient, starts, values, place)
        else:
            unit, to = net.sizes[i, 3], _level(net, i, inward, points, channels)
            _pull(
                net,
                i,
                lift,
                _level(net, i, behind, points, channels),
                width,
                counts,
                (0,),
                local,
                to,
                gradient,
                starts,
                values,
                place,
            )
            lift = _level(net, i, outward, points, channels)
            adjoint_points(
                to,
                _level(net, i, before, points, channels),
                0.0,
                0.0,
                net.factor[unit : unit + net.sizes[i, 0]],
                counts,
                0,
                points,
                lift,
            )


@compiled
def forward_range(net, x, width, counts, begin, end, chunk, y):
    size = chunk * x.shape[1] * (len(net.low) - x.shape[2])
    before, behind = np.empty(size, x.dtype), np.empty(size, x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        _forward(
            net,
            len(net.sizes) - 1,
            _hidden(net, x[first:last], width, counts, before, behind),
            width,
            counts,
            y[first:last],
        )


@compiled
def gradient_range(net, lift, x, width, counts, begin, end, chunk, size, gradients):
    """Add to gradients [parts of `size` points, as long as A]."""
    jets = np.empty((4, chunk * x.shape[1] * (len(net.low) - x.shape[2])), x.dtype)
    starts, values = np.empty((1, 0), np.int64), np.empty((1, 0), x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        _hidden(net, x[first:last], width, counts, jets[0], jets[1])
        _back(
            net,
            lift[first:last],
            x[first:last],
            width,
            counts,
            (),
            jets[0],
            jets[1],
            jets[2],
            jets[3],
            gradients[first // size],
            starts,
            values,
        )


@compiled
def squares_range(net, W, b, x, width, counts, begin, end, chunk, size, r, gradients):
    """As gradient_range, for the adjoint of Σ r² with r = b + Σ W·Y."""
    jets = np.empty((4, chunk * x.shape[1] * (len(net.low) - x.shape[2])), x.dtype)
    starts, values = np.empty((1, 0), np.int64), np.empty((1, 0), x.dtype)
    y = np.empty((chunk, x.shape[1], W.shape[3]), x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        lift = y[: last - first]
        _forward(
            net,
            len(net.sizes) - 1,
            _hidden(net, x[first:last], width, counts, jets[0], jets[1]),
            width,
            counts,
            lift,
        )
        _rows(W, b, lift, first, r)
        _back(
            net,
            lift,
            x[first:last],
            width,
            counts,
            (),
            jets[0],
            jets[1],
            jets[2],
            jets[3],
            gradients[first // size],
            starts,
            values,
        )


@compiled
def rows_range(net, lift, x, width, counts, begin, end, chunk, starts, values):
    """Every point's own gradient, as runs of columns."""
    jets = np.empty((4, chunk * x.shape[1] * (len(net.low) - x.shape[2])), x.dtype)
    for first in range(begin, end, chunk):
        last = min(first + chunk, end)
        _hidden(net, x[first:last], width, counts, jets[0], jets[1])
        _back(
            net,
            lift[first:last],
            x[first:last],
            width,
            counts,
            (0,),
            jets[0],
            jets[1],
            jets[2],
            jets[3],
            net.A,
            starts[first:last],
            values[first:last],
        )


@compiled
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
