"""What a run begins with: one space, one network and one first frame, checked before training.

Everything that can be known to fail is refused here, before anything is written: settings that do
not fit the network, what does not fit into memory, and data whose continuation into the domain is
not finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.networks.network import Network
from kanpde.networks.trial_space import TrialSpace
from kanpde.problem.problem import Problem
from kanpde.recipes.dimensions import scales_of
from kanpde.recipes.guards import check_memory, needs
from kanpde.recipes.recipe import Recipe
from kanpde.residual.functions import at_point
from kanpde.residual.residual import leaf_name
from kanpde.training.changes import Change
from kanpde.training.sparsity import Sparsify


@dataclass(frozen=True)
class Beginning:
    """What training begins with.

    Attributes:
        space: The candidates.
        network: The first one's network, random, float64 on the CPU.
    """

    space: TrialSpace
    network: Network


def prepare(
    problem: Problem, recipe: Recipe, seed: int, device: str, dtype: torch.dtype
) -> Beginning:
    """Make the space and the first network of a run, and try them at some points.

    Args:
        problem: What is to be solved.
        recipe: How it is solved.
        seed: Seed of the network's first coefficients.
        device: Where training will be, "cpu" or "cuda".
        dtype: Precision of training.

    Raises:
        RecipeError: The network or the points do not fit into memory, or a stage does not fit the
            network.
        ProblemError: The data of conditions have no finite continuation into the domain.
    """
    space = recipe.space(problem, scales_of(problem))
    frame = check_memory(problem, recipe, space, device, dtype)
    network = space.initial(torch.Generator().manual_seed(seed))
    for stage in recipe.stages:
        for part in network.networks():
            if isinstance(stage, Change | Sparsify):
                stage.check(part)
    _check_lift(problem, frame.points, frame.lift)
    return Beginning(space, network)


def _check_lift(
    problem: Problem, points: Float[Tensor, "points dims"], lift: Float[Tensor, "points leaves"]
) -> None:
    """Raise ProblemError where data of conditions, continued into the domain, are not finite."""
    if lift.isfinite().all():
        return
    i, a = (int(k) for k in (~lift.isfinite()).nonzero()[0])
    leaf = needs(problem)[a]
    at = at_point(dict(zip(problem.coordinates, points.T, strict=True)), i)
    came = f"{leaf_name(leaf, problem.coordinates)} = {float(lift[i, a])} at {at}"
    raise ProblemError(
        f"conditions on {leaf[0]!r}: their data, continued into the domain, give {came};"
        " expected data with finite derivatives up to the ends of the faces"
    )
