"""Numbers that are trained as outputs of a network that is the same everywhere: parameters of an
equation, coefficients of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.networks.network import Edges, Network
from kanpde.networks.rows import Rows
from kanpde.networks.transform import Onto, Transform


class ConstantLayer:
    """y = θ, whatever the input, which has no units.

    The value channel holds θ, all others are zero.

    Args:
        outputs: How many constants there are.
    """

    def __init__(self, outputs: int):
        self.size = outputs

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        Y = theta.new_zeros(*X.shape[:2], self.size)
        Y[:, 0] = theta
        return Y

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(X), L[:, 0].sum(0)

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        return torch.zeros_like(X), Rows.full(L[:, 0].contiguous())


@dataclass(frozen=True)
class Constants:
    """What a network of constants is built from, in place of a Spec.

    Attributes:
        transforms: One an output; a start is T(0).
    """

    transforms: tuple[Transform, ...]

    kind = "constants"

    def describe(self, widths: Sequence[int]) -> str:
        """The network in a few words, such as "2 constants".

        Args:
            widths: The units at each level.
        """
        return f"{len(self.transforms)} constant{'' if len(self.transforms) == 1 else 's'}"

    def build(self) -> Network:
        """The network, float64 on the CPU: no inputs, an output each."""
        count = len(self.transforms)
        return Network(
            self,
            (0, count),
            [ConstantLayer(count), Onto(self.transforms)],
            torch.zeros(count, dtype=torch.float64),
        )

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """None: constants have no edge functions.

        Args:
            network: The network.
            samples: How many points an edge.
        """
        return []
