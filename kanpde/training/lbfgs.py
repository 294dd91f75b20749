"""L-BFGS (Liu and Nocedal 1989) with the line search of wolfe.py, and words for why it stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper
from kanpde.training.wolfe import FIRST, search

Pair = tuple[Tensor, Tensor, float]
"""A step s, the change y of the gradient, and 1 / sᵀy."""


@dataclass
class Pairs(State):
    """The gradient where the network is, and the last steps."""

    gradient: Tensor
    pairs: list[Pair] = field(default_factory=list)


@dataclass(frozen=True)
class LBFGS(Stepper):
    """steps; memory: pairs kept; tolerance: on the largest entry of the gradient."""

    steps: int = 500
    memory: int = 50
    tolerance: float = 1e-12
    name = "lbfgs"
    carries = Pairs

    def begin(self, objective: Objective) -> Pairs:
        loss, gradient = objective.gradient()
        return Pairs(loss, 0, gradient)

    def advance(self, objective: Objective, state: Pairs) -> str | None:
        network = objective.network
        while state.taken < self.steps:
            state.taken += 1
            if not math.isfinite(state.loss):
                return f"loss became {state.loss}"
            gradient = state.gradient
            if float(gradient.abs().max()) < self.tolerance:
                return f"gradient below {self.tolerance:g}"
            direction = -_two_loops(gradient, state.pairs)
            if float(direction @ gradient) >= 0:
                state.pairs, direction = [], -gradient
            reach = [1.0] if state.pairs else [length / float(gradient.norm()) for length in FIRST]
            found = search(objective, direction, state.loss, gradient, reach)
            if found is None:
                if not state.pairs:
                    return "no step along the gradient lowers the loss"
                state.pairs = []
                continue
            theta, state.loss, state.gradient = found
            s, y = theta - network.theta, state.gradient - gradient
            if float(s @ y) > 1e-14 * float(y.norm() * s.norm()):
                state.pairs = [*state.pairs, (s, y, 1 / float(s @ y))][-self.memory :]
            network.theta = theta
            return None
        return "all steps done"


def _two_loops(gradient: Tensor, pairs: Sequence[Pair]) -> Tensor:
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
