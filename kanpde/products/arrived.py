"""The end of a march: what its spans come to together, and what is said of those that miss the
tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from kanpde.products.estimates import overrated
from kanpde.products.growth import grown
from kanpde.products.progress import Beyond, Progress
from kanpde.products.tensor import Product


def arrived(
    progress: Progress,
    extremes: Sequence[tuple[Float[np.ndarray, " unknowns"], Float[np.ndarray, " unknowns"]]],
    time: str,
    whole: float,
    tolerance: float,
) -> Progress:
    """The end of the time: what varies by less than was taken for it has larger errors, and what
    began to vary after a span has smaller ones in it.

    Args:
        progress: Where all spans are done.
        extremes: The smallest and the largest value of every unknown in each of them.
        time: The name of the time.
        whole: How much of it there is.
        tolerance: What is asked for.
    """
    missed = progress.missed
    more = overrated(extremes, np.array(progress.sizes))
    sizes = [size / by for size, by in zip(progress.sizes, more, strict=True)]
    estimate = float(np.fmax(float(more.max()) * progress.estimate, 0.0))
    if estimate > tolerance and not missed:
        missed = (f"an unknown hardly varies beside its values: estimated error {estimate:.1e}",)
    late = [(one, one.over(sizes)) for one in progress.beyond]
    missed += tuple(_said(time, one, error) for one, error in late if error > tolerance)
    squares = sum(error**2 * abs(one.end - one.begin) for one, error in late)
    usual = max(estimate, math.sqrt(squares / whole))
    estimate = max([estimate, *(error for _, error in late)])
    if progress.carried:
        errors, times = grown(progress.carried, sizes)
        worst = int(errors.argmax())
        most = float(errors[worst])
        if most > max(estimate, tolerance):
            missed += (_said_of_growth(time, progress.spans[worst], times[worst], most),)
        estimate, usual = max(estimate, most), max(usual, most)
    found = replace(progress, change=None, estimate=estimate, usual=usual)
    return replace(found, missed=missed, finished=True)


def ended(progress: Progress, time: str, said: str) -> Progress:
    """The end of a march before its time: what comes after it is not known at all.

    Args:
        progress: Where it ends.
        time: The name of the time.
        said: Why it ends.
    """
    late = [_said(time, one, one.over(progress.sizes)) for one in progress.beyond]
    missed = (said, *progress.missed, *late)
    return replace(progress, at=None, missed=missed, estimate=math.inf, finished=True)


def _said_of_growth(time: str, span: Product, times: float, error: float) -> str:
    """What is said where errors are small when they are made, and grow after that."""
    begin, end = span.axes[-1].ends
    return (
        f"errors made in {time} = {begin:.4g} to {end:.4g} grow {times:.0f} times after it:"
        f" estimated error {error:.1e}; a smaller --tolerance makes them smaller"
    )


def _said(time: str, one: Beyond, error: float) -> str:
    """What is said of a span that misses the tolerance."""
    there = f"{one.begin:.4g} to {one.end:.4g}"
    if f"{one.begin:.4g}" == f"{one.end:.4g}":
        there = f"{one.begin:.4g} and {one.end - one.begin:.1g} after it"
    return f"{time} = {there}: estimated error {error:.1e}"
