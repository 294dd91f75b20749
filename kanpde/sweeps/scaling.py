"""Scaling laws: error = C N^slope, fitted over the sizes for which it holds, with an interval for
the slope."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kanpde.sweeps.rows import TrialRow

Size = Literal["parameters", "grid"]

FEWEST_SIZES = 3
"""Sizes that a law is fitted to, at least."""

SLOPE_CONFIDENCE = 0.95
"""Of the interval."""


@dataclass(frozen=True)
class Law:
    """error ≈ constant · size^slope for low ≤ size ≤ high.

    Attributes:
        slope: The exponent.
        uncertainty: The slope lies within so much with probability SLOPE_CONFIDENCE, as far as the
            medians scatter independently about the law.
        constant: The factor.
        low: The smallest size for which it holds.
        high: The largest one.
        range: Both in words, and why they are no further apart.
    """

    slope: float
    uncertainty: float
    constant: float
    low: float
    high: float
    range: str

    def at(self, size: float) -> float:
        """The error that the law gives.

        Args:
            size: The size, such as the number of parameters.
        """
        return self.constant * size**self.slope


def fit(rows: Sequence[TrialRow], by: Size = "parameters") -> Law | None:
    """The law of the median errors over the seeds, by size.

    log error = a + b clip(log size, from, to) is fitted by least squares for every range of sizes,
    and the range is chosen by Schwarz's criterion (1978), in which each end that is cut off counts
    as a parameter: below the range networks are too small to follow the solution at all, above it
    something else than their size limits the error, the optimiser or the precision. The slope is
    then that of the straight line through the medians in the range, and its uncertainty Student's,
    from their scatter.

    Args:
        rows: Trials of one series.
        by: What their size is.

    Returns:
        The law; None where fewer than FEWEST_SIZES sizes lie on a slope.
    """
    medians = by_size(rows, by)
    if len(medians) < FEWEST_SIZES:
        return None
    x, y = np.log(list(medians)), np.log([median for median, _, _ in medians.values()])
    first, last = _range(x, y)
    line = stats.linregress(x[first : last + 1], y[first : last + 1])
    freedom = last - first - 1
    half = float(stats.t.ppf((1 + SLOPE_CONFIDENCE) / 2, freedom) * line.stderr)
    low, high = float(np.exp(x[first])), float(np.exp(x[last]))
    name = "intervals" if by == "grid" else "parameters"
    cut = [f"smaller networks do not follow it, {low:,.0f}"] if first > 0 else []
    cut += (
        [f"past {high:,.0f} the error falls more slowly or not at all"] if last < len(x) - 1 else []
    )
    words = f"{low:,.0f} to {high:,.0f} {name}" + (f"; {'; '.join(cut)}" if cut else "")
    return Law(float(line.slope), half, float(np.exp(line.intercept)), low, high, words)


def by_size(
    rows: Sequence[TrialRow], by: Size = "parameters"
) -> dict[int, tuple[float, float, float]]:
    """Median, smallest and largest error of the seeds.

    Args:
        rows: Trials of one series; those that failed are left out.
        by: What their size is.

    Returns:
        By size, the smallest first.
    """
    found: dict[int, list[float]] = {}
    for row in rows:
        if math.isfinite(row.error) and row.error > 0:
            found.setdefault(getattr(row, by), []).append(row.error)
    return {
        size: (float(np.median(errors)), min(errors), max(errors))
        for size, errors in sorted(found.items())
    }


def series(rows: Sequence[TrialRow]) -> dict[str, list[TrialRow]]:
    """Part rows by what distinguishes them besides size and seed.

    Args:
        rows: Trials of a sweep.

    Returns:
        Rows by a title: the kind, and its degree, depth and optimiser where there are several.
    """
    kinds: dict[str, list[TrialRow]] = {}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row)
    found: dict[str, list[TrialRow]] = {}
    for kind, own in kinds.items():
        several = {
            name: len({_of(row, name) for row in own}) > 1
            for name in ("degree", "depth", "optimiser")
        }
        for row in own:
            parts = [title(kind)]
            parts += [f"degree {row.degree}"] if several["degree"] else []
            parts += (
                [f"{row.depth} hidden layers" if row.depth > 1 else "one hidden layer"]
                if several["depth"]
                else []
            )
            parts += [_of(row, "optimiser")] if several["optimiser"] else []
            found.setdefault(", ".join(parts), []).append(row)
    return found


def title(kind: str) -> str:
    """What a kind of network is called in a legend.

    Args:
        kind: Its name, such as kan.
    """
    return {"kan": "KAN", "mlp": "MLP"}.get(kind, kind)


def theory(rows: Sequence[TrialRow]) -> int | None:
    """The slope that theory gives (Liu et al. 2024, theorem 2.1 with m = 0).

    Args:
        rows: Trials of one series.

    Returns:
        -(k + 1), the slope in L2 for splines of degree k in a network of fixed shape; None where
        there are several degrees or none.
    """
    degrees = {row.degree for row in rows}
    return (
        -(degrees.pop() + 1)
        if len(degrees) == 1 and all(row.kind in ("kan", "adaptive") for row in rows)
        else None
    )


OPTIMISER_NAMES: Mapping[str, str] = {
    "lm": "Levenberg-Marquardt",
    "gn": "Gauss-Newton",
    "lbfgs": "L-BFGS",
    "ssbroyden": "Broyden",
    "adam": "Adam",
    "soap": "SOAP",
}


def optimiser(schedule: str) -> str:
    """The optimisers of a schedule, in order, in words.

    Args:
        schedule: The schedule, as `--schedule` takes it.
    """
    names = [stage.partition(":")[0].partition("/")[0] for stage in schedule.split(",")]
    return " + ".join(
        dict.fromkeys(OPTIMISER_NAMES.get(name, name) for name in names if name in OPTIMISER_NAMES)
    )


def _of(row: TrialRow, name: str) -> str:
    return optimiser(row.schedule) if name == "optimiser" else str(getattr(row, name))


def _range(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[int, int]:
    """First and last of the points that lie on the slope."""
    count = len(x)
    best = (math.inf, 0, count - 1)
    for first, last in combinations(range(count), 2):
        if last - first + 1 < FEWEST_SIZES:
            continue
        clipped = np.clip(x, x[first], x[last])
        line = stats.linregress(clipped, y)
        if line.slope >= 0 and (first > 0 or last < count - 1):
            continue
        misfit = float(np.square(y - line.intercept - line.slope * clipped).sum())
        score = count * math.log(max(misfit / count, 1e-20)) + (
            2 + (first > 0) + (last < count - 1)
        ) * math.log(count)
        best = min(best, (score, first, last))
    return best[1], best[2]
