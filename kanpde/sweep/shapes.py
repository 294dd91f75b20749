"""Networks of a given number of parameters, kind by kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count, product
from typing import Any

from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks import Ansatz
from kanpde.networks.ansatz import SPECS
from kanpde.problem import Problem
from kanpde.recipe import Recipe

FAR = 1.3
"""A budget is refused where the nearest network has so many times more or fewer parameters."""

CLOSE = 1.1
"""Networks that differ from the budget by less than this factor are as good as it; among them the rule for the shape decides."""

GROWTH = 2.0
"""The grid grows as this power of the width, through the shape in the problem's recipe.

Measured on poisson2d, 100 steps of Levenberg-Marquardt, degree 7, two seeds: with 150 parameters, errors are 2e-9 to 6e-9 for width 2
and 1e-6 to 3e-6 for width 5; with 500, they are smallest for widths 2 to 5 (grids 76 to 26), and a hundred times larger for width 14.
"""

RANDOM_KAN = 2
"""The least width of a grid network that is chosen by itself: one unit adds up functions of one coordinate each, and no more."""


@dataclass(frozen=True)
class Space:
    """What the networks of one kind are chosen from. base: the specification with all that is not varied; inputs, outputs: of the problem."""

    kind: str
    base: Any
    depth: int
    inputs: int
    outputs: int

    def count(self, spec: Any) -> int:
        """Parameters of a network."""
        return int(spec.count(self.inputs, self.outputs))

    def widths(self, spec: Any) -> tuple[int, ...]:
        """Units of a network at each level."""
        return (self.inputs, *spec.width, self.outputs)

    def has(self, name: str) -> bool:
        """Whether networks of this kind have such a setting: width, grid, degree."""
        return name in {f.name for f in fields(self.base)}

    def at(self, width: int, grid: int | None = None) -> Any:
        """The network of equally wide layers."""
        return replace(self.base, width=(width,) * self.depth, **({} if grid is None else {"grid": grid}))


def kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Network kinds, each once; raises RecipeError for those that are none."""
    if not names:
        raise RecipeError(f"networks: got none; expected some of {listed(SPECS)}")
    for name in names:
        if name not in SPECS:
            raise RecipeError(f"networks: got {name!r}; expected some of {listed(SPECS)}{nearest(name, SPECS)}")
    return tuple(dict.fromkeys(names))


def space(problem: Problem, recipe: Recipe, kind: str, depth: int | None = None, degree: int | None = None) -> Space:
    """Where networks of a kind are looked for: the recipe's network where it is of that kind, else the kind's default, of the depth of the recipe's."""
    own = isinstance(recipe.network, SPECS[kind])
    base = recipe.network if own else SPECS[kind]()
    found = Space(kind, base, 1, Ansatz.inputs(problem.domain, problem.periodic), len(problem.unknowns))
    shared = recipe.network if own or found.has("grid") else base
    if degree is not None and found.has("degree"):
        base = replace(base, degree=degree)
    return replace(found, base=base, depth=depth or len(shared.width))


def budgets(low: float, high: float, sizes: int) -> tuple[int, ...]:
    """A geometric series of parameter counts. Raises RecipeError for a range that is empty."""
    if not (1 <= low <= high):
        raise RecipeError(f"parameters: got {low:g}:{high:g}; expected a range such as 50:5000, the smaller number first")
    if sizes < 1 or (sizes == 1 and low < high):
        raise RecipeError(f"sizes: got {sizes} for {low:g}:{high:g}; expected at least {1 if low == high else 2}")
    steps = max(sizes - 1, 1)
    return tuple(dict.fromkeys(round(low * (high / low) ** (i / steps)) for i in range(sizes)))


def shape(among: Space, budget: int, recipe: Recipe) -> Any:
    """The network nearest to a number of parameters.

    Where the kind has a grid, many have about as many: then the one whose grid is nearest to growing with the width as GROWTH says.
    Raises RecipeError where none comes within FAR of the budget, naming the nearest.
    """
    best: tuple[float, float] | None = None
    found = among.at(1)
    for spec in _candidates(among, budget):
        off = abs(math.log(among.count(spec) / budget))
        badness = (off if off > math.log(CLOSE) else 0.0, _departure(spec, recipe) if among.has("grid") else off)
        if best is None or badness < best:
            best, found = badness, spec
    parameters = among.count(found)
    if max(parameters / budget, budget / parameters) > FAR:
        nearest_one = f"{parameters:,} ({found.describe(among.widths(found))})"
        raise RecipeError(f"parameters: no {among.kind} of depth {among.depth} comes near {budget:,}; the nearest possible has {nearest_one}")
    return found


def smallest(among: Space) -> int:
    """Parameters of the smallest network that `shape` would choose for a budget."""
    return among.count(among.at(RANDOM_KAN, 1) if among.has("grid") else among.at(1))


def listed_shapes(
    among: Space, widths: Sequence[int | tuple[int, ...]] | None, depths: Sequence[int] | None, grids: Sequence[int] | None, degrees: Sequence[int] | None
) -> Iterator[Any]:
    """All combinations of what is listed, as far as the kind has it. A single width is repeated for the depth; tuples are layer by layer."""
    layers = [among.base.width if len(among.base.width) == among.depth else (max(among.base.width),) * among.depth] if widths is None else []
    for width in widths or ():
        layers += [width] if isinstance(width, tuple) else [(width,) * depth for depth in depths or (among.depth,)]
    if widths is None and depths:
        layers = [(max(among.base.width),) * depth for depth in depths]
    choices: dict[str, Sequence[Any]] = {"width": layers, "grid": grids or (), "degree": degrees or ()}
    varied = {name: values for name, values in choices.items() if values and among.has(name)}
    for values in product(*varied.values()):
        yield replace(among.base, **dict(zip(varied, values, strict=True)))


def _candidates(among: Space, budget: int) -> Iterator[Any]:
    """Networks around the budget, by width: of each width the two grids next to it, or the width itself."""
    for width in count(1):
        if not among.has("grid"):
            yield among.at(width)
            if among.count(among.at(width)) > budget:
                return
            continue
        first, step = among.count(among.at(width, 1)), among.count(among.at(width, 2)) - among.count(among.at(width, 1))
        grid = max(1, 1 + math.floor((budget - first) / step))
        yield from (among.at(width, g) for g in (grid, grid + 1))
        if first > budget and width >= RANDOM_KAN:
            return


def _departure(spec: Any, recipe: Recipe) -> float:
    """By which factor, as a logarithm, the grid is off the rule; a single unit counts as far off."""
    width, grid = _reference_shape(recipe)
    wanted = grid * (max(spec.width) / width) ** GROWTH
    return abs(math.log(spec.grid / wanted)) + (10.0 if max(spec.width) < RANDOM_KAN else 0.0)


def _reference_shape(recipe: Recipe) -> tuple[int, int]:
    """Width and last grid of the recipe's network."""
    from kanpde.training import Extend

    grids = [stage.grid for stage in recipe.stages if isinstance(stage, Extend)]
    return max(recipe.network.width), grids[-1] if grids else getattr(recipe.network, "grid", 24)
