"""Who keeps states of training, and when they are handed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from kanpde.training.method import MethodState
from kanpde.training.shards import anybody


class Keeps(Protocol):
    """Somebody who keeps states, so that training can go on from there."""

    def due(self, last: bool = False) -> bool:
        """Whether it is time to keep a state.

        Args:
            last: Whether there are no more steps.
        """

    def keep(self, state: dict[str, Any]) -> None:
        """Keep a state.

        Args:
            state: Tensors, plain values, and lists, tuples and dicts of them.
        """


def handed_to(keeper: Keeps | None) -> Callable[[MethodState], None]:
    """What hands states to a keeper when they are due.

    States are handed over where they can be kept. Every process has to take part, also those
    that have no keeper, since the points of all of them make one state.

    Args:
        keeper: Who keeps the states; None for nobody.

    Returns:
        A function to call with the state after every step.
    """

    def hand_over(state: MethodState) -> None:
        if not state.keepable:
            return
        if anybody(keeper is not None and keeper.due(state.last)):
            plain = state.plain()
            if keeper is not None:
                keeper.keep(plain)

    return hand_over
