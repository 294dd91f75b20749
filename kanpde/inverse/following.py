"""Whether a solution follows its data at all: without that, no standard error means anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy  # whose parts are imported when they are first used
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.problem.data import Measurement
from kanpde.problem.problem import Problem

UNEXPLAINED = 0.7
"""Misfit over the spread of values from which less than half of their variance is explained."""

ROUGH_DATA = 0.5
"""Difference of neighbouring values over the misfit, up to which the data show something that the
solution misses."""


def unexplained(problem: Problem, misfits: Sequence[Float[Tensor, "rows unknowns"]]) -> list[str]:
    """A line for each unknown whose values vary from place to place as the solution does not.

    Values that are noise for all that one sees say nothing against a solution; what neighbouring
    ones have in common does (von Neumann 1941).

    Args:
        problem: The problem with its data.
        misfits: What each set of data is off by, in the units of the values.
    """
    found = []
    for measured, off in zip(problem.data, misfits, strict=True):
        for k, unknown in enumerate(measured.unknowns):
            values = measured.values[:, k]
            misfit = float(off[:, k].square().mean().sqrt())
            spread = float((values - values.mean()).square().mean().sqrt())
            if (
                misfit < UNEXPLAINED * spread
                or _roughness(problem, measured, k) > ROUGH_DATA * misfit
            ):
                continue
            found.append(
                f"the misfit of {unknown} ({misfit:.2g}) is as large as the spread of its values"
                f" ({spread:.2g}): the solution does not follow the data, and nothing is known of"
                f" {', '.join(p.name for p in problem.parameters)}"
            )
    return found


def _roughness(problem: Problem, measured: Measurement, k: int) -> float:
    """The standard deviation of one value, by the differences of neighbours."""
    ends = torch.tensor(list(problem.domain.bounds.values()), dtype=torch.float64)
    at = ((measured.points - ends[:, 0]) / (ends[:, 1] - ends[:, 0])).numpy()
    if len(at) < 2:
        return float("inf")
    _, nearest = scipy.spatial.cKDTree(at).query(at, k=2)
    values = measured.values[:, k].numpy()
    # of points that coincide, the first of the two may be either of them
    other = np.where(nearest[:, 1] == np.arange(len(at)), nearest[:, 0], nearest[:, 1])
    return float(np.sqrt(0.5 * np.mean((values - values[other]) ** 2)))


def by_set(problem: Problem, rows: Float[Tensor, " data"]) -> Iterator[Float[Tensor, "rows one"]]:
    """The misfits of all data in one row, as [rows, unknowns] for each set.

    Args:
        problem: The problem with its data.
        rows: The misfits, set by set and unknown by unknown.
    """
    first = 0
    for measured in problem.data:
        count = measured.values.numel()
        yield rows[first : first + count].view(len(measured.unknowns), -1).T
        first += count
