"""Ends of a coordinate at which an equation degenerates, so that it needs no condition there: an
axis of polar coordinates, the poles of a sphere."""

from __future__ import annotations

import torch

from kanpde.problem.formulation import Formulation

VANISHES = 1e-10
"""Of its share in the middle, the share of the highest derivative at an end from which on it
vanishes there: sin π is 1.2e-16."""

END_POINTS = 8
"""Points on the end, and in the middle."""


def degenerates(problem: Formulation, coordinate: str, side: int) -> bool:
    """Whether the highest derivatives along a coordinate vanish at its end beside other ones.

    Args:
        problem: On a box, with time or without.
        coordinate: Any, such as r.
        side: 0 for the lower end, 1 for the upper.
    """
    bounds = problem.domain.bounds
    low, high = bounds[coordinate]
    end = _share(problem, coordinate, bounds[coordinate][side])
    middle = _share(problem, coordinate, (low + high) / 2)
    return middle < float("inf") and end <= VANISHES * middle


def _share(problem: Formulation, coordinate: str, place: float) -> float:
    """The largest slope of an equation by its highest derivatives along a coordinate, over that by
    any other derivative, at a place; 0 where a slope is not finite."""
    made = torch.Generator().manual_seed(0)

    def between(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=made, dtype=torch.float64)

    at = {x: between(*ends, END_POINTS) for x, ends in problem.domain.bounds.items()}
    at[coordinate] = torch.full((END_POINTS,), place, dtype=torch.float64)
    i, shares = problem.coordinates.index(coordinate), [0.0]
    for equation in problem.equations:
        _, slopes = equation.near(at, between(0.25, 0.75, END_POINTS, len(equation.needs)))
        assert slopes is not None
        if not torch.isfinite(slopes).all():
            return 0.0
        highest = max((index[i] for _, index in equation.needs), default=0)
        is_highest = torch.tensor([index[i] == highest for _, index in equation.needs])
        if highest:
            first = float(slopes[..., is_highest].abs().max())
            others = float(torch.where(is_highest, 0.0, slopes.abs()).max())
            shares.append(first / others if others else float("inf"))
    return max(shares)
