"""Whether equations are met between the points at which their squares were lowered.

Residuals of functions that follow the solution are as large between the points as at them. Where
they are several times larger, something lies between the points that none of them has seen, such as
a narrow source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float

from kanpde.products.axes import Axis, SplineAxis
from kanpde.products.estimates import halved
from kanpde.products.far import FarRows
from kanpde.products.newton import Iterate, LeastSquares
from kanpde.products.rows import Places, WeightedRows, points_of

POINTS_BETWEEN = {1: 4000, 2: 300, 3: 40}
"""Along each coordinate of a steady problem, at least, by their number."""

POINTS_OF_SPACE, AT_TIMES = {1: 20_000, 2: 400}, 2
"""Along each coordinate of space, at least, by their number, and of a span of time beside them."""

TIMES_BETWEEN, AT_PLACES = {0: 4000, 1: 100, 2: 20}, 2
"""Of a span of time, by the number of coordinates of space, and points a cell of these beside
them."""

LARGER = 3.0
"""Root mean square residual between the points over that at them, from which something is missed:
for solutions that are good it is 1.0 to 1.4."""

SHARE_OF_LARGEST = 0.01
"""Of the largest square of a residual, from which on a place is among those where it is large."""

FILLED = 0.5
"""Share of a cell that the places with large residuals take at least, where cells are placed for
them."""

TIMES_HALVED = 16
"""Of one cell at a time."""


@dataclass(frozen=True)
class Between:
    """What was found between the points.

    Attributes:
        times: Error that would leave residuals as large as there, over the one that is asked for;
            0 where nothing was missed.
        unmet: How far the equations are from being met there, over their own terms.
        axes: Splines on cells that see it, one axis of them after another; those of all pieces.
        said: Where it is, in words.
    """

    times: float = 0.0
    unmet: float = 0.0
    axes: tuple[SplineAxis, ...] = ()
    said: str = ""


def between(squares: LeastSquares, at: Iterate, error: Float[np.ndarray, " unknowns"]) -> Between:
    """Look at residuals between the points of least squares.

    A steady problem is looked at everywhere; an evolution all along space at some times, and all
    along time at some places.

    Args:
        squares: What was lowered.
        at: Where Newton's method ended.
        error: Of each unknown, that is asked for: residuals that coefficients wrong by as much
            would leave count as none.
    """
    allowed = float((error * np.array(at.stiffness)).max()) * squares.free**0.5
    interiors = squares.interiors(at.C)
    space = [[a for a in rows.axes if isinstance(a, SplineAxis)] for rows, _ in interiors]
    worst = Between()
    for k, (inside, C) in enumerate(interiors):
        least = max(allowed, LARGER * _norm(inside.values(C)))
        for counts in _looks(inside.axes, isinstance(inside, FarRows)):
            places = tuple(_even(axis, n) for axis, n in zip(inside.axes, counts, strict=True))
            finer = replace(inside, places=places)
            r = finer.values(C)
            size = _norm(r)
            if size > least and size > allowed * worst.times:
                times = size / max(allowed, np.finfo(float).tiny)
                seeing = _seeing(inside.axes, places, finer.filled(r))
                every = chain(*space[:k], seeing, *space[k + 1 :])
                worst = Between(times, finer.unmet(C), tuple(every), _said(finer, r))
    return worst


def _said(rows: WeightedRows, r: Float[np.ndarray, "points rows"]) -> str:
    """Where residuals are largest, in words."""
    k = int((r**2).sum(1).argmax())
    where = ", ".join(f"{x} = {float(column[k]):.4g}" for x, column in rows.coordinates.items())
    return f"something narrow lies between the points, at {where}"


def _looks(axes: Sequence[Axis], far: bool) -> list[list[int]]:
    """How many points a cell along each axis, look after look; far: whether every point takes
    values at many others."""
    space = [axis for axis in axes if isinstance(axis, SplineAxis)]
    if len(space) == len(axes):
        if far and len(axes) > 1:
            return [[points_of(axis) + 1 for axis in axes]]
        return [[_at_least(POINTS_BETWEEN[len(axes)], axis) for axis in space]]
    along_time = [AT_PLACES] * len(space) + [TIMES_BETWEEN[len(space)]]
    if not space:
        return [along_time]
    many = POINTS_BETWEEN[len(space)] if far else POINTS_OF_SPACE[len(space)]
    return [[*(_at_least(many, axis) for axis in space), AT_TIMES], along_time]


def _at_least(count: int, axis: SplineAxis) -> int:
    """Points a cell for so many along an axis, more than those of least squares."""
    return max(points_of(axis) + 1, math.ceil(count / axis.cells))


def _even(axis: Axis, count: int) -> Places:
    """The middles of equal parts of all cells."""
    part = np.diff(axis.breaks)[:, None] / count
    x = axis.breaks[:-1, None] + part * (np.arange(count) + 0.5)
    return Places(np.arange(axis.cells), x, np.repeat(np.abs(part), count, 1))


def _norm(r: Float[np.ndarray, "points rows"]) -> float:
    return float((r**2).sum()) ** 0.5


def _seeing(
    axes: Sequence[Axis], places: Sequence[Places], r: Float[np.ndarray, "points rows"]
) -> tuple[SplineAxis, ...]:
    """The axes of splines on cells that see where residuals are large."""
    by_place = (r**2).sum(1).reshape([p.x.size for p in places])
    found = []
    for i, (axis, p) in enumerate(zip(axes, places, strict=True)):
        if isinstance(axis, SplineAxis):
            largest = by_place.max(tuple(k for k in range(len(axes)) if k != i))
            found.append(closer(axis, p.x.ravel(), largest > SHARE_OF_LARGEST * largest.max()))
    return tuple(found)


def closer(
    axis: SplineAxis, x: Float[np.ndarray, " points"], found: Bool[np.ndarray, " points"]
) -> SplineAxis:
    """Splines on the same cells, of which those with some of the points are halved, until these
    take a good part of them.

    Args:
        axis: Splines as they are.
        x: Even points.
        found: Which of them the cells are halved for.
    """
    wide = np.bincount(axis.cell_of(x[found]), minlength=axis.cells) > 0
    for _ in range(TIMES_HALVED):
        axis = halved(axis, wide)
        held = np.bincount(axis.cell_of(x[found]), minlength=axis.cells)
        every = np.bincount(axis.cell_of(x), minlength=axis.cells)
        wide = (held > 0) & (held < FILLED * every)
        if not wide.any():
            break
    return axis
