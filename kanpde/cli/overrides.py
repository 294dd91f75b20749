"""Options in place of parts of a recipe: the network and the schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks.registry import spec_of
from kanpde.networks.spec import Spec, Suited
from kanpde.recipes.recipe import Recipe
from kanpde.training import Extend, Stage, parse_schedule

Numbers = tuple[int, ...]


def overrides(
    recipe: Recipe,
    suits: Callable[[type[Spec]], Suited],
    kind: str | None,
    width: Numbers | None,
    levels: Mapping[str, Numbers | None],
    settings: Mapping[str, str],
    schedule: str | None,
) -> tuple[Spec | None, list[Stage] | None]:
    """The network and the schedule that the options ask for, starting from the problem's own; None
    where they ask for none.

    suits: the network and the schedule that a kind takes here; levels: grid and degree, of which
    the one that a kind refines may be several numbers, coarse to fine; settings: of the kind.
    Raises RecipeError for options that do not go together, and for those that the kind does not
    have.
    """
    stages = None if schedule is None else parse_schedule(schedule)
    asked = {name: numbers for name, numbers in levels.items() if numbers is not None}
    if kind is None and width is None and not asked and not settings:
        return None, stages
    network, own = recipe.network, list(recipe.stages)
    if kind is not None and kind != network.kind:
        found = suits(spec_of(kind))
        network, own = found.spec, parse_schedule(found.schedule)
    network = network if width is None else replace(network, width=width)
    network = replace(network, **_read(type(network), settings))
    for name, numbers in asked.items():
        _check(type(network), f"--{name}", name)
        if name != network.resolution:
            if len(numbers) > 1:
                raise RecipeError(
                    f"--{name} {','.join(map(str, numbers))}: expected one number; of a"
                    f" {network.title} training refines {network.resolution or 'nothing'}"
                )
            network = _with(network, name, numbers[0])
    if network.resolution not in asked:
        return network, stages or own
    finer = asked[network.resolution]
    if any(b <= a for a, b in pairwise(finer)):
        raise RecipeError(
            f"--{network.resolution} {','.join(map(str, finer))}: expected numbers that rise,"
            " coarse to fine, such as 6,12,24"
        )
    if stages is not None and len(finer) > 1:
        option = f"--{network.resolution} {','.join(map(str, finer))}"
        raise RecipeError(
            f"{option} extends the grid by itself; give one {network.resolution} with --schedule,"
            " and extend:… in it"
        )
    return _with(network, network.resolution, finer[0]), stages or _extended(own, finer[1:])


def _with(network: Spec, name: str, value: int) -> Spec:
    changed: dict[str, Any] = {name: value}
    return replace(network, **changed)


def _check(kind: type[Spec], option: str, name: str) -> None:
    """Raise RecipeError where a kind has no such setting."""
    if name not in kind.options():
        splines = (
            "an MLP has no splines; leave it out, or choose --network kan"
            if kind.kind == "mlp" and name in ("degree", "grid")
            else ""
        )
        raise RecipeError(
            f"{option}:"
            f" {splines or f'{kind.kind} has none; expected one of {listed(kind.options())}{nearest(name, kind.options())}'}"
        )


def _read(kind: type[Spec], settings: Mapping[str, str]) -> dict[str, Any]:
    """Settings from text, of the types of their defaults; raises RecipeError for what is none."""
    defaults: dict[str, Any] = {f.name: f.default for f in fields(kind)}
    found: dict[str, Any] = {}
    for name, text in settings.items():
        _check(kind, f"--with {name}={text}", name)
        wanted = type(defaults[name])
        try:
            found[name] = wanted(text)
        except ValueError:
            raise RecipeError(
                f"--with {name}={text}: expected"
                f" {'a whole number' if wanted is int else 'a number'}, such as {defaults[name]}"
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
