"""Schedules: what a stage is, and how one is written on a command line, such as lm:60,extend:12,lm:60."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kanpde.errors import RecipeError, listed, nearest
from kanpde.training.adam import Adam
from kanpde.training.broyden import Broyden
from kanpde.training.gauss_newton import GaussNewton
from kanpde.training.lbfgs import LBFGS
from kanpde.training.levenberg_marquardt import LevenbergMarquardt
from kanpde.training.soap import Soap

Optimiser = Adam | Soap | LBFGS | Broyden | LevenbergMarquardt | GaussNewton
"""What lowers an objective: see optimiser.py."""


@dataclass(frozen=True)
class Extend:
    """Go on with a finer grid: the coefficients are refitted, the function stays. grid: intervals."""

    grid: int
    name = "extend"

    def __post_init__(self) -> None:
        if self.grid < 1:
            raise RecipeError(f"extend:{self.grid}: expected a grid of at least 1 interval")


Stage = Optimiser | Extend

OPTIMISERS: dict[str, type[Optimiser]] = {kind.name: kind for kind in (Adam, Soap, LBFGS, Broyden, LevenbergMarquardt, GaussNewton)}


def parse_schedule(text: str) -> list[Stage]:
    """Stages from text: names with a number of steps (adam:500, lbfgs:200, lm:100) or a grid (extend:12), by commas; the metric
    of lm stands behind a slash (lm/layer:100).

    Raises RecipeError for anything else.
    """
    stages: list[Stage] = []
    for item in text.split(","):
        name, _, number = item.strip().partition(":")
        name, slash, metric = name.partition("/")
        known = [*OPTIMISERS, Extend.name]
        if name not in known or (slash and name != LevenbergMarquardt.name):
            raise RecipeError(f"schedule: {item.strip()!r} is no stage; expected {listed(known)} with a number, such as lm:60,extend:12,lm:60{nearest(name, known)}")
        if not (number.isdecimal() and int(number) > 0):
            raise RecipeError(f"schedule: {item.strip()!r} has no number; expected such as {name}:{12 if name == Extend.name else 100}")
        options: dict[str, Any] = {"metric": metric} if slash else {}
        stages.append(Extend(int(number)) if name == Extend.name else OPTIMISERS[name](steps=int(number), **options))
    return stages


DENSE = 4000
"""Parameters up to which a dense normal matrix and its Cholesky factor cost less than conjugate gradients."""


def suited(stage: Optimiser, parameters: int) -> Optimiser:
    """The stage, or Gauss-Newton without matrices in place of Levenberg-Marquardt for a network of more than DENSE parameters."""
    return GaussNewton(stage.steps) if isinstance(stage, LevenbergMarquardt) and parameters > DENSE else stage


def show_schedule(stages: Sequence[Stage]) -> str:
    """The text of a schedule, as parse_schedule reads it."""
    return ",".join(f"{s.name}{_metric(s)}:{s.grid if isinstance(s, Extend) else s.steps}" for s in stages)


def _metric(stage: Stage) -> str:
    return f"/{stage.metric}" if isinstance(stage, LevenbergMarquardt) and stage.metric != LevenbergMarquardt.metric else ""
