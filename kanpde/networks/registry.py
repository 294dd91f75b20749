"""All kinds of networks by name: what a checkpoint, a recipe and the command line may ask for."""

from __future__ import annotations

from importlib import import_module

from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.names import kinds
from kanpde.networks.spec import Spec

SPECS: dict[str, type[Spec]] = {"kan": KAN, "mlp": MLP}


def _register(name: str) -> None:
    """The kind that the file of that name in kinds/ defines."""
    module = import_module(f"kanpde.networks.kinds.{name}")
    found = [
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Spec) and vars(v).get("kind") == name
    ]
    if len(found) != 1:
        raise ImportError(
            f"kinds/{name}.py: got {len(found)} classes of kind {name!r}; expected one"
        )
    SPECS[name] = found[0]


for _name in kinds():
    if _name not in SPECS:
        _register(_name)


def spec_of(kind: str) -> type[Spec]:
    """The class of a kind.

    Args:
        kind: Its name on the command line.

    Raises:
        RecipeError: The name is none.
    """
    if kind not in SPECS:
        raise RecipeError(
            f"network: got {kind!r}; expected one of {listed(SPECS)}{nearest(kind, SPECS)}"
        )
    return SPECS[kind]
