"""Stages that change the network and leave its function as it is: a finer grid, more units, one
more level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.errors import RecipeError, RunError
from kanpde.networks.network import Network, has_edges
from kanpde.networks.surgery import chain, deepened, widened


class Change:
    """A stage that gives the training another network to go on with."""

    name: str

    def check(self, network: Network) -> None:
        """Raise RecipeError for a network that cannot be changed so; before training."""

    def changed(
        self, network: Network, jets: Sequence[Tensor], generator: torch.Generator
    ) -> Network:
        """The other network; jets: of `levels` over points. Raises RunError where the activations
        do not allow it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Extend(Change):
    """Go on with a finer grid, or with the same one (an update of the grid): every hidden grid
    moves to where its inputs are, the coefficients are refitted, and the function stays up to the
    error of that fit. grid: intervals.
    """

    grid: int
    name = "extend"

    def __post_init__(self) -> None:
        if self.grid < 1:
            raise RecipeError(f"extend:{self.grid}: expected a grid of at least 1 interval")

    def changed(
        self, network: Network, jets: Sequence[Tensor], generator: torch.Generator
    ) -> Network:
        refuse_one_place(network, jets, f"extend:{self.grid}")
        return network.spec.extend(network, self.grid, jets)


@dataclass(frozen=True)
class Widen(Change):
    """Go on with so many units on every hidden level that has fewer; the function stays,
    exactly."""

    width: int
    name = "widen"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise RecipeError(f"widen:{self.width}: expected at least 1 unit")

    def check(self, network: Network) -> None:
        chain(network, f"widen:{self.width}")

    def changed(
        self, network: Network, jets: Sequence[Tensor], generator: torch.Generator
    ) -> Network:
        return widened(network, self.width, jets, generator)


@dataclass(frozen=True)
class Deepen(Change):
    """Go on with so many levels more in front of the last layer; the function stays, to 1e-12 with
    splines."""

    levels: int = 1
    name = "deepen"

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise RecipeError(f"deepen:{self.levels}: expected at least 1 level")

    def check(self, network: Network) -> None:
        chain(network, f"deepen:{self.levels}")

    def changed(
        self, network: Network, jets: Sequence[Tensor], generator: torch.Generator
    ) -> Network:
        return deepened(network, self.levels)


def refuse_one_place(network: Network, jets: Sequence[Tensor], what: str) -> None:
    """Raise RunError where all units of a hidden level are constant over the points: no grid can
    follow them."""
    for level, layer in enumerate(network.layers):
        values = jets[level][:, 0]
        if (
            level
            and has_edges(layer)
            and bool(
                (values.amax(0) - values.amin(0) <= 1e-12 * values.abs().amax(0).clamp_min(1)).all()
            )
        ):
            place = ", ".join(f"{v:.3g}" for v in values[0].tolist()[:3])
            raise RunError(
                f"{what}: all points lie in one place, ({place}), of a hidden level of"
                f" {network.describe()}; expected activations that vary"
            )
