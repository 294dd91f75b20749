"""Settings that cannot be: refused in one line, before anything is made."""

from __future__ import annotations

import torch

from kanpde.errors import RecipeError, listed, nearest
from kanpde.geometry import holes, many
from kanpde.geometry.vector import FEW
from kanpde.networks.kinds.tensor import Tensor
from kanpde.networks.spec import Spec
from kanpde.problem.problem import Problem
from kanpde.recipes.recipe import Recipe
from kanpde.training import shards
from kanpde.training.changes import Extend
from kanpde.training.pruning import Prune
from kanpde.training.schedule import show_schedule
from kanpde.training.sparsity import Sparsify

DTYPES = {"float64": torch.float64, "float32": torch.float32}
"""Precisions by name."""


def check_machine(device: str, dtype: str) -> None:
    """Refuse a device or a precision that is not there.

    Args:
        device: "cpu" or "cuda".
        dtype: "float64" or "float32".

    Raises:
        RecipeError: The device or the precision is not there.
    """
    if dtype not in DTYPES:
        raise RecipeError(
            f"dtype: got {dtype!r}; expected one of {listed(DTYPES)}{nearest(dtype, DTYPES)}"
        )
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise RecipeError(f"device: got {device!r}; expected cpu or cuda") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            f"device: got {device!r}, but this machine has no GPU that torch can use; expected cpu"
        )
    if kind not in ("cpu", "cuda"):
        raise RecipeError(f"device: got {device!r}; expected cpu or cuda")


def check_recipe(problem: Problem, recipe: Recipe, seed: int) -> None:
    """Refuse settings that do not fit a problem, or each other.

    Args:
        problem: What is to be solved.
        recipe: How it is to be solved.
        seed: Seed of the network's coefficients and of the points.

    Raises:
        RecipeError: The settings do not fit.
    """
    if not isinstance(seed, int) or not 0 <= seed < 10**15:
        raise RecipeError(
            f"seed: got {seed!r:.40}; expected a whole number from 0 on, of at most 15 digits"
        )
    if recipe.slabs > 1 and not problem.domain.time:
        raise RecipeError(
            f"slabs: got {recipe.slabs}, but {problem.name!r} has no time; expected 1"
        )
    if problem.pencil is not None and not isinstance(recipe.network, Tensor):
        raise RecipeError(
            f"Eigenvalue({problem.pencil.modes[0].eigenvalue!r}): layers do not find eigenvalues;"
            " expected --network tensor, in a box or the plane; kanpde reference finds others"
        )
    if problem.parameters and recipe.slabs > 1:
        raise RecipeError(
            f"slabs: got {recipe.slabs} for a problem with unknown parameters, which all spans of"
            " time would share; expected 1"
        )
    if problem.parameters and any(isinstance(stage, Sparsify | Prune) for stage in recipe.stages):
        raise RecipeError(
            "schedule: sparsify and prune work on one network, and this problem has parameters"
            " beside it; expected a schedule without them"
        )
    if shards.size() > 1 and any(isinstance(stage, Sparsify | Prune) for stage in recipe.stages):
        raise RecipeError(
            f"schedule: sparsify and prune work in one process, and there are {shards.size()};"
            " expected a schedule without them"
        )
    decided = problem.data or not isinstance(recipe.network, Tensor)
    if recipe.tolerance is not None and problem.parameters and decided:
        raise RecipeError(
            f"tolerance: got {recipe.tolerance:g} for a problem with unknown parameters, whose"
            " errors its data decide; leave it out"
        )
    order = max(r.order for r in (*problem.equations, *(c.residual for c in problem.constraints)))
    if recipe.network.highest_order() < order:
        degree = vars(recipe.network).get("degree")
        raise RecipeError(
            f"degree: got {degree} for derivatives of order {order}; expected at least {order + 1}"
        )
    if isinstance(recipe.network, Spec):
        _check_layers(problem, recipe, recipe.network)


def _check_layers(problem: Problem, recipe: Recipe, network: Spec) -> None:
    """Raise RecipeError where layers do not fit the problem or the schedule."""
    if many(problem.domain) and not network.along_axes:
        raise RecipeError(
            f"{network.kind}: takes at most {FEW} coordinates, and {problem.name!r} has"
            f" {len(problem.coordinates)}; expected --network additive, kan or another of functions"
            " on edges"
        )
    if recipe.lenses and not holes(problem.domain):
        raise RecipeError("lenses: got True, but the domain has no hole; leave lenses out")
    if network.resolution is None and any(isinstance(stage, Extend) for stage in recipe.stages):
        raise RecipeError(
            f"schedule: got {show_schedule(recipe.stages)}, but a network of kind"
            f" {network.kind!r} has nothing to extend; leave extend out"
        )
