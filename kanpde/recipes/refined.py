"""Recipes of networks that are refined up to a tolerance, and when one takes the place of a
problem's own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from kanpde.errors import ProblemError, RecipeError
from kanpde.networks.kinds.tensor import Tensor
from kanpde.problem.cross_points import singular_points
from kanpde.problem.parameters import Field
from kanpde.problem.suspicions import missing
from kanpde.products.corner_functions import corner_functions
from kanpde.products.inside import curved
from kanpde.products.marching_points import points_of_march
from kanpde.products.posed import refuse
from kanpde.products.progress import Settings
from kanpde.recipes.choosing import Choice
from kanpde.recipes.recipe import Recipe
from kanpde.recipes.tolerances import (
    TOLERANCES,
    WORK,
    WORK_A_SWITCH,
    check_tolerance,
    less_than,
)
from kanpde.training import shards

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

REENTRANT = math.pi + 1e-6
"""Angle inside a corner from which on solutions have no second derivatives there."""


DEGREE_IN_SPACE = 5
"""On domains of three coordinates that are no boxes, where a cell of degree 9 has a thousand
functions."""


def tensor_for(problem: Problem) -> Tensor:
    """The tensor product of splines that a problem gets where nothing is asked of it.

    Args:
        problem: What is to be solved.
    """
    in_space = len(problem.domain.space) == 3 and curved(problem.domain) is not None
    return Tensor(degree=DEGREE_IN_SPACE) if in_space else Tensor()


def refined(
    network: Tensor,
    effort: str = "default",
    tolerance: float | None = None,
    pieces: int = 1,
) -> Choice:
    """The recipe of a network that is refined up to a tolerance.

    Args:
        network: The network.
        effort: By which the tolerance is chosen where none is asked for.
        tolerance: The one that is asked for.
        pieces: Of the domain.
    """
    goal = TOLERANCES[effort] if tolerance is None else tolerance
    asked = f"that of the effort {effort!r}" if tolerance is None else "as asked for"
    on = f" on each of {pieces} pieces" if pieces > 1 else ""
    why = (
        f"a {network.title}{on}, whose cells and spans follow its own error up to the tolerance"
        f" {goal:g}, {asked}"
    )
    return Choice(Recipe(network, tolerance=tolerance), (why,))


def usual(
    problem: Problem,
    own: Choice,
    tolerance: float | None = None,
    effort: str = "default",
    device: str = "cpu",
    dtype: str = "float64",
) -> Choice:
    """The recipe of a problem where nothing is asked of the network and its training.

    It is a tensor product of splines where that can take the problem, since its cells and spans
    follow its own error; else the recipe that the problem has for layers, whose training stops at
    the tolerance, if there is one. What a problem's file states as its recipe is changed by a
    tolerance alone.

    Args:
        problem: What is to be solved.
        own: The recipe that it has for layers, or the one that its file states.
        tolerance: Up to which it is to be solved; None where that was not said.
        effort: By which the tolerance is chosen where none was asked for.
        device: Where it is to be solved, "cpu" or "cuda".
        dtype: The precision, "float64" or "float32".

    Raises:
        RecipeError: The tolerance is none, or contradicts the recipe.
        ProblemError: The file states a tensor product of splines, which cannot take the problem.
    """
    check_tolerance(tolerance)
    if own.stated and tolerance is None:
        return own
    stated = own.recipe.network if isinstance(own.recipe.network, Tensor) else None
    found = refined(stated or tensor_for(problem), effort, tolerance, len(problem.groups))
    try:
        check_product(problem, device, dtype)
        if not stated:
            _check_suited(problem)
    except (ProblemError, RecipeError) as reason:
        if stated:
            raise
        if tolerance is None:
            return Choice(own.recipe, (*own.reasons, str(reason)))
        why = f"{reason}: training stops where the tolerance {tolerance:g} is met"
        return Choice(replace(own.recipe, tolerance=tolerance), (*own.reasons, why))
    if len(problem.coordinates) == 3 and problem.domain.time and problem.domain.is_box:
        _, why = points_of_march(problem, settings_of(found.recipe, effort))
        found = replace(found, reasons=(*found.reasons, why))
    layers_may = tolerance is None and problem.pencil is None
    return replace(found, recipe=replace(found.recipe, or_layers=layers_may))


def _check_suited(problem: Problem) -> None:
    """Raise RecipeError where products can take a problem, but are not what suits it."""
    if parts := [c for c in problem.constraints if c.where]:
        raise RecipeError(
            f"tensor: {parts[0].residual.name} holds on a part of a face, at whose ends solutions"
            " are singular"
        )
    if problem.data and any(isinstance(p, Field) for p in problem.parameters):
        raise RecipeError(
            "tensor: data determine coefficients, which layers limit to what noise leaves of them"
        )
    if problem.data and any(missing(problem)):
        raise RecipeError(
            "tensor: data stand in the place of conditions, and layers limit what these could be"
        )
    if not curved(problem.domain) or problem.pencil is not None or corner_functions(problem):
        return
    singular = [str(one) for one in singular_points(problem)]
    for corner in problem.domain.corners:
        if corner.opening > REENTRANT and not singular:
            x, y = corner.at
            singular.append(f"({x:g}, {y:g}), where {' meets '.join(corner.faces)}: re-entrant")
    if problem.domain.reentrant:
        singular.append(f"re-entrant edges {problem.domain.reentrant}")
    if singular:
        raise RecipeError(
            f"tensor: solutions are singular at {singular[0]}, which splines on the bounding box of"
            " a curved domain follow poorly"
        )


def settings_of(recipe: Recipe, effort: str, switches: int = 0) -> Settings:
    """What the products of splines of a recipe are refined by.

    Args:
        recipe: Whose network is a tensor product of splines.
        effort: By which the tolerance is chosen where the recipe has none.
        switches: Places at which a march begins a new span.
    """
    network = recipe.network
    assert isinstance(network, Tensor)
    goal, work, less = recipe.tolerance, math.inf, 0.0
    if goal is None:
        goal, work = TOLERANCES[effort], WORK[effort] * (1 + WORK_A_SWITCH * switches)
        less = less_than(goal)
    # Compression has its part of the tolerance.
    goal = max(goal - recipe.compressed_to, goal / 2)
    return Settings(goal, network.degree, network.modes, network.cells, work, less=less)


def check_product(problem: Problem, device: str, dtype: str) -> None:
    """Refuse what products of splines cannot do.

    Args:
        problem: What is to be solved.
        device: Where, "cpu" or "cuda".
        dtype: In which precision, "float64" or "float32".

    Raises:
        ProblemError: The problem is none for them.
        RecipeError: The machine, or the memory, is none for them.
    """
    if device != "cpu":
        raise RecipeError(f"device: got {device!r}, but tensor runs on the CPU; expected cpu")
    if dtype != "float64":
        raise RecipeError(f"dtype: got {dtype!r}, but tensor needs float64; expected that")
    if shards.size() > 1:
        raise RecipeError(
            f"network: got tensor in {shards.size()} processes, but it works in one; expected"
            " another --network, or one process"
        )
    refuse(problem)
