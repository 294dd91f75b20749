"""How Ctrl-C, SIGTERM and the end of the time that was given end a run, so that nothing of it is
lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from kanpde.runs.keeper import StateKeeper
from kanpde.runs.signals import answered
from kanpde.training import shards
from kanpde.training.history import History


def answers(
    keeper: StateKeeper | None, until: float
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What SIGTERM, during the whole run, and Ctrl-C, during training, do to a run that is kept.

    Of several processes each gets its own Ctrl-C, at other steps: there it ends training at once.
    So does the one that comes by itself when the time is up.

    Args:
        keeper: What keeps the run; None for nothing.
        until: When the time is up, on the clock of `time.perf_counter`.
    """
    if keeper is None:
        return nullcontext(), nullcontext()
    alone = shards.size() == 1

    def interrupt() -> None:
        if time.perf_counter() > until:
            raise KeyboardInterrupt
        keeper.interrupt()

    return answered(signal.SIGTERM, keeper.end, keeper.leave), (
        answered(signal.SIGINT, interrupt, leave) if alone else nullcontext()
    )


def told(history: History, late: Callable[[], None] | None = None) -> AbstractContextManager[None]:
    """Hold back the first Ctrl-C until the block is done, so that it cannot lose the run; the
    history says that one came.

    Args:
        history: What was done.
        late: See `answered`.
    """
    return answered(signal.SIGINT, lambda: setattr(history, "interrupted", True), late)


def leave() -> None:
    """End what is under way at once.

    Raises:
        KeyboardInterrupt: Always.
    """
    raise KeyboardInterrupt
