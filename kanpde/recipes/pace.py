"""How fast a solution changes when it starts: what the number of spans of time is chosen by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.sampling import unit_points
from kanpde.networks.jets import nested_derivatives
from kanpde.problem.faces import by_name
from kanpde.problem.problem import Problem
from kanpde.recipes.dimensions import scales_of
from kanpde.residual.calculus import Values

POINTS = 512
"""Where the start is looked at."""


def pace(problem: Problem) -> float | None:
    """How many times over the start changes in the whole span of time.

    That is T ‖u_t‖ / ‖u‖ at the start, or T √(‖u_tt‖ / ‖u‖) for waves, with u from its offset and
    over its size (see dimensions.py). The derivatives in time are those that the equations give for
    the initial data, which autograd differentiates in space.

    Args:
        problem: What is to be solved.

    Returns:
        The number of times; None where there are no such derivatives: steady problems, equations
        without a derivative in time, data without finite derivatives.
    """
    time = problem.domain.time
    if not time:
        return None
    orders = [problem.order(u, time) for u in problem.unknowns]
    points = problem.domain.boundary(
        f"{time}-", unit_points(POINTS, len(problem.coordinates) - 1, 0)
    )
    values = _given(problem, orders, points)
    rates = None if values is None else _rates(problem, orders, values, points)
    if values is None or rates is None:
        return None
    low, high = problem.domain.bounds[time]
    start = torch.stack([values[u, (0,) * len(problem.coordinates)] for u in problem.unknowns], 1)
    scales = scales_of(problem)
    offsets = start.new_tensor([scales.offset(u) for u in problem.unknowns])
    sizes = start.new_tensor([scales.size(u) for u in problem.unknowns])
    size = ((start - offsets) / sizes).square().mean().sqrt()
    speed = (rates / sizes).square().mean().sqrt()
    found = (high - low) * float(speed / size) ** (1 / max(orders)) if size > 0 else math.inf
    return found if math.isfinite(found) else None


def _at(
    data: Callable[[Values], Tensor], coordinates: Sequence[str], columns: Sequence[Tensor]
) -> Tensor:
    """Data at points that are given by their columns."""
    return data(dict(zip(coordinates, columns, strict=True)))


def _given(problem: Problem, orders: list[int], points: Tensor) -> dict | None:
    """The derivatives that the equations need and the initial data determine, by leaf [points]."""
    initial = {
        (c.prescribed.unknown, c.prescribed.derivative): c.prescribed.data
        for c in problem.constraints
        if c.prescribed and c.face == f"{problem.domain.time}-"
    }
    found: dict = {}
    for u, order in zip(problem.unknowns, orders, strict=True):
        needs = {
            index
            for e in problem.equations
            for name, index in e.needs
            if name == u and index[-1] < order
        } | {(0,) * len(problem.coordinates)}
        for n in {index[-1] for index in needs}:
            if (u, n) not in initial:
                return None
            data = initial[u, n]
            wanted = {(*index[:-1], 0) for index in needs if index[-1] == n}
            slopes = nested_derivatives(partial(_at, data, problem.coordinates), points, wanted)
            found |= {(u, (*index[:-1], n)): values for index, values in slopes.items()}
    return found


def _rates(
    problem: Problem, orders: list[int], values: dict, points: Tensor
) -> Float[Tensor, "points unknowns"] | None:
    """The highest derivatives in time, for which the equations are solved at every point
    (linearised about zero)."""
    space = (0,) * (len(problem.coordinates) - 1)
    highest = [(u, (*space, order)) for u, order in zip(problem.unknowns, orders, strict=True)]
    at = by_name(points, problem.coordinates)
    rows, slopes = [], []
    for equation in problem.equations:
        if any(leaf not in values and leaf not in highest for leaf in equation.needs):
            return None
        zero = torch.zeros(len(points), dtype=torch.float64)
        own = torch.stack([values.get(leaf, zero) for leaf in equation.needs], 1)
        r, g = equation.near(at, own)
        assert g is not None
        columns = [
            g[:, :, equation.needs.index(leaf)] if leaf in equation.needs else torch.zeros_like(r)
            for leaf in highest
        ]
        rows.append(r)
        slopes.append(torch.stack(columns, 2))
    E, r = torch.cat(slopes, 1), torch.cat(rows, 1)
    if (
        E.shape[1] != E.shape[2]
        or not (E.isfinite().all() and r.isfinite().all())
        or bool((torch.linalg.det(E).abs() < 1e-12).any())
    ):
        return None
    return -torch.linalg.solve(E, r)
