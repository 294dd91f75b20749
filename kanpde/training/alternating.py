"""Alternating least squares: one block of the parameters after another, with the others fixed.

A sum of products of functions of one coordinate is linear in the functions of each coordinate
(Beylkin and Mohlenkamp 2002, "Numerical operator calculus in higher dimensions"; Kolda and Bader
2009, section 3.4). With the others fixed the best ones are a small linear least-squares problem,
whose solution needs no good start: what random factors are far from, a few sweeps find. Near the
minimum the sweeps are slow, and Levenberg-Marquardt is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.networks.network import Network
from kanpde.networks.sums_of_products import SumsOfProducts
from kanpde.training.blocks import linear
from kanpde.training.levenberg_marquardt import damped_cholesky
from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper
from kanpde.training.shards import totals_with_lower

DAMPING = 1e-13
"""Of a block's normal matrix, scaled to ones on its diagonal: functions that no point sees stay."""

HALVED_AT_MOST = 6
"""Of a step that does not lower the loss, as it may where the residual is not linear."""

LEAST_LOWERED = 1e-4
"""A sweep that lowers the loss by a smaller share is the last one."""


@dataclass(frozen=True)
class AlternatingLeastSquares(Stepper[State]):
    """Alternating least squares, a sweep over all blocks a step.

    The blocks of a separable network are the functions of a coordinate; of any other, its layers.
    Where a residual is not linear in a block, it is linearised (Gauss-Newton), and a step that
    would raise the loss is halved.

    Attributes:
        steps: Sweeps, at most.
    """

    steps: int = 12
    name = "als"
    carries = State

    def begin(self, objective: Objective) -> State:
        return State(objective.loss(), 0)

    def advance(self, objective: Objective, state: State) -> str | None:
        if state.taken == self.steps:
            return "all steps done"
        network = objective.network
        before = state.loss = objective.loss()
        first = 0
        for size in blocks(network):
            loss = _solved(objective, slice(first, first + size), state.loss)
            if not math.isfinite(loss):
                return f"loss became {loss}: went back to the last good state"
            state.loss, first = loss, first + size
        if state.taken and state.loss > (1 - LEAST_LOWERED) * before:
            return f"a sweep lowered the loss by less than {LEAST_LOWERED:.0e} of it"
        state.taken += 1
        return None


def blocks(network: Network) -> list[int]:
    """The sizes of the blocks of parameters, in order.

    Args:
        network: The network.
    """
    found: list[int] = []
    for layer in network.layers:
        found += layer.blocks if isinstance(layer, SumsOfProducts) else (layer.size,)
    return [size for size in found if size]


def _solved(objective: Objective, own: slice, loss: float) -> float:
    """Put the least-squares solution of a block in its place; returns the loss after it."""
    network, start = objective.network, objective.network.theta
    r, J = linear(objective)
    normal, slope, _ = totals_with_lower(*J.normal(r))
    step = torch.zeros_like(start)
    step[own] = _step(normal[own, own], slope[own])
    for _ in range(HALVED_AT_MOST):
        network.theta = start - step
        found = objective.loss()
        if found <= loss:
            return found
        step = step / 2
    network.theta = start
    return loss


def _step(normal: Float[Tensor, "block block"], slope: Float[Tensor, " block"]) -> Tensor:
    """The solution of the normal equations of a block, damped as far as rounding asks for it."""
    W = normal.diagonal().clamp_min(torch.finfo(normal.dtype).tiny).rsqrt()
    W = torch.where(normal.diagonal() > 0, W, torch.zeros_like(W))
    scaled, mu = normal * W[:, None] * W, DAMPING
    while (factor := damped_cholesky(scaled, mu)) is None:
        if mu > 1:  # not finite
            return torch.full_like(slope, math.nan)
        mu *= 10
    return W * torch.cholesky_solve((W * slope)[:, None], factor)[:, 0]
