"""Multilayer perceptrons on jets, the yardstick for KANs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from kanpde.errors import RecipeError, listed, nearest
from kanpde.kernels.activation import TAYLOR
from kanpde.networks.network import Edges, Layer, Network, chained, checked_width
from kanpde.networks.rows import Rows


class LinearLayer:
    """y = x W + b; theta holds W [inputs, outputs], then b [outputs]. Only the value channel sees b."""

    def __init__(self, inputs: int, outputs: int):
        self.inputs, self.outputs = inputs, outputs
        self.size = (inputs + 1) * outputs

    def _split(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        return theta[: -self.outputs].view(self.inputs, self.outputs), theta[-self.outputs :]

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        W, b = self._split(theta)
        Y = X @ W
        Y[:, 0] += b
        return Y

    def adjoint(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Tensor]:
        W, _ = self._split(theta)
        return L @ W.T, torch.cat([(X.flatten(0, 1).T @ L.flatten(0, 1)).view(-1), L[:, 0].sum(0)])

    def jacobian(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Rows]:
        W, _ = self._split(theta)
        return L @ W.T, Rows.full(torch.cat([(X.transpose(1, 2) @ L).flatten(1), L[:, 0]], 1))


@dataclass(frozen=True)
class MLP:
    """A multilayer perceptron. width: hidden units by layer; activation: "tanh" or "sin".

    Raises RecipeError for anything out of range.
    """

    width: tuple[int, ...] = (20, 20)
    activation: str = "tanh"
    kind = "mlp"

    def __post_init__(self):
        object.__setattr__(self, "width", checked_width(self.width))
        if self.activation not in TAYLOR:
            raise RecipeError(f"activation: got {self.activation!r}; expected one of {listed(TAYLOR)}{nearest(self.activation, TAYLOR)}")

    def describe(self, widths: Sequence[int]) -> str:
        """Such as "MLP 2-20-20-1, tanh"."""
        return f"MLP {'-'.join(map(str, widths))}, {self.activation}"

    def count(self, inputs: int, outputs: int) -> int:
        """Number of parameters between so many inputs and outputs."""
        return sum((p + 1) * q for p, q in pairwise((inputs, *self.width, outputs)))

    def highest_order(self) -> int:
        """Highest derivative that the jets carry."""
        return 4

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with Glorot's initialisation (Glorot and Bengio 2010), float64 on the CPU."""

        def linear(p: int, q: int) -> tuple[Layer, Tensor]:
            W = torch.randn(p * q, generator=generator, dtype=torch.float64) * math.sqrt(2 / (p + q))
            return LinearLayer(p, q), torch.cat([W, torch.zeros(q, dtype=torch.float64)])

        return chained(self, (inputs, *self.width, outputs), linear, self.activation)

    def extend(self, network: Network, grid: int) -> Network:
        raise RecipeError(f"Extend(grid={grid}): an MLP has no grid to extend; leave it out of the schedule")

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """None: an MLP has no edge functions."""
        return []
