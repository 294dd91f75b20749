"""Errors of products of splines, estimated from their own coefficients, and cells that follow them.

Along a coordinate with splines of degree p, the p-th derivative is constant on every cell. Its
jumps over the distances of the cells estimate u⁽ᵖ⁺¹⁾, and the error of the best spline on cells of
length h is (h/π)ᵖ⁺¹ |u⁽ᵖ⁺¹⁾| (Favard 1937). Along a span of time, the last modes of Legendre's
series do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from kanpde.geometry.domain import Domain
from kanpde.products.axes import Axis, Modes, SplineAxis, along
from kanpde.products.held import Start
from kanpde.products.inside import inside
from kanpde.products.tensor import Product

Near = Callable[[torch.Tensor], torch.Tensor]
"""A factor at points [points, dims]."""

SAMPLES = 40
"""Points along every other coordinate, at least, at which roughness is looked at."""

GROWTH = 0.12
"""How fast the length of cells may grow with the distance: their slope."""

FINE = 4001
"""Points of one coordinate at which lengths of cells are thought of."""

POINTS_ALONG_STARTS = {1: 20_001, 2: 401}
"""Points along each coordinate at which initial values are looked at, by the number of coordinates
of space."""

CELLS_OF_RADIUS = 2
"""Of a hole, at first."""

ROUNDING_OF_VALUES = 2e-11
"""Share of values that the rounding of equations and their solution may come to."""


def amplitudes(
    extremes: tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]],
    stiffness: Float[np.ndarray, " unknowns"],
    tolerance: float,
) -> Float[np.ndarray, " unknowns"]:
    """By how much every unknown varies: half the distance of its largest and smallest value.

    An unknown that does not vary is given what weighs a millionth of the heaviest one in the
    residual; and one that varies no more than by rounding, by what an error of the tolerance is as
    large as that. So rounding is not taken for an error.

    Args:
        extremes: The smallest and the largest value of every unknown.
        stiffness: Roots of the mean diagonal of JᵀJ, an unknown each.
        tolerance: Error that is asked for, over these amplitudes.
    """
    lowest, highest = extremes
    found = (highest - lowest) / 2
    heaviest = float((found * stiffness).max())
    floor = 1e-6 * heaviest / np.maximum(stiffness, np.finfo(float).tiny)
    rounding = ROUNDING_OF_VALUES * np.maximum(abs(lowest), abs(highest))
    floor = np.where(found > rounding, floor, np.maximum(floor, rounding / tolerance))
    return np.maximum(np.maximum(found, floor), np.finfo(float).tiny)


def ranges(
    product: Product, domain: Domain | None = None
) -> tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]]:
    """The smallest and the largest value of every unknown, on a grid.

    Args:
        product: The functions.
        domain: Where they are looked at; None for everywhere.
    """
    grid = [np.linspace(*axis.ends, SAMPLES) for axis in product.axes]
    index, some = (0,) * len(grid), seen(domain, grid)
    values = [product.on_grid(u, grid, index).ravel()[some] for u in range(len(product.C))]
    return np.array([v.min() for v in values]), np.array([v.max() for v in values])


def seen(
    domain: Domain | None, grid: Sequence[Float[np.ndarray, " points"]]
) -> Bool[np.ndarray, " all"] | slice:
    """Which points of a grid over the bounding box lie in a domain; all of them where
    there is none.

    Args:
        domain: The domain.
        grid: The points along every coordinate.
    """
    return slice(None) if domain is None else inside(domain, grid)


def felt(product: Product, domain: Domain) -> Product:
    """A span by its values in a domain that is no box, in the place of its coefficients of space:
    where functions are hardly felt, these may be anything.

    Args:
        product: The functions, time last.
        domain: Of space.
    """
    grid = [np.linspace(*axis.ends, SAMPLES) for axis in product.axes[:-1]]
    some = seen(domain, grid)
    ways = [axis.matrix(x) for axis, x in zip(product.axes[:-1], grid, strict=True)]
    modes = np.eye(product.axes[-1].size)
    values = [along([*ways, modes], own).reshape(-1, len(modes))[some] for own in product.C]
    return replace(product, C=np.stack(values))


def overrated(
    extremes: Sequence[tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]]],
    sizes: Float[np.ndarray, " unknowns"],
) -> Float[np.ndarray, " unknowns"]:
    """How many times larger sizes are than what unknowns vary by in all spans together; 1 for what
    varies as much, or no more than by rounding.

    Args:
        extremes: The smallest and the largest value of every unknown in each span.
        sizes: What errors were measured over.
    """
    lowest, highest = (np.array(each) for each in zip(*extremes, strict=True))
    low, high = lowest.min(0), highest.max(0)
    varies = (high - low) / 2 > ROUNDING_OF_VALUES * np.maximum(abs(low), abs(high))
    return np.where(varies, np.maximum(1.0, 2 * sizes / np.where(varies, high - low, 1.0)), 1.0)


def roughness(
    product: Product,
    i: int,
    sizes: Float[np.ndarray, " unknowns"],
    near: Near | None = None,
    domain: Domain | None = None,
) -> Float[np.ndarray, " cells"]:
    """The derivative u⁽ᵖ⁺¹⁾ along an axis of splines, on every cell the largest of all unknowns.

    Args:
        product: The functions.
        i: Number of the axis.
        sizes: Of the unknowns, by which they are divided.
        near: Share of it that counts at points, for which it is looked for in all cells of the
            other axes, however short these are; by default all of it, at equal distances.
        domain: What lies on both sides of a jump, or it counts nothing; None for everywhere. It is
            looked for in all cells as well.
    """
    axis = product.axes[i]
    assert isinstance(axis, SplineAxis)
    middle = (axis.breaks[1:] + axis.breaks[:-1]) / 2
    grid = [np.linspace(*one.ends, _samples(one)) for one in product.axes]
    if near is not None or domain is not None:
        grid = [(one.breaks[1:] + one.breaks[:-1]) / 2 for one in product.axes]
    grid[i] = middle
    index = tuple(axis.degree if k == i else 0 for k in range(len(grid)))
    distance = np.diff(middle)
    jumps = np.zeros(len(middle) - 1)
    around, counts = 0.0, _counting(grid, i, near, domain)
    for u, size in enumerate(sizes):
        D = np.moveaxis(product.on_grid(u, grid, index), i, 0).reshape(len(middle), -1) / size
        own = (counts * np.abs(np.diff(D, axis=0))).max(1) / distance
        # At a crease the derivative jumps by itself.
        jumps = np.maximum(jumps, np.where(axis.at_creases[1:-1], 0.0, own))
        if axis.periodic:
            step = (axis.breaks[-1] - axis.breaks[-2] + axis.breaks[1] - axis.breaks[0]) / 2
            around = max(around, float(np.abs(D[0] - D[-1]).max() / step))
    first, last = (around, around) if axis.periodic else (jumps[0], jumps[-1])
    return np.maximum(np.r_[first, jumps], np.r_[jumps, last])


def _samples(axis: Axis) -> int:
    """How many points see what functions of an axis do."""
    return min(SAMPLES, 2 * axis.size) if isinstance(axis, Modes) else max(SAMPLES, axis.cells)


def _counting(
    grid: Sequence[Float[np.ndarray, " points"]],
    i: int,
    near: Near | None,
    domain: Domain | None,
) -> Float[np.ndarray, "jumps rest"]:
    """What jumps between the points of one axis count, at those of the others."""
    found, shape = np.ones((1, 1)), [len(x) for x in grid]

    def by_jump(values: Float[np.ndarray, " all"]) -> Float[np.ndarray, "points rest"]:
        return np.moveaxis(values.reshape(shape), i, 0).reshape(len(grid[i]), -1)

    if near is not None:
        where = np.meshgrid(*grid, indexing="ij")
        points = torch.from_numpy(np.stack([x.ravel() for x in where], 1))
        counts = by_jump(near(points).numpy())
        found = found * np.maximum(counts[1:], counts[:-1])
    if domain is not None:
        held = by_jump(inside(domain, grid).astype(float))
        found = found * np.minimum(held[1:], held[:-1])
    return found


def favard(axis: SplineAxis, rough: Float[np.ndarray, " cells"]) -> float:
    """The error of the best spline on the cells of an axis.

    Args:
        axis: The splines.
        rough: u⁽ᵖ⁺¹⁾ on every cell.
    """
    return float(((np.diff(axis.breaks) / np.pi) ** (axis.degree + 1) * rough).max())


def last_modes(product: Product, sizes: Float[np.ndarray, " unknowns"]) -> float:
    """The error of the polynomials over a span of time, by their last two modes.

    Args:
        product: The functions, time last.
        sizes: Of the unknowns.
    """
    modes = product.axes[-1]
    assert isinstance(modes, Modes)
    found = np.abs(modes.legendre(product.C)).reshape(len(sizes), -1, modes.size).max(1)
    return float((np.maximum(found[:, -1], 0.1 * found[:, -2]) / sizes).max())


def refined(
    axis: SplineAxis,
    rough: Float[np.ndarray, " cells"],
    goal: float,
    most: int,
    fewest: int | None = None,
    growth: float = GROWTH,
) -> SplineAxis:
    """Splines on cells of which each has the same error, whose lengths change slowly.

    Args:
        axis: Splines as they are.
        rough: u⁽ᵖ⁺¹⁾ on every cell.
        goal: The error.
        most: Cells, at most.
        fewest: Cells, at least; by default those of the axis.
        growth: How fast lengths of cells may grow with the distance.
    """
    fewest = axis.fewest if fewest is None else fewest
    low, high = axis.ends
    middle = (axis.breaks[1:] + axis.breaks[:-1]) / 2
    x = np.linspace(low, high, FINE)
    length = np.pi * (goal / np.maximum(rough, 1e-300)) ** (1 / (axis.degree + 1))
    length = np.minimum(length, (high - low) / min(fewest, axis.fewest))
    if axis.periodic:
        period = high - low
        at = np.r_[middle - period, middle, middle + period]
        length = np.tile(length, 3)
    else:
        at = middle
    h = np.exp(np.interp(x, at, np.log(length)))
    return with_lengths(axis, x, h, fewest, most, growth)


def with_lengths(
    axis: SplineAxis,
    x: Float[np.ndarray, " fine"],
    h: Float[np.ndarray, " fine"],
    fewest: int,
    most: int,
    growth: float = GROWTH,
) -> SplineAxis:
    """Splines on cells of given lengths, or shorter ones next to those that are shorter still.

    Args:
        axis: Splines as they are.
        x: Even, from end to end.
        h: The lengths there.
        fewest: Cells, at least.
        most: Cells, at most.
        growth: How fast lengths of cells may grow with the distance.
    """
    step = growth * (x[1] - x[0])
    # The smallest of h(y) + growth · |x - y| over all y.
    ramp = step * np.arange(len(x))
    for _ in range(2 if axis.periodic else 1):
        h = np.minimum.accumulate(h - ramp) + ramp
        h = (np.minimum.accumulate(h[::-1] - ramp) + ramp)[::-1]
        if axis.periodic:
            h[0] = h[-1] = min(h[0], h[-1])
    count = np.r_[0, np.cumsum((1 / h[1:] + 1 / h[:-1]) / 2 * (x[1] - x[0]))]
    fewest = max(fewest, axis.degree + 1) if axis.periodic else fewest
    cells = int(min(max(np.ceil(count[-1]), fewest), most))
    return axis.spread(x, count * (cells / count[-1]))


def about(axis: SplineAxis, holes: Sequence[tuple[float, float]], most: int) -> SplineAxis:
    """Splines on the same cells, with shorter ones about holes.

    Args:
        axis: Splines as they are, on equal cells.
        holes: The middle of each along the coordinate, and its radius.
        most: Cells, at most.
    """
    x = np.linspace(*axis.ends, FINE)
    h = np.full(FINE, (x[-1] - x[0]) / axis.cells)
    for middle, radius in holes:
        beside = np.abs(x - middle) <= max(radius, x[1] - x[0])
        h = np.where(beside, np.minimum(h, radius / CELLS_OF_RADIUS), h)
    return with_lengths(axis, x, h, axis.cells, most)


def unseen(
    product: Product, values: Sequence[Start], errors: Float[np.ndarray, " unknowns"]
) -> tuple[Bool[np.ndarray, " cells"], ...]:
    """The cells of each axis in which functions differ from what they were fitted to, on a grid
    much finer than the points of the fit.

    Args:
        product: The functions, of space alone.
        values: What they were fitted to, one an unknown.
        errors: Differences that are allowed, one an unknown.
    """
    axes = product.axes
    grid = [np.linspace(*axis.ends, POINTS_ALONG_STARTS[len(axes)]) for axis in axes]
    worst = np.zeros([len(x) for x in grid])
    for u, (start, error) in enumerate(zip(values, errors, strict=True)):
        apart = np.abs(start(grid) - product.on_grid(u, grid, (0,) * len(axes)))
        worst = np.maximum(worst, apart / error)
    found = []
    for i, (axis, x) in enumerate(zip(axes, grid, strict=True)):
        along_axis = worst.max(tuple(k for k in range(len(axes)) if k != i))
        cells = np.zeros(axis.cells)
        np.maximum.at(cells, axis.cell_of(x), along_axis)
        found.append(cells > 1)
    return tuple(found)


def halved(axis: SplineAxis, cells: Bool[np.ndarray, " cells"]) -> SplineAxis:
    """Splines on the same cells, some of them in halves.

    Args:
        axis: Splines as they are.
        cells: Which cells are halved.
    """
    middle = (axis.breaks[1:] + axis.breaks[:-1]) / 2
    return replace(axis, breaks=np.sort(np.r_[axis.breaks, middle[cells]]))


def evenly(axis: SplineAxis, cells: int) -> SplineAxis:
    """Splines on equal cells, between creases on nearly equal ones.

    Args:
        axis: Has ends, degree and creases.
        cells: How many.
    """
    return axis.spread(np.array(axis.ends), np.array([0.0, cells]))
