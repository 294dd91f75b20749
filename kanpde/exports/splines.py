"""A product of splines in torch's own operations, which a graph can hold: the recursion of de Boor
on the functions that are alive at a point, and Legendre's recursion in a span of time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.solution import CorneredSolution, PiecesOfProducts, TensorSolution
from kanpde.products.tensor import Product


def values(
    solution: TensorSolution, columns: Sequence[Float[Tensor, " points"]]
) -> Float[Tensor, "points unknowns"]:
    """The unknowns at points.

    Every span of time is evaluated everywhere, at the time in it that is nearest, and the one that
    holds the time is taken.

    Args:
        solution: The solution.
        columns: The points, one column a coordinate.
    """
    if isinstance(solution, PiecesOfProducts):
        return _by_piece(solution, columns)
    found = _product(solution.spans[0], columns)
    for end, span in zip(solution.ends.tolist(), solution.spans[1:], strict=True):
        found = torch.where((columns[-1] > end)[:, None], _product(span, columns), found)
    if isinstance(solution, CorneredSolution):
        ways = zip(solution.shares.tolist(), solution.functions, strict=True)
        return found + sum(share * f.values(columns) for share, f in ways)[:, None]
    return found


def _by_piece(
    solution: PiecesOfProducts, columns: Sequence[Float[Tensor, " points"]]
) -> Float[Tensor, "points unknowns"]:
    """Every piece is evaluated everywhere, at the point in it that is nearest, and the one that
    holds the point is taken."""
    which = solution.pieces.region(torch.stack(list(columns), 1))[:, None]
    found: Tensor | None = None
    for k, (product, own) in enumerate(zip(solution.spans, solution.holds, strict=True)):
        values = _product(product, columns)
        # nan, which no script has a word for
        nothing = values[:, 0] - values[:, 0]
        everything = range(len(solution.unknowns))
        parts = [values[:, own.index(u)] if u in own else nothing / nothing for u in everything]
        here = torch.stack(parts, 1)
        found = here if found is None else torch.where(which == k, here, found)
    assert found is not None
    return found


def _product(
    product: Product, columns: Sequence[Float[Tensor, " points"]]
) -> Float[Tensor, "points unknowns"]:
    where, functions = _alive(product.axes[0], columns[0])
    parts = [functions]
    for axis, x in zip(product.axes[1:], columns[1:], strict=True):
        alive, functions = _alive(axis, x)
        # places in the coefficients of one unknown, as one row of them
        where = (where[:, :, None] * axis.size + alive[:, None, :]).flatten(1)
        parts.append(functions)
    weights = parts[0]
    for functions in parts[1:]:
        weights = (weights[:, :, None] * functions[:, None, :]).flatten(1)
    flat = torch.from_numpy(product.C).flatten(1)
    return torch.stack([(weights * C[where]).sum(1) for C in flat], 1)


def _alive(
    axis: Axis, x: Float[Tensor, " points"]
) -> tuple[Int[Tensor, "points support"], Float[Tensor, "points support"]]:
    """Numbers of the functions that are alive at points, and their values there."""
    low, high = torch.tensor(axis.ends, dtype=torch.float64)
    x = torch.minimum(torch.maximum(x, low), high)
    if isinstance(axis, Modes):
        numbers = torch.arange(axis.size)[None] + torch.zeros_like(x, dtype=torch.long)[:, None]
        return numbers, _modes(axis, x)
    assert isinstance(axis, SplineAxis)
    inner = torch.from_numpy(axis.breaks[1:-1].copy())
    cell = torch.searchsorted(inner, x.contiguous(), right=True)
    return torch.from_numpy(axis.alive)[cell], _splines(axis, cell, x)


def _splines(
    axis: SplineAxis, cell: Int[Tensor, " points"], x: Float[Tensor, " points"]
) -> Float[Tensor, "points support"]:
    """De Boor's recursion, as `SplineAxis.local` has it."""
    t, k = torch.from_numpy(axis.knots), torch.from_numpy(axis.first)[cell] + axis.degree
    found = torch.ones_like(x)[:, None]
    for d in range(1, axis.degree + 1):
        i = k[:, None] + torch.arange(-d, 1)
        low, high = t[i], t[i + d]  # of function j of degree d - 1, moved by one
        rising = (x[:, None] - low[:, 1:]) / (high[:, 1:] - low[:, 1:]) * found
        ahead = t[i[:, :-1] + d + 1]
        falling = (ahead - x[:, None]) / (ahead - t[i[:, :-1] + 1]) * found
        nothing = torch.zeros_like(x)[:, None]
        found = torch.cat([nothing, rising], 1) + torch.cat([falling, nothing], 1)
    return found


def _modes(axis: Modes, x: Float[Tensor, " points"]) -> Float[Tensor, "points modes"]:
    """The polynomials of a span, by those of Legendre."""
    s = (x - float(axis.breaks[0])) / axis.half - 1
    known = [torch.ones_like(s), s]
    for n in range(1, axis.size - 1):
        known.append(((2 * n + 1) * s * known[n] - n * known[n - 1]) / (n + 1))
    table = torch.zeros(axis.size, axis.size, dtype=torch.float64)
    for j, series in enumerate(axis.series):
        table[j, : len(series)] = torch.from_numpy(series)
    return torch.stack(known[: axis.size], 1) @ table.T
