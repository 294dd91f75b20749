"""What a run begins with: one space, one network and one first frame, checked before training.

Everything that can be known to fail is refused here, before anything is written: settings that do
not fit the network, what does not fit into memory, and data whose continuation into the domain is
not finite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError, RecipeError
from kanpde.geometry import Pieces
from kanpde.inverse.settling import training_of
from kanpde.networks.kinds.tensor import Tensor as TensorKind
from kanpde.networks.network import Network
from kanpde.networks.solution import Solution
from kanpde.networks.trial_space import TrialSpace
from kanpde.problem.problem import Problem
from kanpde.problem.switches import switches
from kanpde.products.inside import curved
from kanpde.products.posed import marched
from kanpde.products.progress import Settings
from kanpde.recipes.checks import DTYPES
from kanpde.recipes.dimensions import scales_of, sizes_of
from kanpde.recipes.guards import check_memory, needs
from kanpde.recipes.recipe import Recipe
from kanpde.recipes.refined import check_product, settings_of
from kanpde.recipes.tolerances import BY_PRECISION
from kanpde.recipes.warm import from_solution
from kanpde.residual.functions import at_point
from kanpde.residual.residual import leaf_name
from kanpde.training import Training, TrainingPlan
from kanpde.training.changes import Change
from kanpde.training.history import Observer
from kanpde.training.method import Goal
from kanpde.training.refinement import Refinement
from kanpde.training.sparsity import Sparsify


@dataclass(frozen=True)
class LayersBegun:
    """What the training of layers begins with.

    Attributes:
        space: The candidates.
        network: The first one's network, random, float64 on the CPU.
        plan: How training goes.
    """

    space: TrialSpace
    network: Network
    plan: TrainingPlan

    def method(self, problem: Problem, observer: Observer, goal: Goal | None = None) -> Training:
        """The training.

        Args:
            problem: What is to be solved.
            observer: Who watches.
            goal: When the solution is good enough; None where all stages are done.
        """
        return training_of(problem, self.space, self.network, self.plan, observer, goal)


@dataclass(frozen=True)
class ProductsBegun:
    """What the refinement of products begins with.

    Attributes:
        settings: How, and up to which tolerance.
        start: The solution of a problem near to this one, to begin from; None for none.
    """

    settings: Settings
    start: Solution | None = None

    def method(self, problem: Problem, observer: Observer) -> Refinement:
        """The refinement.

        Args:
            problem: What is to be solved.
            observer: Who watches.
        """
        return Refinement(problem, self.settings, observer, self.start)


def prepare(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    device: str = "cpu",
    dtype: str = "float64",
    effort: str = "default",
    start: Solution | None = None,
) -> LayersBegun | ProductsBegun:
    """Make what a run begins with, and try it at some points.

    Args:
        problem: What is to be solved.
        recipe: How it is solved.
        seed: Seed of the network's first coefficients.
        device: Where training will be, "cpu" or "cuda".
        dtype: Precision of training, "float64" or "float32".
        effort: With which the recipe was chosen.
        start: The solution of a problem near to this one, to begin from; None for none.

    Raises:
        RecipeError: The network or the points do not fit into memory, a stage does not fit the
            network, or the precision does not hold the tolerance.
        ProblemError: The data of conditions have no finite continuation into the domain, or the
            network cannot take the problem.
    """
    if isinstance(recipe.network, TensorKind):
        check_product(problem, device, dtype)
        if recipe.compressed_to and isinstance(problem.domain, Pieces):
            raise RecipeError(
                f"schedule: got compress:{recipe.compressed_to:g} on pieces; expected a domain in"
                " one piece, or no compression"
            )
        if recipe.compressed_to and curved(problem.domain):
            raise RecipeError(
                f"schedule: got compress:{recipe.compressed_to:g} on {problem.domain!r}; expected a"
                " box, or no compression"
            )
        if start is not None and isinstance(problem.domain, Pieces):
            raise RecipeError("start: got a problem on pieces; expected one in one piece")
        if start is not None and (problem.parameters or problem.pencil is not None):
            raise RecipeError("start: got a problem with unknown parameters; expected one without")
        # Ordinary equations begin with spans that cost little, whatever unknowns come to.
        along = marched(problem)
        thought = along is not None and len(problem.domain.own) > 1
        sizes = sizes_of(problem) if thought else ()
        whole = along is None or isinstance(problem.domain, Pieces)
        places = 0 if whole else len(switches(problem, str(along)))
        return ProductsBegun(replace(settings_of(recipe, effort, places), sizes=sizes), start)
    if recipe.tolerance is not None and recipe.tolerance < BY_PRECISION[dtype]:
        raise RecipeError(
            f"tolerance: got {recipe.tolerance:g}, but {dtype} holds a solution to about"
            f" {BY_PRECISION[dtype]:g}; expected at least that, or --dtype float64"
        )
    space = recipe.space(problem, scales_of(problem))
    frame = check_memory(problem, recipe, space, device, DTYPES[dtype])
    network = space.initial(torch.Generator().manual_seed(seed))
    for stage in recipe.stages:
        for part in network.networks():
            if isinstance(stage, Change | Sparsify):
                stage.check(part)
    _check_lift(problem, frame.points, frame.lift)
    plan = recipe.plan(seed, device, DTYPES[dtype])
    if start is not None:
        network, plan = from_solution(problem, space, network, plan, start)
    return LayersBegun(space, network, plan)


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
