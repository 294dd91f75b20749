"""Schedules: what a stage is, and how one is written on a command line, such as
lm:60,extend:12,lm:60."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kanpde.errors import RecipeError, listed, nearest
from kanpde.training.adam import Adam
from kanpde.training.alternating import AlternatingLeastSquares
from kanpde.training.broyden import Broyden
from kanpde.training.changes import Change, Deepen, Extend, Widen
from kanpde.training.compressing import Compress
from kanpde.training.gauss_newton import GaussNewton
from kanpde.training.lbfgs import LBFGS
from kanpde.training.levenberg_marquardt import LevenbergMarquardt
from kanpde.training.pruning import Prune
from kanpde.training.refining import Refine
from kanpde.training.soap import Soap
from kanpde.training.sparsity import Sparsify

Optimiser = (
    Adam
    | Soap
    | LBFGS
    | Broyden
    | LevenbergMarquardt
    | GaussNewton
    | AlternatingLeastSquares
    | Sparsify
)
"""What lowers an objective: see optimiser.py."""


Stage = Optimiser | Change

OPTIMISERS: dict[str, type[Optimiser]] = {
    kind.name: kind
    for kind in (
        Adam,
        Soap,
        LBFGS,
        Broyden,
        LevenbergMarquardt,
        GaussNewton,
        AlternatingLeastSquares,
        Sparsify,
    )
}

CHANGES: dict[str, type[Extend] | type[Widen] | type[Deepen] | type[Refine]] = {
    kind.name: kind for kind in (Extend, Widen, Deepen, Refine)
}

LOSSY: dict[str, type[Prune] | type[Compress]] = {kind.name: kind for kind in (Prune, Compress)}
"""Stages whose number is a loss."""


def parse_schedule(text: str) -> list[Stage]:
    """Stages from text.

    Args:
        text: Names of stages, separated by commas, with a number of steps (adam:500, lbfgs:200,
            lm:100), a grid (extend:12), units (widen:8), levels (deepen:1) or a loss (prune:1e-6,
            and compress:1e-8, the one stage of products of splines).
            After a slash stand the metric of lm (lm/layer:100) and the strength of sparsify
            (sparsify/1e-4:60).

    Returns:
        The stages, in order.

    Raises:
        RecipeError: The text is anything else.
    """
    return [_stage(item.strip()) for item in text.split(",")]


def _stage(item: str) -> Stage:
    name, _, number = item.partition(":")
    name, slash, option = name.partition("/")
    known = [*OPTIMISERS, *CHANGES, *LOSSY]
    if name not in known or (slash and name not in SLASHED):
        raise RecipeError(
            f"schedule: {item!r} is no stage; expected {listed(known)} with a number, such as"
            f" lm:60,extend:12,lm:60{nearest(name, known)}"
        )
    if name in LOSSY:
        return LOSSY[name](_real(item, number, f"{name}:{EXAMPLES[name]}"))
    if not (number.isdecimal() and int(number) > 0):
        raise RecipeError(
            f"schedule: {item!r} has no number; expected such as {name}:{EXAMPLES.get(name, 100)}"
        )
    if name in CHANGES:
        return CHANGES[name](int(number))
    options: dict[str, Any] = (
        {
            SLASHED[name]: (
                option
                if name == LevenbergMarquardt.name
                else _real(item, option, "sparsify/1e-4:60")
            )
        }
        if slash
        else {}
    )
    return OPTIMISERS[name](steps=int(number), **options)


SLASHED = {LevenbergMarquardt.name: "metric", Sparsify.name: "strength"}
"""What stands after a slash."""

EXAMPLES: dict[str, int | str] = {
    "extend": 12,
    "widen": 8,
    "deepen": 1,
    "refine": 4000,
    "prune": "1e-6",
    "compress": "1e-8",
}


def _real(item: str, text: str, example: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RecipeError(
            f"schedule: {item!r}: got {text!r} for a number; expected such as {example}"
        ) from None


DENSE = 4000
"""Parameters up to which a dense normal matrix and its Cholesky factor cost less than conjugate
gradients."""


def suited(stage: Optimiser, parameters: int) -> Optimiser:
    """The stage that suits the size of a network.

    Args:
        stage: The stage that was asked for.
        parameters: How many the network has.

    Returns:
        The stage, or Gauss-Newton without matrices in place of Levenberg-Marquardt for a network of
        more than DENSE parameters.
    """
    return (
        GaussNewton(stage.steps)
        if isinstance(stage, LevenbergMarquardt) and parameters > DENSE
        else stage
    )


def show_schedule(stages: Sequence[Stage]) -> str:
    """The text of a schedule, as parse_schedule reads it.

    Args:
        stages: The stages, in order.
    """
    return ",".join(f"{stage.name}{_option(stage)}:{_number(stage)}" for stage in stages)


def _option(stage: Stage) -> str:
    if isinstance(stage, LevenbergMarquardt) and stage.metric != LevenbergMarquardt.metric:
        return f"/{stage.metric}"
    return (
        f"/{stage.strength:g}"
        if isinstance(stage, Sparsify) and stage.strength != Sparsify.strength
        else ""
    )


def _number(stage: Stage) -> str:
    if isinstance(stage, Prune | Compress):
        return f"{stage.loss:g}"
    return str(
        next(
            getattr(stage, name)
            for name in ("grid", "width", "levels", "parameters", "steps")
            if hasattr(stage, name)
        )
    )
