"""The way through the spans of time where equations hold at points: in two coordinates and time,
where exact normal equations would be too many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.fft as fft
from jaxtyping import Float

from kanpde.problem.problem import Problem
from kanpde.products.attempts import SHORT_OF_GOAL
from kanpde.products.axes import Axis, Modes, SplineAxis, along
from kanpde.products.between import Between
from kanpde.products.collocated import KRYLOV, Collocated
from kanpde.products.estimates import evenly, favard, last_modes, refined, roughness
from kanpde.products.guide import Guide
from kanpde.products.kronecker import Kronecker
from kanpde.products.lines import Line
from kanpde.products.marching import MarchingProducts, Shown
from kanpde.products.newton import Iterate, operations_needed
from kanpde.products.progress import Progress, Settings
from kanpde.products.sides import Ends, ends_of, given, lines_of
from kanpde.products.stages import Stages
from kanpde.products.tensor import Product
from kanpde.products.wrapped import Wrapped

MORE_IF_EQUAL = 1.3
"""How many times more equal cells may be than those that follow the solution."""

QUICK = 2e9
"""Operations of a step up to which least squares are quick."""

SHARE_OF_DRIFT, SOON, STRICTEST = 0.2, 0.05, 0.1
"""Of the tolerance, for errors that add up; the share of the time from which these are looked at by
the time that is gone; and how small a share of the tolerance cells are made for."""

STEEPER = 1.5
"""Power of those by which the errors of the best splines are made smaller: second derivatives at
points are of a lower order in the lengths of cells."""

STRICT_AT_FIRST = 0.3
"""The share of the tolerance before errors that add up are known: what is wrong early lasts."""

REMEMBERED = 0.7
"""Of the share of errors in time, as it was in the spans before."""

LESS_STEEP = 1.0
"""The same of errors of polynomials in time: at the ends of spans these are of a higher order in
their lengths."""

LEAST_SHORTENED = 0.7
"""By what a span is shortened at the most because the solution gets rougher in time."""

STILL_GOOD, FAR_FEWER, SPARE_CELLS = 0.6, 0.6, 1.2
"""Cells stay where their error is below this share of the tolerance and others would not be fewer
than that share of them; others are as many times more than are needed now."""

MOST_GROWN = 15.0
"""Times rougher than it is, at most, that a solution is taken to get until the end of the next
span."""

FEWEST_MODES, MORE_MODES = 4, 1
"""Degree of polynomials in time: at least, and more than there are digits in the tolerance; with
long spans GMRES takes longer."""

TIRED_INVERSE = 10
"""Iterations of GMRES from which its inverse is made anew."""


class MarchingPoints(MarchingProducts):
    """The way through the spans of time.

    Args:
        problem: What is to be solved.
        settings: How.
        time: The coordinate along which spans follow one another.
        ends: The conditions on the faces of space.
        guide: The solution of a problem near to this one; None for none.
    """

    far_beyond = 3.0

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        time: str,
        ends: Ends,
        guide: Guide | None = None,
    ):
        super().__init__(problem, settings, time, guide)
        self._ends, self._strict, self._strict_in_time = ends, 1.0, 1.0
        self._lines: tuple[tuple[Axis, ...], tuple[tuple[Line, ...], ...]] | None = None
        self._points: tuple[tuple[Axis, ...], Collocated] | None = None
        self._inverse: tuple[Product, Kronecker | Wrapped] | None = None

    def advance(self, progress: Progress) -> Progress:
        self._strict, self._strict_in_time = self._strictness(progress)
        return super().advance(progress)

    def _strictness(self, progress: Progress) -> tuple[float, float]:
        """Shares of the tolerance that cells and spans are made for, so that what errors add up to
        may go on for all of the time."""
        if not progress.drift > 0:
            return STRICT_AT_FIRST, STRICT_AT_FIRST
        gone = abs(progress.reached - self._first) / self._whole
        allowed = SHARE_OF_DRIFT * self.settings.tolerance * max(gone, SOON)
        share = progress.drift_in_time
        over = (progress.drift * (1 - share) / allowed, progress.drift * share / allowed)
        powers = STEEPER, LESS_STEEP
        in_space, in_time = (
            min(1.0, max(STRICTEST, max(one, 1e-300) ** -power))
            for one, power in zip(over, powers, strict=True)
        )
        return in_space, in_time

    def _stepped(self, progress: Progress) -> Progress:
        at, base = progress.at, progress.base
        assert at is not None
        tired = at.iterations > max(TIRED_INVERSE, 2 * progress.fresh)
        if base is None or tired or not _same(base, progress):
            base = Product(progress.axes, at.C)
        nearly = self._nearly_inverse(base, progress)
        found = self._collocated(progress).advance(at, self.settings.tolerance, nearly)
        fresh = progress.fresh if base is progress.base else found.iterations
        return replace(progress, at=found, base=base, fresh=fresh, step=progress.step + 1)

    def _nearly_inverse(self, base: Product, progress: Progress) -> Kronecker | Wrapped:
        """The inverse of equations whose coefficients do not vary, which follows from the base."""
        if self._inverse is None or self._inverse[0] is not base:
            equations = self._collocated(progress)
            _, slopes = equations.linear(base.C)
            self._inverse = base, equations.nearly_inverted(slopes)
        return self._inverse[1]

    def _collocated(self, progress: Progress) -> Collocated:
        if self._points is None or self._points[0] is not progress.axes:
            *space, modes = progress.axes
            assert isinstance(modes, Modes)
            lines = self._lines_on(space)
            equations, unknowns = self.problem.equations, self.problem.unknowns
            found = Collocated(equations, unknowns, lines, Stages.of(modes))
            self._points = progress.axes, found
        return self._points[1]

    def _lines_on(self, space: Sequence[Axis]) -> tuple[tuple[Line, ...], ...]:
        """The lines of all unknowns on some axes of space."""
        known = self._lines
        if known is None or not all(a is b for a, b in zip(space, known[0], strict=True)):
            splines = [axis for axis in space if isinstance(axis, SplineAxis)]
            known = self._lines = tuple(space), lines_of(self.problem, self._ends, splines)
        return known[1]

    def _begun(self, progress: Progress) -> Iterate:
        known = given(self.problem, self._ends, progress.axes, self._starts(progress))
        if progress.guess is None:
            return Iterate(known)
        return Iterate(self._collocated(progress).begun(known, progress.guess))

    def _attempt(
        self,
        progress: Progress,
        space: tuple[SplineAxis, ...],
        begin: float,
        length: float,
        tries: int,
    ) -> Progress:
        at, guess = progress.at, None
        if at is not None and not at.stalled:
            guess = Product(progress.axes, at.C)
        elif progress.spans:
            guess = progress.spans[-1]
        return super()._attempt(replace(progress, guess=guess), space, begin, length, tries)

    def _refined(self, axis: SplineAxis, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        """Cells for the goal: the same ones where they are nearly as good, since what other ones
        cannot hold begins the next span with a layer; else some more than are needed now. They are
        equal where splines wrap around and these are not many more, since Fourier's modes then
        invert most of the equations."""
        tolerance = self._strict * self.settings.tolerance
        power = axis.degree + 1
        goal, most = SHORT_OF_GOAL * tolerance, min(self.settings.cells, 3 * axis.cells)
        found = refined(axis, rough, goal, most)
        enough = favard(axis, rough) < STILL_GOOD * tolerance
        if enough and found.cells > FAR_FEWER * axis.cells:
            return axis
        wanted = min(math.ceil(SPARE_CELLS * found.cells), most)
        if axis.periodic:
            low, high = axis.ends
            shortest = math.pi * (goal / max(rough.max(), 1e-300)) ** (1 / power)
            equal = max(SPARE_CELLS * (high - low) / shortest, axis.fewest, axis.degree + 1)
            if equal <= MORE_IF_EQUAL * wanted:
                return evenly(axis, min(fft.next_fast_len(math.ceil(equal), real=True), most))
        return refined(axis, rough, goal, most, wanted)

    def _next(self, i: int, product: Product, rough: Float[np.ndarray, " cells"]) -> SplineAxis:
        """For what the solution will be at the end of the next span, if it goes on to get rougher
        as it does."""
        axis, sizes = product.axes[i], np.ones(len(product.C))
        assert isinstance(axis, SplineAxis)
        *space, modes = product.axes
        before, after = (
            favard(axis, roughness(Product(tuple(space), self._then(product, end)), i, sizes))
            for end in modes.ends
        )
        grown = min(after / before, MOST_GROWN) if before > 0 else 1.0
        # Spare cells are there for some of it.
        return self._refined(axis, rough * max(1.0, grown / SPARE_CELLS ** (axis.degree + 1)))

    def _then(self, product: Product, t: float) -> Float[np.ndarray, "unknowns ..."]:
        """Coefficients of space at one time."""
        return (product.C @ product.axes[-1].matrix(np.array([t])).T.toarray())[..., 0]

    def _lengthened(self, done: Progress, seen: Shown) -> float:
        """Shorter where errors in time would come to too much, or grow from span to span."""
        modes = done.spans[-1].axes[-1]
        wanted = self._strict_in_time * self.settings.tolerance / max(seen.in_time, 1e-17)
        growth = min(2.0, max(0.5, 0.85 * wanted ** (1 / modes.degree)))
        if len(done.spans) > 1:
            before = done.spans[-2]
            ratio = float(np.ptp(modes.ends)) / float(np.ptp(before.axes[-1].ends))
            was = last_modes(self._felt(before), seen.sizes)
            rougher = seen.in_time / max(was, 1e-17) / ratio**modes.degree
            growth *= min(1.0, max(LEAST_SHORTENED, rougher ** (-1 / modes.degree)))
        return growth

    def _carried(self, done: Progress, progress: Progress, error: float) -> Progress:
        """With what is wrong at the end of the last span: errors of equations that are met at
        points alone, which wander from span to span."""
        (*_, span), sizes = done.spans, np.array(done.sizes)
        equations = self._collocated(progress)
        wrong, share = equations.drifted(span.C, done.change)
        end = [line.at for line in equations.lines[0]] + [span.axes[-1].breaks[1:]]
        largest = [np.abs(wrong.on_grid(u, end, (0, 0, 0))).max() for u in range(len(sizes))]
        drift = float(np.fmax(done.drift, (np.array(largest) / sizes).max()))
        # Single spans tell less of what is made where than some together.
        share = REMEMBERED * done.drift_in_time + (1 - REMEMBERED) * share
        return replace(done, change=wrong, drift=drift, drift_in_time=share)

    def _arrived(self, progress: Progress) -> Progress:
        found, tolerance = super()._arrived(progress), self.settings.tolerance
        if not progress.drift > max(found.estimate, tolerance):
            return found
        said = (
            f"errors of all spans add up: estimated error {progress.drift:.1e}; a smaller"
            " --tolerance makes them smaller"
        )
        missed = found.missed or (said,)
        return replace(found, estimate=progress.drift, missed=missed)

    def _condition(self, progress: Progress, C: Float[np.ndarray, "unknowns ..."]) -> float:
        return math.nan

    def _unmet(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> float:
        return 0.0

    def _between(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> Between:
        return Between()

    def _felt(self, product: Product) -> Product:
        """By values at the ends of cells: what other cells left of waves as short as cells have far
        larger coefficients than values."""
        space, count = product.axes[:-1], product.axes[-1].size
        matrices = [*(axis.matrix(axis.breaks) for axis in space), np.eye(count)]
        return replace(product, C=np.stack([along(matrices, one) for one in product.C]))

    def span_from(self, begin: float, end: float) -> Modes:
        few = max(FEWEST_MODES, MORE_MODES + math.ceil(-math.log10(self.settings.tolerance)))
        return replace(super().span_from(begin, end), degree=min(self.settings.modes, few))

    def _bytes(self, axes: Sequence[Axis]) -> float:
        size = len(self.problem.unknowns) * math.prod(axis.size for axis in axes)
        leaves = sum(len(e.needs) for e in self.problem.equations)
        return 8.0 * size * (KRYLOV + 6 * leaves)

    def _operations(self, axes: Sequence[Axis]) -> float:
        size = len(self.problem.unknowns) * math.prod(axis.size for axis in axes)
        along = sum(axis.size for axis in axes)
        return 2.0 * KRYLOV / 2 * 3 * size * along


def points_of_march(problem: Problem, settings: Settings) -> tuple[Ends | None, str]:
    """The conditions on the faces of space where equations hold at points, else None; and why.

    Linear problems stay with least squares where these are quick, which come nearer.

    Args:
        problem: What is to be solved.
        settings: How.
    """
    ends, why = ends_of(problem)
    time = problem.domain.time
    if ends is None or time is None:
        return None, f"least squares: {why}"
    count = len(problem.unknowns)
    if not all(e.affine for e in problem.equations):
        return ends, "its equations hold at points, solved by GMRES, since they are not linear"
    squares = MarchingProducts(problem, settings, time)
    span = squares.span_from(0.0, 1.0)
    axes = (*squares.first_cells(), span)
    steps = operations_needed(axes, count)
    size = count * math.prod(axis.size for axis in axes)
    if steps <= QUICK and span.order == 1:
        return None, f"least squares: a span has {size:,} unknowns, which is few"
    why = f"least squares of {size:,} unknowns a span would take long"
    return ends, f"its equations hold at points, solved by GMRES, since {why}"


def _same(base: Product, progress: Progress) -> bool:
    """Whether a span has the cells and the length of that of a base."""
    ways = zip(base.axes, progress.axes, strict=True)
    return all(
        len(a.breaks) == len(b.breaks)
        and (a is b or np.allclose(np.diff(a.breaks), np.diff(b.breaks), rtol=1e-12, atol=0))
        for a, b in ways
    )
