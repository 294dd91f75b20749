"""Adam (Kingma and Ba 2015), full batch, with a cosine decay of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from kanpde.training.objective import Objective


@dataclass(frozen=True)
class Adam:
    """steps; rate: initial learning rate, which decays to a hundredth of it along a cosine."""

    steps: int = 1000
    rate: float = 3e-3
    name = "adam"

    def minimise(self, objective: Objective) -> Generator[float, None, str]:
        """Yields the loss before every step; returns why it stopped."""
        network = objective.network
        first, second, good = network.theta * 0, network.theta * 0, network.theta
        for step in range(1, self.steps + 1):
            loss, gradient = objective.gradient()
            if not math.isfinite(loss):
                network.theta = good
                return f"loss became {loss}: went back by one step"
            good = network.theta
            yield loss
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient.square()
            decay = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / self.steps))
            update = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-12)
            network.theta = good - self.rate * decay * update
        if not math.isfinite(objective.loss()):
            network.theta = good
        return "all steps done"
