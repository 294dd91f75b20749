"""Multilayer perceptrons on jets, the yardstick for KANs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.errors import RecipeError, listed, nearest
from kanpde.kernels import activation_jet, activation_jet_adjoint
from kanpde.kernels.activation import TAYLOR
from kanpde.networks.network import Layer, Network, chained
from kanpde.networks.rows import Rows
from kanpde.networks.spec import Spec, Suited


class LinearLayer:
    """y = x W + b; theta holds W [inputs, outputs], then b [outputs].

    Only the value channel of a jet sees b.

    Args:
        inputs: How many units come in.
        outputs: How many units go out.
    """

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

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        W, _ = self._split(theta)
        return L @ W.T, torch.cat([(X.flatten(0, 1).T @ L.flatten(0, 1)).view(-1), L[:, 0].sum(0)])

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        W, _ = self._split(theta)
        return L @ W.T, Rows.full(torch.cat([(X.transpose(1, 2) @ L).flatten(1), L[:, 0]], 1))


def glorot(inputs: int, outputs: int, generator: torch.Generator) -> tuple[LinearLayer, Tensor]:
    """A linear layer with random weights (Glorot and Bengio 2010) and no bias.

    Args:
        inputs: How many units come in.
        outputs: How many units go out.
        generator: What the weights are drawn from.

    Returns:
        The layer and its parameters, float64 on the CPU.
    """
    W = torch.randn(inputs * outputs, generator=generator, dtype=torch.float64) * math.sqrt(
        2 / (inputs + outputs)
    )
    return LinearLayer(inputs, outputs), torch.cat([W, torch.zeros(outputs, dtype=torch.float64)])


class FourierFeatures:
    """y = sin(x F), cos(x F) with fixed random frequencies F (Tancik et al. 2020, equation 4).

    The layer has no parameters.

    Args:
        frequencies: F, [inputs, features].
    """

    size = 0

    def __init__(self, frequencies: Tensor):
        self.frequencies = frequencies

    @property
    def constants(self) -> list[Tensor]:
        """The frequencies: a checkpoint keeps them."""
        return [self.frequencies]

    @constants.setter
    def constants(self, found: list[Tensor]) -> None:
        (self.frequencies,) = found

    def _angles(self, X: Tensor) -> Tensor:
        Z = X @ self.frequencies.to(X)
        Z = torch.cat([Z, Z], 2)
        Z[:, 0, Z.shape[2] // 2 :] += math.pi / 2
        return Z

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        Z = self._angles(X)
        return activation_jet("sin", Z, Z.new_zeros(Z.shape[2]), Z.new_ones(Z.shape[2]), counts)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        if not back:
            return X.new_empty(0), theta
        Z = self._angles(X)
        inward = activation_jet_adjoint("sin", L.contiguous(), Z, Z.new_ones(Z.shape[2]), counts)
        sine, cosine = inward.chunk(2, 2)
        return (sine + cosine) @ self.frequencies.to(X).T, theta

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        return self.adjoint(theta, L, X, counts, back)[0], Rows.full(X.new_empty(len(X), 0))


@dataclass(frozen=True)
class MLP(Spec):
    """A multilayer perceptron.

    Attributes:
        width: Hidden units by layer, a number or several.
        activation: "tanh", "sin" or "silu".
        features: Random Fourier features of the inputs, in front of the first layer: as many sines
            and as many cosines; 0 for none.
        spread: Standard deviation of the frequencies of these features.

    Raises:
        RecipeError: A value is out of range.
    """

    width: tuple[int, ...] = (20, 20)
    activation: str = "tanh"
    features: int = 0
    spread: float = 2.0

    kind: ClassVar[str] = "mlp"
    title: ClassVar[str] = "MLP"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in TAYLOR:
            raise RecipeError(
                f"activation: got {self.activation!r}; expected one of"
                f" {listed(TAYLOR)}{nearest(self.activation, TAYLOR)}"
            )
        if self.features < 0:
            raise RecipeError(f"features: got {self.features}; expected 0 (none) or more")
        if not 0 < self.spread < math.inf:
            raise RecipeError(f"spread: got {self.spread}; expected a positive number")

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        reasons = ("two hidden layers of 20 units, each weight damped by what it moves",)
        return Suited(cls(width=(20 + 2 * extra, 20 + 2 * extra)), "lm:400", reasons)

    def details(self) -> str:
        return self.activation + (f", {self.features} Fourier features" if self.features else "")

    def trained(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> tuple[Layer, Tensor]:
        return glorot(inputs, outputs, generator)

    def count(self, inputs: int, outputs: int) -> int:
        """Number of parameters between so many inputs and outputs."""
        return sum(
            (p + 1) * q for p, q in pairwise((2 * self.features or inputs, *self.width, outputs))
        )

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with Glorot's initialisation (Glorot and Bengio 2010), float64 on the CPU."""
        if not self.features:
            return chained(
                self,
                (inputs, *self.width, outputs),
                lambda p, q: glorot(p, q, generator),
                self.activation,
            )
        features = FourierFeatures(
            self.spread
            * torch.randn(inputs, self.features, generator=generator, dtype=torch.float64)
        )
        inner = chained(
            self,
            (2 * self.features, *self.width, outputs),
            lambda p, q: glorot(p, q, generator),
            self.activation,
        )
        return Network(self, (inputs, *inner.widths), [features, *inner.layers], inner.theta)
