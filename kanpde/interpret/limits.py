"""A limit to the time of what may take forever: simplification."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class _OutOfTime(BaseException):
    """Not an Exception: SymPy catches those."""


def within(seconds: float, function: Callable[[], T]) -> T | None:
    """What a function returns, unless it takes too long.

    Works by a timer's signal: where there is none, or outside of the main thread, the answer is
    None at once.

    Args:
        seconds: How long it may take.
        function: What is called, without arguments.

    Returns:
        What the function returns, or None where it takes longer.
    """
    if (
        seconds <= 0
        or not hasattr(signal, "SIGALRM")
        or threading.current_thread() is not threading.main_thread()
    ):
        return None

    def stop(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function()
    except _OutOfTime:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)
