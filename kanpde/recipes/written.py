"""A recipe as JSON holds it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from kanpde.errors import RecipeError
from kanpde.networks.kind import NetworkKind
from kanpde.networks.registry import NETWORK_KINDS, SPECS
from kanpde.recipes.recipe import Recipe
from kanpde.training.schedule import CHANGES, LOSSY, OPTIMISERS

K = TypeVar("K", bound=NetworkKind)


def plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON holds it: the network and the stages by name, with all of their settings.

    Args:
        recipe: The recipe.
    """
    network = {"kind": recipe.network.kind, **_listed(vars(recipe.network))}
    stages = [{"name": stage.name, **_listed(vars(stage))} for stage in recipe.stages]
    rest = {
        f.name: getattr(recipe, f.name)
        for f in fields(recipe)
        if f.name not in ("network", "schedule", "fields", "tolerance", "or_layers")
    }
    # Runs that were begun when there were none are gone on with by recipes without them.
    if recipe.tolerance is not None:
        rest["tolerance"] = recipe.tolerance
    if recipe.or_layers:
        rest["or_layers"] = True
    of_fields = {
        name: {"kind": spec.kind, **_listed(vars(spec))} for name, spec in recipe.fields.items()
    }
    return {"network": network, "schedule": stages, **_listed(rest), "fields": of_fields}


def from_plain(plain: Mapping[str, Any]) -> Recipe:
    """The recipe that `plain` made.

    Args:
        plain: What `plain` gave, as read from JSON.

    Raises:
        RecipeError: It is anything else.
    """
    try:
        stages = [dict(stage) for stage in plain["schedule"]]
        of_fields = {
            name: _kind(spec, SPECS[spec["kind"]]) for name, spec in plain.get("fields", {}).items()
        }
        kinds = {**CHANGES, **LOSSY, **OPTIMISERS}
        known = [(kinds[stage.pop("name")], stage) for stage in stages]
        for made, stage in known:
            _check_types(stage, made, "schedule")
        schedule = tuple(made(**stage) for made, stage in known)
        network = plain["network"]
        return Recipe(
            **{
                **plain,
                "network": _kind(network, NETWORK_KINDS[network["kind"]]),
                "schedule": schedule,
                "fields": of_fields,
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(f"recipe: {error} does not describe one of this version") from error


def _kind(plain: Mapping[str, Any], kind: type[K]) -> K:
    """A network's kind from its settings; raises TypeError for what is none."""
    values = {k: v for k, v in plain.items() if k != "kind"}
    _check_types(values, kind, "network")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _check_types(values: Mapping[str, Any], kind: Any, what: str) -> None:
    """Raise TypeError where a value is not of the kind of its default."""
    defaults = {f.name: f.default for f in fields(kind)}
    for name, value in values.items():
        wanted = type(defaults[name])
        if wanted in (int, float, str) and not isinstance(
            value, (int, float) if wanted is float else wanted
        ):
            raise TypeError(f"{what}: {name}={value!r:.40}")


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: (
            list(v)
            if isinstance(v, tuple)
            else {n: list(x) for n, x in v.items()}
            if isinstance(v, Mapping)
            else v
        )
        for k, v in values.items()
    }
