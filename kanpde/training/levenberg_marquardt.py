"""Levenberg-Marquardt with the exact Jacobian, delayed gratification and geodesic acceleration.

The damping μ grows on failure, as often as it takes, and falls when a step succeeds at once. A step
gets the second-order correction of Transtrum and Sethna 2012, "Improvements to the
Levenberg-Marquardt algorithm for nonlinear least-squares minimization", which follows the narrow
curved valleys that compositions of splines have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from kanpde.errors import RecipeError, listed, nearest
from kanpde.kernels import damping_judged, damping_rescaled
from kanpde.kernels.damping import metric
from kanpde.networks.rows import Rows
from kanpde.training.blocks import Blocks, linear
from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper
from kanpde.training.shards import total, totals_with_lower


@dataclass
class Damping(State):
    """What Levenberg-Marquardt carries from step to step.

    Attributes:
        mu: Damping μ of the next step.
        losses: The last losses on the same points, as many as patience needs.
    """

    mu: float
    losses: list[float] = field(default_factory=lambda: [math.inf])


@dataclass(frozen=True)
class LevenbergMarquardt(Stepper[Damping]):
    """Levenberg-Marquardt with the exact Jacobian, delayed gratification and geodesic acceleration.

    The correction of a step is that of Transtrum and Sethna 2012, "Improvements to the
    Levenberg-Marquardt algorithm for nonlinear least-squares minimization". It stops earlier when
    no damping gives a smaller loss, or when `patience` steps together have not lowered the loss by
    a hundredth.

    Attributes:
        steps: Steps, at most.
        damping: Initial damping μ, or the initial loss where that is smaller (Yamashita and
            Fukushima 2001: μ of the order of the loss keeps convergence quadratic).
        accept: Largest length of the second-order correction, as a share of the step.
        patience: Steps that together have to lower the loss by a hundredth.
        metric: "root" damps a parameter by μ √diag(JᵀJ); "layer" by μ times its layer's mean of
            diag(JᵀJ), which is slower at first, more accurate in the end for one hidden level on
            grids that start coarse, and worse for deeper networks.

    Raises:
        RecipeError: The metric is neither of the two.
    """

    steps: int = 100
    damping: float = 1e-3
    accept: float = 2.0
    patience: int = 20
    metric: str = "root"
    name = "lm"
    carries = Damping

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise RecipeError(
                f"metric: got {self.metric!r}; expected one of"
                f" {listed(METRICS)}{nearest(self.metric, METRICS)}"
            )

    def begin(self, objective: Objective) -> Damping:
        loss = objective.loss()
        return Damping(loss, 0, min(self.damping, loss))

    def advance(self, objective: Objective, state: Damping) -> str | None:
        if slow(state.losses, self.patience):
            return f"the loss fell by less than 1 % in {self.patience} steps"
        if state.taken == self.steps:
            return "all steps done"
        found = self._step(objective, state.mu)
        if isinstance(found, str):
            return found
        before, state.loss, state.mu = found
        if beyond_rounding(before, state.losses[-1], objective.network.theta.dtype):
            # Other points than before.
            state.losses, state.mu = [], max(state.mu, min(self.damping, before))
        state.losses, state.taken = (
            [*state.losses, state.loss][-self.patience - 1 :],
            state.taken + 1,
        )
        return None

    def _step(self, objective: Objective, mu: float) -> tuple[float, float, float] | str:
        """Raise μ until a step lowers the loss; leaves the network there and returns both losses
        and the next μ, or why there is no step."""
        network, start = objective.network, objective.network.theta
        r, J = linear(objective)
        normal, slope, squares = totals_with_lower(*J.normal(r))
        sizes = [] if self.metric == "root" else [layer.size for layer in network.layers]
        *found, numbers = damping_rescaled(normal, slope, squares, sizes)
        local = Local(start, r, J, *found)
        # Reading a number waits for the device: both at once.
        loss, top = numbers.tolist()
        if not math.isfinite(loss):
            return f"loss became {loss}: went back to the last good state"
        given, ceiling = mu, 1e6 * max(top, 1.0)
        while mu < ceiling:
            new = self._trial(objective, local, mu)
            if new < loss:
                eased = mu / EASE_DAMPING if mu == given else mu
                return loss, new, max(eased, torch.finfo(r.dtype).eps ** 2)
            mu *= RAISE_DAMPING
        network.theta = start
        return STUCK

    def _trial(self, objective: Objective, at: Local, mu: float) -> float:
        """Go where this damping leads; the loss there, infinite where there is no such step.

        On a CPU it ends as soon as there is none. On a GPU, where reading a number waits for all
        that was launched before, all of it is launched and one number is read.
        """
        network, waits = objective.network, reading_waits(at.r)
        factor, failed = damped_factor(at.normal, at.diagonal, mu)
        if not waits and not sound(factor, failed):
            return math.inf
        # As the correction, in parameters divided by W.
        velocity = _solve(factor, at.descent)
        network.theta = along(at.theta, at.W, velocity, PROBE)
        bent = at.J.pulled(at.W * velocity, (objective.residuals() - at.r) / PROBE, -1 / PROBE)
        correction = _solve(factor, at.W * total(bent))
        if not waits and not 2 * correction.norm() <= self.accept * velocity.norm():
            return math.inf
        network.theta = along(at.theta, at.W, velocity + correction)
        new = objective.squares()
        return float(damping_judged(new, failed, velocity, correction, self.accept))


def reading_waits(x: Tensor) -> bool:
    """Whether reading a number waits for all that was launched before.

    Args:
        x: The number, or what lies where it does.
    """
    return x.is_cuda


class Local(NamedTuple):
    """The objective at the parameters that a step starts from.

    Attributes:
        theta: The parameters.
        r: The residuals.
        J: Their derivatives.
        normal: JᵀJ of the divided parameters; its diagonal is that of the last damping.
        diagonal: Its diagonal without damping.
        W: By what parameters are divided.
        descent: -Jᵀr of the divided parameters.
    """

    theta: Tensor
    r: Tensor
    J: Rows | Blocks
    normal: Tensor
    diagonal: Tensor
    W: Tensor
    descent: Tensor


def slow(losses: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` steps together have not lowered the loss by a hundredth.

    Args:
        losses: The losses so far, in order.
        patience: How many of the last steps count.
    """
    return len(losses) > patience and losses[-1] > 0.99 * losses[-1 - patience]


def beyond_rounding(loss: float, before: float, dtype: torch.dtype) -> bool:
    """Whether a loss is larger than one that was formed in another order, and not by rounding.

    Args:
        loss: The loss.
        before: The other one.
        dtype: In which residuals are formed.
    """
    return loss > (1 + torch.finfo(dtype).eps ** 0.5) * before


METRICS = ("root", "layer")

STUCK = "no damping lowers the loss any further"

PROBE = 0.1
"""Share of the step at which the second directional derivative of the residual is taken (Transtrum
and Sethna)."""

EASE_DAMPING, RAISE_DAMPING = 2.0, 2.0
"""What μ is divided by after a step that succeeded at once, and multiplied by after a failure."""


def scaling(squares: Tensor) -> Tensor:
    """The metric "root": damping in it by μ is damping by μ √(diag(JᵀJ) / its mean).

    It is halfway between the identity of Levenberg and the diagonal of Marquardt, with which
    parameters that few points see run away between the points: the loss falls, the residual
    elsewhere does not.

    Args:
        squares: The diagonal of JᵀJ [parameters].

    Returns:
        W [parameters], by which parameters are divided.
    """
    return metric(squares, ())


def by_layer(squares: Tensor, sizes: Sequence[int]) -> Tensor:
    """The metric "layer": damping by μ is damping by μ times the layer's mean of diag(JᵀJ), over
    that of all.

    Args:
        squares: The diagonal of JᵀJ [parameters].
        sizes: Numbers of parameters of the layers, in order.

    Returns:
        W [parameters], by which parameters are divided.
    """
    return metric(squares, sizes)


def along(theta: Tensor, W: Tensor, step: Tensor, share: float = 1.0) -> Tensor:
    """θ + share W step, on a GPU in one launch.

    Args:
        theta: Where from [parameters].
        W: By what parameters are divided in the step [parameters].
        step: Where to [parameters].
        share: How far.
    """
    if theta.is_cuda:
        return torch.addcmul(theta, W, step, value=share)
    return theta + share * W * step


def damped_cholesky(normal: Tensor, mu: float) -> Tensor | None:
    """Cholesky factor of a normal matrix with damping.

    Args:
        normal: JᵀJ [parameters, parameters], of which the lower triangle is read.
        mu: Damping μ, which is added to the diagonal.

    Returns:
        The lower factor; None where rounding leaves the matrix indefinite or not finite.
    """
    factor, failed = damped_factor(normal.clone(), normal.diagonal(), mu)
    return factor if sound(factor, failed) else None


def damped_factor(normal: Tensor, diagonal: Tensor, mu: float) -> tuple[Tensor, Tensor]:
    """The same on the device, without looking at it.

    Args:
        normal: JᵀJ [parameters, parameters], of which the lower triangle is read; its diagonal is
            written.
        diagonal: The diagonal of JᵀJ [parameters].
        mu: Damping μ, which is added to it.

    Returns:
        The lower factor, and a number that is zero if it is one.
    """
    torch.add(diagonal, mu, out=normal.diagonal())
    return torch.linalg.cholesky_ex(normal)


def sound(factor: Tensor, failed: Tensor) -> bool:
    """Whether a factor is one, and finite.

    Args:
        factor: The lower factor [parameters, parameters].
        failed: Not zero where it is none.
    """
    return not failed and bool(factor.diagonal().sum().isfinite())


def _solve(factor: Tensor, right: Tensor) -> Tensor:
    return torch.cholesky_solve(right[:, None], factor)[:, 0]
