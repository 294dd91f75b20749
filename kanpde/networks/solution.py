"""What every candidate for a solution can do, and what those can besides that compose layers: a
network, or a chain of them over spans of time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from kanpde.geometry import Domain
from kanpde.networks.network import Network
from kanpde.residual.calculus import Leaf


class Solution(ABC):
    """A candidate solution: a function of points [points, dims] that gives the unknowns [points,
    unknowns]."""

    domain: Domain

    @abstractmethod
    def __call__(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points unknowns"]:
        """Its values.

        Args:
            points: Where, [points, dims].

        Returns:
            The unknowns, [points, unknowns].
        """

    @abstractmethod
    def derivatives(
        self, points: Float[Tensor, "points dims"], leaves: Sequence[Leaf]
    ) -> Float[Tensor, "points leaves"]:
        """Derivatives of the unknowns, those on pieces by their plain names.

        Args:
            points: Where, [points, dims].
            leaves: The derivatives, each an unknown and how often by every coordinate.

        Returns:
            The derivatives, [points, leaves]; nan where a piece has no such unknown.
        """

    def tempered(
        self, points: Float[Tensor, "points dims"], on_face: bool
    ) -> Float[Tensor, " points"] | None:
        """What residuals are multiplied by where they are measured (see corner_pencils.py); None
        where nothing is singular.

        Args:
            points: Where they are taken.
            on_face: Whether they are those of conditions.
        """
        return None

    def numbers(self) -> dict[str, float]:
        """Values of the problem's parameters that are numbers, by name."""
        return {}

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers are trained."""

    @abstractmethod
    def describe(self) -> str:
        """In a few words."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which it is rebuilt; loads with weights_only=True."""


class Composition(Solution):
    """A candidate that is a network of layers, or a chain of such networks over spans of time."""

    @property
    @abstractmethod
    def network(self) -> Network:
        """The network, of a chain of spans that of the last one."""

    @property
    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """Names of the network's inputs."""
