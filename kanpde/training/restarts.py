"""Several random starts of the first stage, of which the best goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kanpde.networks.network import Network
from kanpde.training.history import Observer
from kanpde.training.schedule import Optimiser

PART = 3
"""A start takes the first stage's steps over this."""


def shortened(stage: Optimiser) -> Optimiser:
    """The stage as a random start takes it, with a third of the steps.

    Args:
        stage: The first stage.
    """
    return replace(stage, steps=max(stage.steps // PART, 1))


def tell_starts(observer: Observer, restarts: int) -> None:
    """Say that the random starts begin.

    Args:
        observer: Who is told.
        restarts: How many starts there are.
    """
    observer.message(f"{restarts} random starts, a third of the first stage each")


def best_of(starts: Sequence[tuple[float, Network]], observer: Observer) -> Network:
    """The network of the start with the smallest loss.

    Args:
        starts: The loss and the network of every start.
        observer: Who is told which it is.
    """
    best, network = min(starts, key=lambda pair: pair[0])
    losses = ", ".join(f"{loss:.1e}" for loss, _ in starts)
    observer.message(f"{len(starts)} starts: losses {losses}; goes on from {best:.1e}")
    return network
