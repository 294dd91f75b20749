"""GR-KAN: rational activations with coefficients shared in groups (Yang and Wang 2024,
"Kolmogorov-Arnold Transformer", section 4).

Every level applies a rational function of its group to each unit, and then a linear map: an edge
function is w_pq F_g(p). The rational functions are of order (5, 4), with a smooth denominator that
has no zeros (kernels/rational.py says which).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.kernels import (
    rational,
    rational_jet,
    rational_jet_adjoint,
    rational_jet_jacobian,
    rational_network_squares,
)
from kanpde.kernels.rational import COEFFICIENTS, NUMERATOR
from kanpde.networks.mlp import LinearLayer
from kanpde.networks.network import Layer, Network
from kanpde.networks.rows import Rows
from kanpde.networks.spec import Spec, Suited

REACH = 3.0
"""The first functions are fitted on [-REACH, REACH]: three standard deviations of what they see."""


class RationalLayer:
    """y_u = F_g(u)(x_u); theta holds the coefficients [groups, 9].

    Args:
        units: How many units come in, and go out.
        groups: How many rational functions they share.
    """

    def __init__(self, units: int, groups: int):
        self.units, self.groups, self.size = units, groups, groups * COEFFICIENTS

    def _coefficients(self, theta: Tensor) -> Tensor:
        return theta.view(self.groups, COEFFICIENTS)

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return rational_jet(X, self._coefficients(theta), counts)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        inward, gradient = rational_jet_adjoint(L, X, self._coefficients(theta), counts, back)
        return inward, gradient.view(-1)

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        inward, rows = rational_jet_jacobian(L, X, self._coefficients(theta), counts, back)
        return inward, Rows.full(rows.flatten(1))


class RationalNetwork(Network):
    """Levels of a rational and a linear layer: loss and gradient of a residual that is affine in
    them in one operator."""

    def squares(
        self, X: Tensor, W: Tensor, b: Tensor, counts: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        groups = [layer.groups for layer in self.layers if isinstance(layer, RationalLayer)]
        return rational_network_squares(X, self.theta, self.widths, groups, W, b, counts)


def first(denominator: Tensor, bend: float) -> Tensor:
    """The rational function of a denominator that is closest to sin(bend · x) on [-REACH, REACH].

    Args:
        denominator: Its coefficients b_1 … b_3.
        bend: Frequency of the sine.

    Returns:
        All coefficients of the function, [9].
    """
    x = torch.linspace(-REACH, REACH, 200, dtype=torch.float64)[:, None]
    Q = rational.shifted(rational.denominator(denominator), x, 0)[0]
    A = torch.cat([x**i for i in range(NUMERATOR)], 1) / Q
    a = torch.linalg.lstsq(A, torch.sin(bend * x), driver="gels").solution[:, 0]
    return torch.cat([a, denominator])


def second_moment(coefficients: Tensor, normal: bool) -> float:
    """E F(x)², by a sum over many points.

    Args:
        coefficients: Of the rational function F, [9].
        normal: Whether x is of the standard normal distribution; else it lies evenly on [-1, 1].
    """
    x = (
        torch.linspace(-6, 6, 2001, dtype=torch.float64)
        if normal
        else torch.linspace(-1, 1, 2001, dtype=torch.float64)
    )
    weight = torch.exp(-x.square() / 2) if normal else torch.ones_like(x)
    F = rational.taylor(x[:, None], coefficients[None], 0)[0][0][:, 0]
    return float((weight * F.square()).sum() / weight.sum())


@dataclass(frozen=True)
class GRKAN(Spec):
    """A network with rational activations that groups of units share.

    The first functions are near sines of several frequencies, and the first weights are such that
    every unit has variance 1 (their E F², for the form in use, is computed), so that the variance
    is the same on every level.

    Attributes:
        width: Hidden units by layer, a number or several.
        groups: Of units of a level that share a rational function, fewer where a level has fewer
            units.

    Raises:
        RecipeError: A value is out of range.
    """

    width: tuple[int, ...] = (16, 16)
    groups: int = 8

    kind: ClassVar[str] = "grkan"
    title: ClassVar[str] = "GR-KAN"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups < 1:
            raise RecipeError(f"groups: got {self.groups}; expected at least 1")

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        return Suited(
            cls(width=(16 + 2 * extra, 16 + 2 * extra)),
            "lm:150",
            ("two hidden layers of 16 units in 8 groups",),
        )

    def details(self) -> str:
        return f"{self.groups} groups of rational functions (5, 4)"

    def count(self, inputs: int, outputs: int) -> int:
        """Number of parameters between so many inputs and outputs."""
        return sum(
            min(self.groups, p) * COEFFICIENTS + (p + 1) * q
            for p, q in pairwise((inputs, *self.width, outputs))
        )

    def trained(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> tuple[Layer, Tensor]:
        return LinearLayer(inputs, outputs), torch.zeros(
            (inputs + 1) * outputs, dtype=torch.float64
        )

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with variance-preserving random weights, float64 on the CPU."""
        widths = (inputs, *self.width, outputs)
        layers: list[Layer] = []
        theta: list[Tensor] = []
        for level, (p, q) in enumerate(pairwise(widths)):
            groups = min(self.groups, p)
            functions = torch.stack(
                [
                    first(
                        torch.tensor([0.3, 0.2, 0.3], dtype=torch.float64), 1.0 + 0.5 * g / groups
                    )
                    for g in range(groups)
                ]
            )
            moments = torch.tensor(
                [second_moment(f, normal=level > 0) for f in functions], dtype=torch.float64
            )
            weights = (
                torch.randn(p, q, generator=generator, dtype=torch.float64)
                / (p * moments[rational.group_of(p, groups)][:, None]).sqrt()
            )
            layers += [RationalLayer(p, groups), LinearLayer(p, q)]
            theta += [
                functions.reshape(-1),
                weights.reshape(-1),
                torch.zeros(q, dtype=torch.float64),
            ]
        return RationalNetwork(self, widths, layers, torch.cat(theta))
