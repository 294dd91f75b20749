"""The way through the spans of time on a domain of two coordinates that is no box: cells of its
bounding box, and in time points of collocation, at each of which squares in space are lowered.

Spans have halves, quarters, … of the time between two switches as their lengths, so that the same
factors serve many of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float

from kanpde.geometry import holes
from kanpde.problem.problem import Problem
from kanpde.products.attempts import SHORT_OF_GOAL
from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.begun_inside import FitInside
from kanpde.products.between import Between
from kanpde.products.estimates import (
    SAMPLES,
    about,
    amplitudes,
    favard,
    felt,
    last_modes,
    ranges,
    refined,
    roughness,
    seen,
)
from kanpde.products.growth import WAVES_OF_CHANGE, Carried
from kanpde.products.guide import Guide
from kanpde.products.held import held
from kanpde.products.inside import space_of
from kanpde.products.inside_inverse import InverseInside, ProductsInside
from kanpde.products.inside_newton import advanced, solved
from kanpde.products.inside_span import SpanInside, span_inside
from kanpde.products.marching import MarchingProducts
from kanpde.products.newton import Iterate
from kanpde.products.posed import start_of_march
from kanpde.products.progress import Progress, Settings
from kanpde.products.tensor import Product

Beginning = Callable[[str, int, Float[np.ndarray, "points 2"]], Float[np.ndarray, " points"]]
"""A value, or a rate, of an unknown at points in space where a span begins."""

STILL_FINE, MANY_FEWER, MORE_THAN_NEEDED = 0.8, 0.75, 1.1
"""Cells stay where their error is below this share of the tolerance and others would not be fewer
than that share of them; others are as many times more than are needed now."""

FEWEST_IN_TIME, DIGITS_A_MODE = 4, 1.5
"""Degree of polynomials in time: at least, and for so many digits one more."""

SAME_LENGTH, TWICE = 0.6, 1.9
"""Of the length of the span before, from which on the next one is as long; and from which on it is
twice as long."""

INVERSES_KEPT = 3
"""For spans of other lengths."""

TIRED_INSIDE = 8
"""Iterations from which the inverse is made anew."""

TRIES_AT_THE_START = 6
"""Of cells that suit initial values."""

SHORTEST_BEGINNING = 1e-3
"""Of all of the time, the shortest span where layers in time may begin: cells of a bounding box do
not follow what is thinner along its curved boundary than such a span makes it, and what is wrong in
a shorter time is smoothed soon."""

SMOOTHED_BY = 0.01
"""Of all of the time: what is wrong in so short a time after a beginning is smoothed soon."""

OFF_THE_GRID = 1e-3
"""Of a span, by which rounding may move its beginning from a multiple of its length."""

SHARES_SEEN = (0.1, 0.4, 1.0)
"""Shares of a span at which cells are looked at."""


class MarchingInside(MarchingProducts):
    """The way through the spans of time.

    Args:
        problem: What is to be solved.
        settings: How.
        time: The coordinate along which spans follow one another.
        guide: The solution of a problem near to this one; None for none.
    """

    far_beyond = 3.0

    def __init__(self, problem: Problem, settings: Settings, time: str, guide: Guide | None = None):
        order = max(problem.order(u, time) for u in problem.unknowns)
        few = math.ceil(-math.log10(settings.tolerance) / DIGITS_A_MODE)
        modes = min(settings.modes, max(FEWEST_IN_TIME, few) + order - 1)
        super().__init__(problem, replace(settings, modes=modes), time, guide)
        self._region = space_of(problem.domain)
        self._rows: tuple[tuple[Axis, ...], SpanInside] | None = None
        self._fit: tuple[tuple[Axis, ...], FitInside] | None = None
        self._products: ProductsInside | None = None
        self._inverses: dict[float, InverseInside] = {}

    # Newton steps

    def _stepped(self, progress: Progress) -> Progress:
        at = progress.at
        assert at is not None
        span = self._span(progress)
        fresh = at.iterations > TIRED_INSIDE
        inverse = self._inverse(progress, at, fresh)
        found = advanced(span, at, self.settings.tolerance, inverse)
        return replace(progress, at=found, step=progress.step + 1)

    def _span(self, progress: Progress) -> SpanInside:
        """The rows of the span under way."""
        if self._rows is None or self._rows[0] is not progress.axes:
            given = held(self.problem, progress.axes, {})
            self._rows = progress.axes, span_inside(self.problem, progress.axes, given)
        return self._rows[1]

    def _inverse(self, progress: Progress, at: Iterate, fresh: bool) -> InverseInside:
        """The way from rows to coefficients: the one that was made for another span of the same
        cells and length, unless it is to be a fresh one."""
        span = self._span(progress)
        length = float(f"{span.stages.modes.half:.6g}")
        known = self._inverses.get(length)
        if known is not None and not fresh and known.known.axes == span.cells[0].axes[:2]:
            return known
        _, slopes = span.linear(at.C)
        self._products = ProductsInside.of(span, slopes, self._products)
        self._inverses[length] = InverseInside.of(span, self._products)
        while len(self._inverses) > INVERSES_KEPT:
            del self._inverses[next(iter(self._inverses))]
        return self._inverses[length]

    def _begun(self, progress: Progress) -> Iterate:
        last = progress.spans[-1] if progress.spans else None
        C = held(self.problem, progress.axes, {}).C
        return Iterate(self._with_beginning(progress, C, last, self._first_values))

    def _with_beginning(
        self,
        progress: Progress,
        C: Float[np.ndarray, "unknowns ..."],
        last: Product | None,
        first: Beginning,
    ) -> Float[np.ndarray, "unknowns ..."]:
        """Coefficients of a span, with the values and rates with which it begins.

        Args:
            progress: Whose span it is.
            C: The coefficients, right where they are given.
            last: The span before, with whose end it begins; None for none.
            first: What it begins with where there is none.
        """
        span, found = self._span(progress), C.copy()
        free, half = span.number >= 0, span.stages.modes.half
        for rate in range(span.stages.modes.order):
            scale = half**rate
            if last is not None and _same_cells(last.axes[:-1], progress.axes[:-1]):
                end = np.array([last.axes[-1].ends[1]])
                own = (last.C @ last.axes[-1].matrix(end, rate).toarray().T)[..., 0]
            else:
                known = first if last is None else partial(self._at_end, last)
                own = self._fitted(progress, rate, found[..., rate] / scale, known)
            evolving = free & (np.array(span.orders) > rate)[:, None, None]
            found[evolving, rate] = own[evolving] * scale
            found[free & ~evolving, rate] = 0.0
        return found

    def _fitted(
        self,
        progress: Progress,
        rate: int,
        given: Float[np.ndarray, "unknowns x y"],
        known: Beginning,
    ) -> Float[np.ndarray, "unknowns x y"]:
        """Splines near to what the span under way begins with."""
        space = progress.axes[:-1]
        if self._fit is None or self._fit[0] != space:
            self._fit = space, FitInside(self._span(progress))
        fit = self._fit[1]
        values = {
            u: [known(u, rate, some.points) for some in fit.span.cells]
            for u, own in zip(self.problem.unknowns, fit.span.orders, strict=True)
            if own > rate
        }
        return fit(values, given)

    def _at_end(
        self, last: Product, unknown: str, rate: int, points: Float[np.ndarray, "points 2"]
    ) -> Float[np.ndarray, " points"]:
        """A value or a rate with which a span ends."""
        end = np.full((len(points), 1), last.axes[-1].ends[1])
        leaf = self.problem.unknowns.index(unknown), (0, 0, rate)
        return last.at(np.concatenate([points, end], 1), [leaf])[:, 0]

    def _first_values(
        self, unknown: str, rate: int, points: Float[np.ndarray, "points 2"]
    ) -> Float[np.ndarray, " points"]:
        """A value or a rate with which time begins."""
        face = start_of_march(self.problem, self.time)
        for c in self.problem.constraints:
            plain = c.prescribed if c.face == face else None
            if plain is not None and (plain.unknown, plain.derivative) == (unknown, rate):
                whole = np.c_[points, np.full(len(points), self._first)]
                ways = zip(self.problem.coordinates, whole.T, strict=True)
                at = {x: torch.from_numpy(column.copy()) for x, column in ways}
                return plain.data(at).detach().numpy()
        raise AssertionError(f"{unknown} has no beginning")

    # Cells and spans

    def first_cells(self) -> tuple[SplineAxis, ...]:
        """Cells of space that suit the initial values, and shorter ones about holes."""
        space = [x for x in self.problem.coordinates if x != self.time]
        axes = self._equal_cells(self.problem, space)
        found = holes(self.problem.domain)
        for i, axis in enumerate(axes if found else ()):
            axes[i] = about(axis, [(one.center[i], one.radius) for one in found], self._most)
        end = self._first + self._way * self._whole
        for _ in range(TRIES_AT_THE_START):
            progress = Progress(axes=(*axes, self.span_from(self._first, end)))
            C = self._begun(progress).C
            C[..., 1:] = 0.0
            at, stiffness = Product(progress.axes, C), np.ones(len(C))
            sizes = amplitudes(self._ranges(at), stiffness, self.settings.tolerance)
            rough = [self._roughness(at, i, sizes) for i in range(len(axes))]
            new = [self._refined(axis, one) for axis, one in zip(axes, rough, strict=True)]
            if all(a is b for a, b in zip(axes, new, strict=True)):
                break
            axes = new
        return tuple(axes)

    @property
    def _most(self) -> int:
        """Cells along a coordinate, at most."""
        return self.settings.cells

    def _refined(self, axis: SplineAxis, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        """Cells for the goal: the same ones where they are nearly as good, since others need other
        factors; else some more than are needed now."""
        tolerance = self.settings.tolerance
        goal, most = SHORT_OF_GOAL * tolerance, min(self._most, 3 * axis.cells)
        found = refined(axis, rough, goal, most)
        if favard(axis, rough) < STILL_FINE * tolerance and found.cells > MANY_FEWER * axis.cells:
            return axis
        return refined(
            axis, rough, goal, most, min(most, math.ceil(MORE_THAN_NEEDED * found.cells))
        )

    def _next(self, i: int, product: Product, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        axis = product.axes[i]
        assert isinstance(axis, SplineAxis)
        return self._refined(axis, rough)

    def _attempt(
        self,
        progress: Progress,
        space: tuple[SplineAxis, ...],
        begin: float,
        length: float,
        tries: int,
    ) -> Progress:
        """A span whose length is a half, a quarter, … of the time between two switches."""
        after = progress.at is None and bool(progress.spans)
        if after and length >= SAME_LENGTH * progress.length:
            twice = length >= TWICE * progress.length
            length = max(length, (2.0 if twice else 1.0) * progress.length)
        part, whole = self._since(begin)
        most = _halves(whole, self._shortest(progress, begin))
        halves = min(most, max(0, math.ceil(math.log2(whole / length) - 1e-6)))
        while halves < most and _off(part * 2**halves / whole) > OFF_THE_GRID:
            halves += 1
        return super()._attempt(progress, space, begin, whole / 2**halves, tries)

    def _shortest(self, progress: Progress, begin: float) -> float:
        least, (_, whole) = super()._shortest(progress, begin), self._since(begin)
        if begin in self._beginnings:
            least = max(least, SHORTEST_BEGINNING * self._whole)
        return float(whole / 2 ** _halves(whole, least))

    def _smoothed_soon(self, begin: float) -> bool:
        return not self.settings.less and self._since(begin)[0] <= SMOOTHED_BY * self._whole

    def _since(self, begin: float) -> tuple[float, float]:
        """The time since the last switch, and from that to the next one."""
        stops = np.array([*self._beginnings, self._last])
        done = self._way * (stops - begin) <= 0
        low, high = stops[done][-1], stops[~done][0]
        return abs(begin - low), abs(high - low)

    # Judging

    def _at_times(self, product: Product) -> Product:
        """A span at some times, as further unknowns of space alone."""
        *space, modes = product.axes
        begin, end = modes.ends
        times = begin + (end - begin) * np.array(SHARES_SEEN)
        C = np.moveaxis(product.C @ modes.matrix(times).toarray().T, -1, 0)
        return Product(tuple(space), C.reshape(-1, *C.shape[2:]))

    def _ranges(
        self, product: Product
    ) -> tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]]:
        low, high = ranges(self._at_times(product), self._region)
        count = len(product.C)
        return low.reshape(-1, count).min(0), high.reshape(-1, count).max(0)

    def _roughness(
        self, product: Product, i: int, sizes: Float[np.ndarray, " unknowns"]
    ) -> Float[np.ndarray, " cells"]:
        times = len(SHARES_SEEN)
        return roughness(self._at_times(product), i, np.tile(sizes, times), None, self._region)

    def _felt(self, product: Product) -> Product:
        return felt(product, self._region)

    def _carried(self, done: Progress, progress: Progress, error: float) -> Progress:
        assert progress.at is not None
        span, product = self._span(progress), done.spans[-1]
        begun = self._with_beginning(
            progress,
            np.zeros_like(product.C),
            done.change,
            partial(_waves, progress.axes[:-1], dict(zip(span.unknowns, done.sizes, strict=True))),
        )
        _, slopes = span.linear(progress.at.C)
        right = [-some.pushed(g, begun) for some, g in zip(span.rows, slopes, strict=True)]
        inverse = self._inverse(progress, progress.at, False)
        grown = solved(span, slopes, right, np.zeros_like(begun), inverse)[0]
        change = replace(product, C=begun + span.spread(grown))
        grid = [np.linspace(*axis.ends, SAMPLES) for axis in product.axes[:-1]]
        grid.append(np.array([product.axes[-1].ends[1]]))
        some = seen(self._region, grid[:-1])
        moved = []
        for rate in (0, 1):
            each = [change.on_grid(k, grid, (0, 0, rate)).ravel() for k in range(len(begun))]
            sizes = (float(np.sqrt((one[some] ** 2).mean())) for one in each)
            ways = zip(sizes, span.orders, strict=True)
            moved.append(tuple(size if order > rate else 0.0 for size, order in ways))
        length = abs(float(np.ptp(product.axes[-1].ends)))
        here = Carried(length, error, done.sizes, *moved)
        drift = float(np.fmax(done.drift, 0.0)) + self._left_in_time(progress, done.sizes)
        return replace(done, change=change, carried=(*done.carried, here), drift=drift)

    def _left_in_time(self, progress: Progress, sizes: Sequence[float]) -> float:
        """The error in time with which a span ends: with m points of Radau's the power 2 m of its
        length, where within the span it is the power m + 1."""
        assert progress.at is not None
        within = last_modes(self._felt(Product(progress.axes, progress.at.C)), np.array(sizes))
        points = len(self._span(progress).stages.share)
        return within ** (2 * points / (points + 1))

    def _arrived(self, progress: Progress) -> Progress:
        found = super()._arrived(progress)
        if progress.drift > max(found.estimate, self.settings.tolerance):
            said = (
                f"errors of all spans add up: estimated error {progress.drift:.1e}; a smaller"
                " --tolerance makes them smaller"
            )
            found = replace(found, missed=found.missed or (said,))
        estimate, usual = (max(one, progress.drift) for one in (found.estimate, found.usual))
        return replace(found, estimate=estimate, usual=usual)

    def _condition(self, progress: Progress, C: Float[np.ndarray, "unknowns ..."]) -> float:
        return math.nan

    def _unmet(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> float:
        assert progress.at is not None
        tolerance = self.settings.tolerance
        return self._span(progress).unmet(progress.at, tolerance, error / tolerance)

    def _between(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> Between:
        return Between()

    def _bytes(self, axes: Sequence[Axis]) -> float:
        size, width, stages = self._sizes_of(axes)
        factors = min(INVERSES_KEPT, 2) * (stages // 2 + 1) + 1
        return 16.0 * size * width * factors

    def _operations(self, axes: Sequence[Axis]) -> float:
        size, width, stages = self._sizes_of(axes)
        applied = 8.0 * stages * 2 * size * width
        fresh = not any(one.known.axes == tuple(axes[:-1]) for one in self._inverses.values())
        return applied + (4.0 * (stages / 2 + 1) * size * width**2 if fresh else 0.0)

    def _sizes_of(self, axes: Sequence[Axis]) -> tuple[float, float, int]:
        """How many functions of space there are, how wide the band is, and the points in time."""
        counts = sorted(axis.size for axis in axes[:-1])
        unknowns = len(self.problem.unknowns)
        size, width = unknowns * math.prod(counts), unknowns * counts[0] * (axes[0].degree + 1)
        modes = axes[-1]
        assert isinstance(modes, Modes)
        return float(size), float(width), modes.size - modes.order


def _same_cells(before: Sequence[Axis], after: Sequence[Axis]) -> bool:
    return all(np.array_equal(a.breaks, b.breaks) for a, b in zip(before, after, strict=True))


def _off(count: float) -> float:
    """How far a number is from a whole one."""
    return abs(count - round(count))


def _waves(
    axes: Sequence[Axis],
    sizes: Mapping[str, float],
    unknown: str,
    rate: int,
    points: Float[np.ndarray, "points 2"],
) -> Float[np.ndarray, " points"]:
    """A change of values, a few waves with random phases, and none of rates."""
    random = np.random.default_rng(list(sizes).index(unknown))
    lows, lengths = np.array([axis.ends[0] for axis in axes]), [np.ptp(axis.ends) for axis in axes]
    turns = random.uniform(-1, 1, (WAVES_OF_CHANGE, 2)) * np.pi * WAVES_OF_CHANGE / lengths
    phases = (points - lows) @ turns.T + random.uniform(0, 2 * np.pi, WAVES_OF_CHANGE)
    return sizes[unknown] * np.cos(phases).sum(1) * (rate == 0)


def _halves(whole: float, length: float) -> int:
    """How often a time may be halved and still be as long."""
    return max(0, math.floor(math.log2(whole / length) + 1e-6))
