"""Errors in many coordinates, by quasi-Monte Carlo: several scrambled sequences of points, whose
differences say how exact the error itself is (Owen 1997)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.geometry.sampling import inside_points
from kanpde.results.gaps import Gap, gaps

if TYPE_CHECKING:
    from kanpde.networks.solution import Solution
    from kanpde.problem.problem import Problem
    from kanpde.results.fields import Fields

Scattered = dict[str, NDArray[np.float64]]
"""Values by unknown at all points, one sequence after another."""

SEQUENCES = 8
"""Scramblings, each of its own seed."""

POINTS_OF_A_SEQUENCE = 1024
"""Of each."""

SEED = 86420


def scattered(problem: Problem, solution: Solution) -> tuple[Scattered, Scattered]:
    """A solution and the exact one at points all over the domain.

    Args:
        problem: The problem.
        solution: Its solution.

    Returns:
        Values of both, of the unknowns that have an exact solution.
    """
    known = [u for u in problem.unknowns if u in problem.exact]
    found: dict[str, list[NDArray[np.float64]]] = {u: [] for u in known}
    truth: dict[str, list[NDArray[np.float64]]] = {u: [] for u in known}
    for k in range(SEQUENCES):
        points = inside_points(problem.domain, POINTS_OF_A_SEQUENCE, SEED + k)
        exact = problem.exact_values(points)
        with torch.no_grad():
            values = solution(points).double().cpu().numpy()
        for u in known:
            found[u].append(values[:, problem.unknowns.index(u)])
            truth[u].append(exact[u].detach().cpu().double().numpy())
    return (
        {u: np.concatenate(parts) for u, parts in found.items()},
        {u: np.concatenate(parts) for u, parts in truth.items()},
    )


def scattered_gaps(
    found: Mapping[str, NDArray[np.float64]], truth: Mapping[str, NDArray[np.float64]]
) -> dict[str, Gap]:
    """The gaps of all unknowns, with the standard error of their root mean squares.

    Args:
        found: What is measured, as `scattered` gives it.
        truth: The exact values, likewise.
    """
    return {
        u: replace(gap, own=_standard_error(found[u] - truth[u]))
        for u, gap in gaps(found, truth).items()
    }


def on_a_cut_as_well(found: Mapping[str, Gap], seen: Fields) -> dict[str, Gap]:
    """Gaps whose largest difference is also that on a cut, near which few points may lie.

    Args:
        found: The gaps by unknown.
        seen: The solution and the exact one on the cut.
    """
    on_cut = {u: np.abs(seen.solution[u] - values) for u, values in seen.exact.items()}
    return {
        u: replace(gap, peak=max(gap.peak, float(np.nanmax(on_cut[u])))) for u, gap in found.items()
    }


def _standard_error(difference: NDArray[np.float64]) -> float:
    """Of the root mean square of a difference."""
    squares = np.square(difference).reshape(SEQUENCES, -1).mean(1)
    size = math.sqrt(squares.mean())
    return float(squares.std(ddof=1) / math.sqrt(SEQUENCES) / (2 * size)) if size else 0.0
