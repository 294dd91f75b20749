"""An evolution solved in spans of time, each from the values with which the one before ends.

After each attempt at a span, the solution's own estimates say whether it is good enough, and if
not, which cells and which length would be.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from kanpde.problem.problem import Problem
from kanpde.problem.switches import switches
from kanpde.products.attempts import (
    CELLS_AT_FIRST,
    MET_EQUATION,
    SHORT_OF_GOAL,
    USED_UP,
    AdaptiveProducts,
)
from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.between import between
from kanpde.products.estimates import (
    amplitudes,
    evenly,
    favard,
    halved,
    last_modes,
    overrated,
    refined,
    roughness,
    unseen,
)
from kanpde.products.held import Start, fit, held
from kanpde.products.newton import bytes_needed, least_squares
from kanpde.products.posed import at_end, initial_values, start_of_march
from kanpde.products.progress import Beyond, Progress, Settings
from kanpde.products.tensor import Product
from kanpde.products.uncoupled import Uncoupled, uncouples

MOST_TRIES = 8
"""Attempts at one span or one steady problem, after which the best there is is kept."""

MOST_TRIES_ALONE = 40
"""The same where there is no space: attempts cost little, and fast parts may ask for spans that are
many orders of magnitude shorter than the one before."""

SHORTEST_SPAN = 1e-6
"""Of all of the time: a span that would have to be shorter ends the march."""

SHORTEST_START = 1e-9
"""The same at the beginning and after a switch, where solutions may have layers that grow, and of
ordinary differential equations, whose fast parts may come at any time and cost little."""

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

MUCH_GAINED = 0.8
"""Share of the error of the attempt before, below which one gained much."""

LOWEST_ORDER = 3.0
"""Observed order in the length of a span, below which a solution is not smooth in time."""

FINE_CELLS = 60
"""Along one coordinate, before cells follow the initial values."""


class MarchingProducts(AdaptiveProducts):
    """The way through the spans of time.

    Args:
        problem: What is to be solved.
        settings: How.
        time: The coordinate along which spans follow one another.
    """

    def __init__(self, problem: Problem, settings: Settings, time: str):
        super().__init__(problem, settings)
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
        space = [x for x in self.problem.coordinates if x != self.time]
        axes = self._for_initial_values(self._equal_cells(space))
        sizes = tuple(THOUGHT * size for size in self.settings.sizes)
        progress = Progress(sizes=sizes)
        return self._attempt(progress, tuple(axes), self._first, self._whole * FIRST_SPAN, 0)

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
        last, found = progress.spans[-1], {}
        for k, u in enumerate(problem.unknowns):
            for order in range(problem.order(u, time)):
                found[u, order] = at_end(last, k, order)
        return found

    # Cells and spans

    def _modes(self, begin: float, end: float) -> Modes:
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
            sizes = amplitudes(product, np.ones(len(starts)), self.settings.tolerance)
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
    def _whole(self) -> float:
        """How much time there is."""
        return abs(self._last - self._first)

    def _shortest(self, begin: float) -> float:
        """The shortest span that may begin somewhere."""
        starts = (self._first, *self._switches)
        short = self._ordinary or begin in starts
        return self._whole * (SHORTEST_START if short else SHORTEST_SPAN)

    @property
    def _ordinary(self) -> bool:
        """Whether time is the only coordinate."""
        return len(self.problem.coordinates) == 1

    @property
    def _most_tries(self) -> int:
        return MOST_TRIES_ALONE if self._ordinary else MOST_TRIES

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
        own = amplitudes(product, np.array(at.stiffness), self.settings.tolerance)
        sizes = np.maximum(own, progress.sizes) if progress.sizes else own
        in_time = last_modes(product, sizes)
        space = [axis for axis in progress.axes if isinstance(axis, SplineAxis)]
        rough = [roughness(product, i, sizes) for i in range(len(space))]
        in_space = [favard(axis, one) for axis, one in zip(space, rough, strict=True)]
        unmet = self._squares(progress).unmet(at, tolerance * sizes)
        far_in_time = in_time > tolerance or at.stalled or unmet > MET_EQUATION
        far_in_space = [e > tolerance for e in in_space]
        begin, end = progress.axes[-1].ends
        growth = (tolerance / max(in_time, 1e-17)) ** (1 / settings.modes)
        last_try = progress.tries + 1 >= self._most_tries or self._used_up(progress)
        full = [axis.cells >= settings.cells for axis in space]
        worse = [far and not all_there for far, all_there in zip(far_in_space, full, strict=True)]
        length = abs(end - begin)
        shortest = length <= (1 + 1e-9) * self._shortest(begin) and not at.stalled
        if (far_in_time or any(worse)) and not last_try and not shortest:
            failed = at.stalled or unmet > MET_EQUATION
            reached = (length, in_time, math.inf if failed else max([in_time, *in_space]))
            tried = _compared(progress, reached)
            if far_in_time and (not any(worse) or in_time > 300 * tolerance or failed):
                length *= 0.3 if failed else self._shortened(tried.order, in_time)
            new = tuple(
                self._refined(axis, one) if far else axis
                for axis, one, far in zip(space, rough, far_in_space, strict=True)
            )
            if bytes_needed((*new, progress.axes[-1]), len(product.C)) <= self._memory:
                return self._attempt(tried, new, begin, length, tried.tries)
        last_ones = [span.axes[-1].ends for span in progress.spans[-MOST_TRIES:]]
        stuck = (
            shortest
            and len(progress.beyond) >= MOST_TRIES
            and all(abs(b - a) <= (1 + 1e-6) * length for a, b in last_ones)
        )
        if at.stalled or stuck:
            said = f"{time} = {begin:.4g}: no span is short enough; the solution may blow up there"
            return self._ended(progress, said)
        error = max([in_time, *in_space, unmet if unmet > MET_EQUATION else 0.0])
        if error <= tolerance and not progress.missed and not progress.beyond:
            seen = between(self._squares(progress), at, tolerance * sizes)
            if seen.times:
                error = max(error, tolerance * seen.times)
                said = f"{time} = {begin:.4g} to {end:.4g}: {seen.said}"
                progress = replace(progress, missed=(said,))
        return self._accepted(progress, product, sizes, error, growth, rough)

    def _shortened(self, order: float, error: float) -> float:
        """By what a span is shortened whose error in time is too large: as if that fell with the
        power of the length that it has for smooth solutions, or with the one that was observed. It
        falls slowly where solutions begin with layers.

        Args:
            order: The observed one.
            error: The error in time.
        """
        goal = SHORT_OF_GOAL * self.settings.tolerance / error
        least = 0.3 if order > LOWEST_ORDER else 1e-3
        order = min(float(self.settings.modes), max(1.0, order))
        return max(least, min(0.85, goal ** (1 / order)))

    def _accepted(
        self,
        progress: Progress,
        product: Product,
        sizes: Float[np.ndarray, " unknowns"],
        error: float,
        growth: float,
        rough: list[Float[np.ndarray, " cells"]],
    ) -> Progress:
        """The next span, or the end."""
        time = self.time
        begin, end = product.axes[-1].ends
        over, met = tuple(float(one) for one in sizes), error <= self.settings.tolerance
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
        if end == self._last:
            condition = self._condition(progress, product.C)
            return self._arrived(replace(done, condition=condition))
        if self._used_up(done):
            return self._ended(done, f"{time} = {end:.4g}: {USED_UP}")
        new = []
        for i, axis in enumerate(product.axes[:-1]):
            assert isinstance(axis, SplineAxis)
            found = self._refined(axis, rough[i])
            same = 0.9 * axis.cells <= found.cells <= 1.03 * axis.cells
            new.append(
                axis if same and favard(axis, rough[i]) < 0.5 * self.settings.tolerance else found
            )
        length = abs(end - begin) * min(2.0, max(0.5, 0.85 * growth))
        return self._attempt(done, tuple(new), end, length, 0)

    def _arrived(self, progress: Progress) -> Progress:
        """The end of the time: what varies by less than was taken for it has larger errors, and
        what began to vary after a span has smaller ones in it."""
        tolerance, missed = self.settings.tolerance, progress.missed
        more = overrated(progress.spans, np.array(progress.sizes))
        sizes = [size / by for size, by in zip(progress.sizes, more, strict=True)]
        estimate = float(np.fmax(float(more.max()) * progress.estimate, 0.0))
        if estimate > tolerance and not missed:
            missed = (
                f"an unknown hardly varies beside its values: estimated error {estimate:.1e}",
            )
        for one in progress.beyond:
            if (error := one.over(sizes)) > tolerance:
                missed += (self._said(one, error),)
            estimate = max(estimate, error)
        return replace(progress, estimate=estimate, missed=missed, finished=True)

    def _said(self, one: Beyond, error: float) -> str:
        """What is said of a span that misses the tolerance."""
        return f"{self.time} = {one.begin:.4g} to {one.end:.4g}: estimated error {error:.1e}"

    def _ended(self, progress: Progress, said: str) -> Progress:
        """The end of a march before its time: what comes after it is not known at all."""
        late = [self._said(one, one.over(progress.sizes)) for one in progress.beyond]
        missed = (said, *progress.missed, *late)
        return replace(progress, at=None, missed=missed, estimate=math.inf, finished=True)

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
        length = max(length, self._shortest(begin))
        end = begin + self._way * length
        if (last - end) * self._way < 0.2 * length:
            end = last
        axes = (*space, self._modes(begin, end))
        return replace(progress, axes=axes, at=None, length=abs(end - begin), tries=tries)


def _compared(progress: Progress, reached: tuple[float, float, float]) -> Progress:
    """What an attempt tells that misses the tolerance, beside the one before it: whether there was
    much to gain, and the order of errors in time.

    Args:
        progress: Where it is.
        reached: Length, error in time and largest error of the attempt.
    """
    length, in_time, error = reached
    tries, order = progress.tries + 1, progress.order
    if progress.before is not None:
        longer, later, worse = progress.before
        if error < MUCH_GAINED * worse:
            tries = progress.tries
        if length < longer and 0 < in_time < later < math.inf:
            order = math.log(later / in_time) / math.log(longer / length)
    return replace(progress, tries=tries, before=reached, order=order)
