"""The line search of the quasi-Newton methods: strong Wolfe conditions (Nocedal and Wright 2006,
section 3.5), by SciPy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import scipy  # whose parts are imported when they are first used
from torch import Tensor

from kanpde.training.objective import Objective

FIRST_LENGTHS = (1.0, 0.1, 0.01, 0.001)
"""Lengths of the first step along the gradient, which has no scale of its own: the first that
succeeds is taken."""


def search(
    objective: Objective,
    direction: Tensor,
    loss: float,
    gradient: Tensor,
    reach: Sequence[float] = (1.0,),
) -> tuple[Tensor, float, Tensor] | None:
    """Go along a direction until the strong Wolfe conditions hold, or at least the first of them.

    Args:
        objective: What is to be lowered, with the network where the search begins.
        direction: Where to go [parameters].
        loss: The loss at the beginning.
        gradient: The gradient there [parameters].
        reach: Lengths of the first trial, as shares of the direction, tried in order until one
            search succeeds.

    Returns:
        Parameters [parameters], loss and gradient [parameters] at the point that was found; None
        where no point tried lowers the loss.
    """
    return next(
        (
            step
            for scale in reach
            if (step := _wolfe(objective, scale * direction, loss, gradient)) is not None
        ),
        None,
    )


def _wolfe(
    objective: Objective, direction: Tensor, loss: float, gradient: Tensor
) -> tuple[Tensor, float, Tensor] | None:
    """A point along the direction that satisfies the strong Wolfe conditions, by SciPy's search, or
    at least the first.

    None where no point tried lowers the loss.
    """
    network, start = objective.network, objective.network.theta
    seen: dict[float, tuple[float, Tensor]] = {0.0: (loss, gradient)}

    def at(t: float) -> tuple[float, Tensor]:
        if t not in seen:
            network.theta = start + t * direction
            found, slopes = objective.gradient()
            seen[t] = (
                (found, slopes) if math.isfinite(found) else (math.inf, gradient)
            )  # too far: the search bisects
            network.theta = start
        return seen[t]

    slope = float(gradient @ direction)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", category=scipy.optimize._linesearch.LineSearchWarning
        )  # a failed search is answered below
        step = scipy.optimize.line_search(
            lambda t: at(float(t))[0],
            lambda t: float(at(float(t))[1] @ direction),
            0.0,
            1.0,
            slope,
            loss,
            c1=1e-4,
            c2=0.9,
            maxiter=20,
        )[0]
    if (
        step is None
        # none may exist before a wall where the residual is undefined: then the lowest sufficient
        # decrease
    ):
        lower = [t for t, (value, _) in seen.items() if value < loss + 1e-4 * t * slope]
        if not lower:
            return None
        step = min(lower, key=lambda t: seen[t][0])
    new_loss, new_gradient = at(float(step))
    return start + float(step) * direction, new_loss, new_gradient
