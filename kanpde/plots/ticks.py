"""Numbers along axes: few of them, and powers of ten without matplotlib's TeX, which takes longer
to read than the rest of a picture to draw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

TICK_STEPS = (1, 2, 2.5, 5, 10)
"""What the distance of two numbers begins with."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def few(axis: Axis, count: int = 6) -> None:
    """Write at most so many numbers along an axis, at even distances.

    Args:
        axis: The axis.
        count: How many numbers at most.
    """
    axis.set_major_locator(MaxNLocator(count, steps=TICK_STEPS))


def powers(axis: Axis, count: int = 8) -> None:
    """Write at most so many powers of ten along a logarithmic axis.

    Other numbers are written where it spans less than two powers.

    Args:
        axis: The axis.
        count: How many numbers at most.
    """
    axis.set_major_locator(_Powers(numticks=count))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
    axis.set_minor_locator(NullLocator())


def power(value: float) -> str:
    """A positive number as it is written along a logarithmic axis: "10⁻⁴", "2·10³".

    Args:
        value: The number.
    """
    exponent = math.floor(math.log10(value) + 1e-9)
    front = f"{value / 10.0**exponent:.3g}"
    raised = f"10{str(exponent).translate(_RAISED)}"
    return raised if front == "1" else f"{front}·{raised}"


class _Powers(LogLocator):
    """Powers of ten, or what lies between two of them."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        between = LogLocator(subs=(1, 2, 5)), MaxNLocator(4, steps=TICK_STEPS)
        own = super().tick_values(vmin, vmax)
        for found in map(np.asarray, (own, *(b.tick_values(vmin, vmax) for b in between))):
            inside = found[(found >= vmin) & (found <= vmax) & (found > 0)]
            if len(inside) > 1:
                break
        return inside
