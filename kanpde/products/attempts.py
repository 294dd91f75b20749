"""Attempts at a problem by products of splines: Newton steps on some cells, and what is judged
after the last one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from kanpde.machine.memory import available
from kanpde.problem.determined import determined
from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.problem.switches import creases
from kanpde.products.axes import FEWEST_CELLS, Axis, SplineAxis
from kanpde.products.between import Between, between
from kanpde.products.border import beside
from kanpde.products.estimates import evenly
from kanpde.products.guide import Guide
from kanpde.products.held import Held, Start, held
from kanpde.products.newton import (
    Iterate,
    LeastSquares,
    bytes_needed,
    least_squares,
    operations_needed,
)
from kanpde.products.progress import Progress, Settings
from kanpde.products.rows import Tempered
from kanpde.products.solution import TensorSolution
from kanpde.products.tensor import Product
from kanpde.products.uncoupled import uncouples

SHORT_OF_GOAL = 0.3
"""Cells are made for this share of the tolerance."""

CELLS_AT_FIRST = 8
"""Along every coordinate of a steady problem."""

CELLS_OF_PARAMETER, FEWEST_OF_PARAMETER = 3, 2
"""Along a parameter of a family at first, and at least: every one is another member to solve."""

FEW_STEPS = 3
"""Of Newton's method on new cells, which the work that is left has to allow."""

USED_UP = "the work of this effort is used up; --effort record or a --tolerance allows more"
"""Why there is no other attempt."""

SHARE_OF_MEMORY = 0.7
"""Of what is free, that the normal equations may take."""

MET_EQUATION = 1e-2
"""Share of its own terms up to which a residual is met: more is left where Newton's method ended in
a minimum that is no solution."""


class AdaptiveProducts(ABC):
    """The way to a solution within a tolerance, attempt after attempt.

    Args:
        problem: What is to be solved.
        settings: How.
        guide: The solution of a problem near to this one; None for none.

    Attributes:
        problem: What is solved: with functions in the place of parameters, where it has any.
    """

    def __init__(self, problem: Problem, settings: Settings, guide: Guide | None = None):
        self.stated, self.settings, self.guide = problem, settings, guide
        self.problem: Formulation = problem.pencil or beside(determined(problem))
        self._memory = SHARE_OF_MEMORY * available()
        self._known: tuple[tuple[Axis, ...], LeastSquares] | None = None
        self._held: tuple[tuple[Axis, ...], Held] | None = None

    @abstractmethod
    def begin(self) -> Progress:
        """Where it begins."""

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
            work = progress.work + self._operations(progress.axes)
            return replace(self._stepped(progress), work=work)
        return self._judged(progress)

    def solution(self, progress: Progress) -> TensorSolution:
        """What there is: all spans that are done, else the attempt that is under way.

        Args:
            progress: Where it is.
        """
        spans = progress.spans
        if not spans:
            at = progress.at or self._begun(progress)
            spans = (Product(progress.axes, at.C),)
        count, names = len(self.stated.functions), self.problem.unknowns
        if count == len(names):
            return TensorSolution(self.stated, spans)
        # Parameters are functions that are the same everywhere.
        found = spans[-1].C[count:].reshape(len(names) - count, -1).mean(1).tolist()
        numbers = dict(zip(names[count:], found, strict=True))
        spans = tuple(Product(span.axes, span.C[:count]) for span in spans)
        return TensorSolution(self.stated, spans, numbers)

    def _equal_cells(self, problem: Formulation, coordinates: Sequence[str]) -> list[SplineAxis]:
        """A few equal cells along some coordinates of the problem, or of a piece of it."""
        degree = self.settings.degree
        axes: list[SplineAxis] = []
        for x in coordinates:
            cells, wraps, fewest = CELLS_AT_FIRST, x in problem.periodic, FEWEST_CELLS
            if x in problem.domain.family:
                cells, fewest = CELLS_OF_PARAMETER, FEWEST_OF_PARAMETER
            cells = max(cells, degree + 1) if wraps else cells
            whole = np.array(problem.domain.bounds[x])
            creased = _smoothness(problem, x)
            axes.append(evenly(SplineAxis(whole, degree, wraps, *creased, fewest), cells))
        return axes

    def _begun(self, progress: Progress) -> Iterate:
        """The coefficients before the first step: what is given, and the guide."""
        if self.guide is not None:
            return Iterate(self.guide.coefficients(progress.axes, self._starts(progress)))
        return Iterate(self._conditioned(progress).C)

    def _conditioned(self, progress: Progress) -> Held:
        """What the conditions give of the attempt under way."""
        if self._held is None or self._held[0] is not progress.axes:
            given = self._held_on(progress)
            self._held = progress.axes, given
        return self._held[1]

    def _held_on(
        self, progress: Progress, guess: Float[np.ndarray, "unknowns ..."] | None = None
    ) -> Held:
        """What the conditions give on the axes under way, with coefficients to begin with."""
        return held(self.problem, progress.axes, self._starts(progress), guess)

    def _stepped(self, progress: Progress) -> Progress:
        """After a Newton step."""
        at = progress.at
        assert at is not None
        found = self._squares(progress).advance(at, self.settings.tolerance)
        return replace(progress, at=found, step=progress.step + 1)

    @abstractmethod
    def _judged(self, progress: Progress) -> Progress:
        """After the last step of an attempt: the next one, or the end."""

    def _starts(self, progress: Progress) -> dict[tuple[str, int], Start]:
        """Values and rates with which the attempt under way begins."""
        return {}

    def _squares(self, progress: Progress) -> LeastSquares:
        if self._known is None or self._known[0] is not progress.axes:
            given = self._conditioned(progress)
            found = self._lowered(progress.axes, given)
            self._known = progress.axes, found
        return self._known[1]

    def lowered(self, progress: Progress) -> LeastSquares:
        """The squares of the attempt under way, or of the last one.

        Args:
            progress: Where it is.
        """
        return self._squares(progress)

    def _lowered(self, axes: Sequence[Axis], given: Held) -> LeastSquares:
        """What is lowered on some axes."""
        return least_squares(self.problem, axes, given, self._tempered())

    def _condition(self, progress: Progress, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """That of the last normal equations; nan where they are not factored as a whole."""
        if uncouples(progress.axes):
            return math.nan
        return self._squares(progress).condition(C)

    def _unmet(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> float:
        """How far equations and conditions are from being met, after the last step."""
        assert progress.at is not None
        return self._squares(progress).unmet(progress.at, error)

    def _between(self, progress: Progress, error: Float[np.ndarray, " unknowns"]) -> Between:
        """Whether something was missed between the points, after the last step of an attempt."""
        assert progress.at is not None
        return between(self._squares(progress), progress.at, error)

    def _bytes(self, axes: Sequence[Axis]) -> float:
        """What the normal equations take."""
        return bytes_needed(axes, self._varying)

    def _operations(self, axes: Sequence[Axis]) -> float:
        """What a step of Newton's method takes."""
        return operations_needed(axes, self._varying)

    @property
    def _varying(self) -> int:
        """How many unknowns are products: those that are not beside."""
        return len(self.problem.unknowns) - len(self.problem.parameters)

    def _tempered(self) -> Tempered | None:
        """What residuals are multiplied by; None for ones."""
        return None

    def _used_up(self, progress: Progress, then: Sequence[Axis] = ()) -> bool:
        """Whether the work is used up that may be spent, a few steps on further axes included."""
        more = FEW_STEPS * self._operations(then) if then else 0.0
        return progress.work + more >= self.settings.work


def _smoothness(problem: Formulation, x: str) -> tuple[tuple[float, ...], int]:
    """The creases of solutions along a coordinate, and how many derivatives are continuous there:
    one less than are differentiated. Where that is not the same for all unknowns, the splines,
    which all of them share, have none."""
    orders = {problem.order(u, x) for u in problem.unknowns if u not in problem.numbers}
    if len(orders) > 1 or 0 in orders:
        return (), 0
    return creases(problem, x), orders.pop() - 1
