"""Modules are loaded without the garbage collector, which would look through their objects."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """While a command imports what it needs.

    There are half a million objects afterwards, nearly all of which live as long as the process.
    To look through them again and again takes a sixth of a short run, so that they are set aside.
    Where nothing was imported, all stays as it was.
    """
    before, collecting = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
    if len(sys.modules) > before:
        gc.freeze()
