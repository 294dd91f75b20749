"""A problem with unknown numbers or coefficients, solved on cells that are refined, at all times at
once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from kanpde.errors import ProblemError, listed
from kanpde.problem.parameters import Field
from kanpde.problem.problem import Problem
from kanpde.products.axes import Axis
from kanpde.products.guide import Guide
from kanpde.products.held import Held, held
from kanpde.products.measured import LIGHT_DATA, MisfitRows
from kanpde.products.newton import Iterate, LeastSquares
from kanpde.products.progress import Progress, Settings
from kanpde.products.refining import RefinedProducts
from kanpde.products.tensor import Product

ROUNDING_OF_COLUMNS = 1e-13
"""Share of a column that no others give, squared, up to which it is rounding."""

FALLS, WEAK, ENOUGH_TRIES = 0.8, 1e-4, 2
"""Of the same share on the cells before, its largest value, and attempts before: it falls from one
to the next where only what cells cannot represent tells numbers apart."""

HEAVY, LIGHTER_BY_STEPS, LOOSELY = (
    (100.0, 10.0, 1.0),
    (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    1e-3,
)
"""How heavy data are beside equations where the search begins, on the way to where they are light,
and the tolerance there."""

RESOLVING_EQUATIONS = 1e-3
"""Estimated error of products from which on data are light."""

MOST_HEAVY = 3
"""Attempts after which they are in any case: functions that follow noise are rough."""

MOST_WITH_DATA = 40
"""Steps of Newton's method where numbers are found from data."""

BESIDE_NOISE = 0.1
"""Of the error of a mean of all data, what the error of products may be."""

SURELY = 3.0
"""Standard deviations by which squares have to fall more than by noise alone for more cells of
coefficients to be worth it."""


class RefinedBeside(RefinedProducts):
    """The way through finer and finer cells, with unknown numbers and coefficients beside the
    products.

    Numbers are the same at all times, which are cells of one more coordinate here. Coefficients are
    splines on cells of their own, of which there are twice as many as long as that helps.
    """

    def __init__(self, problem: Problem, settings: Settings, guide: Guide | None = None):
        super().__init__(problem, settings, guide)
        unknowns = self.problem.unknowns
        self._beside = [unknowns.index(p.name) for p in self.problem.parameters]
        self._fields = any(isinstance(p, Field) for p in self.problem.parameters)

    def _judged(self, progress: Progress) -> Progress:
        assert progress.at is not None
        squares, asked = self._squares(progress), self.settings
        weakest, lost = squares.weakest(progress.at.C)
        self.settings = replace(asked, tolerance=self._goal(progress))
        try:
            found = replace(super()._judged(progress), weakest=weakest)
        finally:
            self.settings = asked
        sure = found.finished or progress.tries >= ENOUGH_TRIES
        rounding = ROUNDING_OF_COLUMNS * (LIGHT_DATA if self.stated.data else 1.0)
        said = f"parameters {listed(self.problem.unknowns[k] for k in lost)}"
        if weakest <= rounding and not progress.at.stalled:
            if self.stated.data:
                said += ": the data do not determine them"
                return self._undetermined(found, said)
            if not progress.spans:
                raise ProblemError(
                    f"{said}: conditions do not determine them; add one that does for each, or"
                    " data=[Data(…)]",
                    argument="conditions",
                )
        falls = (sure and self._falls(progress, weakest)) or weakest <= rounding
        if falls and not progress.at.stalled:
            said += (
                ": what tells them apart falls as cells become finer; conditions do not determine"
                " them or contradict one another, or the solution is singular"
            )
            return self._undetermined(found, said)
        met = found.finished and not found.missed
        first = not progress.settled_beside and not progress.at.stalled
        if self._fields and self.stated.data and (met or first):
            return self._with_more(progress, found, squares)
        return found

    def _undetermined(self, found: Progress, said: str) -> Progress:
        """The end where parameters are not known at all."""
        return replace(found, missed=(said,), estimate=math.inf, finished=True, lost=True)

    def _with_more(self, progress: Progress, found: Progress, squares: LeastSquares) -> Progress:
        """After coefficients on some cells: the same on twice as many, or the end."""
        assert progress.at is not None
        assert squares.border is not None
        C, count = progress.at.C, squares.border.count
        weights = squares.weights(C)
        loss = squares.loss(C, weights) / weights[-1]
        if progress.kept:
            (before,) = progress.kept
            sizes = np.array(found.sizes)
            if self._moved(progress.kept, found.spans, sizes) <= self._goal(progress):
                return replace(found, kept=(), settled_beside=True)
            if not _gained(progress.kept_loss, loss, squares, count):
                done = progress.settled_beside
                return replace(
                    found,
                    cells_beside=progress.cells_beside // 2,
                    settled_beside=True,
                    finished=done,
                    missed=(),
                    spans=progress.kept,
                    axes=before.axes,
                    at=replace(progress.at, C=before.C) if done else None,
                    kept=(),
                )
        cells = 2 * progress.cells_beside
        if cells > min(axis.cells for axis in progress.axes):
            return replace(found, kept=(), settled_beside=True)
        return replace(
            found,
            axes=tuple(progress.axes),
            at=None,
            tries=0,
            finished=False,
            missed=(),
            cells_beside=cells,
            kept=found.spans,
            kept_loss=loss,
        )

    def _held_on(
        self, progress: Progress, guess: Float[np.ndarray, "unknowns ..."] | None = None
    ) -> Held:
        cells = progress.cells_beside
        if not self.stated.data:
            # Conditions are exact: nothing but the cells of products limits coefficients.
            cells = max(1, min(axis.cells for axis in progress.axes) // 2)
        return held(self.problem, progress.axes, {}, guess, cells)

    def _squares(self, progress: Progress) -> LeastSquares:
        if self._known is None or self._known[0] is not progress.axes:
            light = LIGHT_DATA if self._resolved(progress) else HEAVY[-1]
            found = super()._squares(progress)
            self._known = progress.axes, self._weighed(found, light)
        return self._known[1]

    def _resolved(self, progress: Progress) -> bool:
        """Whether cells are fine enough for equations to weigh more than data."""
        enough = progress.tries >= MOST_HEAVY or progress.estimate < RESOLVING_EQUATIONS
        return self._fields or enough

    def _weighed(self, squares: LeastSquares, light: float) -> LeastSquares:
        """The same with another weight of the data, where there are any."""
        *rows, measured = squares.rows
        if not isinstance(measured, MisfitRows):
            return squares
        return replace(squares, rows=(*rows, replace(measured, light=light)))

    def _lowered(self, axes: Sequence[Axis], given: Held) -> LeastSquares:
        found = super()._lowered(axes, given)
        if not self.stated.data:
            return found
        measured = MisfitRows.of(self.stated.data, axes, self.problem.unknowns)
        return replace(found, rows=(*found.rows, measured), most=MOST_WITH_DATA)

    def _begun(self, progress: Progress) -> Iterate:
        """Where data weigh more than equations, functions follow them, and numbers these. On coarse
        cells, which cannot meet the equations, it stays so."""
        at, ways = super()._begun(progress), HEAVY if not progress.spans else ()
        if not self.stated.data:
            return at
        for light in (*ways, *(LIGHTER_BY_STEPS if self._resolved(progress) else ())):
            squares, at = self._weighed(self._squares(progress), light), Iterate(at.C)
            while not at.done:
                at = squares.advance(at, LOOSELY)
        return Iterate(at.C)

    def _sizes(
        self,
        extremes: tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]],
        stiffness: Float[np.ndarray, " unknowns"],
    ) -> Float[np.ndarray, " unknowns"]:
        sizes = super()._sizes(extremes, stiffness)
        lowest, highest = extremes
        heaviest = float((sizes * stiffness).max())
        for k in self._beside:
            floor = 1e-6 * heaviest / max(stiffness[k], np.finfo(float).tiny)
            sizes[k] = max(abs(lowest[k]), abs(highest[k]), floor)
        return sizes

    def _error(
        self,
        progress: Progress,
        products: Sequence[Product],
        sizes: Float[np.ndarray, " unknowns"],
        estimate: float,
    ) -> float:
        assert progress.at is not None
        weakest, _ = self._squares(progress).weakest(progress.at.C)
        heavy = bool(self.stated.data) and not self._resolved(progress)
        if heavy or self._falls(progress, weakest):
            return math.inf
        return super()._error(progress, products, sizes, estimate)

    def _rough(
        self, products: Sequence[Product], sizes: Float[np.ndarray, " unknowns"]
    ) -> list[Float[np.ndarray, " cells"]]:
        sizes = sizes.copy()
        sizes[self._beside] = np.inf
        return super()._rough(products, sizes)

    def _goal(self, progress: Progress) -> float:
        """The tolerance; where coefficients follow noise, at least a share of what that makes."""
        asked, measured = self.settings.tolerance, self._squares(progress).rows[-1]
        if not isinstance(measured, MisfitRows) or not self._fields or progress.at is None:
            return asked
        misfit = measured.values(progress.at.C)
        return max(asked, BESIDE_NOISE * float(np.linalg.norm(misfit)) / misfit.size)

    def _falls(self, progress: Progress, weakest: float) -> bool:
        """Whether what tells numbers apart by conditions is less than on the cells before."""
        by_conditions = not self.stated.data and not self._fields
        return by_conditions and weakest < WEAK and weakest < FALLS * progress.weakest


def _gained(before: float, after: float, squares: LeastSquares, count: int) -> bool:
    """Whether squares have fallen by more than noise alone makes them with as many coefficients
    more, which are no more than half of all."""
    data = squares.rows[-1].values(np.zeros(squares.index.shape)).size
    variance = after / max(data - count, 1)
    more = count / 2
    return (before - after) / variance > more + SURELY * math.sqrt(2 * more)
