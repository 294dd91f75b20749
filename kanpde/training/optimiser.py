"""What every optimiser is: a step at a time, with all that it carries from step to step in a state
that can be kept.

A state holds tensors, plain values, and lists and tuples of them. Kept in a file after any step and
read back, training goes on with the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Self, TypeVar

from kanpde.training.objective import Objective


@dataclass
class State:
    """What an optimiser carries from step to step.

    Attributes:
        loss: The loss after the last step.
        taken: Steps so far.
    """

    loss: float
    taken: int

    def plain(self) -> dict[str, Any]:
        """As a file holds it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """The state that `plain` made.

        Args:
            plain: What `plain` gave.
        """
        return cls(**plain)


Carried = TypeVar("Carried", bound=State)
"""The type of an optimiser's state."""


class Stepper(ABC, Generic[Carried]):
    """An optimiser: frozen settings, the type of its state, and two methods."""

    carries: ClassVar[type[State]]

    @abstractmethod
    def begin(self, objective: Objective) -> Carried:
        """The state before the first step.

        Args:
            objective: What is to be lowered.
        """

    @abstractmethod
    def advance(self, objective: Objective, state: Carried) -> str | None:
        """Move the network by a step. It leaves no state that is not finite.

        Args:
            objective: What is to be lowered, with the network that is moved.
            state: What `begin` gave, changed in place; state.loss is the loss after the step.

        Returns:
            None after a step; or why there is none.
        """

    def minimise(
        self, objective: Objective, state: Carried | None = None
    ) -> Generator[float, None, str]:
        """Take steps until there are no more.

        Args:
            objective: What is to be lowered, with the network that is moved.
            state: The state to go on from, which is changed as the steps are taken; None for a new
                one.

        Yields:
            The loss, at every step.

        Returns:
            Why it stopped.
        """
        state = self.begin(objective) if state is None else state
        while (reason := self.advance(objective, state)) is None:
            yield state.loss
        return reason
