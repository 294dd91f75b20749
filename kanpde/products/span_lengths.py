"""How long spans of time are: what attempts at one tell of the order of its errors in time, and by
what the next attempt is shorter.
"""

from __future__ import annotations

import math
from dataclasses import replace

from kanpde.products.attempts import SHORT_OF_GOAL
from kanpde.products.progress import Progress

MUCH_GAINED = 0.8
"""Share of the error of the attempt before, below which one gained much."""

LOWEST_ORDER, LAYER_ORDER = 3.0, 0.25
"""Observed order in the length of a span, below which a solution is not smooth in time, and above
which the layer with which it begins is the better met, the shorter the span: where a flux is turned
on, it is 1/2."""


def shortened(order: float, error: float, tolerance: float, degree: int) -> float:
    """By what a span is shortened whose error in time is too large: as if that fell with the power
    of the length that it has for smooth solutions, or with the one that was observed. It falls
    slowly where solutions begin with layers.

    Args:
        order: The observed one.
        error: The error in time.
        tolerance: What is asked for.
        degree: Of polynomials in time.
    """
    goal = SHORT_OF_GOAL * tolerance / error
    least = 0.3 if order > LOWEST_ORDER else 0.03
    order = min(float(degree), max(1.0, order))
    return max(least, min(0.85, goal ** (1 / order)))


def compared(progress: Progress, reached: tuple[float, float, float], order: float) -> Progress:
    """What an attempt tells that misses the tolerance, beside the one before it: whether there was
    much to gain, and the order of errors in time.

    Args:
        progress: Where it is.
        reached: Length, error in time and largest error of the attempt.
        order: The observed one.
    """
    length, in_time, error = reached
    tries = progress.tries + 1
    if progress.before is not None:
        longer, _, best = progress.before
        if error < MUCH_GAINED * best:
            tries = progress.tries
        if length == longer:
            error = min(error, best)
    return replace(progress, tries=tries, before=(length, in_time, error), order=order)


def observed(progress: Progress, length: float, in_time: float) -> float:
    """The order of errors in time in the length of a span, from the attempt before; infinite before
    there are two.

    Args:
        progress: Where it is.
        length: Of this attempt.
        in_time: Its error.
    """
    if progress.before is None:
        return progress.order
    longer, later, _ = progress.before
    if not (length < longer and 0 < in_time < later < math.inf):
        return progress.order
    return math.log(later / in_time) / math.log(longer / length)
