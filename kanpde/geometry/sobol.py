"""Scrambled Sobol points (Owen 1998, in the cheaper form of Matoušek 1998), the same to the last
bit as `scipy.stats.qmc.Sobol` gives them.

Importing scipy.stats takes a third of the time that a small problem takes to solve.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

BITS = 30
"""Binary digits of a coordinate."""

_DIGIT = np.arange(BITS - 1, -1, -1)
"""Where the digits of a coordinate stand in a whole number, the first digit first."""


def sobol(count: int, dimensions: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The first points of a scrambled Sobol sequence.

    Args:
        count: How many, at most 2^30.
        dimensions: Of the unit cube, at most 21,201.
        rng: Where the scrambling comes from: a child of it is spawned.

    Returns:
        Points [count, dimensions] of the unit cube, 1 left out.
    """
    own = rng.spawn(1)[0]
    shift = own.integers(0, 2, size=(dimensions, BITS), dtype=np.uint32) @ (
        2 ** np.arange(BITS, dtype=np.uint32)
    )
    mix = np.tril(own.integers(0, 2, size=(dimensions, BITS, BITS), dtype=np.uint32))
    mix[:, range(BITS), range(BITS)] = 1
    directions = _scrambled(_directions(dimensions), mix)
    # In the order of Gray's code a point differs from the one before it by one direction: that of
    # the lowest digit 1 of its number.
    number = np.arange(1, count)
    changed = np.frexp(number & -number)[1] - 1
    steps = np.concatenate([shift[None], directions.T[changed]]).astype(np.uint32)
    return np.bitwise_xor.accumulate(steps)[:count] / 2.0**BITS


def _directions(dimensions: int) -> NDArray[np.int64]:
    """Direction numbers [dimensions, BITS] of Joe and Kuo (2008), which torch brings along."""
    return torch.quasirandom.SobolEngine(dimensions).sobolstate.numpy()


def _scrambled(directions: NDArray[np.int64], mix: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Directions, each of whose digits is the sum modulo 2 of some of the digits before it and of
    itself, as mix [dimensions, BITS, BITS] says."""
    digits = directions[:, :, None] >> _DIGIT & 1
    mixed = np.einsum("dij,dkj->dki", mix.astype(np.int64), digits) & 1
    return (mixed << _DIGIT).sum(-1)
