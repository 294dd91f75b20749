"""Recipes of networks that are refined up to a tolerance, and when one takes the place of a
problem's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kanpde.errors import ProblemError, RecipeError
from kanpde.networks.kinds.tensor import Tensor
from kanpde.products.posed import refuse
from kanpde.products.progress import Settings
from kanpde.recipes.recipe import Choice, Recipe
from kanpde.recipes.tolerances import TOLERANCES, check_tolerance
from kanpde.training import shards

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem


def refined(network: Tensor, effort: str = "default", tolerance: float | None = None) -> Choice:
    """The recipe of a network that is refined up to a tolerance.

    Args:
        network: The network.
        effort: By which the tolerance is chosen where none is asked for.
        tolerance: The one that is asked for.
    """
    goal = TOLERANCES[effort] if tolerance is None else tolerance
    asked = "by the effort" if tolerance is None else "as asked for"
    why = f"a {network.title}, refined up to the tolerance {goal:g}, {asked}"
    return Choice(Recipe(network, tolerance=goal), (why,))


def to_tolerance(
    problem: Problem, own: Choice, tolerance: float, device: str = "cpu", dtype: str = "float64"
) -> Choice:
    """The recipe that solves a problem to a tolerance, where nothing else is asked for.

    It is a tensor product of splines where that can take the problem, since its cells and spans
    follow its own error; else the problem's own recipe, whose training stops at the tolerance.

    Args:
        problem: What is to be solved.
        own: The recipe that it has without a tolerance.
        tolerance: The tolerance.
        device: Where it is to be solved, "cpu" or "cuda".
        dtype: The precision, "float64" or "float32".

    Raises:
        RecipeError: The tolerance is none, or contradicts the recipe.
    """
    check_tolerance(tolerance)
    network = own.recipe.network if isinstance(own.recipe.network, Tensor) else Tensor()
    try:
        check_product(problem, settings_of(network, tolerance), device, dtype)
    except (ProblemError, RecipeError) as reason:
        if network is own.recipe.network:
            raise
        why = f"{reason}: training stops where the tolerance {tolerance:g} is met"
        return Choice(replace(own.recipe, tolerance=tolerance), (*own.reasons, why))
    why = f"tolerance {tolerance:g}: a {network.title}, whose cells and spans follow its own error"
    return Choice(Recipe(network, tolerance=tolerance), (why,))


def settings_of(network: Tensor, tolerance: float | None) -> Settings:
    """What a product of splines is refined by.

    Args:
        network: Its kind.
        tolerance: Up to which; None for the usual one.
    """
    goal = TOLERANCES["default"] if tolerance is None else tolerance
    return Settings(goal, network.degree, network.modes, network.cells)


def check_product(problem: Problem, settings: Settings, device: str, dtype: str) -> None:
    """Refuse what products of splines cannot do.

    Args:
        problem: What is to be solved.
        settings: How.
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
