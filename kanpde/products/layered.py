"""Cells that get shorter towards ends at which a solution is singular, each by the same ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kanpde.products.axes import SplineAxis

RATIO_OF_LAYERS = 0.5
"""Of the lengths of two cells, one after the other, towards a singular end."""

MOST_LAYERS = int(math.log(1e-9) / math.log(RATIO_OF_LAYERS))
"""Shorter cells lose to rounding what others say: by 1e-16 over their length."""


def layered(axis: SplineAxis, cells: int, layers: Sequence[int]) -> SplineAxis:
    """Splines on equal cells, of which the first and the last are cut towards their ends.

    Args:
        axis: Has the ends and the degree.
        cells: How many equal ones, two at least.
        layers: How often the first and the last one are cut.
    """
    even = np.linspace(0.0, 1.0, cells + 1)
    first, last = (RATIO_OF_LAYERS ** np.arange(count, 0, -1.0) / cells for count in layers)
    share = np.r_[0.0, first, even[1:-1], (1 - last)[::-1], 1.0]
    low, high = axis.ends
    return replace(axis, breaks=np.r_[low, low + (high - low) * share[1:-1], high])


def layers_for(exponent: float, error: float) -> int:
    """How often cells are cut, so that what is wrong at a point where a solution is like a power of
    the distance is felt by no more than an error elsewhere: as the square of what it is there.

    Args:
        exponent: Of the distance.
        error: What may be felt.
    """
    return max(1, math.ceil(math.log(error) / (2 * exponent * math.log(RATIO_OF_LAYERS))))
