"""Truncated Taylor algebra on the channels of a jet.

A jet is a tensor [points, channels, units] of Taylor coefficients along some directions: channel 0
is the value, then come all first coefficients, all second ones, and so on. `counts[j - 1]` says how
many directions carry order j; they are sorted so that those of higher order come first, which makes
every order one contiguous block, and the directions that an order shares with a higher one its
first entries. counts = (2, 1): x and y to first order, x alone to second.

With δ = Σ_j x_j s^j along a direction, f(x_0 + δ) = Σ_ν f_ν δ^ν where f_ν = f^(ν)(x_0)/ν!. The
adjoint of that composition is a correlation with the jet of f' (Griewank and Walther 2008, chapter
13), since ∂y_k/∂x_j = [f'(x)]_{k-j}.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Counts = Sequence[int]


def channels(counts: Counts) -> int:
    """Number of channels of a jet."""
    return 1 + sum(counts)


def blocks(jet: Tensor, counts: Counts) -> list[Tensor]:
    """Views [points, directions, units] of the orders 0, 1, 2, … of a jet."""
    return list(torch.split(jet, [1, *counts], dim=1))


def powers(jet: Tensor, counts: Counts) -> list[Tensor]:
    """The jets of δ^0, δ^1, …, δ^order, each [points, channels, units]; δ is the jet without its
    value.

    δ^0 is 1 in channel 0; a power ν has nothing below order ν.
    """
    x = blocks(jet, counts)
    order = len(counts)
    zero = torch.zeros_like
    found = [torch.cat([torch.ones_like(x[0]), *map(zero, x[1:])], 1)]
    if order:
        found.append(torch.cat([zero(x[0]), *x[1:]], 1))
    if order >= 2:
        rows = [_first(x[1], counts[1]).square()]
        if order >= 3:
            rows.append(2 * _first(x[1], counts[2]) * _first(x[2], counts[2]))
        if order >= 4:
            rows.append(
                2 * _first(x[1], counts[3]) * _first(x[3], counts[3])
                + _first(x[2], counts[3]).square()
            )
        found.append(torch.cat([zero(x[0]), zero(x[1]), *rows], 1))
    if order >= 3:
        rows = [_first(x[1], counts[2]) ** 3]
        if order >= 4:
            rows.append(3 * _first(x[1], counts[3]).square() * _first(x[2], counts[3]))
        found.append(torch.cat([zero(x[0]), zero(x[1]), zero(x[2]), *rows], 1))
    if order >= 4:
        found.append(
            torch.cat(
                [zero(x[0]), zero(x[1]), zero(x[2]), zero(x[3]), x[1][:, : counts[3]] ** 4], 1
            )
        )
    return found


def _first(block: Tensor, count: int) -> Tensor:
    return block[:, :count]


def compose(taylor: Sequence[Tensor], jet: Tensor, counts: Counts) -> Tensor:
    """Jet of f∘x from the Taylor coefficients f_0 … f_order at the values, each [points, units]."""
    x = blocks(jet, counts)
    f = [t[:, None] for t in taylor]
    rows = [f[0]]
    for order, count in enumerate(counts, 1):
        y = [_first(block, count) for block in x]
        row = f[1] * y[order]
        if order == 2:
            row = row + f[2] * y[1].square()
        elif order == 3:
            row = row + y[1] * (2 * f[2] * y[2] + f[3] * y[1].square())
        elif order == 4:
            square = y[1].square()
            row = (
                row
                + f[2] * (2 * y[1] * y[3] + y[2].square())
                + square * (3 * f[3] * y[2] + f[4] * square)
            )
        rows.append(row)
    return torch.cat(rows, 1)


def product(a: Tensor, b: Tensor, counts: Counts) -> Tensor:
    """The jet of a·b. The adjoint of a is `correlate` of the product's adjoint with the jet of
    b."""
    x, y = blocks(a, counts), blocks(b, counts)
    rows = [x[0] * y[0]]
    for order, count in enumerate(counts, 1):
        rows.append(
            sum(
                (_first(x[i], count) * _first(y[order - i], count) for i in range(order + 1)),
                torch.zeros_like(x[order]),
            )
        )
    return torch.cat(rows, 1)


def correlate(adjoint: Tensor, derivative: Tensor, counts: Counts) -> Tensor:
    """The adjoint of x in y = f∘x, from the adjoint of y and the jet of f'∘x, both [points,
    channels, units]."""
    y, d = blocks(adjoint, counts), blocks(derivative, counts)
    value = (adjoint * derivative).sum(1, keepdim=True)
    rows = [value]
    for low, count in enumerate(counts, 1):
        row = y[low] * d[0]
        for high in range(low + 1, len(counts) + 1):
            shared = counts[high - 1]
            part = y[high] * _first(d[high - low], shared)
            row = (
                row + part
                if shared == count
                else torch.cat([row[:, :shared] + part, row[:, shared:]], 1)
            )
        rows.append(row)
    return torch.cat(rows, 1)
