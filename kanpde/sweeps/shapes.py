"""Networks of a given number of parameters, kind by kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count, product
from typing import Any

from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks.registry import NETWORK_KINDS, SPECS
from kanpde.problem.problem import Problem
from kanpde.recipes.choosing import default, in_place
from kanpde.recipes.recipe import Recipe
from kanpde.training import Extend

FAR_FROM_BUDGET = 1.3
"""A budget is refused where the nearest network has so many times more or fewer parameters."""

CLOSE_TO_BUDGET = 1.1
"""Networks that differ from the budget by less than this factor are as good as it; among them the
rule for the shape decides."""

GRID_GROWTH = 2.0
"""The grid (or what else an extension refines) grows as this power of the width, through the shape
in the problem's recipe.

Measured on poisson2d, 100 steps of Levenberg-Marquardt, degree 7, two seeds. 150 parameters: errors
2e-9 to 6e-9 for width 2 (grid 18), 4e-8 to 2e-7 for width 3 (10), 1e-6 to 3e-6 for width 5 (3).
500: around 1e-9 for widths 3 to 7 (49 to 17), 2e-7 to 4e-7 for width 14 (5). 1,000: 8e-11 to 2e-10
for widths 7 to 10 (41 to 26), ten times more below and above. The rule gives widths 3, 5 and 7.
"""

FINEST_GRID = 4096
"""No grid has more intervals."""


@dataclass(frozen=True)
class Space:
    """What the networks of one kind are chosen from.

    Attributes:
        kind: The kind of network, such as kan.
        recipe: How they are trained.
        base: The specification, with all that is not varied.
        depth: How many hidden layers they have.
        inputs: How many inputs the network has, from the coordinates of the problem.
        outputs: How many outputs it has, one an unknown.
    """

    kind: str
    recipe: Recipe
    base: Any
    depth: int
    inputs: int
    outputs: int

    @property
    def resolution(self) -> str | None:
        """The setting that grid extension refines; None where there is none."""
        return resolution(self.base)

    def count(self, spec: Any) -> int:
        """How many parameters a network has.

        Args:
            spec: Its specification.
        """
        return int(spec.count(self.inputs, self.outputs))

    def widths(self, spec: Any) -> tuple[int, ...]:
        """The units of a network at each level, inputs and outputs included.

        Args:
            spec: Its specification.
        """
        return (self.inputs, *spec.width, self.outputs)

    def has(self, name: str) -> bool:
        """Whether networks of this kind have such a setting.

        Args:
            name: The name of the setting: width, grid, degree.
        """
        return name in {f.name for f in fields(self.base)}

    def at(self, width: int, fineness: int | None = None) -> Any:
        """The network of equally wide layers.

        Args:
            width: Units of each layer.
            fineness: Of what grid extension refines; the base's own by default.

        Returns:
            Its specification.

        Raises:
            RecipeError: The kind has no such network.
        """
        finer = {} if fineness is None or self.resolution is None else {self.resolution: fineness}
        return replace(self.base, width=(width,) * self.depth, **finer)

    @property
    def model(self) -> tuple[int, int]:
        """Width and last resolution of the recipe's network: the shape that the others grow
        through."""
        network, name = self.recipe.spec, self.resolution
        finest = [stage.grid for stage in self.recipe.stages if isinstance(stage, Extend)]
        return max(network.width), finest[-1] if finest else getattr(network, name or "", 1)


def resolution(spec: Any) -> str | None:
    """The setting that grid extension refines.

    Args:
        spec: A network's specification.

    Returns:
        Its name; None where there is none.
    """
    known = getattr(spec, "resolution", None)
    return str(known) if known else "grid" if "grid" in {f.name for f in fields(spec)} else None


def kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of kinds of networks.

    Args:
        names: As they were given.

    Returns:
        The same, each once.

    Raises:
        RecipeError: One is no kind.
    """
    for name in names:
        if name not in NETWORK_KINDS:
            known = f"{listed(NETWORK_KINDS)}{nearest(name, NETWORK_KINDS)}"
            raise RecipeError(f"networks: got {name!r}; expected some of {known}")
    return tuple(dict.fromkeys(names))


def space(
    problem: Problem, recipe: Recipe, kind: str, depth: int | None = None, degree: int | None = None
) -> Space:
    """Where networks of a kind are looked for.

    It is around the recipe's where that is of the kind, else around the kind's default. Networks
    with a resolution are as deep as the recipe's, if that has one as well.

    Args:
        problem: The problem of the sweep.
        recipe: The recipe of the sweep.
        kind: The kind of networks.
        depth: How many hidden layers; by default the recipe's.
        degree: The degree of splines; by default the recipe's.

    Returns:
        What is fixed, and what may be varied.

    Raises:
        RecipeError: The kind does not have the degree, or it is too low for the problem's
            derivatives.
    """
    own = recipe if type(recipe.network) is SPECS[kind] else _default(problem, recipe, kind)
    base: Any = own.network
    if (
        degree is not None
        and "degree" in {f.name for f in fields(base)}
        and resolution(base) != "degree"
    ):
        base = replace(base, degree=degree)
    alike = resolution(base) is not None and resolution(recipe.network) is not None
    order = max(r.order for r in (*problem.equations, *(c.residual for c in problem.constraints)))
    if base.highest_order() < order:
        raise RecipeError(
            f"degree: got {getattr(base, 'degree', '')} for derivatives of order {order}; expected"
            f" at least {order + 1}"
        )
    depth = base.levels or depth or len((recipe if alike else own).spec.width)
    return Space(
        kind,
        own,
        base,
        depth,
        own.space(problem).inputs,
        len(problem.unknowns),
    )


def _default(problem: Problem, recipe: Recipe, kind: str) -> Recipe:
    """The recipe with another kind of network, and a schedule for it."""
    own = default(problem, SPECS[kind]).recipe
    return in_place(recipe, own.spec, own.schedule)


def budgets(low: float, high: float, sizes: int) -> tuple[int, ...]:
    """A geometric series of parameter counts.

    Args:
        low: The first.
        high: The last.
        sizes: How many, at most: those that round to the same number are one.

    Returns:
        The counts, rising.

    Raises:
        RecipeError: The range is empty, or there are too few sizes for it.
    """
    if not (1 <= low <= high):
        raise RecipeError(
            f"parameters: got {low:g}:{high:g}; expected a range such as 50:5000, the smaller"
            " number first"
        )
    if sizes < 1 or (sizes == 1 and low < high):
        raise RecipeError(
            f"sizes: got {sizes} for {low:g}:{high:g}; expected at least {1 if low == high else 2}"
        )
    steps = max(sizes - 1, 1)
    return tuple(dict.fromkeys(round(low * (high / low) ** (i / steps)) for i in range(sizes)))


def shape(among: Space, budget: int) -> Any:
    """The network nearest to a number of parameters.

    Where the kind has a resolution, many have about as many: then it is the one that is nearest to
    the rule of GRID_GROWTH.

    Args:
        among: What the networks are chosen from.
        budget: How many parameters the network may have.

    Returns:
        Its specification.

    Raises:
        RecipeError: None comes within FAR_FROM_BUDGET of the budget; the nearest is named.
    """
    best: tuple[float, float] | None = None
    found = among.at(1)
    for spec in _candidates(among, budget):
        off = abs(math.log(among.count(spec) / budget))
        badness = (
            off if off > math.log(CLOSE_TO_BUDGET) else 0.0,
            off if among.resolution is None else _departure(among, spec),
        )
        if best is None or badness < best:
            best, found = badness, spec
    parameters = among.count(found)
    if max(parameters / budget, budget / parameters) > FAR_FROM_BUDGET:
        nearest_one = f"{parameters:,} ({found.describe(among.widths(found))})"
        raise RecipeError(
            f"parameters: no {among.kind} of depth {among.depth} comes near {budget:,}; the nearest"
            f" possible has {nearest_one}"
        )
    return found


def smallest(among: Space) -> int:
    """Parameters of the smallest network to start a series with.

    Args:
        among: What the networks are chosen from.

    Returns:
        Those of a network of two units where there is a resolution, else of one.
    """
    return among.count(among.at(1) if among.resolution is None else among.at(2, 1))


def listed_shapes(
    among: Space,
    widths: Sequence[int | tuple[int, ...]] | None,
    depths: Sequence[int] | None,
    grids: Sequence[int] | None,
    degrees: Sequence[int] | None,
) -> Iterator[Any]:
    """All combinations of what is listed, as far as the kind has it.

    Args:
        among: What the networks are chosen from; what is not listed is its recipe's: its width, and
            the last one of its grids.
        widths: Numbers, which are repeated for the depth, or tuples layer by layer.
        depths: Numbers of hidden layers.
        grids: Last grids.
        degrees: Degrees of splines.

    Yields:
        Specifications of networks as they are at the end of training.
    """
    given = (
        among.base.width
        if len(among.base.width) == among.depth
        else (max(among.base.width),) * among.depth
    )
    layers: list[tuple[int, ...]] = [] if widths or depths else [given]
    for width in widths or ((max(given),) if depths else ()):
        layers += (
            [width]
            if isinstance(width, tuple)
            else [(width,) * depth for depth in depths or (among.depth,)]
        )
    choices: dict[str, Sequence[Any]] = {
        "width": layers,
        "grid": grids or (),
        "degree": degrees or (),
    }
    if among.resolution and not choices.get(among.resolution):
        choices[among.resolution] = (among.model[1],)
    varied = {name: values for name, values in choices.items() if values and among.has(name)}
    for values in product(*varied.values()):
        yield replace(among.base, **dict(zip(varied, values, strict=True)))


def _candidates(among: Space, budget: int) -> Iterator[Any]:
    """Networks around the budget, by width: of each width the two resolutions next to it, or the
    width itself."""
    for width in count(1):
        if among.resolution is None:
            yield among.at(width)
            if among.count(among.at(width)) > budget:
                return
            continue
        fineness = _finest(among, width, budget)
        yield from (spec for f in (fineness, fineness + 1) for spec in _possible(among, width, f))
        if width > 1 and among.count(among.at(width, 1)) > budget:
            return


def _finest(among: Space, width: int, budget: int) -> int:
    """The largest resolution, at least 1, with which a network of that width has at most so many
    parameters."""
    low, high = 1, 2
    while high <= FINEST_GRID and any(
        among.count(spec) <= budget for spec in _possible(among, width, high)
    ):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if any(among.count(spec) <= budget for spec in _possible(among, width, middle)):
            low = middle
        else:
            high = middle
    return low


def _possible(among: Space, width: int, fineness: int) -> list[Any]:
    """The network of that shape, or none where the kind does not go so far."""
    try:
        return [among.at(width, fineness)]
    except RecipeError:
        return []


def _departure(among: Space, spec: Any) -> float:
    """By which factor, as a logarithm, the resolution is off the rule.

    A single unit, which adds up functions of one coordinate each and no more, counts as far off.
    """
    width, finest = among.model
    wanted = finest * (max(spec.width) / width) ** GRID_GROWTH
    return abs(math.log(getattr(spec, among.resolution or "") / wanted)) + (
        10.0 if max(spec.width) < 2 else 0.0
    )
