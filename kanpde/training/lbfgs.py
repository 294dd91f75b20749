"""L-BFGS (Liu and Nocedal 1989)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from kanpde.training.quasi_newton import Downhill, QuasiNewton

Pair = tuple[Tensor, Tensor, float]
"""A step s, the change y of the gradient, and 1 / sᵀy."""


@dataclass
class Pairs(Downhill):
    """What L-BFGS carries from step to step.

    Attributes:
        pairs: The last steps, with the changes of the gradient.
    """

    pairs: list[Pair] = field(default_factory=list)


@dataclass(frozen=True)
class LBFGS(QuasiNewton[Pairs]):
    """L-BFGS (Liu and Nocedal 1989), with a line search for the strong Wolfe conditions.

    Attributes:
        steps: Steps, at most.
        memory: Pairs of a step and a change of the gradient that are kept.
        tolerance: It ends where the largest entry of the gradient is below this.
    """

    steps: int = 500
    memory: int = 50
    tolerance: float = 1e-12
    name = "lbfgs"
    carries = Pairs

    def knowing_nothing(self, loss: float, gradient: Tensor) -> Pairs:
        return Pairs(loss, 0, gradient)

    def knows(self, state: Pairs) -> bool:
        return bool(state.pairs)

    def forget(self, state: Pairs) -> None:
        state.pairs = []

    def times(self, state: Pairs, gradient: Tensor) -> Tensor:
        return _two_loops(gradient, state.pairs)

    def learn(self, state: Pairs, s: Tensor, y: Tensor, pulled: float) -> None:
        state.pairs = [*state.pairs, (s, y, 1 / float(s @ y))][-self.memory :]


def _two_loops(gradient: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """The inverse Hessian's estimate times the gradient (Nocedal and Wright 2006, algorithm
    7.4)."""
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
