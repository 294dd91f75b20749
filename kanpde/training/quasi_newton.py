"""Quasi-Newton methods but for their estimate of the inverse Hessian: downhill along it, as far as
the line search of wolfe.py goes."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper
from kanpde.training.wolfe import FIRST_LENGTHS, search

CURVED = 1e-14
"""Smallest cosine between a step and the change of the gradient that is learned from."""


@dataclass
class Downhill(State):
    """What a quasi-Newton method carries from step to step, but for its estimate.

    Attributes:
        gradient: The gradient where the network is [parameters].
    """

    gradient: Tensor


Learned = TypeVar("Learned", bound=Downhill)
"""The state of a quasi-Newton method."""


class QuasiNewton(Stepper[Learned]):
    """A quasi-Newton method: a frozen dataclass of settings, whose estimate is in the state.

    Attributes:
        steps: Steps, at most.
        tolerance: It ends where the largest entry of the gradient is below this.
    """

    steps: int
    tolerance: float

    def begin(self, objective: Objective) -> Learned:
        return self.knowing_nothing(*objective.gradient())

    @abstractmethod
    def knowing_nothing(self, loss: float, gradient: Tensor) -> Learned:
        """The state before the first step, without an estimate.

        Args:
            loss: The loss where the network is.
            gradient: The gradient there [parameters].
        """

    @abstractmethod
    def knows(self, state: Learned) -> bool:
        """Whether there is an estimate, or else the identity in its place.

        Args:
            state: The state of the method.
        """

    @abstractmethod
    def forget(self, state: Learned) -> None:
        """Begin with the identity again.

        Args:
            state: The state of the method, which is changed in place.
        """

    @abstractmethod
    def times(self, state: Learned, gradient: Tensor) -> Tensor:
        """The estimate times the gradient.

        Args:
            state: The state of the method.
            gradient: The gradient [parameters].
        """

    @abstractmethod
    def learn(self, state: Learned, s: Tensor, y: Tensor, pulled: float) -> None:
        """Take in a step.

        Args:
            state: The state of the method, which is changed in place.
            s: The step [parameters].
            y: The change of the gradient [parameters].
            pulled: sᵀ H⁻¹ s, with the present estimate H.
        """

    def advance(self, objective: Objective, state: Learned) -> str | None:
        network = objective.network
        while state.taken < self.steps:
            state.taken += 1
            if not math.isfinite(state.loss):
                return f"loss became {state.loss}"
            gradient = state.gradient
            if float(gradient.abs().max()) < self.tolerance:
                return f"gradient below {self.tolerance:g}"
            direction = -self.times(state, gradient)
            if float(direction @ gradient) >= 0:
                self.forget(state)
                direction = -gradient
            reach = (
                (1.0,)
                if self.knows(state)
                else [length / float(gradient.norm()) for length in FIRST_LENGTHS]
            )
            found = search(objective, direction, state.loss, gradient, reach)
            if found is None:
                if not self.knows(state):
                    return "no step along the gradient lowers the loss"
                self.forget(state)
                continue
            theta, state.loss, state.gradient = found
            s, y = theta - network.theta, state.gradient - gradient
            if float(s @ y) > CURVED * float(y.norm() * s.norm()):
                self.learn(state, s, y, -float(s.norm() / direction.norm()) * float(s @ gradient))
            network.theta = theta
            return None
        return "all steps done"
