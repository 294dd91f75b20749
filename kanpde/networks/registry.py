"""All kinds of networks by name: what a checkpoint, a recipe and the command line may ask for."""

from __future__ import annotations

from importlib import import_module

from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks.kan import KAN
from kanpde.networks.kind import NetworkKind
from kanpde.networks.mlp import MLP
from kanpde.networks.names import kinds
from kanpde.networks.spec import Spec

NETWORK_KINDS: dict[str, type[NetworkKind]] = {"kan": KAN, "mlp": MLP}
"""All that a recipe may ask for."""


def _register(name: str) -> None:
    """The kind that the file of that name in kinds/ defines."""
    module = import_module(f"kanpde.networks.kinds.{name}")
    found = [
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, NetworkKind) and vars(v).get("kind") == name
    ]
    if len(found) != 1:
        raise ImportError(
            f"kinds/{name}.py: got {len(found)} classes of kind {name!r}; expected one"
        )
    NETWORK_KINDS[name] = found[0]


for _name in kinds():
    if _name not in NETWORK_KINDS:
        _register(_name)

SPECS: dict[str, type[Spec]] = {
    name: kind for name, kind in NETWORK_KINDS.items() if issubclass(kind, Spec)
}
"""Those of them that are chains of layers, which rows of a table can train as well."""


def kind_of(name: str) -> type[NetworkKind]:
    """The class of a kind.

    Args:
        name: Its name on the command line.

    Raises:
        RecipeError: The name is none.
    """
    if name not in NETWORK_KINDS:
        known = f"{listed(NETWORK_KINDS)}{nearest(name, NETWORK_KINDS)}"
        raise RecipeError(f"network: got {name!r}; expected one of {known}")
    return NETWORK_KINDS[name]


def spec_of(kind: str) -> type[Spec]:
    """The class of a kind that is a chain of layers.

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
