"""Quantities of a solution: any function of the unknowns, their derivatives and the coordinates,
written as an equation is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.networks.solution import Solution
from kanpde.problem.faces import by_name
from kanpde.problem.problem import Problem
from kanpde.problem.vectors import of_components
from kanpde.residual.calculus import Leaf, Leaves
from kanpde.residual.functions import argument_names, check_arguments, function_name, rows_of

CHUNK = 16_384
"""Points at a time: it bounds the memory."""


def quantities(
    problem: Problem,
    solution: Solution,
    function: Callable[..., Tensor | Sequence[Tensor]],
    points: Float[Tensor, "points dims"],
) -> list[Tensor]:
    """What a function such as a flux, a stress or a vorticity is at points of the domain.

    Its derivatives are those of the trained network, to rounding.

    Args:
        problem: The problem.
        solution: Its solution.
        function: Takes unknowns, parameters and coordinates by name, and returns one number or
            several for each point.
        points: The points, [points, dims].

    Returns:
        One tensor [points] for each number that the function returns.

    Raises:
        ProblemError: The function fails, returns the wrong shape or takes an argument that is
            neither unknown, parameter nor coordinate.
    """
    function = of_components(function, problem.domain.vectors)
    name, arguments = function_name(function), argument_names(function, function_name(function))
    unknowns = tuple(dict.fromkeys([*problem.functions, *(p.name for p in problem.parameters)]))
    check_arguments(arguments, {"unknown": unknowns, "coordinate": problem.coordinates}, name)
    parts = [
        _at(problem, solution, function, name, arguments, unknowns, part)
        for part in points.split(CHUNK)
    ]
    return [torch.cat(rows) for rows in zip(*parts, strict=True)]


def _at(
    problem: Problem,
    solution: Solution,
    function: Callable[..., Tensor | Sequence[Tensor]],
    name: str,
    arguments: tuple[str, ...],
    unknowns: tuple[str, ...],
    points: Tensor,
) -> list[Tensor]:
    def supply(leaf: Leaf) -> Tensor:
        with torch.no_grad():
            return solution.derivatives(points, [leaf])[:, 0].double().cpu()

    coordinates = {
        x: v.detach().clone().requires_grad_()
        for x, v in by_name(points.double().cpu(), problem.coordinates).items()
    }

    def far(place: int, leaf: Leaf, shape: tuple[int, int]) -> Tensor:
        at = leaves.elsewhere.places[place].at
        flat = torch.stack([at[x].reshape(-1) for x in problem.coordinates], 1).to(points)
        with torch.no_grad():
            return solution.derivatives(flat, [leaf])[:, 0].double().cpu().reshape(shape)

    domain = problem.domain
    extent = domain.bounds if domain.is_box else None
    leaves = Leaves(coordinates, domain.space, supply, extent=extent, far=far)
    return [row.detach() for row in rows_of(function, name, arguments, unknowns, leaves)]
