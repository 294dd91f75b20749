"""A problem with its truth, and units in which it can be posed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judged.truths import IndependentTruth
from kanpde import Problem


@dataclass(frozen=True)
class Posed:
    """A problem as a user would write it, and what it is judged by.

    Attributes:
        problem: The problem, without an exact solution.
        truth: Computes the truth; None where there is no solution, so that none may be believed.
    """

    problem: Problem
    truth: Callable[[], IndependentTruth] | None


@dataclass(frozen=True)
class Units:
    """How many of the units in use one SI unit is, and where the unknowns have their zero.

    Attributes:
        length: Units of length in a metre.
        time: Units of time in a second.
        value: Units of the unknown in one SI unit of it.
        zero: The SI value that is shown as `offset`.
        offset: What is shown there.
        power: Units of power in a watt, or of what else an equation is stated in.
    """

    length: float = 1.0
    time: float = 1.0
    value: float = 1.0
    zero: float = 0.0
    offset: float = 0.0
    power: float = 1.0

    def shown(self, value: float) -> float:
        """An SI value of the unknown in these units."""
        return (value - self.zero) * self.value + self.offset

    def shown_all(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """SI values of the unknown in these units."""
        return (values - self.zero) * self.value + self.offset


SI = Units()
