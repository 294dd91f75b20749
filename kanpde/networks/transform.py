"""Maps from all real numbers onto the values that a parameter may have, pointwise on jets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.kernels.taylor import compose, correlate
from kanpde.networks.rows import Rows

SMALL_START = 0.01
"""A parameter that begins below it is searched for in units of its start."""


@dataclass(frozen=True)
class Transform:
    """T(x) with T(0) = initial, onto the numbers between low and high.

    Without bounds T(x) = initial + scale · x, with the start's own size for a scale where that is
    not of order 1, and 1 where it is; with one, the distance from it is that of
    the start times e^x; with two, T is a logistic curve between them.

    Attributes:
        initial: The start, between the bounds.
        low: The lower bound; -inf is none.
        high: The upper bound; inf is none.
    """

    initial: float = 0.0
    low: float = -math.inf
    high: float = math.inf

    def taylor(self, x: Tensor, order: int) -> list[Tensor]:
        """Taylor coefficients T^(ν)(x)/ν!, ν = 0 … order.

        Args:
            x: Where, of any shape.
            order: Highest ν.

        Returns:
            The coefficients, each of the shape of x.
        """
        if math.isinf(self.low) and math.isinf(self.high):
            size = abs(self.initial)
            scale = size if size > 1 or 0 < size < SMALL_START else 1.0
            return [
                self.initial + scale * x,
                torch.full_like(x, scale),
                *(torch.zeros_like(x) for _ in range(order)),
            ][: order + 1]
        if math.isinf(self.high) or math.isinf(self.low):
            bound = self.low if math.isinf(self.high) else self.high
            grown = (self.initial - bound) * torch.exp(x)
            return [bound + grown, *(grown / math.factorial(nu) for nu in range(1, order + 1))]
        s = [torch.sigmoid(x + math.log((self.initial - self.low) / (self.high - self.initial)))]
        for nu in range(order):  # s' = s - s²
            s.append(
                (s[nu] - sum((s[i] * s[nu - i] for i in range(nu + 1)), torch.zeros_like(x)))
                / (nu + 1)
            )
        return [
            self.low + (self.high - self.low) * s[0],
            *((self.high - self.low) * nth for nth in s[1:]),
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """Its values.

        Args:
            x: Where, of any shape.
        """
        return self.taylor(x, 0)[0]


class Onto:
    """y = T(x), each unit with a transform of its own.

    It is a layer without parameters (see network.Layer).

    Args:
        transforms: One a unit.
    """

    size = 0

    def __init__(self, transforms: Sequence[Transform]):
        self.transforms = tuple(transforms)

    def _taylor(self, x: Tensor, order: int) -> list[Tensor]:
        """Taylor coefficients at values [points, units]."""
        by_unit = [t.taylor(x[:, q], order) for q, t in enumerate(self.transforms)]
        return [torch.stack(nth, 1) for nth in zip(*by_unit, strict=True)]

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return compose(self._taylor(X[:, 0], len(counts)), X, counts)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        slopes = [nu * nth for nu, nth in enumerate(self._taylor(X[:, 0], len(counts) + 1))][1:]
        return correlate(L, compose(slopes, X, counts), counts), theta

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        return self.adjoint(theta, L, X, counts)[0], Rows.full(X.new_empty(len(X), 0))
