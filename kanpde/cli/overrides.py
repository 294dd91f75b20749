"""Options in place of parts of a recipe: the network, the schedule, and all that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import pairwise
from typing import Any

from kanpde.cli.options import NetworkOptions
from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks.kind import NetworkKind
from kanpde.networks.kinds.tensor import Tensor as TensorKind
from kanpde.networks.registry import kind_of, spec_of
from kanpde.networks.spec import Spec, Suited
from kanpde.problem.problem import Problem
from kanpde.recipes.choosing import Choice, in_place, suited
from kanpde.recipes.recipe import Recipe
from kanpde.recipes.refined import refined, tensor_for
from kanpde.training import Extend, Stage, parse_schedule


def asked_for(
    problem: Problem, own: Choice, asked: NetworkOptions, parts: Mapping[str, Any], effort: str
) -> Choice:
    """The recipe that the options of `solve` ask for, starting from the problem's own.

    Args:
        problem: What is to be solved.
        own: The problem's own recipe.
        asked: What the options ask of the network and its training.
        parts: Other parts of the recipe by name, None for those that were not given.
        effort: By which the problem's own recipe was chosen.

    Returns:
        The recipe, with the reasons for it.

    Raises:
        RecipeError: The options do not go together, or the network does not have one of them.
    """
    kind = type(own.recipe.network) if asked.kind is None else kind_of(asked.kind)
    given = {name: value for name, value in parts.items() if value is not None}
    if not issubclass(kind, TensorKind):
        suits: Callable[[type[Spec]], Suited] = partial(suited, problem)
        spec, stages = overrides(own.recipe, suits, asked)
        changed = {"network": spec, "schedule": stages, **given}
        kept = {name: value for name, value in changed.items() if value is not None}
        recipe, reasons = own.recipe, own.reasons
        if spec is not None and stages is not None and spec.kind != recipe.network.kind:
            recipe, reasons = in_place(recipe, spec, stages), (*reasons, *suits(type(spec)).reasons)
        return Choice(replace(recipe, **kept), reasons)
    stated = own.recipe.network
    network = stated if isinstance(stated, TensorKind) else tensor_for(problem)
    found = refined(_of_tensor(network, asked), effort, given.pop("tolerance", None))
    if asked.width is not None:
        _check(kind, "--width", "width")
    if asked.schedule is not None:
        given["schedule"] = asked.schedule
    return Choice(replace(found.recipe, **given), found.reasons)


def _of_tensor(network: TensorKind, asked: NetworkOptions) -> TensorKind:
    """A tensor product of splines with the settings that are asked for."""
    found = _read(TensorKind, asked.settings)
    for name, numbers in asked.levels.items():
        _check(TensorKind, f"--{name}", name)
        if len(numbers) > 1:
            raise RecipeError(
                f"--{name} {','.join(map(str, numbers))}: expected one number; cells are refined by"
                " themselves"
            )
        found[name] = numbers[0]
    return replace(network, **found)


def overrides(
    recipe: Recipe, suits: Callable[[type[Spec]], Suited], asked: NetworkOptions
) -> tuple[Spec | None, list[Stage] | None]:
    """The network and the schedule that the options ask for, starting from the problem's own.

    Args:
        recipe: The problem's own.
        suits: What gives the network and the schedule that a kind takes here.
        asked: The options. Of `grid` and `degree`, the one that training of the kind refines may
            be several numbers, coarse to fine.

    Returns:
        The network and the stages, each None where the options ask for none.

    Raises:
        RecipeError: The options do not go together, or the kind does not have one of them.
    """
    stages = None if asked.schedule is None else parse_schedule(asked.schedule)
    if asked.kind is None and asked.width is None and not asked.levels and not asked.settings:
        return None, stages
    network, own = _changed(recipe, suits, asked)
    refined = network.resolution
    if refined is None or refined not in asked.levels:
        return network, stages or own
    finer = asked.levels[refined]
    option = f"--{refined} {','.join(map(str, finer))}"
    if any(b <= a for a, b in pairwise(finer)):
        raise RecipeError(f"{option}: expected numbers that rise, coarse to fine, such as 6,12,24")
    if stages is not None and len(finer) > 1:
        raise RecipeError(
            f"{option} extends the grid by itself; give one {refined} with --schedule,"
            " and extend:… in it"
        )
    return _with(network, refined, finer[0]), stages or _extended(own, finer[1:])


def _changed(
    recipe: Recipe, suits: Callable[[type[Spec]], Suited], asked: NetworkOptions
) -> tuple[Spec, list[Stage]]:
    """The network with all that is asked of it but what training refines, and its own stages."""
    own = list(recipe.stages)
    if asked.kind is not None and asked.kind != recipe.network.kind:
        found = suits(spec_of(asked.kind))
        network, own = found.spec, parse_schedule(found.schedule)
    else:
        network = recipe.spec
    if asked.width is not None:
        network = replace(network, width=tuple(asked.width))
    network = replace(network, **_read(type(network), asked.settings))
    for name, numbers in asked.levels.items():
        _check(type(network), f"--{name}", name)
        if name == network.resolution:
            continue
        if len(numbers) > 1:
            raise RecipeError(
                f"--{name} {','.join(map(str, numbers))}: expected one number; of a"
                f" {network.title} training refines {network.resolution or 'nothing'}"
            )
        network = _with(network, name, numbers[0])
    return network, own


def _with(network: Spec, name: str, value: int) -> Spec:
    changed: dict[str, Any] = {name: value}
    return replace(network, **changed)


def _check(kind: type[NetworkKind], option: str, name: str) -> None:
    """Raise RecipeError where a kind has no such setting."""
    if name in kind.options():
        return
    if kind.kind == "mlp" and name in ("degree", "grid"):
        raise RecipeError(f"{option}: an MLP has no splines; leave it out, or choose --network kan")
    raise RecipeError(
        f"{option}: {kind.kind} has none; expected one of"
        f" {listed(kind.options())}{nearest(name, kind.options())}"
    )


def _read(kind: type[NetworkKind], settings: Mapping[str, str]) -> dict[str, Any]:
    """Settings from text, of the types of their defaults; raises RecipeError for what is none."""
    defaults: dict[str, Any] = {f.name: f.default for f in fields(kind)}
    found: dict[str, Any] = {}
    for name, text in settings.items():
        _check(kind, f"--with {name}={text}", name)
        wanted = type(defaults[name])
        try:
            found[name] = wanted(text)
        except ValueError:
            kind_of_number = "a whole number" if wanted is int else "a number"
            raise RecipeError(
                f"--with {name}={text}: expected {kind_of_number}, such as {defaults[name]}"
            ) from None
    return found


def _extended(schedule: Sequence[Stage], grids: Sequence[int]) -> list[Stage]:
    """A schedule with its grid extensions replaced: training as between its own extensions, the
    last part repeated where there are more."""
    parts: list[list[Stage]] = [[]]
    for stage in schedule:
        if isinstance(stage, Extend):
            parts.append([])
        else:
            parts[-1].append(stage)
    parts = [part for part in parts if part]
    stages = list(parts[0] if grids else parts[-1])
    for i, grid in enumerate(grids, 1):
        stages += [Extend(grid), *parts[-1 if i == len(grids) else min(i, len(parts) - 1)]]
    return stages
