"""Signals answered at a moment of our choosing: a Ctrl-C that Python raises inside a library's
callback is printed and forgotten."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def answered(number: signal.Signals, by: Callable[[], None]) -> Iterator[None]:
    """Answer the first such signal in the block by a call, between two steps of the main thread.

    A second one does what it always did. Nothing changes outside of the main thread, which alone is
    reached by signals, and where somebody else answers them already.

    Args:
        number: The signal.
        by: What is called, without arguments.
    """
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(number) is not usual
    ):
        yield
        return

    def first(number: int, frame: object) -> None:
        signal.signal(number, usual)
        by()

    signal.signal(number, first)
    try:
        yield
    finally:
        signal.signal(number, usual)


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
