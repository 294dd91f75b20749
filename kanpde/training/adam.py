"""Adam (Kingma and Ba 2015), full batch, with a cosine decay of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper


@dataclass
class Moments(State):
    """What Adam carries from step to step.

    Attributes:
        first: Running mean of the gradient [parameters].
        second: Running mean of its squares [parameters].
        gradient: The gradient where the network is [parameters], which the next step still has to
            take in.
    """

    first: Tensor
    second: Tensor
    gradient: Tensor | None = None


@dataclass(frozen=True)
class Adam(Stepper[Moments]):
    """Adam (Kingma and Ba 2015), full batch, with a cosine decay of the learning rate.

    A step's loss is that before it.

    Attributes:
        steps: Steps, at most.
        rate: Initial learning rate, which decays to a hundredth of it along a cosine.
    """

    steps: int = 1000
    rate: float = 3e-3
    name = "adam"
    carries = Moments

    def begin(self, objective: Objective) -> Moments:
        return Moments(math.inf, 0, objective.network.theta * 0, objective.network.theta * 0)

    def advance(self, objective: Objective, state: Moments) -> str | None:
        network, good = objective.network, objective.network.theta
        if state.gradient is not None:
            state.first = 0.9 * state.first + 0.1 * state.gradient
            state.second = 0.999 * state.second + 0.001 * state.gradient.square()
            decay = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * state.taken / self.steps))
            update = (state.first / (1 - 0.9**state.taken)) / (
                (state.second / (1 - 0.999**state.taken)).sqrt() + 1e-12
            )
            network.theta = good - self.rate * decay * update
        if state.taken == self.steps:
            if not math.isfinite(objective.loss()):
                network.theta = good
            return "all steps done"
        state.loss, state.gradient = objective.gradient()
        if not math.isfinite(state.loss):
            network.theta = good
            return f"loss became {state.loss}: went back by one step"
        state.taken += 1
        return None
