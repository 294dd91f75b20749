"""Fields on tensor grids: where a solution is measured against the exact one, and against finite
differences.

A grid covers the bounding box; where the domain does not, all fields are NaN, and no norm counts
these nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain, SpaceTime

if TYPE_CHECKING:
    from kanpde.networks.solution import Solution
    from kanpde.problem.problem import Problem
    from kanpde.reference import Reference

Grid = Mapping[str, NDArray[np.float64]]
"""Coordinate name to nodes [n]; a field on it has one axis a coordinate, in order."""

_NODES = {1: 1001, 2: 201, 3: 41, 4: 17, 5: 9}
_CHUNK = 65_536


@dataclass(frozen=True)
class Fields:
    """Solution, reference and exact values by unknown on one grid; the last two are empty where not
    known."""

    grid: Grid
    solution: Mapping[str, NDArray[np.float64]]
    reference: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    exact: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def truth(self, unknown: str) -> NDArray[np.float64] | None:
        """The exact values where they are known, else the reference's, else None."""
        return self.exact.get(unknown, self.reference.get(unknown))

    def error(self, unknown: str) -> NDArray[np.float64] | None:
        """Solution minus truth, or None."""
        truth = self.truth(unknown)
        return None if truth is None else self.solution[unknown] - truth


def dense_grid(domain: Domain) -> Grid:
    """Evenly spaced nodes over the bounding intervals, ends included: 1001, 201², 41³, 17⁴ or 9⁵ of
    them."""
    nodes = _NODES[len(domain.coordinates)]
    return {x: np.linspace(low, high, nodes) for x, (low, high) in domain.bounds.items()}


def nodes_of(grid: Grid) -> NDArray[np.float64]:
    """All nodes of a grid, [nodes, dimensions], the last coordinate running fastest."""
    return np.stack([axis.ravel() for axis in np.meshgrid(*grid.values(), indexing="ij")], 1)


def covered(domain: Domain, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of some points [points, dimensions] of the bounding box lie in the domain."""
    if domain.is_box:
        return np.ones(len(points), dtype=bool)
    region = domain.region if isinstance(domain, SpaceTime) else domain
    return region.inside(torch.from_numpy(points[:, : len(region.coordinates)])).numpy()


def exact_on(problem: Problem, grid: Grid) -> dict[str, NDArray[np.float64]]:
    """Exact solution on a grid, by unknown. Raises ProblemError where it is not finite in the
    domain, naming the unknown and the point."""
    nodes = nodes_of(grid)
    within = covered(problem.domain, nodes)
    points = nodes[within]
    found = {}
    for unknown, values in problem.exact_values(torch.from_numpy(points)).items():
        flat = values.detach().cpu().numpy()
        if not np.isfinite(flat).all():
            first = int(np.flatnonzero(~np.isfinite(flat))[0])
            where = ", ".join(f"{x}={v:g}" for x, v in zip(grid, points[first], strict=True))
            raise ProblemError(
                f"exact[{unknown!r}]: is {flat[first]:g} at {where}; expected finite values on the"
                " whole domain"
            )
        found[unknown] = _on_grid(flat, within, grid)
    return found


def solution_on(
    solution: Solution, unknowns: Sequence[str], grid: Grid
) -> dict[str, NDArray[np.float64]]:
    """The network's solution on a grid, by unknown, in float64 whatever the network computes in."""
    nodes = nodes_of(grid)
    within = covered(solution.domain, nodes)
    values = evaluate(solution, torch.from_numpy(nodes[within])).cpu().double().numpy()
    return {u: _on_grid(values[:, i], within, grid) for i, u in enumerate(unknowns)}


def _on_grid(
    values: NDArray[np.float64], within: NDArray[np.bool_], grid: Grid
) -> NDArray[np.float64]:
    """Values at the nodes within the domain as a field, NaN elsewhere."""
    field = np.full(len(within), np.nan)
    field[within] = values
    return field.reshape(tuple(len(axis) for axis in grid.values()))


def evaluate(solution: Solution, points: Tensor) -> Tensor:
    """Values [points, unknowns] at points [points, dimensions], in pieces that bound the memory,
    without gradients."""
    with torch.no_grad():
        return torch.cat([solution(piece) for piece in points.split(_CHUNK)])


def relative_l2(
    found: Mapping[str, NDArray[np.float64]], truth: Mapping[str, NDArray[np.float64]]
) -> float:
    """‖found − truth‖ / ‖truth‖ over the nodes and the unknowns of `truth` together; the root mean
    square where truth is zero.

    Nodes where truth is NaN lie outside of the domain and do not count.
    """
    within = {u: ~np.isnan(values) for u, values in truth.items()}
    difference = np.sqrt(
        sum(np.sum((found[u][within[u]] - values[within[u]]) ** 2) for u, values in truth.items())
    )
    scale = np.sqrt(sum(np.sum(values[within[u]] ** 2) for u, values in truth.items()))
    return float(
        difference / (scale or np.sqrt(sum(int(inside.sum()) for inside in within.values())))
    )


def check_solution(problem: Problem, solution: Solution) -> None:
    """Raise ProblemError where the solution is not finite on the nodes of `dense_grid` in the
    domain, naming the unknown and the point."""
    grid = dense_grid(problem.domain)
    within = covered(problem.domain, nodes_of(grid))
    for unknown, values in solution_on(solution, problem.functions, grid).items():
        bad = np.flatnonzero(~np.isfinite(values.ravel()) & within)
        if len(bad):
            first = np.unravel_index(bad[0], values.shape)
            where = ", ".join(
                f"{x}={axis[k]:g}" for (x, axis), k in zip(grid.items(), first, strict=True)
            )
            raise ProblemError(
                f"the solution {unknown!r} is {values[first]:g} at {where}; the equations or the"
                " conditions' data are probably not finite near there"
            )


def measure(problem: Problem, solution: Solution) -> tuple[float | None, float | None]:
    """Relative L2 and maximum error against the exact solution on `dense_grid`; (None, None) where
    it is not known.

    Unknowns without an exact solution are left out. Raises ProblemError where the exact solution is
    not finite.
    """
    if not problem.exact:
        return None, None
    grid = dense_grid(problem.domain)
    truth = {u: values for u, values in exact_on(problem, grid).items() if u in problem.unknowns}
    if not truth:
        return None, None
    found = solution_on(solution, problem.unknowns, grid)
    return relative_l2(found, truth), max(
        float(np.abs(found[u] - values)[~np.isnan(values)].max()) for u, values in truth.items()
    )


def measure_reference(solution: Solution, reference: Reference) -> float:
    """Relative L2 of the solution against a reference at the reference's own nodes, all unknowns
    together."""
    return relative_l2(
        solution_on(solution, tuple(reference.values), reference.coordinates), reference.values
    )
