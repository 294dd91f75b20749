"""Networks of group-rational activations for CPUs: blocks of points go through all levels and back
while they are in the cache.

Inside a block jets lie as [unit, channel, point], so that vectors hold points whatever the widths
are. The rows of a residual that is affine in the output jet need no other point (see README.md), so
the gradient of their squares takes one pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kanpde.kernels import rational, rational_network
from kanpde.kernels.compiled import called, compiled, inlined
from kanpde.kernels.rational import COEFFICIENTS, NUMERATOR
from kanpde.kernels.taylor import Counts
from kanpde.kernels.threads import array, deal
from kanpde.kernels.vector_rational import combine, inner, rational_adjoint
from kanpde.kernels.vector_rational import rational as rational_points
from kanpde.kernels.vectors import LANES

BLOCK = 32
"""Points of a block; a multiple of 4 LANES, so that rows of all channels are too."""

CHUNK = 1024
"""Points whose gradients are one partial sum, and that are worth a thread of their own."""


@called
def _forth(x, begin, end, channels, widths, coefficients, weights, biases, counts, X, Z):
    """Fill X (jets at the input of every level, and the output) and Z (those after the
    rational functions) from the points begin … end."""
    rows = channels * BLOCK
    for p in range(widths[0]):
        for c in range(channels):
            for n in range(BLOCK):
                X[(p * channels + c) * BLOCK + n] = x[begin + n, c, p] if begin + n < end else 0.0
    at, unit, weight, bias, z = 0, 0, 0, 0, 0
    for i in range(len(widths) - 1):
        inputs, outputs = widths[i], widths[i + 1]
        for p in range(inputs):
            for n in range(0, BLOCK, LANES):
                place = p * rows + n
                rational_points(
                    coefficients, (unit + p) * COEFFICIENTS, X[at:], place, BLOCK, Z[z:], counts
                )
        up = at + inputs * rows
        for q in range(outputs):
            combine(X, up + q * rows, rows, Z, z, rows, inputs, weights, weight + q, outputs)
            for n in range(BLOCK):
                X[up + q * rows + n] += biases[bias + q]
        at, unit, weight, bias, z = (
            up,
            unit + inputs,
            weight + inputs * outputs,
            bias + outputs,
            z + inputs * rows,
        )


@inlined
def _linear_back(
    weights, weight, bias, inputs, outputs, rows, Z, z, L, lift, to_weights, to_biases
):
    """From the adjoint L of a level's output to that of its linear map's input, `lift`; adds the
    gradients of the map."""
    for q in range(outputs):
        for n in range(BLOCK):
            to_biases[bias + q] += L[q * rows + n]
        for p in range(inputs):
            to_weights[weight + p * outputs + q] += inner(Z, z + p * rows, L, q * rows, rows)
    for p in range(inputs):
        combine(lift, p * rows, rows, L, 0, rows, outputs, weights, weight + p * outputs, 1)


@inlined
def _rational_back(coefficients, unit, inputs, rows, X, at, lift, L, to_coefficients, back, counts):
    """From the adjoint `lift` of the rational functions' output to that of their input, L, where
    the tuple `back` is not empty; adds the gradients of their coefficients."""
    for p in range(inputs):
        own, sums = (unit + p) * COEFFICIENTS, (unit + p) * COEFFICIENTS * LANES
        for n in range(0, BLOCK, LANES):
            rational_adjoint(
                coefficients, own, X[at:], p * rows + n, BLOCK, lift, L, to_coefficients, sums,
                back, counts,
            )  # fmt: skip


@called
def _back(
    channels, widths, coefficients, weights, counts, X, Z, L, lift,
    to_coefficients, to_weights, to_biases,
):  # fmt: skip
    """Add the gradients of a block, whose jets `_forth` has filled in. L: the adjoint of the
    output, overwritten."""
    rows = channels * BLOCK
    levels = len(widths) - 1
    at, unit, weight, bias, z = 0, 0, 0, 0, 0
    for i in range(levels):
        at, unit, z = at + widths[i] * rows, unit + widths[i], z + widths[i] * rows
        weight, bias = weight + widths[i] * widths[i + 1], bias + widths[i + 1]
    for i in range(levels - 1, -1, -1):
        inputs, outputs = widths[i], widths[i + 1]
        at, unit, z = at - inputs * rows, unit - inputs, z - inputs * rows
        weight, bias = weight - inputs * outputs, bias - outputs
        _linear_back(
            weights, weight, bias, inputs, outputs, rows, Z, z, L, lift, to_weights, to_biases
        )
        if i:
            _rational_back(
                coefficients, unit, inputs, rows, X, at, lift, L, to_coefficients, (0,), counts
            )
        else:
            _rational_back(
                coefficients, unit, inputs, rows, X, at, lift, L, to_coefficients, (), counts
            )


@called
def _rows(W, b, begin, end, X, at, r, L):
    """Rows r = b + Σ W·Y of the points begin … end, whose output jets are those at X[at:], and the
    adjoint L = 2 Σ r W."""
    equations, _, channels, outputs = W.shape
    L[: outputs * channels * BLOCK] = 0
    for n in range(end - begin):
        for e in range(equations):
            total = b[e, begin + n]
            for c in range(channels):
                for q in range(outputs):
                    total += W[e, begin + n, c, q] * X[at + (q * channels + c) * BLOCK + n]
            r[e, begin + n] = total
            for c in range(channels):
                for q in range(outputs):
                    L[(q * channels + c) * BLOCK + n] += 2 * total * W[e, begin + n, c, q]


@compiled
def _squares(
    x, W, b, widths, coefficients, weights, biases, counts, begin, end, r,
    to_coefficients, to_weights, to_biases,
):  # fmt: skip
    """The rows of the points begin … end, and the gradient of their squares, added to what is
    there."""
    channels, inside, most = x.shape[1], 0, 0
    for i in range(len(widths)):
        inside, most = inside + widths[i], max(most, widths[i])
    rows = channels * BLOCK
    X, Z = np.empty(inside * rows, x.dtype), np.empty(inside * rows, x.dtype)
    L, lift = np.empty(most * rows, x.dtype), np.empty(most * rows, x.dtype)
    out = (inside - widths[-1]) * rows
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        _forth(x, first, last, channels, widths, coefficients, weights, biases, counts, X, Z)
        _rows(W, b, first, last, X, out, r, L)
        _back(
            channels, widths, coefficients, weights, counts, X, Z, L, lift,
            to_coefficients, to_weights, to_biases,
        )  # fmt: skip


def squares(
    X: Tensor,
    theta: Tensor,
    widths: Sequence[int],
    groups: Sequence[int],
    W: Tensor,
    b: Tensor,
    counts: Counts,
) -> tuple[Tensor, Tensor]:
    """As rational_network.squares."""
    levels = rational_network.split(theta, widths, groups)
    own = torch.cat(
        [
            rational.spread(coefficients, p)
            for (coefficients, _, _), p in zip(levels, widths, strict=False)
        ]
    )
    q = torch.stack(rational.denominator(own[:, NUMERATOR:])[2:], 1)
    coefficients = array(torch.cat([own[:, :NUMERATOR], q], 1)).reshape(-1)
    weights, biases = (array(torch.cat([level[k].reshape(-1) for level in levels])) for k in (1, 2))
    x, at, parts = array(X), np.array(widths, np.int64), max(1, -(-len(X) // CHUNK))
    sizes = len(coefficients) * LANES, len(weights), len(biases)
    found = [np.zeros((parts, n), x.dtype) for n in sizes]
    r = torch.empty_like(b, memory_format=torch.contiguous_format)
    rows, constants = r.numpy(), tuple((0,) * n for n in counts)
    given = array(W), array(b), at, coefficients, weights, biases, constants

    def work(begin: int, end: int) -> None:
        for first in range(begin, end, CHUNK):
            part = first // CHUNK
            _squares(
                x, *given, first, min(first + CHUNK, end), rows, *(each[part] for each in found)
            )

    deal(work, len(X), CHUNK)
    by_unit, by_weight, by_bias = (torch.from_numpy(each.sum(0)) for each in found)
    return r, _gathered(
        by_unit.view(-1, COEFFICIENTS, LANES).sum(2), by_weight, by_bias, own, widths, groups
    )


def _gathered(
    by_unit: Tensor,
    by_weight: Tensor,
    by_bias: Tensor,
    own: Tensor,
    widths: Sequence[int],
    groups: Sequence[int],
) -> Tensor:
    """The gradient as theta is laid out, from those by every unit's a_0 … a_5 and coefficients of
    x², x³, x⁴ in Q."""
    b1, b2, b3 = own[:, NUMERATOR:].unbind(1)
    q2, q3, q4 = by_unit[:, NUMERATOR:].unbind(1)
    units = torch.cat(
        [
            by_unit[:, :NUMERATOR],
            torch.stack([2 * (b1 * q2 + b2 * q3), 2 * (b1 * q3 + b2 * q4), 2 * b3 * q4], 1),
        ],
        1,
    )
    found, unit, weight, bias = [], 0, 0, 0
    for i, count in enumerate(groups):
        p, q = widths[i], widths[i + 1]
        shared = units.new_zeros(count, COEFFICIENTS).index_add_(
            0, torch.tensor(rational.group_of(p, count)), units[unit : unit + p]
        )
        found += [shared.reshape(-1), by_weight[weight : weight + p * q], by_bias[bias : bias + q]]
        unit, weight, bias = unit + p, weight + p * q, bias + q
    return torch.cat(found)
