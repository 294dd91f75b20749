"""L-BFGS (Liu and Nocedal 1989) with a line search for the strong Wolfe conditions, and words for why it stopped."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

from scipy.optimize import line_search
from scipy.optimize._linesearch import LineSearchWarning
from torch import Tensor

from kanpde.training.objective import Objective


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
            reach = [1.0] if pairs else [shrink / float(gradient.norm()) for shrink in (1.0, 0.1, 0.01, 0.001)]
            found = next((step for scale in reach if (step := _wolfe(objective, scale * direction, loss, gradient)) is not None), None)
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


def _wolfe(objective: Objective, direction: Tensor, loss: float, gradient: Tensor) -> tuple[Tensor, float, Tensor] | None:
    """A point along the direction that satisfies the strong Wolfe conditions, by SciPy's search, or at least the first.

    None where no point tried lowers the loss.
    """
    network, start = objective.network, objective.network.theta
    seen: dict[float, tuple[float, Tensor]] = {0.0: (loss, gradient)}

    def at(t: float) -> tuple[float, Tensor]:
        if t not in seen:
            network.theta = start + t * direction
            found, slopes = objective.gradient()
            seen[t] = (found, slopes) if math.isfinite(found) else (math.inf, gradient)  # too far: the search bisects
            network.theta = start
        return seen[t]

    slope = float(gradient @ direction)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=LineSearchWarning)  # a failed search is answered below
        step = line_search(lambda t: at(float(t))[0], lambda t: float(at(float(t))[1] @ direction), 0.0, 1.0, slope, loss, c1=1e-4, c2=0.9, maxiter=20)[0]
    if step is None:  # none may exist before a wall where the residual is undefined: then the lowest sufficient decrease
        lower = [t for t, (value, _) in seen.items() if value < loss + 1e-4 * t * slope]
        if not lower:
            return None
        step = min(lower, key=lambda t: seen[t][0])
    new_loss, new_gradient = at(float(step))
    return start + float(step) * direction, new_loss, new_gradient
