"""Compiled functions that release the interpreter's lock: what they are called with, and dealing
them out to threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

RANGES = 4
"""Into how many ranges the work of a thread is divided."""


def array(x: Tensor) -> np.ndarray:
    """The numbers of a tensor, row after row."""
    return x.detach().contiguous().numpy()


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads that sleep between calls; a forked process, which inherits none, gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="kanpde")


def deal(work: Callable[[int, int], None], count: int, unit: int = 1) -> None:
    """Call work(begin, end) for ranges that together are 0 … count, each beginning at a multiple of
    `unit`, on as many threads as torch uses, this one among them. What work computes must not
    depend on where the ranges begin.

    A thread takes the next range when it is done with one, so that none waits long for another
    whose core is busy elsewhere.
    """
    units = -(-count // unit)
    threads = max(1, min(torch.get_num_threads(), units))
    if threads == 1:
        work(0, count)
        return
    parts = min(units, RANGES * threads)
    ranges = iter(
        [
            (unit * (units * k // parts), min(count, unit * (units * (k + 1) // parts)))
            for k in range(parts)
        ]
    )

    def some() -> None:
        for begin, end in ranges:  # one thread at a time advances it, as it is a list's
            work(begin, end)

    pool = _pool(os.getpid(), torch.get_num_threads() - 1)
    others = [pool.submit(some) for _ in range(threads - 1)]
    some()
    for other in others:
        if not other.cancel():  # else it has not begun, and there is nothing left to do
            other.result()
