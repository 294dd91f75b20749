"""A problem solved to a tolerance by products of splines, whose cells and spans follow the error.

An evolution is solved in spans of time, each from the values with which the one before ends; a
steady problem on cells that are refined. After each attempt, the solution's own estimates say
whether it is good enough, and if not, which cells and which length of the span would be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from kanpde.errors import ProblemError
from kanpde.geometry import Pieces
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis, Modes, SplineAxis
from kanpde.products.estimates import (
    FEWEST_CELLS,
    amplitudes,
    evenly,
    favard,
    last_modes,
    refined,
    roughness,
)
from kanpde.products.held import Start, fit, held, on_face
from kanpde.products.newton import Iterate, LeastSquares, least_squares
from kanpde.products.solution import TensorSolution
from kanpde.products.tensor import Product

MOST_TRIES = 8
"""Attempts at one span or one steady problem, after which the best there is is kept."""

SHORT_OF_GOAL = 0.3
"""Cells are made for this share of the tolerance."""

SHORTEST_SPAN = 1e-6
"""Of all of the time: a span that would have to be shorter ends the march."""

CELLS_AT_FIRST = 8
"""Along every coordinate of a steady problem."""


@dataclass(frozen=True)
class Settings:
    """How products of splines are fitted.

    Attributes:
        tolerance: Error that is asked for, over the amplitude of each unknown.
        degree: Of splines.
        modes: Degree of polynomials over one span of time.
        cells: Along a coordinate, at most.
    """

    tolerance: float = 1e-8
    degree: int = 9
    modes: int = 11
    cells: int = 600


@dataclass(frozen=True)
class Progress:
    """Where the solution of a problem is.

    Attributes:
        spans: Spans that are done; of a steady problem the last attempt.
        axes: Those of the attempt that is under way.
        at: Where Newton's method is on them; None before it begins.
        tries: Attempts at this span, this one not counted.
        length: Of the span under way; nan of a steady problem.
        sizes: Amplitudes of the unknowns so far.
        estimate: Largest error of the spans that are done, over the amplitudes.
        missed: What missed the tolerance, a line each.
        step: Newton steps so far.
        finished: Whether nothing is left to do.
    """

    spans: tuple[Product, ...] = ()
    axes: tuple[Axis, ...] = ()
    at: Iterate | None = None
    tries: int = 0
    length: float = math.nan
    sizes: tuple[float, ...] = ()
    estimate: float = math.nan
    missed: tuple[str, ...] = ()
    step: int = 0
    finished: bool = False

    @property
    def parameters(self) -> int:
        """Coefficients of all spans together, with those of the attempt that is under way."""
        going = 0 if self.at is None or self.finished else self.at.C.size
        return sum(span.C.size for span in self.spans) + going

    @property
    def loss(self) -> float:
        """Sum of the weighted squares of the residual before the last Newton step."""
        return math.nan if self.at is None else self.at.loss

    @property
    def title(self) -> str:
        """What is under way, such as "span 3 from 0.21 to 0.25, 57 cells"."""
        if not self.axes:
            return "products of splines"
        cells = [axis.cells for axis in self.axes if isinstance(axis, SplineAxis)]
        on = f"{' x '.join(str(count) for count in cells)} cells"
        last = self.axes[-1]
        if not isinstance(last, Modes):
            return f"attempt {self.tries + 1}, {on}"
        begin, end = last.ends
        return f"span {len(self.spans) + 1} from {begin:.4g} to {end:.4g}, {on}"

    @property
    def reached(self) -> float:
        """The time at which the spans that are done end; nan before the first, and where there is
        no time."""
        last = self.spans[-1].axes[-1] if self.spans else None
        return last.ends[1] if isinstance(last, Modes) else math.nan

    @property
    def reason(self) -> str:
        """Why it is finished: that the tolerance is met, or what misses it."""
        if not self.finished:
            return ""
        if not self.missed:
            return f"the tolerance is met: estimated error {self.estimate:.1e}"
        more = f" and {len(self.missed) - 1} more" if len(self.missed) > 1 else ""
        return f"the tolerance is missed: {self.missed[0]}{more}"

    def plain(self) -> dict[str, Any]:
        """Tensors and plain values, of which `from_plain` makes the same."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        going = None
        if self.at is not None:
            rest = {k: v for k, v in vars(self.at).items() if k != "C"}
            going = {"product": Product(self.axes, self.at.C).plain(), **rest}
        bare = Product(self.axes, np.zeros((0, *(axis.size for axis in self.axes))))
        return found | {
            "spans": [span.plain() for span in self.spans],
            "axes": bare.plain(),
            "at": going,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Progress:
        """The progress that `plain` was made of.

        Args:
            plain: What `plain` gave.
        """
        going, at = plain["at"], None
        if going is not None:
            rest = {k: v for k, v in going.items() if k != "product"}
            at = Iterate(Product.from_plain(going["product"]).C, **rest)
        spans = tuple(Product.from_plain(one) for one in plain["spans"])
        axes = Product.from_plain(plain["axes"]).axes
        return cls(**{**plain, "spans": spans, "axes": axes, "at": at})


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
        self._known: tuple[tuple[Axis, ...], LeastSquares] | None = None

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
            squares, tolerance = self._squares(progress), self.settings.tolerance
            at = squares.advance(progress.at, tolerance)
            return replace(progress, at=at, step=progress.step + 1)
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

    def _begun(self, progress: Progress) -> Iterate:
        """The coefficients before the first step: those of the last attempt, else what is given."""
        given = held(self.problem, progress.axes, self._starts(progress))
        C = given.C
        if self.time is None and progress.spans:
            last = progress.spans[-1]
            guess = np.stack([fit(progress.axes, _on(last, u)) for u in range(len(C))])
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
                found[u, order] = _at_end(last, k, order)
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
        for _ in range(4):
            C = np.stack([fit(space, start) for start in starts]) if starts else None
            if C is None or not axes:
                break
            product = Product(space, C)
            sizes = amplitudes(product, np.ones(len(C)))
            space = tuple(
                self._refined(axis, roughness(product, i, sizes)) for i, axis in enumerate(space)
            )
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
        own = amplitudes(product, np.array(at.stiffness))
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
        last_try = progress.tries + 1 >= MOST_TRIES
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
            return self._attempt(progress, new, begin, length, progress.tries + 1)
        last_ones = [span.axes[-1].ends for span in progress.spans[-MOST_TRIES:]]
        stuck = (
            shortest
            and len(progress.missed) >= MOST_TRIES
            and all(b - a <= (1 + 1e-6) * length for a, b in last_ones)
        )
        if at.stalled or stuck:
            said = f"{time} = {begin:.4g}: no span is short enough; the solution may blow up there"
            return replace(progress, at=None, missed=(said, *progress.missed), finished=True)
        error = max([in_time, *in_space, unmet if unmet > MET_EQUATION else 0.0])
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
            return replace(done, finished=True)
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
        sizes = amplitudes(product, np.array(at.stiffness))
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
        unmet = self._squares(progress).unmet(at, settings.tolerance * sizes)
        error = max(error, unmet if unmet > MET_EQUATION else 0.0)
        if error <= settings.tolerance and not at.stalled:
            return replace(known, estimate=error, finished=True)
        new = tuple(
            self._finer(axis, one, e, not progress.spans)
            for axis, one, e in zip(axes, rough, errors, strict=True)
        )
        same = all(np.array_equal(a.breaks, b.breaks) for a, b in zip(axes, new, strict=True))
        if same or known.tries >= MOST_TRIES + 4:
            said = f"estimated error {error:.1e} on {' x '.join(str(a.cells) for a in axes)} cells"
            return replace(known, estimate=error, missed=(said,), finished=True)
        return replace(known, axes=new, at=None)

    def _finer(
        self, axis: SplineAxis, rough: Float[np.ndarray, " cells"], error: float, check: bool
    ) -> SplineAxis:
        """Cells for the goal, never fewer than there are; to check a first attempt, more."""
        settings = self.settings
        if not check and error < SHORT_OF_GOAL * settings.tolerance:
            return axis
        fewest = math.ceil(MORE_CELLS * axis.cells) if check else FEWEST_CELLS
        growth = 3 if len(self.problem.coordinates) == 1 else 2
        most = min(settings.cells, growth * axis.cells)
        goal = SHORT_OF_GOAL * settings.tolerance
        return refined(axis, rough, goal, most, min(fewest, most))


MORE_CELLS = 1.3
"""By what the cells of a steady problem grow at least, where its estimate does not ask for more."""

MET_EQUATION = 1e-2
"""Share of its own terms up to which a residual is met: more is left where Newton's method ended in
a minimum that is no solution."""

FIRST_SPAN = 0.05
"""Of all of the time."""

FINE_CELLS = 60
"""Along one coordinate, before cells follow the initial values."""


def refuse(problem: Problem) -> None:
    """Refuse what products of splines cannot take.

    Args:
        problem: What is to be solved.

    Raises:
        ProblemError: The message says why, and which kind of network can take it.
    """
    why = None
    if isinstance(problem.domain, Pieces):
        why = "a domain in pieces"
    elif not problem.domain.is_box:
        why = f"the domain {problem.domain!r}, which is no box"
    elif len(problem.coordinates) > 3:
        why = f"{len(problem.coordinates)} coordinates, more than 3"
    elif problem.parameters or problem.data:
        why = "unknown parameters and data"
    if why is not None:
        raise ProblemError(f"tensor: cannot take {why}; --network kan can")


def marched(problem: Problem) -> str | None:
    """The coordinate along which spans follow one another: time, or that of ordinary equations all
    of whose conditions are given at its beginning.

    Args:
        problem: What is to be solved.
    """
    if problem.domain.time is not None or len(problem.coordinates) > 1 or problem.periodic:
        return problem.domain.time
    x = problem.coordinates[0]
    plain = all(
        c.face == f"{x}-" and c.prescribed is not None and c.where is None
        for c in problem.constraints
    )
    given = {
        (c.prescribed.unknown, c.prescribed.derivative)
        for c in problem.constraints
        if c.prescribed is not None
    }
    wanted = {(u, k) for u in problem.unknowns for k in range(problem.order(u, x))}
    return x if plain and given == wanted and wanted else None


def initial_values(problem: Problem, time: str) -> dict[tuple[str, int], Start]:
    """Values and rates that are given where the march begins, by unknown and order of the rate.

    Args:
        problem: What is to be solved.
        time: The coordinate along which it marches.
    """
    space = [x for x in problem.coordinates if x != time]
    begin = problem.domain.bounds[time][0]
    return {
        (c.prescribed.unknown, c.prescribed.derivative): on_face(c.prescribed, time, begin, space)
        for c in problem.constraints
        if c.face == f"{time}-" and c.prescribed is not None
    }


def _at_end(span: Product, unknown: int, order: int) -> Start:
    """The value or rate of an unknown where a span of time ends."""
    end = np.array([span.axes[-1].ends[1]])
    index = (*(0 for _ in span.axes[:-1]), order)
    return lambda at: span.on_grid(unknown, [*at, end], index)[..., 0]


def _on(product: Product, unknown: int) -> Start:
    """An unknown as a function of grids of points."""
    return lambda at: product.on_grid(unknown, at, (0,) * len(product.axes))


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
