"""How errors grow from the span of time in which they are made.

A small change is carried from span to span by the linearised equations. Whatever it began as, it
soon is of the kind that grows most, as errors are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis
from kanpde.products.held import Start, held
from kanpde.products.newton import LeastSquares
from kanpde.products.tensor import Product

WAVES_OF_CHANGE = 4
"""Along every coordinate of the change that is carried, at first."""

MUCH_GROWTH = 100.0
"""Growth up to which estimates of single spans allow for it: solutions are better than these say,
by as much and more."""

LEAST_MADE = 1e-15
"""The error that every span makes at least."""

POINTS_OF_CHANGE = 33
"""Points along every coordinate at which a change is measured."""


@dataclass(frozen=True)
class Carried:
    """A span of time, and a change where it ends that was made before it.

    Attributes:
        length: Of the span.
        error: With which it ends, over the amplitudes that were known.
        sizes: These, an unknown each.
        values: Root mean squares of the change, an unknown each.
        rates: The same of its rates, where equations are of second order in time.
    """

    length: float
    error: float
    sizes: tuple[float, ...]
    values: tuple[float, ...]
    rates: tuple[float, ...]


def smooth_change(
    problem: Problem, time: str, axes: Sequence[Axis], sizes: Sequence[float]
) -> dict[tuple[str, int], Start]:
    """A change where time begins: of values a few waves with random phases along each coordinate,
    of rates none.

    Args:
        problem: What is solved.
        time: The coordinate along which it marches.
        axes: Of space.
        sizes: Amplitudes of the unknowns.
    """
    random = np.random.default_rng(0)

    def waves() -> Start:
        turns = [np.pi * (2 if axis.periodic else 1) * np.arange(WAVES_OF_CHANGE) for axis in axes]
        phases, shares = (
            random.uniform(0, 2 * np.pi, (len(axes), WAVES_OF_CHANGE)),
            random.normal(size=WAVES_OF_CHANGE),
        )
        lows, lengths = [axis.ends[0] for axis in axes], [np.ptp(axis.ends) for axis in axes]

        def values(at: Sequence[Float[np.ndarray, " points"]]) -> Float[np.ndarray, " ..."]:
            found = shares
            ways = zip(at, lows, lengths, turns, phases, strict=True)
            for x, low, length, turn, phase in ways:
                found = found[..., None, :] * np.cos(np.outer((x - low) / length, turn) + phase)
            return np.asarray(found.sum(-1))

        return values

    def sized(start: Start, size: float) -> Start:
        return lambda at: size * start(at)

    return {
        (u, order): _nothing if order else sized(waves(), size)
        for u, size in zip(problem.unknowns, sizes, strict=True)
        for order in range(problem.order(u, time))
    }


def carried(
    problem: Problem,
    squares: LeastSquares,
    span: Product,
    starts: dict[tuple[str, int], Start],
) -> Product:
    """What a change at the beginning of a span makes of it.

    Args:
        problem: What is solved.
        squares: On the axes of the span.
        span: The solution there.
        starts: The change of values and rates, by unknown and order.
    """
    zero = dict.fromkeys(starts, _nothing)
    change = held(problem, span.axes, starts).C - held(problem, span.axes, zero).C
    return replace(span, C=squares.response(span.C, change))


def _nothing(at: Sequence[Float[np.ndarray, " points"]]) -> Float[np.ndarray, " ..."]:
    return np.zeros([len(x) for x in at])


def at_the_end(span: Product, order: int, counted: Sequence[bool]) -> tuple[float, ...]:
    """Root mean squares over space where a span ends, an unknown each.

    Args:
        span: A change.
        order: 0 for values, 1 for rates.
        counted: Whether this is wanted of an unknown; it is zero otherwise.
    """
    *space, time = span.axes
    grid = [np.linspace(*axis.ends, POINTS_OF_CHANGE) for axis in space]
    index, end = (*(0 for _ in space), order), np.array([time.ends[1]])
    each = (span.on_grid(u, [*grid, end], index) for u in range(len(span.C)))
    ways = zip(each, counted, strict=True)
    return tuple(float(np.sqrt((values**2).mean())) if wanted else 0.0 for values, wanted in ways)


def left(in_time: float, in_space: Sequence[float]) -> float:
    """The error with which a span ends: at its end the square of what it is within, as with Gauss's
    collocation, as far as that is in time.

    Args:
        in_time: Error in time within the span.
        in_space: Error along each coordinate of space.
    """
    return max([LEAST_MADE, in_time**2, *in_space])


def grown(
    spans: Sequence[Carried], sizes: Sequence[float]
) -> tuple[Float[np.ndarray, " spans"], Float[np.ndarray, " spans"]]:
    """The errors that spans leave where they end, as root mean squares over all of the time, and
    how much they grow after that; zero where this is little.

    Args:
        spans: One after another.
        sizes: Amplitudes that errors are over, an unknown each.
    """
    own, lengths = np.array(sizes), np.array([one.length for one in spans])
    made = np.array([one.error * (np.array(one.sizes) / own).max() for one in spans])
    values, rates = (
        (np.array([getattr(one, which) for one in spans]) / own) ** 2
        for which in ("values", "rates")
    )
    # Rates count as values by as much as turns one into the other, as in an oscillation.
    turning = rates.sum(0) > 0
    weight = np.where(turning, values.sum(0) / np.where(turning, rates.sum(0), 1.0), 0.0)
    size = np.sqrt((values + weight * rates).sum(1))
    later = np.cumsum((size**2 * lengths)[::-1])[::-1] / lengths.sum()
    times = np.sqrt(later) / np.where(size > 0, size, 1.0)
    return np.where(times > MUCH_GROWTH, made * times, 0.0), times
