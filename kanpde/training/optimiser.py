"""What every optimiser is: a step at a time, with all that it carries from step to step in a state
that can be kept.

A state holds tensors, plain values, and lists and tuples of them. Kept in a file after any step and
read back, training goes on with the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from kanpde.training.objective import Objective


@dataclass
class State:
    """loss: after the last step; taken: steps so far."""

    loss: float
    taken: int

    def plain(self) -> dict[str, Any]:
        """As a file holds it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """The state that `plain` made."""
        return cls(**plain)


class Stepper(ABC):
    """An optimiser: frozen settings, the type of its state, and two methods."""

    carries: ClassVar[type[State]]

    @abstractmethod
    def begin(self, objective: Objective) -> Any:
        """The state before the first step."""

    @abstractmethod
    def advance(self, objective: Objective, state: Any) -> str | None:
        """Move the network by a step, with state.loss after it; or return why there is none. Leaves
        no state that is not finite."""

    def minimise(self, objective: Objective, state: Any = None) -> Generator[float, None, str]:
        """Yields the loss at every step; returns why it stopped. state: to go on from; it is
        changed as the steps are taken."""
        state = self.begin(objective) if state is None else state
        while (reason := self.advance(objective, state)) is None:
            yield state.loss
        return reason
