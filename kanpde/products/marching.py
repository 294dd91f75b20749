"""An evolution solved in spans of time, each from the values with which the one before ends.

After each attempt at a span, the solution's own estimates say whether it is good enough, and if
not, which cells and which length would be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from kanpde.problem.problem import Problem
from kanpde.problem.switches import switches
from kanpde.products.arrived import arrived, ended
from kanpde.products.attempts import (
    CELLS_AT_FIRST,
    MET_EQUATION,
    SHORT_OF_GOAL,
    USED_UP,
    AdaptiveProducts,
)
from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.estimates import (
    amplitudes,
    evenly,
    favard,
    halved,
    last_modes,
    ranges,
    refined,
    roughness,
    unseen,
)
from kanpde.products.growth import Carried, at_the_end, carried, left, smooth_change
from kanpde.products.guide import Guide
from kanpde.products.held import Ending, Start, fit, held
from kanpde.products.newton import least_squares
from kanpde.products.posed import initial_values, start_of_march
from kanpde.products.progress import Beyond, Progress, Settings, on_cells
from kanpde.products.span_lengths import (
    LAYER_ORDER,
    LOWEST_ORDER,
    compared,
    observed,
    shortened,
)
from kanpde.products.tensor import Product
from kanpde.products.uncoupled import Uncoupled, uncouples

MOST_TRIES = 8
"""Attempts at one span or one steady problem, after which the best there is is kept."""

MOST_TRIES_ALONE = 40
"""The same where there is no space: attempts cost little, and fast parts may ask for spans that are
many orders of magnitude shorter than the one before."""

TRIES_AT_START, TRIES_NEAR_START = 16, 2
"""The same where a layer in time begins, and near to that, where its remains are smoothed by the
time."""

SHORTEST_SPAN = 1e-6
"""Of all of the time: a span that would have to be shorter ends the march."""

SHORTEST_START = 1e-9
"""The same at the beginning and after a switch, where solutions may have layers that grow, and of
ordinary differential equations, whose fast parts may come at any time and cost little."""

NEAR_START = 1e-4
"""Of all of the time, up to where a layer in time has not forgotten how it began."""

FOLLOWS_LAYER = 0.03
"""Of the time since a layer began, the shortest span in it."""

DIGITS_OF_TIME = 1e4
"""Roundings of the time, below which there is no span."""

FIRST_SPAN = 0.05
"""Of all of the time."""

MOST_CLOSER_LOOKS = 12
"""Of cells in which initial values have what the points of a fit did not see."""

TIRED = 8
"""Iterations of conjugate gradients from which the normal equations are nearly inverted anew."""

FAR_IN_LENGTH = 1.5
"""Ratio of the lengths of two spans from which they are as well."""

THOUGHT = 0.3
"""Share of the amplitudes that are thought of, over which errors are measured from the beginning:
the first of all spans may be so short that little happens in it."""

FAR_BEYOND = 300.0
"""Times the tolerance, an error in time from which a span is shortened although its cells are not
good enough."""

FINE_CELLS = 60
"""Along one coordinate, before cells follow the initial values."""


@dataclass(frozen=True)
class Shown:
    """What an attempt at a span shows of its errors, all over the amplitudes of the unknowns.

    Attributes:
        sizes: These amplitudes.
        in_time: The error in time.
        rough: How rough the solution is along each coordinate of space, a number a cell.
        in_space: The error along each of them.
        unmet: How far equations and conditions are from being met.
        order: Of errors in time in the length of the span, as observed.
        layer: Where the layer began that the span is in; nan where there is none.
        tries: Attempts that such a span is given.
    """

    sizes: Float[np.ndarray, " unknowns"]
    in_time: float
    rough: list[Float[np.ndarray, " cells"]]
    in_space: list[float]
    unmet: float
    order: float
    layer: float
    tries: int


class MarchingProducts(AdaptiveProducts):
    """The way through the spans of time.

    Args:
        problem: What is to be solved.
        settings: How.
        time: The coordinate along which spans follow one another.
        guide: The solution of a problem near to this one; None for none.
    """

    problem: Problem
    far_beyond = FAR_BEYOND

    def __init__(self, problem: Problem, settings: Settings, time: str, guide: Guide | None = None):
        super().__init__(problem, settings, guide)
        self.time = time
        low, high = problem.domain.bounds[time]
        stops = switches(problem, time)
        back = start_of_march(problem, time).endswith("+")
        # Lengths of spans are positive; back in time they are taken off.
        self._way = -1.0 if back else 1.0
        self._first, self._last = (high, low) if back else (low, high)
        self._switches = stops[::-1] if back else stops
        self._inverted: tuple[Product, Uncoupled] | None = None

    def begin(self) -> Progress:
        """Cells that follow the initial values, and a first short span."""
        if (found := self._guided(self._first, None)) is not None:
            sizes = tuple(THOUGHT * size for size in self.settings.sizes)
            return self._attempt(Progress(sizes=sizes), found[0], self._first, found[1], 0)
        axes = self.first_cells()
        sizes = tuple(THOUGHT * size for size in self.settings.sizes)
        progress = Progress(sizes=sizes)
        return self._attempt(progress, axes, self._first, self._whole * FIRST_SPAN, 0)

    def first_cells(self) -> tuple[SplineAxis, ...]:
        """Cells of space that suit the initial values."""
        return self._for_initial_values(list(self._equal))

    # Newton steps

    def _stepped(self, progress: Progress) -> Progress:
        """After a Newton step, in two coordinates and time by what was nearly inverted."""
        squares, tolerance, at = self._squares(progress), self.settings.tolerance, progress.at
        assert at is not None
        if not uncouples(progress.axes):
            return super()._stepped(progress)
        base, fresh = progress.base, progress.fresh
        tired = at.iterations > max(TIRED, 2 * fresh)
        if base is None or tired or not self._fits(base, progress):
            base, fresh = Product(progress.axes, at.C), 0
        found = squares.advance(at, tolerance, self._nearly(base, progress))
        return replace(
            progress,
            at=found,
            base=base,
            fresh=fresh or found.iterations,
            step=progress.step + 1,
        )

    def _fits(self, base: Product, progress: Progress) -> bool:
        """Whether what was nearly inverted is near enough to the span under way."""
        *space, modes = zip(base.axes, progress.axes, strict=True)
        cells = all(np.array_equal(a.breaks, b.breaks) for a, b in space)
        lengths = [float(np.diff(axis.breaks)[0]) for axis in modes]
        if not cells or max(lengths) > FAR_IN_LENGTH * min(lengths):
            return False
        return self._nearly(base, progress).layout.same(self._squares(progress).layout)

    def _nearly(self, base: Product, progress: Progress) -> Uncoupled:
        """The normal equations of a span, nearly inverted; they follow from the base alone."""
        if self._inverted is None or self._inverted[0] is not base:
            given = held(self.problem, base.axes, self._starts(progress))
            squares = least_squares(self.problem, base.axes, replace(given, C=base.C))
            self._inverted = base, squares.uncoupled(base.C)
        return self._inverted[1]

    def _starts(self, progress: Progress) -> dict[tuple[str, int], Start]:
        """Values and rates with which the span under way begins."""
        problem, time = self.problem, self.time
        if not progress.spans:
            return initial_values(problem, time)
        last = progress.spans[-1]
        found: dict[tuple[str, int], Start] = {}
        for k, u in enumerate(problem.unknowns):
            for order in range(problem.order(u, time)):
                found[u, order] = Ending(last, k, order)
        return found

    # Cells and spans

    def span_from(self, begin: float, end: float) -> Modes:
        """The polynomials of a span.

        Args:
            begin: Where it begins.
            end: Where it ends.
        """
        order = max(1, *(self.problem.order(u, self.time) for u in self.problem.unknowns))
        return Modes(np.array([begin, end]), self.settings.modes, order)

    def _for_initial_values(self, axes: list[SplineAxis]) -> tuple[SplineAxis, ...]:
        """Cells that suit the initial values."""
        known = initial_values(self.problem, self.time)
        starts = [start for (_, order), start in known.items() if not order]
        cells = FINE_CELLS if len(axes) == 1 else CELLS_AT_FIRST
        space = tuple(evenly(axis, max(cells, axis.cells)) for axis in axes)
        if not starts or not axes:
            return space
        for attempt in range(4 + MOST_CLOSER_LOOKS):
            product = Product(space, np.stack([fit(space, start) for start in starts]))
            sizes = amplitudes(ranges(product), np.ones(len(starts)), self.settings.tolerance)
            if attempt < 4:
                rough = [roughness(product, i, sizes) for i in range(len(space))]
                space = tuple(map(self._refined, space, rough))
                continue
            missed = unseen(product, starts, self.settings.tolerance * sizes)
            if not any(cells.any() for cells in missed):
                break
            space = tuple(map(halved, space, missed))
        return space

    @property
    def _space(self) -> list[str]:
        """The coordinates but that of the march."""
        return [x for x in self.problem.coordinates if x != self.time]

    @cached_property
    def _equal(self) -> tuple[SplineAxis, ...]:
        """A few equal cells along these."""
        return tuple(self._equal_cells(self.problem, self._space))

    @property
    def _whole(self) -> float:
        """How much time there is."""
        return abs(self._last - self._first)

    def _shortest(self, progress: Progress, begin: float) -> float:
        """The shortest span that may begin somewhere."""
        least = self._whole * SHORTEST_SPAN
        if self._ordinary or begin in self._beginnings:
            least = self._whole * SHORTEST_START
        elif not math.isnan(progress.layer):
            least = min(least, FOLLOWS_LAYER * abs(begin - progress.layer))
        return max(least, DIGITS_OF_TIME * math.ulp(begin))

    @property
    def _ordinary(self) -> bool:
        """Whether time is the only coordinate."""
        return len(self.problem.domain.own) == 1

    @property
    def _beginnings(self) -> tuple[float, ...]:
        """Where solutions may have layers in time."""
        return (self._first, *self._switches)

    def _layer(self, progress: Progress, order: float) -> float:
        """Where the layer began that the span under way is in; nan where there is none.

        Args:
            progress: Where it is.
            order: Of errors in time in the length of the span, as observed.
        """
        begin = progress.axes[-1].ends[0]
        if begin in self._beginnings:
            return begin if LAYER_ORDER < order < LOWEST_ORDER else math.nan
        return progress.layer

    def _refined(self, axis: SplineAxis, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        """Cells for the goal, not more than three times as many as there are."""
        most = min(self.settings.cells, 3 * axis.cells)
        return refined(axis, rough, SHORT_OF_GOAL * self.settings.tolerance, most)

    # Judging attempts

    def _judged(self, progress: Progress) -> Progress:
        """Go on with the next span, or with another attempt at this one."""
        settings, time, at = self.settings, self.time, progress.at
        assert at is not None
        tolerance, product = settings.tolerance, Product(progress.axes, at.C)
        seen = self._shown(progress, product)
        far_in_time = seen.in_time > tolerance or at.stalled or seen.unmet > MET_EQUATION
        far_in_space = [e > tolerance for e in seen.in_space]
        space = [axis for axis in progress.axes if isinstance(axis, SplineAxis)]
        begin, end = progress.axes[-1].ends
        length = abs(end - begin)
        last_try = progress.tries + 1 >= seen.tries or self._used_up(progress)
        full = [axis.cells >= settings.cells for axis in space]
        worse = [far and not all_there for far, all_there in zip(far_in_space, full, strict=True)]
        shortest = length <= (1 + 1e-9) * self._shortest(progress, begin) and not at.stalled
        again = not (last_try or shortest)
        new = tuple(
            self._refined(axis, one) if far and again else axis
            for axis, one, far in zip(space, seen.rough, far_in_space, strict=True)
        )
        if again and any(worse) and self._used_up(progress, (*new, progress.axes[-1])):
            if not self._smoothed_soon(begin):
                return ended(progress, self.time, self._beyond_work(begin, new))
            new, worse = tuple(space), [False] * len(space)
        if again and (far_in_time or any(worse)):
            failed = at.stalled or (seen.unmet > MET_EQUATION and math.isnan(seen.layer))
            largest = math.inf if failed else max([seen.in_time, *seen.in_space])
            tried = compared(progress, (length, seen.in_time, largest), seen.order)
            beyond = seen.in_time > self.far_beyond * tolerance
            if far_in_time and (not any(worse) or beyond or failed):
                length *= 0.3 if failed else self._shortened(seen)
            if self._bytes((*new, progress.axes[-1])) <= self._memory:
                return self._attempt(tried, new, begin, length, tried.tries)
        last_ones = [span.axes[-1].ends for span in progress.spans[-MOST_TRIES:]]
        stuck = (
            shortest
            and len(progress.beyond) >= MOST_TRIES
            and all(abs(b - a) <= (1 + 1e-6) * length for a, b in last_ones)
        )
        if at.stalled or stuck:
            said = f"{time} = {begin:.4g}: no span is short enough; the solution may blow up there"
            return replace(ended(progress, self.time, said), lost=at.stalled)
        unmet = seen.unmet if seen.unmet > MET_EQUATION else 0.0
        error = max([seen.in_time, *seen.in_space, unmet])
        if error <= tolerance and not progress.missed and not progress.beyond:
            more = self._between(progress, tolerance * seen.sizes)
            if more.times:
                error = max(error, tolerance * more.times)
                said = f"{time} = {begin:.4g} to {end:.4g}: {more.said}"
                progress = replace(progress, missed=(said,))
        return self._accepted(replace(progress, layer=seen.layer), product, seen, error)

    def _shown(self, progress: Progress, product: Product) -> Shown:
        """What an attempt at a span shows of its errors.

        Args:
            progress: Where it is.
            product: The attempt.
        """
        at, settings = progress.at, self.settings
        assert at is not None
        own = amplitudes(self._ranges(product), np.array(at.stiffness), settings.tolerance)
        sizes = np.maximum(own, progress.sizes) if progress.sizes else own
        in_time = last_modes(self._felt(product), sizes)
        begin, end = progress.axes[-1].ends
        order = observed(progress, abs(end - begin), in_time)
        layer = self._layer(progress, order)
        near = abs(end - layer) <= NEAR_START * self._whole
        if begin == layer:
            # Coefficients fall as the power 1 + 2p of their numbers: this is twice their sum.
            in_time *= settings.modes / order
        tries = MOST_TRIES if math.isnan(layer) else TRIES_AT_START
        tries = MOST_TRIES_ALONE if self._ordinary else tries
        space = [axis for axis in progress.axes if isinstance(axis, SplineAxis)]
        rough = [self._roughness(product, i, sizes) for i in range(len(space))]
        return Shown(
            sizes,
            in_time,
            rough,
            [favard(axis, one) for axis, one in zip(space, rough, strict=True)],
            # So near to the beginning of a layer rows cannot be met.
            0.0 if near else self._unmet(progress, settings.tolerance * sizes),
            order,
            layer,
            TRIES_NEAR_START if near and begin != layer and space else tries,
        )

    def _ranges(
        self, product: Product
    ) -> tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]]:
        """The smallest and the largest value of every unknown in a span."""
        return ranges(product)

    def _roughness(
        self, product: Product, i: int, sizes: Float[np.ndarray, " unknowns"]
    ) -> Float[np.ndarray, " cells"]:
        """How rough a span is along a coordinate of space, over sizes."""
        return roughness(product, i, sizes)

    def _felt(self, product: Product) -> Product:
        """An attempt as its errors in time are felt."""
        return product

    def _shortened(self, seen: Shown) -> float:
        """By what a span is shortened whose error in time is too large."""
        degree = self.span_from(0.0, 1.0).degree
        return shortened(seen.order, seen.in_time, self.settings.tolerance, degree)

    def _accepted(
        self,
        progress: Progress,
        product: Product,
        seen: Shown,
        error: float,
    ) -> Progress:
        """The next span, or the end."""
        rough = seen.rough
        begin, end = product.axes[-1].ends
        over, met = tuple(float(one) for one in seen.sizes), error <= self.settings.tolerance
        beyond = progress.beyond if met else (*progress.beyond, Beyond(begin, end, error, over))
        done = replace(
            progress,
            spans=(*progress.spans, product),
            at=None,
            before=None,
            order=math.inf,
            sizes=over,
            estimate=float(np.fmax(progress.estimate, error)) if met else progress.estimate,
            beyond=beyond,
        )
        done = self._carried(done, progress, left(seen.in_time, seen.in_space))
        if end == self._last:
            condition = self._condition(progress, product.C)
            return self._arrived(replace(done, condition=condition))
        if self._used_up(done):
            return ended(done, self.time, self._beyond_work(end, ()))
        found = self._guided(end, product)
        if found is not None:
            return self._attempt(done, found[0], end, found[1], 0)
        new = []
        for i in range(len(product.axes) - 1):
            new.append(self._next(i, product, rough[i]))
        if self._used_up(done, (*new, product.axes[-1])):
            if not self._smoothed_soon(end):
                return ended(done, self.time, self._beyond_work(end, new))
            new = [axis for axis in product.axes if isinstance(axis, SplineAxis)]
        length = abs(end - begin) * self._lengthened(done, seen)
        return self._attempt(done, tuple(new), end, length, 0)

    def _smoothed_soon(self, begin: float) -> bool:
        """Whether what is wrong in a span that begins there hardly matters after it, so that cells
        beyond the work are done without."""
        return False

    def _beyond_work(self, begin: float, space: Sequence[SplineAxis]) -> str:
        """What is said where a span asks for cells beyond the work."""
        on = f" asks for {on_cells(space)}" if space else ""
        return f"{self.time} = {begin:.4g}{on}: {USED_UP}"

    def _guided(
        self, begin: float, before: Product | None
    ) -> tuple[tuple[SplineAxis, ...], float] | None:
        """The cells and the length of the next span where a guide knows them. None where there is
        no guide, and where the span before has needed more cells than the guide's, or less time.

        Args:
            begin: Where the span begins.
            before: The span before; None where there is none.
        """
        guide = self.guide
        known = None if guide is None or self._way < 0 else guide.product_at(begin)
        if guide is None or known is None:
            return None
        if before is not None and not guide.followed(before):
            return None
        ways = zip(self._equal, self._space, known.axes, strict=False)
        axes = tuple(guide.cells(axis, x, cells) for axis, x, cells in ways)
        if any(axis.cells > self.settings.cells for axis in axes):
            return None
        return axes, guide.left_of(known, begin)

    def _lengthened(self, done: Progress, seen: Shown) -> float:
        """By what the next span is longer than the last one, so that its error in time is good
        enough.

        Args:
            done: Where it is.
            seen: What the last span shows of its errors.
        """
        growth = self.settings.tolerance / max(seen.in_time, 1e-17)
        return min(2.0, max(0.5, 0.85 * growth ** (1 / self.settings.modes)))

    def _next(self, i: int, product: Product, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        """The cells along a coordinate for the next span: the same ones where they are as good.

        Args:
            i: Number of the coordinate.
            product: The span before.
            rough: How rough it is along the coordinate.
        """
        axis = product.axes[i]
        assert isinstance(axis, SplineAxis)
        found = self._refined(axis, rough)
        same = 0.9 * axis.cells <= found.cells <= 1.03 * axis.cells
        good = favard(axis, rough) < 0.5 * self.settings.tolerance
        return axis if same and good else found

    def _carried(self, done: Progress, progress: Progress, error: float) -> Progress:
        """With the change that is carried along at the end of the last span.

        Args:
            done: Where it is; its change is that of the span before.
            progress: Where it was.
            error: With which that ends.
        """
        problem, (*_, span) = self.problem, done.spans
        if uncouples(span.axes):
            return done
        starts: dict[tuple[str, int], Start] = {
            (u, order): Ending(done.change, k, order)
            for k, u in enumerate(problem.unknowns)
            for order in range(problem.order(u, self.time))
            if done.change is not None
        } or smooth_change(problem, self.time, span.axes[:-1], done.sizes)
        change = carried(problem, self._squares(progress), span, starts)
        length = abs(float(np.ptp(span.axes[-1].ends)))
        orders = [problem.order(u, self.time) for u in problem.unknowns]
        moved = [at_the_end(change, m, [order > m for order in orders]) for m in (0, 1)]
        here = Carried(length, error, done.sizes, *moved)
        return replace(done, change=change, carried=(*done.carried, here))

    def _arrived(self, progress: Progress) -> Progress:
        """The end of the time."""
        extremes = [self._ranges(span) for span in progress.spans]
        return arrived(progress, extremes, self.time, self._whole, self.settings.tolerance)

    def _attempt(
        self,
        progress: Progress,
        space: tuple[SplineAxis, ...],
        begin: float,
        length: float,
        tries: int,
    ) -> Progress:
        """An attempt at a span, which does not go beyond a switch, and is stretched where little
        would be left before that or the end."""
        stops = (*self._switches, self._last)
        last = next(stop for stop in stops if (stop - begin) * self._way > 0)
        length = max(length, self._shortest(progress, begin))
        end = begin + self._way * length
        if (last - end) * self._way < 0.2 * length:
            end = last
        axes = (*space, self.span_from(begin, end))
        return replace(progress, axes=axes, at=None, length=abs(end - begin), tries=tries)
