"""The plan of a sweep: which trials, with which settings, of which problem. It is written first,
and a sweep is resumed by it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, TypedDict, Unpack

from kanpde.errors import RecipeError, RunError
from kanpde.networks.kinds.tensor import Tensor
from kanpde.networks.registry import NETWORK_KINDS, SPECS
from kanpde.networks.spec import Spec
from kanpde.problem.file import identity
from kanpde.problem.problem import Problem
from kanpde.recipes.choosing import default
from kanpde.recipes.recipe import Recipe
from kanpde.recipes.tolerances import check_tolerance
from kanpde.sweeps import shapes
from kanpde.sweeps.extension import extended_to, shortened, steps_of, without_grids
from kanpde.training import Extend, parse_schedule, show_schedule

PLAN_FORMAT = "kanpde sweep 1"

RESIDUALS_A_PARAMETER = 1.5
"""Residuals at the collocation points, at least, over parameters of the largest network."""

DEFAULT_BUDGETS, DEFAULT_SIZES = (50, 2000), 8
"""Of the parameters where nothing is asked for."""

STEPS_AT_MOST = 100
"""Optimiser steps of a trial, at most, where the recipe has more and nothing else is asked for:
errors of networks of a few parameters do not fall any further, and the largest ones take a
minute."""


MOST_SEEDS = 10_000
"""Seeds of a sweep."""

DEFAULT_TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
"""Of networks that are refined, where none are asked for."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        name: The name of its folder, below the sweep's folder.
        kind: The kind of network, such as kan.
        network: The network that it ends with, in words.
        spec: The specification of the network that its training starts from.
        schedule: Text of its training stages.
        points: Collocation points.
        seed: The seed of its random start and points.
        last: The grid, or whatever else is refined, that it ends with; 0 where there is none.
        parameters: How many parameters the network has with which it ends; 0 where only its run
            tells.
        tolerance: Of a network that is refined up to one; 0 of layers, whose steps are counted.
    """

    name: str
    kind: str
    network: str
    spec: Any
    schedule: str
    points: int
    seed: int
    last: int
    parameters: int
    tolerance: float = 0.0

    @property
    def finest(self) -> Any:
        """The specification of the network that it ends with."""
        name = shapes.resolution(self.spec)
        return replace(self.spec, **{name: self.last}) if name else self.spec

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        spec = {
            f.name: list(v) if isinstance(v := getattr(self.spec, f.name), tuple) else v
            for f in fields(self.spec)
        }
        return {**vars(self), "spec": spec}

    @property
    def cost(self) -> float:
        """Work of its training, by Levenberg-Marquardt's count, in no particular unit; that of a
        refinement grows with the digits."""
        if self.tolerance:
            return math.log10(1 / self.tolerance) ** 3
        return (
            steps_of(parse_schedule(self.schedule)) * self.points * (100.0 + self.parameters) ** 2
        )


@dataclass(frozen=True)
class Plan:
    """All trials of a sweep, and what they share.

    Attributes:
        about: What a `rows.SweepTable` says of the problem, and the settings of all trials.
        trials: In the order in which they are numbered.
    """

    about: Mapping[str, Any]
    trials: tuple[Trial, ...]

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those that all trials share."""
        return self.about["settings"]  # type: ignore[no-any-return]

    def recipe(self, trial: Trial) -> Recipe:
        """How a trial is solved: from one random start each, as the seeds show what that does.

        Args:
            trial: The trial.
        """
        if trial.tolerance:
            return Recipe(trial.spec, tolerance=trial.tolerance)
        shared = {
            name: self.settings[name]
            for name in ("sampler", "slabs", "continuation", "balance", "causal")
        }
        return Recipe(trial.spec, trial.points, trial.schedule, restarts=1, **shared)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "format": PLAN_FORMAT,
            **self.about,
            "trials": [trial.plain() for trial in self.trials],
        }


def from_plain(text: Mapping[str, Any], where: Path) -> Plan:
    """The plan that sweep.json holds.

    Args:
        text: What `Plan.plain` made, as JSON gives it back.
        where: The file, for the message.

    Returns:
        The plan.

    Raises:
        RunError: It holds anything else, or a plan of another version.
    """
    try:
        if text["format"] != PLAN_FORMAT:
            raise RunError(
                f"{where}: is no plan of a kanpde sweep (format {text['format']!r}; expected"
                f" {PLAN_FORMAT!r})"
            )
        trials = tuple(_trial(plain) for plain in text["trials"])
        _check_types(text["settings"], trials)
        Plan(text, trials).recipe(trials[0])
        _ = text["problem"], text["unknowns"], text["exact"]
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecipeError) as error:
        raise RunError(
            f"{where}: is no plan of a kanpde sweep of this version ({type(error).__name__}:"
            f" {error})"
        ) from error
    return Plan(
        {key: value for key, value in text.items() if key not in ("format", "trials")}, trials
    )


def _trial(plain: Mapping[str, Any]) -> Trial:
    """The trial that `Trial.plain` made; whatever it does not fit, it raises."""
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in plain["spec"].items()}
    return Trial(**{**plain, "spec": NETWORK_KINDS[plain["kind"]](**settings)})


def _check_types(settings: Mapping[str, Any], trials: Sequence[Trial]) -> None:
    """Raise TypeError for settings of other types, and for names that would lead elsewhere."""
    kinds = {"points": int, "device": str, "dtype": str, "slabs": int}
    kinds |= {"networks": list, "seeds": list, "steps": list}
    if not all(isinstance(settings[key], kind) for key, kind in kinds.items()):
        raise TypeError("settings of other types")
    if not all(isinstance(t.name, str) and "/" not in t.name for t in trials):
        raise TypeError("names of other types")


def about(problem: Problem) -> dict[str, Any]:
    """What says which problem a sweep belongs to, and what its figures need of it.

    Args:
        problem: The problem that all trials solve.

    Returns:
        Plain values: its identity, how many coordinates it has, the highest order of derivative,
        and whether its exact solution is known.
    """
    more = {
        "coordinates": len(problem.coordinates),
        "derivatives": max(equation.order for equation in problem.equations),
    }
    return {**identity(problem), **more, "exact": len(problem.exact) == len(problem.unknowns)}


class Lists(TypedDict, total=False):
    """What is varied in a sweep.

    Attributes:
        networks: Kinds; kan and mlp by default.
        parameters: Counts, or (low, high) for a geometric series; shapes follow from them.
        sizes: How many counts there are in that series.
        width: Instead of `parameters`, hidden units: by network a number, or a tuple layer by
            layer.
        depth: Hidden layers.
        grid: The last grids; training extends up to each.
        degree: Of splines.
        schedule: Texts of stages.
        steps: Instead, how many optimiser steps of the recipe's schedule.
        seeds: How many, or which.
        points: Collocation points of every trial.
        tolerance: Those that networks are refined up to which have no layers, such as tensor.
        device: cpu or cuda.
        dtype: float64 or float32.
    """

    networks: Sequence[str]
    parameters: tuple[float, float] | Sequence[int] | None
    sizes: int | None
    width: Sequence[int | tuple[int, ...]] | None
    depth: Sequence[int] | None
    grid: Sequence[int] | None
    degree: Sequence[int] | None
    schedule: Sequence[str] | None
    steps: int | None
    seeds: int | Sequence[int]
    points: int | None
    tolerance: Sequence[float] | None
    device: str
    dtype: str


def plan(problem: Problem, recipe: Recipe, **lists: Unpack[Lists]) -> Plan:
    """All combinations of what is listed.

    The recipe gives what is not: its schedule, shortened to STEPS_AT_MOST and with its grids spread
    up to each network's own, or without them; its points, or as many as over-determine the largest
    network; spans of time and weights. Every trial has the same points and as many steps.

    Args:
        problem: The problem that all trials solve.
        recipe: How they are solved but for what is listed.
        **lists: What is varied.

    Returns:
        The plan; its trials are numbered network by network, and seed by seed.

    Raises:
        RecipeError: Lists are empty or do not go together, no network comes near a count of
            parameters, or there are too few points.
    """
    _check(lists)
    recipe = recipe if isinstance(recipe.network, Spec) else default(problem).recipe
    names, seeds = shapes.kinds(lists.get("networks") or ("kan", "mlp")), _seeds(lists)
    steps = lists.get("steps") or min(STEPS_AT_MOST, steps_of(recipe.stages))
    texts = lists.get("schedule") or (None,)
    shaped = [
        _shaped(among, spec, text, steps)
        for kind in names
        if kind in SPECS
        for among, spec in _specs(problem, recipe, kind, lists)
        for text in texts
    ]
    shaped = list(dict.fromkeys(shaped))
    _check_levels(shaped, names, lists)
    points = _points(
        lists.get("points"),
        recipe.points,
        max((s.parameters for s in shaped), default=1),
        len(problem.equations),
    )
    trials = [s.trial(points, seed) for s in shaped for seed in seeds]
    trials += [trial for kind in names if kind not in SPECS for trial in _refined(kind, lists)]
    digits = len(str(len(trials)))
    settings = {
        "networks": list(names),
        "seeds": seeds,
        "steps": sorted({steps_of(parse_schedule(s.schedule)) for s in shaped}),
        "points": points,
        "restarts": 1,
        **{name: getattr(recipe, name) for name in ("sampler", "slabs", "balance", "causal")},
        "continuation": {name: list(values) for name, values in recipe.continuation.items()},
        "device": lists.get("device", "cpu"),
        "dtype": lists.get("dtype", "float64"),
    }
    return Plan(
        {**about(problem), "settings": settings},
        tuple(replace(t, name=f"{i:0{digits}d}-{t.name}") for i, t in enumerate(trials, 1)),
    )


def _refined(kind: str, lists: Lists) -> Iterator[Trial]:
    """A trial for every tolerance, and degree where these are listed; nothing in it is random."""
    for degree, tolerance in product(
        lists.get("degree") or (Tensor().degree,), lists.get("tolerance") or DEFAULT_TOLERANCES
    ):
        check_tolerance(tolerance)
        spec = Tensor(degree=degree)
        words = f"{spec.title}, degree {degree}, tolerance {tolerance:g}"
        name = f"{kind}-degree{degree}-{tolerance:g}"
        yield Trial(name, kind, words, spec, "", 0, _seeds(lists)[0], 0, 0, tolerance)


@dataclass(frozen=True)
class _Shaped:
    """A network and its training, for all seeds: what it starts from, what it ends as, the schedule
    between."""

    kind: str
    network: str
    spec: Any
    schedule: str
    last: int
    parameters: int

    def trial(self, points: int, seed: int) -> Trial:
        """That of one seed."""
        name = f"{self.kind}-{self.parameters:04d}-seed{seed}"
        return Trial(
            name,
            self.kind,
            self.network,
            self.spec,
            self.schedule,
            points,
            seed,
            self.last,
            self.parameters,
        )


def _shaped(among: shapes.Space, spec: Any, text: str | None, steps: int) -> _Shaped:
    """The training that ends with a network: by a schedule, which may extend it further, or by the
    recipe's own with so many steps."""
    stages, name = parse_schedule(text) if text else list(among.recipe.stages), among.resolution
    start, finest, last = spec, spec, getattr(spec, name) if name else 0
    if name is None:
        stages = without_grids(stages)
    elif text:
        last = next((stage.grid for stage in reversed(stages) if isinstance(stage, Extend)), last)
        finest = replace(spec, **{name: last})
    else:
        first, stages = extended_to(stages, getattr(among.recipe.network, name), last)
        start = replace(spec, **{name: first})
    stages = stages if text else shortened(stages, steps)
    return _Shaped(
        among.kind,
        finest.describe(among.widths(finest)),
        start,
        show_schedule(stages),
        last,
        among.count(finest),
    )


def _check(lists: Lists) -> None:
    """Raise RecipeError for lists that are empty, and for what does not go together."""
    lengths = {
        name: lists.get(name)
        for name in (
            "networks",
            "parameters",
            "width",
            "depth",
            "grid",
            "degree",
            "schedule",
            "seeds",
            "tolerance",
        )
    }
    for name, values in lengths.items():
        if values is not None and not (values if isinstance(values, int) else len(values)):  # type: ignore[arg-type]
            raise RecipeError(f"{name}: got none; expected at least one")
    if lists.get("schedule") and lists.get("steps"):
        raise RecipeError(
            "steps: got a schedule as well, which says how many; expected one of them"
        )
    refined = [name for name in lists.get("networks") or () if name not in SPECS]
    if lists.get("tolerance") and not refined:
        raise RecipeError(
            "tolerance: got one, but no network that is refined up to it; expected tensor among"
            " networks, or none: the trials of layers are compared by their steps"
        )
    shaped = [name for name in ("width", "grid") if lists.get(name)]
    if lists.get("parameters") and shaped:
        raise RecipeError(
            f"parameters: choose width and grid by themselves; expected them or {shaped[0]}, not"
            " both"
        )
    if lists.get("sizes") and shaped:
        raise RecipeError(
            "sizes: says how many counts of parameters; expected with such as 50:5000"
        )


def _seeds(lists: Lists) -> list[int]:
    """The seeds of the trials, each once."""
    given = lists.get("seeds", 3)
    wanted = range(given) if isinstance(given, int) else given
    if isinstance(wanted, range) and len(wanted) > MOST_SEEDS:
        raise RecipeError(
            f"seeds: got {len(wanted):,}; expected at most {MOST_SEEDS:,}, or those that are meant,"
            " such as 0,4,7"
        )
    return list(dict.fromkeys(wanted))


def _check_levels(shaped: Sequence[_Shaped], names: Sequence[str], lists: Lists) -> None:
    """Raise RecipeError for grids and degrees that none of the networks has."""
    for name, values in (("grid", lists.get("grid")), ("degree", lists.get("degree"))):
        specs = [type(s.spec) for s in shaped] + [Tensor for kind in names if kind not in SPECS]
        if values and not any(name in spec.options() for spec in specs):
            raise RecipeError(
                f"{name}: got {', '.join(map(str, values))}, but no {' or '.join(names)} has one;"
                " leave it out"
            )


def _specs(
    problem: Problem, recipe: Recipe, kind: str, lists: Lists
) -> Iterator[tuple[shapes.Space, Any]]:
    """The networks of one kind, as they are at the end of training."""
    depths, degrees, parameters = lists.get("depth"), lists.get("degree"), lists.get("parameters")
    if lists.get("width") or lists.get("grid"):
        among = shapes.space(problem, recipe, kind)
        for spec in shapes.listed_shapes(
            among, lists.get("width"), depths, lists.get("grid"), degrees
        ):
            yield among, spec
        return
    for depth, degree in product(depths or (None,), degrees or (None,)):
        among = shapes.space(problem, recipe, kind, depth, degree)
        low = max(DEFAULT_BUDGETS[0], shapes.smallest(among))
        ends = parameters or (low, max(DEFAULT_BUDGETS[1], 4 * low))
        series = (
            shapes.budgets(ends[0], ends[1], lists.get("sizes") or DEFAULT_SIZES)
            if isinstance(ends, tuple)
            else ends
        )
        for budget in series:
            yield among, shapes.shape(among, int(budget))


def _points(given: int | None, recipe: int, largest: int, equations: int) -> int:
    """Collocation points of all trials. Raises RecipeError where the residuals do not
    over-determine the largest network."""
    needed = math.ceil(RESIDUALS_A_PARAMETER * largest / equations)
    if given is not None and given * equations <= largest:
        raise RecipeError(
            f"points: got {given:,} for up to {largest:,} parameters; expected at least {needed:,},"
            " so that the residuals over-determine them"
        )
    return given or max(recipe, 100 * math.ceil(needed / 100))
