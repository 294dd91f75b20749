"""B-spline KANs with multiplication nodes (MultKAN: Liu et al. 2024b, "KAN 2.0", section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.kernels.taylor import correlate, product
from kanpde.networks.activation import Activation
from kanpde.networks.kan import KAN
from kanpde.networks.network import Layer, Network
from kanpde.networks.rows import Rows
from kanpde.networks.spec import Suited


class Products:
    """Sums that stay as they are, and products of pairs of the subnodes that come after them.

    The layer has no parameters.

    Args:
        sums: How many of the inputs are sums; all after them are pairs of subnodes.
    """

    size = 0

    def __init__(self, sums: int):
        self.sums = sums

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return torch.cat([X[:, :, : self.sums], product(*self._pairs(X), counts)], 2)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        a, b = self._pairs(X)
        lift = L[:, :, self.sums :]
        pairs = torch.stack([correlate(lift, b, counts), correlate(lift, a, counts)], 3).flatten(2)
        return torch.cat([L[:, :, : self.sums], pairs], 2), theta

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        return self.adjoint(theta, L, X, counts)[0], Rows.full(X.new_empty(len(X), 0))

    def _pairs(self, X: Tensor) -> tuple[Tensor, Tensor]:
        return X[:, :, self.sums :: 2], X[:, :, self.sums + 1 :: 2]


@dataclass(frozen=True)
class MultKAN(KAN):
    """A B-spline KAN in which some nodes of every hidden layer are products of two subnodes each.

    Attributes:
        width: Hidden units by layer that are no products, a number or several.
        degree: Of the splines, 1 to 9.
        grid: Knot intervals on [-1, 1], at least 1.
        products: Nodes of every hidden layer that are the product of two subnodes each, 0 or more.

    Raises:
        RecipeError: A value is out of range.
    """

    products: int = 2

    kind: ClassVar[str] = "multkan"
    title: ClassVar[str] = "MultKAN"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.products < 0:
            raise RecipeError(f"products: got {self.products}; expected 0 or more nodes")

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        if evolving:
            reasons = (
                "it evolves in time: two hidden layers, which follow what moves",
                "splines of degree 7, from grid 3 to 6",
            )
            return Suited(
                cls(width=(4 + extra, 4 + extra), degree=7, grid=3),
                "lm:100,extend:6,lm:120",
                reasons,
            )
        reasons = (
            "it is steady: one hidden layer, damped layer by layer",
            "splines of degree 7, from grid 3 to 18",
        )
        return Suited(
            cls(width=(2 + extra,), degree=7, grid=3),
            "lm/layer:40,extend:8,lm/layer:40,extend:20,lm/layer:160",
            reasons,
        )

    def details(self) -> str:
        return f"{self.products} products a layer, degree {self.degree}, grid {self.grid}"

    def _levels(self, inputs: int, outputs: int) -> list[tuple[int, int]]:
        """Inputs and subnodes of every layer."""
        ends = [*(w + 2 * self.products for w in self.width), outputs]
        return list(zip([inputs, *(w + self.products for w in self.width)], ends, strict=True))

    def count(self, inputs: int, outputs: int) -> int:
        """Number of parameters between so many inputs and outputs."""
        return sum(p * q * (self.grid + self.degree) for p, q in self._levels(inputs, outputs))

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with random coefficients, float64 on the CPU."""
        layers: list[Layer] = []
        theta: list[Tensor] = []
        for level, (p, q) in enumerate(self._levels(inputs, outputs)):
            if level:
                layers += [Products(self.width[level - 1]), Activation("tanh")]
            layer, part = self.trained(p, q, generator)
            layers.append(layer)
            theta.append(part)
        return Network(
            self,
            (inputs, *(w + self.products for w in self.width), outputs),
            layers,
            torch.cat(theta),
        )
