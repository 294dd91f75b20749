"""Signals answered at a moment of our choosing: a Ctrl-C that Python raises inside a library's
callback is printed and forgotten."""

from __future__ import annotations

import _thread
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE = 2.0
"""Seconds that a block gets to end after a signal, before it is left where it stands."""


@contextmanager
def answered(
    number: signal.Signals, by: Callable[[], None], late: Callable[[], None] | None = None
) -> Iterator[None]:
    """Answer the first such signal in the block by a call, between two steps of the main thread.

    A second one does what it always did. Nothing changes outside of the main thread, which alone is
    reached by signals, and where somebody else answers them already.

    Args:
        number: The signal.
        by: What is called, without arguments.
        late: What is called, within the block, where this has not ended `PATIENCE` seconds after
            the signal: it raises what ends it. None for patience without end.
    """
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(number) is not usual
    ):
        yield
        return

    overdue = threading.Event()

    def remind() -> None:
        overdue.set()
        _thread.interrupt_main(number)

    clock = threading.Timer(PATIENCE, remind)
    clock.daemon = True

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(number, usual if late is None else second)
        if late is not None:
            clock.start()
        by()

    def second(number: int, frame: FrameType | None) -> None:
        signal.signal(number, usual)
        if overdue.is_set() and late is not None:
            late()
        else:
            signal.raise_signal(number)

    signal.signal(number, first)
    try:
        yield
    finally:
        clock.cancel()
        signal.signal(number, usual)


@contextmanager
def reminded(until: float) -> Iterator[None]:
    """A Ctrl-C that comes by itself where the block goes on `PATIENCE` seconds after a time.

    Args:
        until: The time, on the clock of `time.perf_counter`.
    """
    if math.isinf(until):
        yield
        return
    rest = max(0.0, until - time.perf_counter()) + PATIENCE
    clock = threading.Timer(rest, _thread.interrupt_main)
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


@contextmanager
def held() -> Iterator[None]:
    """Ctrl-C held back until the block is done, and raised then; a second one goes through."""
    came: list[bool] = []
    with answered(signal.SIGINT, lambda: came.append(True)):
        yield
    if came:
        raise KeyboardInterrupt


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes begun in the block never hear Ctrl-C, which is for this one to pass on; it is held
    back here meanwhile."""
    with held():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
