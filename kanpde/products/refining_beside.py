"""A problem with unknown numbers, solved on cells that are refined, at all times at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from kanpde.errors import ProblemError, listed
from kanpde.problem.problem import Problem
from kanpde.products.guide import Guide
from kanpde.products.progress import Progress, Settings
from kanpde.products.refining import RefinedProducts
from kanpde.products.tensor import Product

ROUNDING_OF_COLUMNS = 1e-13
"""Share of a column that no others give, squared, up to which it is rounding."""

FALLS, WEAK, ENOUGH_TRIES = 0.8, 1e-4, 2
"""Of the same share on the cells before, its largest value, and attempts before: it falls from one
to the next where only what cells cannot represent tells numbers apart."""


class RefinedBeside(RefinedProducts):
    """The way through finer and finer cells, with unknown numbers beside the products.

    They are the same at all times, which are cells of one more coordinate here.
    """

    def __init__(self, problem: Problem, settings: Settings, guide: Guide | None = None):
        super().__init__(problem, settings, guide)
        unknowns = self.problem.unknowns
        self._beside = [unknowns.index(p.name) for p in self.problem.parameters]

    def _judged(self, progress: Progress) -> Progress:
        assert progress.at is not None
        weakest, lost = self._squares(progress).weakest(progress.at.C)
        found = replace(super()._judged(progress), weakest=weakest)
        sure = found.finished or progress.tries >= ENOUGH_TRIES
        open_yet = weakest <= ROUNDING_OF_COLUMNS or (sure and _falls(progress, weakest))
        if open_yet and not progress.at.stalled:
            names = [self.problem.unknowns[k] for k in lost]
            raise ProblemError(
                f"parameters {listed(names)}: conditions do not determine them; add one that does"
                " for each, or data=[Data(…)]",
                argument="conditions",
            )
        return found

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
        if _falls(progress, weakest):
            return math.inf
        return super()._error(progress, products, sizes, estimate)

    def _rough(
        self, products: Sequence[Product], sizes: Float[np.ndarray, " unknowns"]
    ) -> list[Float[np.ndarray, " cells"]]:
        sizes = sizes.copy()
        sizes[self._beside] = np.inf
        return super()._rough(products, sizes)


def _falls(progress: Progress, weakest: float) -> bool:
    """Whether what tells numbers apart is less than on the cells before."""
    return weakest < WEAK and weakest < FALLS * progress.weakest
