"""Compression as a stage: one separable KAN of few parameters in the place of products of splines
that were refined up to their tolerance."""

from __future__ import annotations

from dataclasses import dataclass

from kanpde.errors import RecipeError
from kanpde.networks.network import Network
from kanpde.training.changes import Change


@dataclass(frozen=True)
class Compress(Change):
    """The last stage of products of splines (see products/compression.py).

    Attributes:
        loss: How far the network may be from them: the root mean square of the difference over that
            of the variation, for every unknown.

    Raises:
        RecipeError: The loss is no share, between 0 and 1.
    """

    loss: float = 1e-8
    name = "compress"

    def __post_init__(self) -> None:
        if not 0 < self.loss < 1:
            raise RecipeError(
                f"compress: got a loss of {self.loss:g}; expected a share between 0 and 1, such as"
                " 1e-8"
            )

    def check(self, network: Network) -> None:
        """Refuse every network of layers.

        Args:
            network: The network with which training begins.

        Raises:
            RecipeError: Always.
        """
        raise RecipeError(
            f"compress:{self.loss:g} takes products of splines; give --network tensor, or prune for"
            " a network of layers"
        )
