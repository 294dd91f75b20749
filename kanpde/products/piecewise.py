"""Least squares of a problem on pieces: those of every piece, and rows for what holds at the seams.

A seam has points of its own, those of Gauss's rule between the ends of cells on both sides, so that
the cells of two pieces need not match. Its rows are as heavy as those inside, by the diagonals of
their normal equations over the parameters that they share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from jaxtyping import Float, Int

from kanpde.problem.formulation import Formulation
from kanpde.products.axes import SplineAxis
from kanpde.products.held import Held
from kanpde.products.joined import JoinedRows, SeamSide
from kanpde.products.newton import LeastSquares, least_squares
from kanpde.products.pieces import Seam
from kanpde.products.rows import Places, Tempered, WeightedRows, points_of

SAME_PLACE = 1e-9
"""Distance of two ends of cells that are one, over the length of the seam."""

SplineAxes = tuple[SplineAxis, ...]
"""Of one piece."""


@dataclass(frozen=True, eq=False)
class PiecewiseSquares(LeastSquares):
    """The squares of a problem on pieces, over the coefficients of all one after another.

    Attributes:
        owner: Of every coefficient, the number of its unknown.
    """

    owner: Int[np.ndarray, " all"]

    def interiors(
        self, C: Float[np.ndarray, " all"]
    ) -> list[tuple[WeightedRows, Float[np.ndarray, "unknowns ..."]]]:
        found = []
        for some in self.rows:
            if not some.normal:
                assert isinstance(some, JoinedRows)
                found.append((some.sides[0].rows, some.sides[0].own(C)))
        return found

    def _by_unknown(self, values: np.ndarray) -> list[np.ndarray]:
        return [values[self.owner == u] for u in range(int(self.owner.max()) + 1)]


def piecewise_squares(
    pieces: Sequence[Formulation],
    seams: Sequence[Seam],
    axes: Sequence[SplineAxes],
    given: Sequence[Held],
    unknowns: Sequence[Sequence[int]],
    tempered: Tempered | None = None,
) -> PiecewiseSquares:
    """The squares of a problem on pieces.

    Args:
        pieces: The problem on every piece.
        seams: The conditions where they meet.
        axes: Functions of each coordinate, by piece.
        given: What the conditions of each piece give by themselves.
        unknowns: Of each piece, the numbers of its unknowns.
        tempered: What residuals at points are multiplied by; None for ones.
    """
    firsts = list(accumulate((one.C.size for one in given), initial=0))
    size, rows = firsts[-1], list[JoinedRows]()
    plain: list[WeightedRows] = []
    lengths = _lengths(axes)
    for piece, own, held, first in zip(pieces, axes, given, firsts, strict=False):
        inside, *rest = least_squares(piece, own, held, tempered).rows
        assert isinstance(inside, WeightedRows)
        plain.append(inside)
        heavy = _strength(inside, held.C, lengths)
        inside = replace(inside, sizes=tuple(heavy * one for one in inside.sizes))
        for some in (inside, *rest):
            assert isinstance(some, WeightedRows)
            rows.append(JoinedRows((SeamSide(some, first, held.C.shape),), size))
    for seam in seams:
        both = [(axes[k], pieces[k].unknowns) for k in seam.pieces]
        ways = zip(seam.pieces, _both_sides(seam, both, tempered), strict=True)
        sides = tuple(SeamSide(own, firsts[k], given[k].C.shape) for k, own in ways)
        rows.append(JoinedRows(sides, size))
    index, free = _numbered(axes, given)
    owner = [
        np.broadcast_to(np.reshape(numbers, (-1, *[1] * (held.C.ndim - 1))), held.C.shape).ravel()
        for numbers, held in zip(unknowns, given, strict=True)
    ]
    return PiecewiseSquares(tuple(rows), index, free, np.concatenate(owner))


def _lengths(axes: Sequence[SplineAxes]) -> list[float]:
    """Of the whole domain, by coordinate."""
    return [
        max(axis.ends[1] for axis in along) - min(axis.ends[0] for axis in along)
        for along in zip(*axes, strict=True)
    ]


def _strength(
    rows: WeightedRows, C: Float[np.ndarray, "unknowns ..."], lengths: Sequence[float]
) -> float:
    """What the equations of a piece bring for functions that are as smooth as the domain: by this
    they are divided, so that neither units nor conductivities make one piece heavier."""
    _, g = rows.linear(C)
    weights = (rows.roots**2).sum()
    slopes = np.sqrt((g**2).sum(0) / weights)
    waves = [
        math.prod((math.pi / x) ** n for x, n in zip(lengths, i, strict=True))
        for _, i in rows.leaves
    ]
    return float((slopes * waves).max(initial=0.0)) or 1.0


def _both_sides(
    seam: Seam,
    both: Sequence[tuple[SplineAxes, tuple[str, ...]]],
    tempered: Tempered | None,
) -> tuple[WeightedRows, WeightedRows]:
    """The rows of a seam, with the splines of the one piece and of the other one."""
    (first, _), (second, _) = both
    places: tuple[list[Places], list[Places]] = ([], [])
    for i, (low, high) in enumerate(seam.bounds):
        if i == seam.axis:
            own = (
                Places.end(first[i], seam.side < 0),
                Places.end(second[i], seam.side > 0),
            )
        else:
            own = _common(first[i], second[i], low, high)
        for found, one in zip(places, own, strict=True):
            found.append(one)
    normal = tuple(float(seam.side) * (i == seam.axis) for i in range(len(first)))
    c = seam.constraint
    sizes = (1.0,) * c.residual.equations
    left, right = (
        WeightedRows((c.residual,), sizes, axes, unknowns, tuple(at), normal, c, tempered)
        for (axes, unknowns), at in zip(both, places, strict=True)
    )
    return left, right


def _common(
    first: SplineAxis, second: SplineAxis, low: float, high: float
) -> tuple[Places, Places]:
    """Points between the ends of cells of two axes, with the cell of each in which they lie."""
    ends = np.unique(np.r_[low, first.breaks, second.breaks, high])
    ends = ends[(ends >= low) & (ends <= high)]
    apart = np.diff(ends, prepend=-np.inf) > SAME_PLACE * (high - low)
    ends = ends[apart]
    ends[-1] = high
    count = max(points_of(first), points_of(second))
    x, weights = replace(first, breaks=ends, creases=(), periodic=False).gauss(count)
    middle = (ends[1:] + ends[:-1]) / 2
    one, other = (Places(axis.cell_of(middle), x, weights) for axis in (first, second))
    return one, other


def _numbered(
    axes: Sequence[SplineAxes], given: Sequence[Held]
) -> tuple[Int[np.ndarray, " all"], int]:
    """Number of the parameter behind each coefficient, by its place along the coordinate that
    makes the band narrowest; and how many there are."""
    along, _, _ = narrowest(axes, [len(held.C) for held in given])
    before, numbers, places = 0, [], []
    for own, held in zip(axes, given, strict=True):
        grid = np.stack(np.meshgrid(*[_middles(axis) for axis in own], indexing="ij"))
        grid = np.concatenate([np.delete(grid, along, 0), grid[along : along + 1]])
        wide = np.broadcast_to(grid[:, None], (len(grid), *held.C.shape))
        places.append(wide.reshape(len(grid), -1))
        numbers.append(np.where(held.index >= 0, held.index + before, -1).ravel())
        before += held.free
    index, at = np.concatenate(numbers), np.concatenate(places, 1)
    free, first = np.unique(index[index >= 0], return_index=True)
    by_place = np.lexsort(at[:, index >= 0][:, first])
    new = np.full(before + 1, -1)
    new[free[by_place]] = np.arange(len(free))
    return new[index], len(free)


def _middles(axis: SplineAxis) -> Float[np.ndarray, " size"]:
    """Where each of the splines is, by the mean of its inner knots (Greville 1967)."""
    inner = axis.knots[1:-1]
    return np.lib.stride_tricks.sliding_window_view(inner, axis.degree).mean(1)


def narrowest(axes: Sequence[SplineAxes], unknowns: Sequence[int]) -> tuple[int, int, int]:
    """Along which coordinate parameters are numbered: the one that makes the band narrowest.

    Args:
        axes: Functions of each coordinate, by piece.
        unknowns: How many unknowns there are, by piece.

    Returns:
        The number of the coordinate, how many coefficients there are, and the width of the band,
        about.
    """
    sizes = [
        n * math.prod(axis.size for axis in own) for own, n in zip(axes, unknowns, strict=True)
    ]
    widths = []
    for i in range(len(axes[0])):
        places = [_middles(own[i]) for own in axes]
        counts = [n // len(at) for n, at in zip(sizes, places, strict=True)]
        at = np.concatenate(places)
        order = np.argsort(at, kind="stable")
        before = np.r_[0, np.cumsum(np.repeat(counts, [len(p) for p in places])[order])]
        widest = 0
        for own, place in zip(axes, places, strict=True):
            low, high = place[own[i].alive[:, 0]], place[own[i].alive[:, -1]]
            ends = np.searchsorted(at[order], high, "right"), np.searchsorted(at[order], low)
            widest = max(widest, int((before[ends[0]] - before[ends[1]]).max()))
        widths.append(widest)
    along = int(np.argmin(widths))
    return along, sum(sizes), widths[along]
