"""A problem solved to a tolerance by products of splines, whose cells and spans follow the error.

An evolution is solved in spans of time, each from the values with which the one before ends; a
steady problem on cells that are refined. After each attempt, the solution's own estimates say
whether it is good enough, and if not, which cells and which length of the span would be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from kanpde.machine.memory import available, gigabytes
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.between import between
from kanpde.products.estimates import (
    FEWEST_CELLS,
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
from kanpde.products.newton import (
    Iterate,
    LeastSquares,
    bytes_needed,
    least_squares,
    operations_needed,
)
from kanpde.products.posed import at_end, initial_values, marched, on_grids, refuse
from kanpde.products.progress import Progress, Settings
from kanpde.products.solution import TensorSolution
from kanpde.products.tensor import Product
from kanpde.products.uncoupled import Uncoupled, uncouples

MOST_TRIES = 8
"""Attempts at one span or one steady problem, after which the best there is is kept."""

SHORT_OF_GOAL = 0.3
"""Cells are made for this share of the tolerance."""

SHORTEST_SPAN = 1e-6
"""Of all of the time: a span that would have to be shorter ends the march."""

CELLS_AT_FIRST = 8
"""Along every coordinate of a steady problem."""

MOST_ATTEMPTS = 16
"""At one steady problem, whose first ones are cheap."""

MOST_STALLED = 4
"""Attempts at a steady problem after which there is no hope for Newton's method."""

FEW_STEPS = 3
"""Of Newton's method on new cells, which the work that is left has to allow."""

USED_UP = "the work of this effort is used up; --effort record or a --tolerance allows more"
"""Why there is no other attempt."""

SHARE_OF_MEMORY = 0.7
"""Of what is free, that the normal equations may take."""

MORE_CELLS = 1.3
"""By what the cells of a steady problem grow at least, where its estimate does not ask for more."""

NEARLY = 100.0
"""Times the tolerance: an attempt that is nearer may get fewer cells, in better places."""

MET_EQUATION = 1e-2
"""Share of its own terms up to which a residual is met: more is left where Newton's method ended in
a minimum that is no solution."""

FIRST_SPAN = 0.05
"""Of all of the time."""

MOST_CLOSER_LOOKS = 12
"""Of cells in which initial values have what the points of a fit did not see."""

TIRED = 8
"""Iterations of conjugate gradients from which the normal equations are nearly inverted anew."""

FAR_IN_LENGTH = 1.5
"""Ratio of the lengths of two spans from which they are as well."""

FINE_CELLS = 60
"""Along one coordinate, before cells follow the initial values."""


class AdaptiveProducts:
    """The way to a solution within a tolerance, attempt after attempt.

    Args:
        problem: What is to be solved.
        settings: How.

    Raises:
        ProblemError: Products of splines cannot take the problem.
    """

    def __init__(self, problem: Problem, settings: Settings):
        refuse(problem)
        self.problem, self.settings = problem, settings
        self.time = marched(problem)
        self._memory = SHARE_OF_MEMORY * available()
        self._known: tuple[tuple[Axis, ...], LeastSquares] | None = None
        self._inverted: tuple[Product, Uncoupled] | None = None

    def begin(self) -> Progress:
        """Where it begins: cells that follow the initial values, or a few equal ones."""
        problem, degree = self.problem, self.settings.degree
        axes: list[SplineAxis] = []
        for x in [x for x in problem.coordinates if x != self.time]:
            cells, wraps = CELLS_AT_FIRST, x in problem.periodic
            cells = max(cells, degree + 1) if wraps else cells
            breaks = np.linspace(*problem.domain.bounds[x], cells + 1)
            axes.append(SplineAxis(breaks, degree, wraps))
        if self.time is None:
            return Progress(axes=tuple(axes))
        low, high = problem.domain.bounds[self.time]
        length = (high - low) * FIRST_SPAN
        space = self._for_initial_values(axes)
        return Progress(axes=(*space, self._modes(low, low + length)), length=length)

    def advance(self, progress: Progress) -> Progress:
        """One Newton step, or what comes before the first and after the last one.

        Args:
            progress: Where it is; it stays as it is.

        Raises:
            ProblemError: The equations are singular, or not finite.
        """
        if progress.at is None:
            return replace(progress, at=self._begun(progress))
        if not progress.at.done:
            work = operations_needed(progress.axes, len(self.problem.unknowns))
            return replace(self._stepped(progress), work=progress.work + work)
        if self.time is None:
            return self._judged(progress)
        return self._span_judged(progress)

    def solution(self, progress: Progress) -> TensorSolution:
        """What there is: all spans that are done, else the attempt that is under way.

        Args:
            progress: Where it is.
        """
        spans = progress.spans
        if not spans:
            at = progress.at or self._begun(progress)
            spans = (Product(progress.axes, at.C),)
        return TensorSolution(self.problem, spans)

    # Attempts

    def _stepped(self, progress: Progress) -> Progress:
        """After a Newton step."""
        squares, tolerance, at = self._squares(progress), self.settings.tolerance, progress.at
        assert at is not None
        if not uncouples(progress.axes):
            found = squares.advance(at, tolerance)
            return replace(progress, at=found, step=progress.step + 1)
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

    def _begun(self, progress: Progress) -> Iterate:
        """The coefficients before the first step: those of the last attempt, else what is given."""
        given = held(self.problem, progress.axes, self._starts(progress))
        C = given.C
        if self.time is None and progress.spans:
            last = progress.spans[-1]
            guess = np.stack([fit(progress.axes, on_grids(last, u)) for u in range(len(C))])
            C = held(self.problem, progress.axes, {}, guess).C
        return Iterate(C)

    def _squares(self, progress: Progress) -> LeastSquares:
        if self._known is None or self._known[0] is not progress.axes:
            given = held(self.problem, progress.axes, self._starts(progress))
            self._known = progress.axes, least_squares(self.problem, progress.axes, given)
        return self._known[1]

    def _starts(self, progress: Progress) -> dict[tuple[str, int], Start]:
        """Values and rates with which the span under way begins."""
        problem, time = self.problem, self.time
        if time is None:
            return {}
        if not progress.spans:
            return initial_values(problem, time)
        last, found = progress.spans[-1], {}
        for k, u in enumerate(problem.unknowns):
            for order in range(problem.order(u, time)):
                found[u, order] = at_end(last, k, order)
        return found

    def _modes(self, begin: float, end: float) -> Modes:
        assert self.time is not None
        order = max(1, *(self.problem.order(u, self.time) for u in self.problem.unknowns))
        return Modes(np.array([begin, end]), self.settings.modes, order)

    def _for_initial_values(self, axes: list[SplineAxis]) -> tuple[SplineAxis, ...]:
        """Cells that suit the initial values."""
        assert self.time is not None
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
        assert self.time is not None
        low, high = self.problem.domain.bounds[self.time]
        return high - low

    def _refined(self, axis: SplineAxis, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        """Cells for the goal, not more than three times as many as there are."""
        most = min(self.settings.cells, 3 * axis.cells)
        return refined(axis, rough, SHORT_OF_GOAL * self.settings.tolerance, most)

    # Judging attempts

    def _span_judged(self, progress: Progress) -> Progress:
        """Go on with the next span, or with another attempt at this one."""
        settings, time, at = self.settings, self.time, progress.at
        assert at is not None
        assert time is not None
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
        last_try = progress.tries + 1 >= MOST_TRIES or self._used_up(progress)
        full = [axis.cells >= settings.cells for axis in space]
        worse = [far and not all_there for far, all_there in zip(far_in_space, full, strict=True)]
        length = end - begin
        shortest = length <= (1 + 1e-9) * SHORTEST_SPAN * self._whole and not at.stalled
        if (far_in_time or any(worse)) and not last_try and not shortest:
            if far_in_time and (
                not any(worse) or in_time > 300 * tolerance or at.stalled or unmet > MET_EQUATION
            ):
                length *= (
                    0.3 if at.stalled or unmet > MET_EQUATION else max(0.3, min(0.85, 0.8 * growth))
                )
            new = tuple(
                self._refined(axis, one) if far else axis
                for axis, one, far in zip(space, rough, far_in_space, strict=True)
            )
            if bytes_needed((*new, progress.axes[-1]), len(product.C)) <= self._memory:
                return self._attempt(progress, new, begin, length, progress.tries + 1)
        last_ones = [span.axes[-1].ends for span in progress.spans[-MOST_TRIES:]]
        stuck = (
            shortest
            and len(progress.missed) >= MOST_TRIES
            and all(b - a <= (1 + 1e-6) * length for a, b in last_ones)
        )
        if at.stalled or stuck:
            said = f"{time} = {begin:.4g}: no span is short enough; the solution may blow up there"
            return self._ended(progress, said)
        error = max([in_time, *in_space, unmet if unmet > MET_EQUATION else 0.0])
        if error <= tolerance and not progress.missed:
            seen = between(self._squares(progress), at, tolerance * sizes)
            if seen.times:
                error = max(error, tolerance * seen.times)
                said = f"{time} = {begin:.4g} to {end:.4g}: {seen.said}"
                progress = replace(progress, missed=(said,))
        return self._accepted(progress, product, sizes, error, growth, rough)

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
        assert time is not None
        begin, end = product.axes[-1].ends
        last = self.problem.domain.bounds[time][1]
        missed = progress.missed
        if error > self.settings.tolerance:
            missed += (f"{time} = {begin:.4g} to {end:.4g}: estimated error {error:.1e}",)
        done = replace(
            progress,
            spans=(*progress.spans, product),
            at=None,
            sizes=tuple(float(one) for one in sizes),
            estimate=float(np.fmax(progress.estimate, error)),
            missed=missed,
        )
        if end >= last:
            return self._arrived(done)
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
        length = (end - begin) * min(2.0, max(0.5, 0.85 * growth))
        return self._attempt(done, tuple(new), end, length, 0)

    def _arrived(self, progress: Progress) -> Progress:
        """The end of the time: what varies by less than was taken for it has larger errors."""
        more = float(overrated(progress.spans, np.array(progress.sizes)).max())
        estimate, missed = more * progress.estimate, progress.missed
        if estimate > self.settings.tolerance and not missed:
            missed = (
                f"an unknown hardly varies beside its values: estimated error {estimate:.1e}",
            )
        return replace(progress, estimate=estimate, missed=missed, finished=True)

    def _used_up(self, progress: Progress, then: Sequence[Axis] = ()) -> bool:
        """Whether the work is used up that may be spent, a few steps on further axes included."""
        more = FEW_STEPS * operations_needed(then, len(self.problem.unknowns)) if then else 0.0
        return progress.work + more >= self.settings.work

    def _ended(self, progress: Progress, said: str) -> Progress:
        """The end of a march before its time: what comes after it is not known at all."""
        missed = (said, *progress.missed)
        return replace(progress, at=None, missed=missed, estimate=math.inf, finished=True)

    def _attempt(
        self,
        progress: Progress,
        space: tuple[SplineAxis, ...],
        begin: float,
        length: float,
        tries: int,
    ) -> Progress:
        """An attempt at a span, which is stretched where little would be left after it."""
        time = self.time
        assert time is not None
        last = self.problem.domain.bounds[time][1]
        length = max(length, SHORTEST_SPAN * self._whole)
        end = begin + length
        if last - end < 0.2 * length:
            end = last
        axes = (*space, self._modes(begin, end))
        return replace(progress, axes=axes, at=None, length=end - begin, tries=tries)

    def _judged(self, progress: Progress) -> Progress:
        """Finish, or go on with finer cells."""
        settings, at = self.settings, progress.at
        assert at is not None
        product = Product(progress.axes, at.C)
        sizes = amplitudes(product, np.array(at.stiffness), self.settings.tolerance)
        axes = [axis for axis in product.axes if isinstance(axis, SplineAxis)]
        rough = [roughness(product, i, sizes) for i in range(len(axes))]
        errors = [favard(axis, one) for axis, one in zip(axes, rough, strict=True)]
        moved = _moved(progress.spans[-1], product, sizes) if progress.spans else math.inf
        error = max(errors)
        # What the last refinement changed is the error of the attempt before; this one's is less
        # by as much as its estimate is.
        if progress.spans:
            gained = min(1.0, error / max(progress.estimate, 1e-300))
            error = max(error, moved * gained)
        else:
            error = math.inf
        known = replace(
            progress,
            spans=(product,),
            estimate=max(errors),
            tries=progress.tries + 1,
            sizes=tuple(float(one) for one in sizes),
        )
        wanted = settings.tolerance * sizes
        unmet = self._squares(progress).unmet(at, wanted)
        error = max(error, unmet if unmet > MET_EQUATION else 0.0)
        new: tuple[SplineAxis, ...] | None = None
        if error <= settings.tolerance and not at.stalled:
            seen = between(self._squares(progress), at, wanted)
            if seen.unmet <= MET_EQUATION:
                return replace(known, estimate=error, finished=True)
            error, new = seen.unmet, seen.axes
        if new is None:
            # A first attempt is checked by more cells; so is one that new places have not helped.
            more = not progress.spans or max(errors) > 0.5 * progress.estimate
            new = self._placed(axes, rough, errors, more)
            if _same(axes, new):
                new = self._placed(axes, rough, errors, True)
        same = _same(axes, new)
        full = bytes_needed(new, len(product.C)) > self._memory
        lost = at.stalled and known.tries >= MOST_STALLED
        used_up = self._used_up(known, new)
        if same or full or lost or used_up or known.tries >= MOST_ATTEMPTS:
            error = math.inf if lost else error
            on = " x ".join(str(axis.cells) for axis in axes)
            said = f"estimated error {error:.1e} on {on} cells"
            if lost:
                said = f"Newton's method does not converge on {on} cells"
            elif used_up:
                said += f"; {USED_UP}"
            elif full:
                those = " x ".join(str(axis.cells) for axis in new)
                took = gigabytes(bytes_needed(new, len(product.C)))
                said += f"; {those} would take {took} of memory, --network separable little"
            return replace(known, estimate=error, missed=(said,), finished=True)
        return replace(known, axes=new, at=None)

    def _placed(
        self,
        axes: list[SplineAxis],
        rough: list[Float[np.ndarray, " cells"]],
        errors: list[float],
        more: bool,
    ) -> tuple[SplineAxis, ...]:
        """The cells of all axes placed anew."""
        ways = zip(axes, rough, errors, strict=True)
        return tuple(self._finer(axis, one, e, more) for axis, one, e in ways)

    def _finer(
        self, axis: SplineAxis, rough: Float[np.ndarray, " cells"], error: float, more: bool
    ) -> SplineAxis:
        """Cells for the goal; more of them than there are where that is wanted."""
        settings = self.settings
        if not more and error < SHORT_OF_GOAL * settings.tolerance:
            return axis
        far = error > NEARLY * settings.tolerance
        fewest = axis.cells if far else FEWEST_CELLS
        fewest = math.ceil(MORE_CELLS * axis.cells) if more else fewest
        growth = 3 if len(self.problem.coordinates) == 1 else 2
        most = min(settings.cells, growth * axis.cells)
        goal = SHORT_OF_GOAL * settings.tolerance
        return refined(axis, rough, goal, most, min(fewest, most))


def _same(before: Sequence[SplineAxis], after: Sequence[SplineAxis]) -> bool:
    """Whether all axes have the same cells."""
    ways = zip(before, after, strict=True)
    return all(np.array_equal(a.breaks, b.breaks) for a, b in ways)


def _moved(before: Product, after: Product, sizes: Float[np.ndarray, " unknowns"]) -> float:
    """Largest difference of two attempts on a grid, over the amplitudes."""
    grid = [np.linspace(*axis.ends, 61) for axis in after.axes]
    index = (0,) * len(grid)
    return float(
        max(
            np.abs(after.on_grid(u, grid, index) - before.on_grid(u, grid, index)).max() / size
            for u, size in enumerate(sizes)
        )
    )
