"""L-BFGS (Liu and Nocedal 1989) with the line search of wolfe.py, and words for why it stopped."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor

from kanpde.training.objective import Objective
from kanpde.training.wolfe import FIRST, search


@dataclass(frozen=True)
class LBFGS:
    """steps; memory: pairs kept; tolerance: on the largest entry of the gradient."""

    steps: int = 500
    memory: int = 50
    tolerance: float = 1e-12
    name = "lbfgs"

    def minimise(self, objective: Objective) -> Generator[float, None, str]:
        """Yields the loss after every step; returns why it stopped."""
        network = objective.network
        pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=self.memory)
        loss, gradient = objective.gradient()
        for _ in range(self.steps):
            if not math.isfinite(loss):
                return f"loss became {loss}"
            if float(gradient.abs().max()) < self.tolerance:
                return f"gradient below {self.tolerance:g}"
            direction = -_two_loops(gradient, pairs)
            if float(direction @ gradient) >= 0:
                pairs.clear()
                direction = -gradient
            reach = [1.0] if pairs else [length / float(gradient.norm()) for length in FIRST]
            found = search(objective, direction, loss, gradient, reach)
            if found is None:
                if not pairs:
                    return "no step along the gradient lowers the loss"
                pairs.clear()
                continue
            theta, new_loss, new_gradient = found
            s, y = theta - network.theta, new_gradient - gradient
            if float(s @ y) > 1e-14 * float(y.norm() * s.norm()):
                pairs.append((s, y, 1 / float(s @ y)))
            network.theta, loss, gradient = theta, new_loss, new_gradient
            yield loss
        return "all steps done"


def _two_loops(gradient: Tensor, pairs: deque[tuple[Tensor, Tensor, float]]) -> Tensor:
    """The inverse Hessian's estimate times the gradient (Nocedal and Wright 2006, algorithm 7.4)."""
    q, alphas = gradient.clone(), []
    for s, y, rho in reversed(pairs):
        alphas.append(rho * float(s @ q))
        q -= alphas[-1] * y
    if pairs:
        s, y, rho = pairs[-1]
        q /= rho * float(y @ y)
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - rho * float(y @ q)) * s
    return q
