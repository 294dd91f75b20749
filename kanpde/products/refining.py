"""A steady problem solved on cells that are refined until the solution's own estimate of its error
is good enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float

from kanpde.geometry import Domain, Hole, holes
from kanpde.machine.memory import gigabytes
from kanpde.problem.corner_pencils import tempering
from kanpde.problem.cross_points import singular_points
from kanpde.problem.formulation import Function
from kanpde.problem.problem import Problem
from kanpde.products.attempts import (
    CELLS_AT_FIRST,
    MET_EQUATION,
    SHORT_OF_GOAL,
    USED_UP,
    AdaptiveProducts,
)
from kanpde.products.axes import Axis, SplineAxis
from kanpde.products.estimates import (
    GROWTH,
    Near,
    about,
    amplitudes,
    evenly,
    favard,
    ranges,
    refined,
    roughness,
    seen,
)
from kanpde.products.guide import Guide
from kanpde.products.held import fit, with_constants
from kanpde.products.inside import curved
from kanpde.products.newton import Iterate
from kanpde.products.pieces import numbers_of
from kanpde.products.posed import on_grids
from kanpde.products.progress import Progress, Settings, on_cells
from kanpde.products.rows import Tempered
from kanpde.products.tensor import Product

MOST_ATTEMPTS = 16
"""At one steady problem, whose first ones are cheap."""

MOST_STALLED = 4
"""Attempts at a steady problem after which there is no hope for Newton's method."""

MORE_CELLS = 1.3
"""By what the cells of a steady problem grow at least, where its estimate does not ask for more."""

SHARE_OF_EXPONENT = 0.5
"""Of the least exponent λ in singular corners, by which the power of the distance to them that
residuals are multiplied by is more than 1. Above 1 - λ the squares are those of the solution; below
1 + λ they are not square integrable for r^-λ, which all else allows for as well."""

GROWTH_AT_CORNERS = 0.5
"""How fast lengths of cells may grow with the distance where they follow singular corners, about
which a solution is smooth on the scale of the distance."""

OPTIMISTIC = 0.7
"""Of the cells that an estimate asks for, those that may be enough: later ones ask for fewer."""

NEAR_BEGUN, LOOKS_AT_BEGUN = 1e-6, 5
"""Share of its variation by which functions on the first cells may miss those that the search
begins from, and how often cells follow them."""

FEWER_ABOUT_HOLES = 0.8
"""Of cells that take too much memory, those that are tried next."""

NEARLY = 100.0
"""Times the tolerance: an attempt that is nearer may get fewer cells, in better places."""


class RefinedProducts(AdaptiveProducts):
    """The way through finer and finer cells."""

    def __init__(self, problem: Problem, settings: Settings, guide: Guide | None = None):
        super().__init__(problem, settings, guide)
        self.corners = singular_points(self.problem)
        self.numbers = numbers_of(self.problem)
        self.curved = curved(self.problem.domain)

    def begin(self) -> Progress:
        """A few equal cells, and shorter ones about holes."""
        axes = self._equal_cells(self.problem, self.problem.coordinates)
        if found := holes(self.problem.domain):
            axes = self._about(axes, found)
        if self.problem.begun:
            axes = [self._following(axis) for axis in axes]
        known = None if self.guide is None else self.guide.steady_product()
        if self.guide is not None and known is not None:
            ways = zip(axes, self.problem.coordinates, known.axes, strict=True)
            # The second attempt, which the first one is compared with, has as many as the guide.
            axes = [self.guide.cells(axis, x, cells, 1 / MORE_CELLS) for axis, x, cells in ways]
        return Progress(axes=tuple(axes))

    def _about(self, axes: list[SplineAxis], found: Sequence[Hole]) -> list[SplineAxis]:
        """Shorter cells about holes, as far as memory goes."""
        most = self.settings.cells
        while True:
            each = [[(one.center[i], one.radius) for one in found] for i in range(len(axes))]
            ways = zip(axes, each, strict=True)
            shorter = [about(axis, middles, most) for axis, middles in ways]
            if self._bytes(shorter) <= self._memory or most <= CELLS_AT_FIRST:
                return shorter
            most = math.floor(FEWER_ABOUT_HOLES * max(axis.cells for axis in shorter))

    def advance(self, progress: Progress) -> Progress:
        found = super().advance(progress)
        return self._bounded(found) if found.finished and not found.missed else found

    def _bounded(self, progress: Progress) -> Progress:
        """As it is, where parameters that were found are within their bounds."""
        numbers = self.solution(progress).numbers()
        for p in self.stated.parameters:
            if p.name in numbers and not p.low < numbers[p.name] < p.high:
                said = f"{p.name} = {numbers[p.name]:.6g}, where {p!r} was asked for"
                return replace(progress, missed=(said,), estimate=math.inf, lost=True)
        return progress

    def _begun(self, progress: Progress) -> Iterate:
        """The coefficients before the first step: those of the last attempt, if there was one."""
        if not progress.spans:
            return super()._begun(progress) if not self.problem.numbers else self._easier(progress)
        last, axes = progress.spans[-1], progress.axes
        guess = np.stack([fit(axes, on_grids(last, u)) for u in range(len(last.C))])
        return Iterate(self._held_on(progress, guess).C)

    def _easier(self, progress: Progress) -> Iterate:
        """The coefficients of what the search begins from, or those that solve the easier problem,
        in which some unknowns are given."""
        problem, axes = self.problem, progress.axes
        if problem.begun:
            numbers = [np.full(axes[0].size, value) for value in problem.numbers.values()]
            guess = np.stack([*self._where_begun(axes).C, *numbers])
            return Iterate(self._held_on(progress, guess).C)
        given = with_constants(problem, axes, self._held_on(progress))
        squares, at = self._lowered(axes, given), Iterate(given.C)
        while not at.done:
            at = squares.advance(at, self.settings.tolerance)
        return Iterate(at.C)

    def _where_begun(self, axes: Sequence[Axis]) -> Product:
        """The functions that the search begins from."""
        functions = (partial(_on_line, f) for f in self.problem.begun.values())
        return Product(tuple(axes), np.stack([fit(axes, f) for f in functions]))

    def _following(self, axis: SplineAxis) -> SplineAxis:
        """Cells that follow these."""
        for _ in range(LOOKS_AT_BEGUN):
            found = self._where_begun((axis,))
            low, high = ranges(found)
            most = min(self.settings.cells, 3 * axis.cells)
            axis = refined(axis, roughness(found, 0, (high - low) / 2), NEAR_BEGUN, most)
        return axis

    def _judged(self, progress: Progress) -> Progress:
        """Finish, or go on with finer cells."""
        settings, at = self.settings, progress.at
        assert at is not None
        products = self._products(progress.axes, at.C)
        extremes = self._extremes(products)
        sizes = self._sizes(extremes, np.array(at.stiffness))
        axes = [axis for axis in progress.axes if isinstance(axis, SplineAxis)]
        rough = self._rough(products, sizes)
        errors = [favard(axis, one) for axis, one in zip(axes, rough, strict=True)]
        error = self._error(progress, products, sizes, max(errors))
        felt = max(errors) / error if self.corners and progress.spans else 1.0
        known = replace(
            progress,
            spans=products,
            estimate=max(errors),
            tries=progress.tries + 1,
            sizes=tuple(float(one) for one in sizes),
        )
        wanted = settings.tolerance * sizes
        unmet = self._unmet(progress, wanted)
        error = max(error, unmet if unmet > MET_EQUATION else 0.0)
        new: tuple[SplineAxis, ...] | None = None
        if error <= settings.tolerance and not at.stalled:
            seen = self._between(progress, wanted)
            if seen.unmet <= MET_EQUATION:
                condition = self._condition(progress, at.C)
                return replace(known, estimate=error, finished=True, condition=condition)
            error, new = seen.unmet, seen.axes
        if new is None:
            # A first attempt is checked by more cells; so is one that new places have not helped.
            more = not progress.spans or max(errors) > 0.5 * progress.estimate
            new = self._placed(axes, rough, errors, more, felt)
            if _same(axes, new):
                new = self._placed(axes, rough, errors, True, felt)
        same = _same(axes, new)
        full = self._bytes(new) > self._memory
        lost = at.stalled and known.tries >= MOST_STALLED
        wanted_cells = self._out_of_reach(known, axes, rough)
        used_up = self._used_up(known, new) or bool(wanted_cells)
        if same or full or lost or used_up or known.tries >= MOST_ATTEMPTS:
            error = math.inf if lost else error
            on = on_cells(axes, progress.pieces)
            said = f"estimated error {error:.1e} on {on}"
            if lost:
                said = f"Newton's method does not converge on {on}"
            elif wanted_cells:
                said += (
                    f"; it asks for about {on_cells(wanted_cells)}, beyond the work of this effort"
                )
            elif used_up:
                said += f"; {USED_UP}"
            elif full:
                those = on_cells(new, progress.pieces).removesuffix(" cells")
                took = gigabytes(self._bytes(new))
                little = "separable" if progress.pieces == 1 else "kan"
                said += f"; {those} would take {took} of memory, --network {little} little"
            return replace(known, estimate=error, missed=(said,), finished=True, lost=lost)
        return replace(known, axes=new, at=None)

    def _out_of_reach(
        self,
        known: Progress,
        axes: Sequence[SplineAxis],
        rough: Sequence[Float[np.ndarray, " cells"]],
    ) -> tuple[SplineAxis, ...]:
        """The cells that the tolerance asks for, where even fewer would take more work than there
        is; none where they may be within reach.

        Estimates of first attempts are far too large; about corners, the number of cells is not
        what they say.
        """
        settings = self.settings
        if known.tries < 2 or self.corners or known.pieces > 1:
            return ()
        goal = SHORT_OF_GOAL * settings.tolerance
        ways = list(zip(axes, rough, strict=True))
        wanted = tuple(refined(axis, one, goal, settings.cells) for axis, one in ways)
        fewer = tuple(evenly(axis, math.ceil(OPTIMISTIC * axis.cells)) for axis in wanted)
        return wanted if self._used_up(known, fewer) else ()

    def _sizes(
        self,
        extremes: tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]],
        stiffness: Float[np.ndarray, " unknowns"],
    ) -> Float[np.ndarray, " unknowns"]:
        """Over what errors are measured: by how much every unknown varies."""
        return amplitudes(extremes, stiffness, self.settings.tolerance)

    def _error(
        self,
        progress: Progress,
        products: Sequence[Product],
        sizes: Float[np.ndarray, " unknowns"],
        estimate: float,
    ) -> float:
        """Of an attempt, by its estimate and by what it changed."""
        if not progress.spans:
            return math.inf
        # What the last refinement changed is the error of the attempt before; this one's is less
        # by as much as its estimate is. Beside corners it counts as it is: what is wrong there is
        # felt far away, which no estimate on the spot tells.
        gained = min(1.0, estimate / max(progress.estimate, 1e-300))
        moved = self._moved(progress.spans, products, sizes)
        return max(estimate, moved * (1.0 if self.corners else gained))

    def _products(self, axes: Sequence[Axis], C: Float[np.ndarray, " ..."]) -> tuple[Product, ...]:
        """The functions of an attempt, piece after piece."""
        return (Product(tuple(axes), C),)

    def _extremes(
        self, products: Sequence[Product]
    ) -> tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]]:
        """The smallest and the largest value of every unknown."""
        lowest = np.full(len(self.problem.unknowns), np.inf)
        highest = -lowest
        for product, own in zip(products, self.numbers, strict=True):
            low, high = ranges(product, self.curved)
            np.minimum.at(lowest, list(own), low)
            np.maximum.at(highest, list(own), high)
        return lowest, highest

    def _rough(
        self, products: Sequence[Product], sizes: Float[np.ndarray, " unknowns"]
    ) -> list[Float[np.ndarray, " cells"]]:
        """How rough the unknowns are along each axis, piece after piece."""
        near = self._near()
        return [
            roughness(product, i, sizes[list(own)], near, self.curved)
            for product, own in zip(products, self.numbers, strict=True)
            for i in range(len(product.axes))
        ]

    def _moved(
        self,
        before: Sequence[Product],
        after: Sequence[Product],
        sizes: Float[np.ndarray, " unknowns"],
    ) -> float:
        """Largest difference of two attempts on a grid, over the amplitudes."""
        ways = zip(before, after, self.numbers, strict=True)
        return max(_apart(one, other, sizes[list(own)], self.curved) for one, other, own in ways)

    def _tempered(self) -> Tempered | None:
        """By the distance to singular corners, where there are any."""
        if not self.corners:
            return None
        power = 1 + SHARE_OF_EXPONENT * min(one.exponent for one in self.corners)
        return partial(tempering, self.corners, self.problem.domain, power=power)

    def _near(self) -> Near | None:
        """Errors about singular corners count by the distance, which is the root of the area where
        they are as large: so their mean square is what is refined."""
        if not self.corners:
            return None
        return partial(tempering, self.corners, self.problem.domain, on_face=False, power=1.0)

    def _placed(
        self,
        axes: list[SplineAxis],
        rough: list[Float[np.ndarray, " cells"]],
        errors: list[float],
        more: bool,
        felt: float,
    ) -> tuple[SplineAxis, ...]:
        """The cells of all axes placed anew, for a share of the goal."""
        ways = zip(axes, rough, errors, strict=True)
        return tuple(self._finer(axis, one, e, more, felt) for axis, one, e in ways)

    def _finer(
        self,
        axis: SplineAxis,
        rough: Float[np.ndarray, " cells"],
        error: float,
        more: bool,
        felt: float,
    ) -> SplineAxis:
        """Cells for a share of the goal; more of them than there are where that is wanted."""
        settings, goal = self.settings, SHORT_OF_GOAL * self.settings.tolerance * felt
        if not more and error < goal:
            return axis
        far = error > NEARLY * settings.tolerance * felt
        fewest = axis.cells if far else axis.fewest
        fewest = math.ceil(MORE_CELLS * axis.cells) if more else fewest
        times = 3 if len(self.problem.coordinates) == 1 else 2
        most = min(settings.cells, times * axis.cells)
        growth = GROWTH_AT_CORNERS if self.corners else GROWTH
        return refined(axis, rough, goal, most, min(fewest, most), growth)


def _on_line(
    function: Function, at: Sequence[Float[np.ndarray, " points"]]
) -> Float[np.ndarray, " points"]:
    """A function of the only coordinate, on a grid of points."""
    return function(at[0])


def _same(before: Sequence[SplineAxis], after: Sequence[SplineAxis]) -> bool:
    """Whether all axes have the same cells."""
    ways = zip(before, after, strict=True)
    return all(np.array_equal(a.breaks, b.breaks) for a, b in ways)


def _apart(
    before: Product,
    after: Product,
    sizes: Float[np.ndarray, " unknowns"],
    domain: Domain | None,
) -> float:
    """Largest difference of two attempts at a piece on a grid, over the amplitudes; in a domain
    that is no box alone."""
    grid = [np.linspace(*axis.ends, 61) for axis in after.axes]
    index, some = (0,) * len(grid), seen(domain, grid)
    apart = (
        after.on_grid(u, grid, index) - before.on_grid(u, grid, index) for u in range(len(sizes))
    )
    ways = zip(apart, sizes, strict=True)
    return float(max(np.abs(one.ravel()[some]).max() / size for one, size in ways))
