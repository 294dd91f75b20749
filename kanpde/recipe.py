"""Which network, which points, which schedule: the recipe of a problem, and a default one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kanpde.errors import RecipeError
from kanpde.networks import KAN, MLP
from kanpde.training import Extend, LevenbergMarquardt, Stage

if TYPE_CHECKING:
    from kanpde.problem import Problem


@dataclass(frozen=True)
class Recipe:
    """How to solve a problem.

    network: KAN(…) or MLP(…). points: interior collocation points. schedule: stages in order. restarts: random starts of
    the first stage, of which the best goes on. sampler: sobol, halton, latin-hypercube or uniform.
    Raises RecipeError for values out of range.
    """

    network: KAN | MLP = field(default_factory=KAN)
    points: int = 1600
    schedule: Sequence[Stage] = ()
    restarts: int = 1
    sampler: str = "sobol"

    def __post_init__(self) -> None:
        if self.points < 1:
            raise RecipeError(f"points: got {self.points}; expected at least 1")
        if self.restarts < 1:
            raise RecipeError(f"restarts: got {self.restarts}; expected at least 1")
        if not any(not isinstance(stage, Extend) for stage in self.schedule):
            raise RecipeError("schedule: holds no optimiser; expected such as lm:60,extend:12,lm:60")


def default(problem: Problem) -> Recipe:
    """A recipe from the problem alone: a KAN with one hidden layer, its grid extended twice, by Levenberg-Marquardt."""
    dims = len(problem.coordinates)
    return Recipe(
        network=KAN(width=(5 + 3 * (len(problem.unknowns) - 1),), degree=7, grid=3),
        points=400 if dims == 1 else 1600 if dims == 2 else 2500,
        schedule=[LevenbergMarquardt(60), Extend(6), LevenbergMarquardt(60), Extend(12), LevenbergMarquardt(100)],
    )
