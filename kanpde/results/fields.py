"""Fields on tensor grids: where a solution is measured against the exact one, and against finite
differences.

A grid covers the bounding box; where the domain does not, all fields are NaN, and no norm counts
these nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain, Pieces, SpaceTime, many
from kanpde.geometry.family import values_of
from kanpde.problem.pencil import groups_of, turned
from kanpde.results.scattered import scattered

if TYPE_CHECKING:
    from kanpde.networks.solution import Solution
    from kanpde.problem.problem import Problem
    from kanpde.reference import Reference

Grid = Mapping[str, NDArray[np.float64]]
"""Coordinate name to nodes [n]; a field on it has one axis a coordinate, in order."""

Values = Mapping[str, NDArray[np.float64]]
"""Fields by unknown, on one grid."""

_NODES = {1: 1001, 2: 201, 3: 41, 4: 17, 5: 9}
_NODES_OF_A_CUT, _TIMES_OF_A_CUT = 61, 9
_CHUNK = 65_536


@dataclass(frozen=True)
class Fields:
    """Solution, reference and exact values by unknown on one grid.

    Attributes:
        grid: The nodes, by coordinate.
        solution: The network's values by unknown, one axis a coordinate.
        reference: The reference's values by unknown; empty where they are not known.
        exact: The exact values by unknown; empty where they are not known.
    """

    grid: Grid
    solution: Mapping[str, NDArray[np.float64]]
    reference: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    exact: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def truth(self, unknown: str) -> NDArray[np.float64] | None:
        """What the solution is measured against.

        Args:
            unknown: Its name.

        Returns:
            The exact values where they are known, else the reference's, else None.
        """
        return self.exact.get(unknown, self.reference.get(unknown))

    def against_exact(self, unknowns: Sequence[str]) -> tuple[Values, Values]:
        """The solution and the exact one.

        Args:
            unknowns: The names that count.

        Returns:
            Values of both, of the unknowns that have an exact solution; nothing where none has.
        """
        truth = {u: values for u, values in self.exact.items() if u in unknowns}
        return {u: self.solution[u] for u in unknowns} if truth else {}, truth

    def error(self, unknown: str) -> NDArray[np.float64] | None:
        """Solution minus truth.

        Args:
            unknown: Its name.

        Returns:
            The difference at the nodes, or None where the truth is not known.
        """
        truth = self.truth(unknown)
        return None if truth is None else self.solution[unknown] - truth


class Cut(dict[str, NDArray[np.float64]]):
    """A grid on a cut through a domain of many coordinates: nodes along a few of them, while the
    others stay in the middle.

    Args:
        nodes: By the coordinates along which the cut lies.
        middle: By all coordinates, in order.
    """

    def __init__(self, nodes: Grid, middle: Mapping[str, float]):
        super().__init__(nodes)
        self.middle = middle


def dense_grid(domain: Domain) -> Grid:
    """Evenly spaced nodes over the bounding intervals, ends included.

    Args:
        domain: Where the problem is posed.

    Returns:
        The grid: 1001, 201², 41³, 17⁴ or 9⁵ nodes, times a few values of parameters of a family;
        where there are many coordinates, a cut along the first two of space, and time.
    """
    if many(domain):
        shown = (*domain.space[:2], *([domain.time] if domain.time else []))
        counts = {x: _TIMES_OF_A_CUT if x == domain.time else _NODES_OF_A_CUT for x in shown}
        middle = {x: (low + high) / 2 for x, (low, high) in domain.bounds.items()}
        return Cut({x: np.linspace(*domain.bounds[x], n) for x, n in counts.items()}, middle)
    nodes = _NODES[len(domain.own)]
    own = {x: np.linspace(*domain.bounds[x], nodes) for x in domain.own}
    return {**values_of(domain), **own}


def nodes_of(grid: Grid) -> NDArray[np.float64]:
    """All nodes of a grid.

    Args:
        grid: The grid.

    Returns:
        The nodes, [nodes, dimensions], the last coordinate running fastest.
    """
    return np.stack([axis.ravel() for axis in np.meshgrid(*grid.values(), indexing="ij")], 1)


def places_of(grid: Grid) -> NDArray[np.float64]:
    """The nodes of a grid as points of the domain, with all of their coordinates.

    Args:
        grid: The grid.

    Returns:
        The points, [nodes, dimensions].
    """
    nodes = nodes_of(grid)
    if not isinstance(grid, Cut):
        return nodes
    points = np.tile(list(grid.middle.values()), (len(nodes), 1))
    points[:, [list(grid.middle).index(x) for x in grid]] = nodes
    return points


def covered(domain: Domain, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of some points of the bounding box lie in the domain.

    Args:
        domain: The domain.
        points: The points, [points, dimensions].

    Returns:
        Whether each one does, [points].
    """
    if domain.is_box:
        return np.ones(len(points), dtype=bool)
    region = domain.region if isinstance(domain, SpaceTime) else domain
    return region.inside(torch.from_numpy(points[:, : len(region.coordinates)])).numpy()


def present(problem: Problem, unknown: str, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """At which of some points there is an unknown: on pieces, where its own piece's equations
    mention it.

    Args:
        problem: The problem.
        unknown: Its name.
        points: The points, [points, dimensions].

    Returns:
        Whether it is there, [points].
    """
    domain = problem.domain
    if not isinstance(domain, Pieces):
        return np.ones(len(points), dtype=bool)
    here = [f"{unknown}_{piece}" in problem.copies for piece in domain.regions]
    return np.array(here)[domain.region(torch.from_numpy(points)).numpy()]


def exact_on(problem: Problem, grid: Grid) -> dict[str, NDArray[np.float64]]:
    """The exact solution on a grid.

    Args:
        problem: The problem, with the exact solution of some of its unknowns.
        grid: The grid.

    Returns:
        Values by unknown, one axis a coordinate, NaN outside of the domain.

    Raises:
        ProblemError: It is not finite somewhere in the domain; the message names the unknown and
            the point.
    """
    nodes = places_of(grid)
    within = covered(problem.domain, nodes)
    points = nodes[within]
    found = {}
    for unknown, values in problem.exact_values(torch.from_numpy(points)).items():
        flat = values.detach().cpu().numpy()
        if not np.isfinite(flat).all():
            first = int(np.flatnonzero(~np.isfinite(flat))[0])
            where = ", ".join(f"{x}={v:g}" for x, v in zip(grid, points[first], strict=False))
            raise ProblemError(
                f"exact[{unknown!r}]: is {flat[first]:g} at {where}; expected finite values on the"
                " whole domain"
            )
        flat = np.where(present(problem, unknown, points), flat, np.nan)
        found[unknown] = _on_grid(flat, within, grid)
    return found


def solution_on(
    solution: Solution, unknowns: Sequence[str], grid: Grid
) -> dict[str, NDArray[np.float64]]:
    """The network's solution on a grid, in float64 whatever the network computes in.

    Args:
        solution: The solution.
        unknowns: Their names, in the order of the solution's values.
        grid: The grid.

    Returns:
        Values by unknown, one axis a coordinate, NaN outside of the domain.
    """
    nodes = places_of(grid)
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
    """Values of a solution, in pieces that bound the memory, without gradients.

    Args:
        solution: The solution.
        points: Where, [points, dimensions].

    Returns:
        The values, [points, unknowns].
    """
    with torch.no_grad():
        return torch.cat([solution(piece) for piece in points.split(_CHUNK)])


def relative_l2(
    found: Mapping[str, NDArray[np.float64]], truth: Mapping[str, NDArray[np.float64]]
) -> float:
    """‖found − truth‖ / ‖truth‖ over the nodes and the unknowns of `truth` together.

    Nodes where truth is NaN lie outside of the domain and do not count.

    Args:
        found: What is measured, by unknown.
        truth: What it is measured against, by unknown, at the same nodes.

    Returns:
        The relative error; the root mean square of the difference where truth is zero.
    """
    within = {u: ~np.isnan(values) for u, values in truth.items()}
    difference = np.sqrt(
        sum(np.sum((found[u][within[u]] - values[within[u]]) ** 2) for u, values in truth.items())
    )
    scale = np.sqrt(sum(np.sum(values[within[u]] ** 2) for u, values in truth.items()))
    return float(
        difference / (scale or np.sqrt(sum(int(inside.sum()) for inside in within.values())))
    )


def on_dense_grid(problem: Problem, solution: Solution) -> Fields:
    """A solution, made sure to be finite, and the exact one on `dense_grid`.

    Args:
        problem: The problem.
        solution: Its solution.

    Raises:
        ProblemError: The solution is not finite at a node in the domain, or the exact one is not;
            the message names the unknown and the point.
    """
    grid = dense_grid(problem.domain)
    nodes = places_of(grid)
    within = covered(problem.domain, nodes)
    found = solution_on(solution, problem.functions, grid)
    for unknown, values in found.items():
        there = within & present(problem, unknown, nodes)
        bad = np.flatnonzero(~np.isfinite(values.ravel()) & there)
        if len(bad):
            first = np.unravel_index(bad[0], values.shape)
            where = ", ".join(
                f"{x}={axis[k]:g}" for (x, axis), k in zip(grid.items(), first, strict=True)
            )
            raise ProblemError(
                f"the solution {unknown!r} is {values[first]:g} at {where}; the equations or the"
                " conditions' data are probably not finite near there"
            )
    return Fields(grid, found, exact=exact_on(problem, grid))


def against_exact(problem: Problem, solution: Solution) -> tuple[Values, Values]:
    """A solution and the exact one on `dense_grid`.

    Args:
        problem: The problem.
        solution: Its solution.

    Returns:
        Values of both, of the unknowns that have an exact solution; nothing where none has.

    Raises:
        ProblemError: The exact solution is not finite.
    """
    if not any(u in problem.exact for u in problem.unknowns):
        return {}, {}
    if many(problem.domain):
        return scattered(problem, solution)
    grid = dense_grid(problem.domain)
    truth = {u: values for u, values in exact_on(problem, grid).items() if u in problem.unknowns}
    return solution_on(solution, problem.unknowns, grid), truth


def against_reference(solution: Solution, reference: Reference) -> tuple[Values, Values]:
    """A solution and a reference at the nodes of the latter.

    Args:
        solution: The solution.
        reference: What it is measured against.
    """
    values = reference.values
    return solution_on(solution, tuple(values), reference.coordinates), values


def like(solution: Solution, reference: Reference, problem: Problem) -> Reference:
    """The reference of an eigenvalue problem, whose functions have no size of their own: those of
    each eigenvalue are mixed to be as near to the solution as they can be.

    Args:
        solution: What it will be compared with.
        reference: The reference; of any other problem it stays as it is.
        problem: The problem.
    """
    if problem.pencil is None:
        return reference
    modes = problem.pencil.modes
    numbers = np.array([reference.numbers[m.eigenvalue] for m in modes])
    found = solution_on(solution, problem.unknowns, reference.coordinates)
    values, scales = dict(reference.values), dict(reference.scales or {})
    within = ~np.isnan(next(iter(values.values())))
    for group in groups_of(numbers, max(float(np.abs(numbers).max()), problem.pencil.scale)):
        own = [modes[k].unknowns for k in group]
        flat = np.stack([np.concatenate([values[u][within] for u in us]) for us in own])
        target = np.stack([np.concatenate([found[u][within] for u in us]) for us in own])
        mixture = turned(target, flat)
        for each in zip(*own, strict=True):
            mixed = np.tensordot(mixture, np.stack([reference.values[u] for u in each]), 1)
            for u, new in zip(each, mixed, strict=True):
                before, values[u] = reference.values[u], new
                if u in scales:
                    scales[u] *= float(np.nanstd(new) / (np.nanstd(before) or 1.0))
    return replace(reference, values=values, scales=scales)


def measure(problem: Problem, solution: Solution) -> tuple[float | None, float | None]:
    """Measure a solution against the exact one on `dense_grid`.

    Unknowns without an exact solution are left out.

    Args:
        problem: The problem.
        solution: Its solution.

    Returns:
        Relative L2 and maximum error; (None, None) where the exact solution is not known.

    Raises:
        ProblemError: The exact solution is not finite.
    """
    return errors_between(*against_exact(problem, solution))


def errors_between(found: Values, truth: Values) -> tuple[float | None, float | None]:
    """Relative L2 and maximum error over all unknowns together, or (None, None) without any.

    Args:
        found: What is measured, by unknown.
        truth: What it is measured against, by unknown, at the same nodes.
    """
    if not truth:
        return None, None
    return relative_l2(found, truth), max(
        float(np.abs(found[u] - values)[~np.isnan(values)].max()) for u, values in truth.items()
    )


def measure_reference(solution: Solution, reference: Reference) -> float:
    """Measure a solution against a reference at the reference's own nodes.

    Args:
        solution: The solution.
        reference: What it is measured against.

    Returns:
        Relative L2 of all unknowns together.
    """
    return relative_l2(*against_reference(solution, reference))
