"""Which network, which points, which schedule: the recipe of a problem, and a default one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kanpde.errors import RecipeError
from kanpde.networks import KAN, MLP
from kanpde.training import Extend, Stage, parse_schedule

if TYPE_CHECKING:
    from kanpde.problem import Problem


@dataclass(frozen=True)
class Recipe:
    """How to solve a problem.

    network: KAN(…) or MLP(…). points: interior collocation points. schedule: stages in order, or their text. restarts: random starts of
    the first stage, of which the best goes on. sampler: sobol, halton, latin-hypercube or uniform.
    Raises RecipeError for values out of range.
    """

    network: KAN | MLP = field(default_factory=KAN)
    points: int = 1600
    schedule: Sequence[Stage] | str = ()
    restarts: int = 1
    sampler: str = "sobol"

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the schedule, parsed where it is text."""
        return tuple(parse_schedule(self.schedule) if isinstance(self.schedule, str) else self.schedule)

    def __post_init__(self) -> None:
        if self.points < 1:
            raise RecipeError(f"points: got {self.points}; expected at least 1")
        if self.restarts < 1:
            raise RecipeError(f"restarts: got {self.restarts}; expected at least 1")
        if not any(not isinstance(stage, Extend) for stage in self.stages):
            raise RecipeError("schedule: holds no optimiser; expected such as lm:60,extend:12,lm:60")


def default(problem: Problem) -> Recipe:
    """A recipe from the problem alone.

    A steady solution gets one hidden layer of five units (and two more for each further unknown), an evolving one two
    hidden layers, which follow what moves; splines of degree 7, from a coarse grid to a fine one, by
    Levenberg-Marquardt. Points grow with the parameters and the dimension, so that the residual is over-determined.
    """
    dims, extra = len(problem.coordinates), 2 * (len(problem.unknowns) - 1)
    if problem.domain.time:
        network = KAN(width=(6 + extra, 6 + extra), degree=7, grid=3)
        return Recipe(network, 2000 + 1000 * (dims - 2), "lm:100,extend:6,lm:120", restarts=3)
    network = KAN(width=(5 + extra,), degree=7, grid=3)
    return Recipe(network, {1: 400, 2: 1600}.get(dims, 2500), "lm:40,extend:8,lm:40,extend:24,lm:160", restarts=3)
