"""Stages that change the network and leave its function as it is: a finer grid, more units, one
more level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.errors import RecipeError, RunError
from kanpde.networks.network import Network, has_edges
from kanpde.networks.spec import spec_of
from kanpde.networks.surgery import chain, deepened, widened


class Change:
    """A stage that gives the training another network to go on with."""

    name: str

    def check(self, network: Network) -> None:
        """Refuse a network that cannot be changed so; before training.

        Args:
            network: The network with which training begins.

        Raises:
            RecipeError: It cannot be changed so.
        """

    def changed(
        self, network: Network, jets: Sequence[Tensor], generator: torch.Generator
    ) -> Network:
        """The other network to go on with.

        Args:
            network: The present one, which is left as it is.
            jets: The jets of its `levels` over points, one [points, channels, units] a level.
            generator: Source of the random coefficients of what is new.

        Raises:
            RunError: The activations do not allow it.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Extend(Change):
    """Go on with a finer grid, or with the same one (an update of the grid).

    Every hidden grid moves to where its inputs are, the coefficients are refitted, and the function
    stays up to the error of that fit.

    Attributes:
        grid: Intervals of the new grid.

    Raises:
        RecipeError: The grid has less than 1 interval.
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
        return spec_of(network).extend(network, self.grid, jets)


@dataclass(frozen=True)
class Widen(Change):
    """Go on with more units on every hidden level that has fewer; the function stays, exactly.

    Attributes:
        width: Units that each hidden level then has at least.

    Raises:
        RecipeError: The width is less than 1 unit.
    """

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
    """Go on with more levels in front of the last layer; the function stays, to 1e-12 with splines.

    Attributes:
        levels: How many levels are added.

    Raises:
        RecipeError: Less than 1 level is to be added.
    """

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
    """Refuse to change a network of which a hidden level stands still over the points.

    Args:
        network: The network.
        jets: The jets of its `levels` over points, one [points, channels, units] a level.
        what: Name of the change, for the message.

    Raises:
        RunError: All units of a hidden level are constant over the points: no grid can follow them.
    """
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
