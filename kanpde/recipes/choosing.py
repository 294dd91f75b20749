"""The recipe of a problem: the one that stands beside it, or a default one, with its reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kanpde.errors import RecipeError, listed, nearest
from kanpde.geometry import Domain, Pieces, holes, many
from kanpde.networks.kan import KAN
from kanpde.networks.kinds.additive import Additive
from kanpde.networks.kinds.tensor import Tensor
from kanpde.networks.spec import Spec, Suited
from kanpde.problem.efforts import EFFORTS
from kanpde.recipes.pace import pace
from kanpde.recipes.recipe import Recipe
from kanpde.training import Change, Stage

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem


@dataclass(frozen=True)
class Choice:
    """A recipe and why it was chosen.

    Attributes:
        recipe: The recipe.
        reasons: What was chosen and why, a line each.
        stated: Whether the problem's file states it, for whichever network.
    """

    recipe: Recipe
    reasons: tuple[str, ...]
    stated: bool = False


def choose(
    problem: Problem, given: Mapping[str, Recipe] | None = None, effort: str = "default"
) -> Choice:
    """The recipe of a problem for an effort, where layers are to solve it.

    It is the one that the problem's file states for that effort, else one made of its `recipe`,
    else its recipe for layers, `kan_record` and the like, or made of `kan`, else a default one.

    Args:
        problem: What is to be solved.
        given: The recipes that stand beside the problem (see problem.file.load).
        effort: "quick", "default" or "record".

    Returns:
        The recipe, with the reasons for it.

    Raises:
        RecipeError: There is no such effort, or what stands beside the problem is no recipe.
    """
    if effort not in EFFORTS:
        raise RecipeError(
            f"effort: got {effort!r}; expected one of {listed(EFFORTS)}{nearest(effort, EFFORTS)}"
        )
    given = given or {}
    for name, recipe in given.items():
        if not isinstance(recipe, Recipe):
            raise RecipeError(
                f"{'recipe' if name == 'default' else name}: got {type(recipe).__name__}; expected"
                " Recipe(…), or another name for it"
            )
    own = f"kan_{effort}"
    for name in (effort, "default", own, "kan"):
        if name in given:
            called = "the recipe" if name == "default" else f"the recipe {name!r}"
            why = f"{called} that stands beside the problem"
            found = _said(Choice(given[name], (why,), stated=name not in (own, "kan")), problem)
            return found if name in (effort, own) else _scaled(found, effort)
    return _scaled(_said(default(problem), problem), effort)


def _said(found: Choice, problem: Problem) -> Choice:
    """A choice that also says what holds exactly where the domain is no box, and what looks at its
    holes."""
    if problem.domain.is_box or not isinstance(found.recipe.network, Spec):
        return found
    recipe, seen = found.recipe, listed([hole.face for hole in holes(problem.domain)])
    closer = (f"inputs of their own about {seen}, which see it enlarged",) if recipe.lenses else ()
    crowded = (
        (f"{recipe.crowding:.0%} of the points crowd about {seen}",)
        if recipe.crowding and seen
        else ()
    )
    more = (*recipe.space(problem).built_in(), *closer, *crowded)
    return replace(found, reasons=(*found.reasons, *more))


def in_place(recipe: Recipe, network: Spec, stages: Sequence[Stage] | str) -> Recipe:
    """A recipe with a network of another kind, and the spans and points that suit that.

    Args:
        recipe: The recipe.
        network: The network.
        stages: What suits it.
    """
    return replace(
        recipe,
        network=network,
        schedule=stages,
        slabs=1 if network.whole_time else recipe.slabs,
        points=max(recipe.points, network.least_points),
    )


def suited(problem: Problem, kind: type[Spec]) -> Suited:
    """The network, the schedule and their reasons that a kind takes for a problem.

    Args:
        problem: What is to be solved.
        kind: The kind of network.
    """
    return kind.suited(bool(problem.domain.time), 2 * (len(problem.unknowns) - 1))


def default(problem: Problem, kind: type[Spec] = KAN) -> Choice:
    """A recipe from the problem alone, for a kind of network.

    A steady solution on a box gets one hidden layer of five units (and two more for each further
    unknown); an evolving one two hidden layers, which follow what moves, and so does one on another
    domain; splines of degree 7, from a coarse grid to a fine one, by Levenberg-Marquardt; other
    kinds of networks know what suits them. Points grow with the parameters and the dimension, so
    that the residual is over-determined. Where the start would change more than once around in the
    whole time, the time is taken in spans.

    Args:
        problem: What is to be solved.
        kind: The kind of network.

    Returns:
        The recipe, with the reasons for it.
    """
    dims = len(problem.coordinates)
    if many(problem.domain) and kind is KAN:
        return _of_many(problem)
    network, schedule, reasons = suited(problem, kind)
    if problem.domain.time:
        changes = None if problem.parameters or kind.whole_time else pace(problem)
        slabs = 1 if changes is None else max(1, math.ceil(changes / (2 * math.pi)))
        if slabs > 1 and changes is not None:
            reasons += (
                (
                    f"by its equation, the start changes {changes:.0f} times over (T |u_t| / |u|):"
                    f" {slabs} spans of time"
                ),
            )
        points = max(2000 + 1000 * (dims - 2), kind.least_points)
        return Choice(Recipe(network, points, schedule, restarts=3, slabs=slabs), reasons)
    if not _made_of_boxes(problem.domain) and kind is KAN:
        width = 8 + 2 * (len(problem.unknowns) - 1)
        reasons = (
            (
                "its boundary is curved or has corners: two hidden layers, since no one set of"
                " coordinates suits it"
            ),
            "splines of degree 7, from grid 3 to 6",
        )
        return Choice(
            Recipe(
                KAN(width=(width, width), degree=7, grid=3),
                2000 if dims == 2 else 3000,
                "lm:60,extend:6,lm:60",
                restarts=3,
            ),
            reasons,
        )
    points = max({1: 400, 2: 1600}.get(dims, 2500), LEAST_IN_A_PIECE * len(problem.groups))
    points = max(points, kind.least_points)
    return Choice(Recipe(network, points, schedule, restarts=3), reasons)


def _of_many(problem: Problem) -> Choice:
    """The recipe in many coordinates: a network that adds functions of single ones. It has as many
    parameters as there are coordinates, and needs points by these alone."""
    dims = len(problem.coordinates)
    network, schedule, reasons = suited(problem, Additive)
    points = max(LEAST_OF_MANY, POINTS_A_COORDINATE * dims)
    exact = f"derivatives along all {dims} coordinates are exact, at a cost that grows as {dims}"
    return Choice(Recipe(network, points, schedule), (*reasons, exact))


LEAST_OF_MANY = 1500
"""Points where there are many coordinates, at least."""

POINTS_A_COORDINATE = 40
"""Points there for each coordinate: somewhat more than parameters."""


def _made_of_boxes(domain: Domain) -> bool:
    """Whether it is a box, or all of its pieces are."""
    if isinstance(domain, Pieces):
        return all(region.domain.is_box for region in domain.regions.values())
    return domain.is_box


LEAST_IN_A_PIECE = 400
"""Points in one of several pieces, on average: the last grid of splines has half as many
coefficients."""


LONGER = {"quick": 1 / 3, "record": 4.0}
"""Steps of every stage, over those of the default effort."""


def _scaled(found: Choice, effort: str) -> Choice:
    """Another effort: fewer or more steps a stage, and for a record twice the points."""
    recipe = found.recipe
    if effort == "default" or isinstance(recipe.network, Tensor):
        return found
    factor = LONGER[effort]
    stages = [
        (
            stage
            if isinstance(stage, Change)
            else replace(stage, steps=max(1, round(factor * stage.steps)))
        )
        for stage in recipe.stages
    ]
    points = 2 * recipe.points if effort == "record" else recipe.points
    scaled = replace(
        recipe, schedule=stages, points=points, restarts=1 if effort == "quick" else recipe.restarts
    )
    why = f"effort {effort!r}: {factor:.2g} times the steps, {points:,} points"
    return replace(found, recipe=scaled, reasons=(*found.reasons, why))
