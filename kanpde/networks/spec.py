"""What a chain of layers is built from: one small frozen dataclass a kind, and what all kinds of
chains have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.kind import NetworkKind
from kanpde.networks.network import Edges, Layer, Network, chained, checked_width


class Suited(NamedTuple):
    """What a kind does by default.

    Attributes:
        spec: The network.
        schedule: The text of the schedule.
        reasons: Why, a line each.
    """

    spec: Spec
    schedule: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Spec(NetworkKind):
    """A kind of network that is a chain of layers, and its settings, of which checkpoints keep
    `vars`.

    Attributes:
        width: Hidden units by layer, a number or several.

    Raises:
        RecipeError: A value is out of range.
    """

    width: tuple[int, ...] = (5,)

    resolution: ClassVar[str | None] = None
    """The field that a stage Extend makes finer; None where nothing can be refined."""

    highest_degree: ClassVar[int | None] = None
    """Up to which the field `degree` may go; None where there is no such field, or no such end."""

    wraps: ClassVar[bool] = False
    """Whether the network sees a periodic coordinate as it is and closes the circle by itself; else
    it sees its cosine and its sine."""

    levels: ClassVar[int | None] = None
    """How many hidden levels its networks have; None where that is open."""

    along_axes: ClassVar[bool] = False
    """Whether the first layer adds functions of single coordinates, so that it takes many of them
    by points alone (see along_axes.py)."""

    whole_time: ClassVar[bool] = False
    """Whether time is taken as one span, however much happens in it."""

    least_points: ClassVar[int] = 0
    """Points that its training takes at least."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", checked_width(self.width))
        settings, most = vars(self), self.highest_degree
        if most is not None and not 1 <= settings["degree"] <= most:
            raise RecipeError(f"degree: got {settings['degree']}; expected 1 to {most}")
        if settings.get("grid", 1) < 1:
            raise RecipeError(f"grid: got {settings['grid']}; expected at least 1 interval")

    @classmethod
    @abstractmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        """The default for a problem.

        Args:
            evolving: Whether it evolves in time.
            extra: How many units more than for one unknown.
        """

    def along(self, circles: Sequence[int]) -> Spec:
        """The same settings where some coordinates are periodic.

        Args:
            circles: Their numbers among the inputs; for kinds that `wrap` only.
        """
        return self

    @abstractmethod
    def trained(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> tuple[Layer, Tensor]:
        """A layer with its first parameters.

        Args:
            inputs: How many units come in.
            outputs: How many units go out.
            generator: What the parameters are drawn from.

        Returns:
            The layer and its parameters [size], float64 on the CPU.
        """

    @abstractmethod
    def details(self) -> str:
        """The settings besides the width, in a few words, such as "degree 7, grid 24"."""

    def describe(self, widths: Sequence[int]) -> str:
        """The network in a few words, such as "KAN 2-5-1, degree 7, grid 24".

        Args:
            widths: The units at each level.
        """
        return f"{self.title} {'-'.join(map(str, widths))}, {self.details()}"

    def count(self, inputs: int, outputs: int) -> int:
        """Number of parameters between so many inputs and outputs.

        Args:
            inputs: How many inputs the network has.
            outputs: How many outputs it has.
        """
        generator = torch.Generator()
        return sum(
            self.trained(p, q, generator)[0].size
            for p, q in pairwise((inputs, *self.width, outputs))
        )

    def highest_order(self) -> int:
        """Highest derivative that is continuous, and that the jets carry."""
        return 4

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with random parameters, float64 on the CPU.

        Args:
            inputs: How many inputs it has.
            outputs: How many outputs it has.
            generator: What the parameters are drawn from.
        """
        return chained(
            self, (inputs, *self.width, outputs), lambda p, q: self.trained(p, q, generator), "tanh"
        )

    def extend(self, network: Network, grid: int, jets: Sequence[Tensor] | None = None) -> Network:
        """The same function on a finer basis (see refine.py).

        Args:
            network: A network of this kind.
            grid: The new resolution: intervals of a grid, or a degree.
            jets: Those of a forward pass over the collocation points, by which intervals are moved
                to where the inputs are; without them they stay.

        Raises:
            RecipeError: The kind has no such basis.
        """
        article = "an" if self.title[0] in "AEIOUFHLMNRSX" and self.title[:2].isupper() else "a"
        raise RecipeError(
            f"Extend(grid={grid}): {article} {self.title} has no grid to extend; leave it out of"
            " the schedule"
        )

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """The edge functions of every layer, sampled; none where a kind has no edge functions.

        Args:
            network: A network of this kind.
            samples: How many points an edge.
        """
        return []

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of its settings besides the width."""
        return tuple(name for name in super().options() if name != "width")


def spec_of(network: Network) -> Spec:
    """What a chain of layers was built from: only constants are built from something else.

    Args:
        network: A network that is no network of constants.
    """
    assert isinstance(network.spec, Spec)
    return network.spec
