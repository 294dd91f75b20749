"""Compiled functions that release the interpreter's lock: what they are called with, and dealing them out to threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


def array(x: Tensor) -> np.ndarray:
    """The numbers of a tensor, row after row."""
    return x.detach().contiguous().numpy()


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads that sleep between calls; a forked process, which inherits none, gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="kanpde")


def deal(work: Callable[[int, int], None], count: int, unit: int = 1) -> None:
    """Call work(begin, end) for ranges that together are 0 … count, each beginning at a multiple of `unit`, on as many
    threads as torch uses; this thread takes the first. What work computes must not depend on where the ranges begin."""
    units = -(-count // unit)
    threads = max(1, min(torch.get_num_threads(), units))
    ends = [min(count, unit * (units * (k + 1) // threads)) for k in range(threads)]
    if threads == 1:
        work(0, count)
        return
    pool = _pool(os.getpid(), torch.get_num_threads() - 1)
    others = [pool.submit(work, begin, end) for begin, end in pairwise(ends)]
    work(0, ends[0])
    for other in others:
        other.result()
