"""KANs with trigonometric polynomials on their edges (Xu et al. 2024, "FourierKAN-GCF", equation
5), of twice the interval's length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.networks.basis import Basis
from kanpde.networks.expansion import Expansion

PERIOD = 4.0
"""Twice the length of [-1, 1]. With the length itself, an edge function would have to be periodic,
and its series converged no faster than 1/n; on a longer period any smooth function has expansions
that converge geometrically (Huybrechs 2010)."""


class Trigonometric(Basis):
    """1, cos kωx and sin kωx for k = 1 … degree, ω = 2π / PERIOD.

    Args:
        degree: The highest k.
    """

    redundant = True

    def __init__(self, degree: int):
        self.degree, self.size = degree, 2 * degree + 1

    def _frequencies(self) -> Tensor:
        return 2 * math.pi / PERIOD * torch.arange(1, self.degree + 1, dtype=torch.float64)

    def taylor(self, x: Tensor, order: int) -> Tensor:
        omega = self._frequencies().to(x)
        angle = x[..., None] * omega
        s, c = torch.sin(angle), torch.cos(angle)
        found = x.new_zeros(*x.shape, order + 1, self.size)
        found[..., 0, 0] = 1
        for nu in range(order + 1):
            factor = omega**nu / math.factorial(nu)
            found[..., nu, 1 : self.degree + 1] = factor * (c, -s, -c, s)[nu % 4]
            found[..., nu, self.degree + 1 :] = factor * (s, c, -s, -c)[nu % 4]
        return found

    def finer(self, resolution: int) -> Trigonometric:
        return Trigonometric(resolution)

    def decay(self) -> Tensor:
        """(1 + k)^-2: with equal coefficients the second derivatives of the start would be those of
        the highest frequency alone."""
        falling = (1 + torch.arange(1, self.degree + 1, dtype=torch.float64)) ** -2.0
        return torch.cat([torch.ones(1, dtype=torch.float64), falling, falling])


@dataclass(frozen=True)
class Fourier(Expansion):
    """A KAN with trigonometric polynomials on its edges.

    Attributes:
        width: Hidden units by layer, a number or several.
        degree: Highest multiple of the base frequency π/2, 1 to 64.

    Raises:
        RecipeError: A value is out of range.
    """

    degree: int = 4

    kind: ClassVar[str] = "fourier"
    title: ClassVar[str] = "Fourier KAN"
    resolution: ClassVar[str | None] = "degree"
    highest_degree: ClassVar[int | None] = 64
    later: ClassVar[tuple[int, ...]] = (8, 16)

    def basis(self) -> Trigonometric:
        return Trigonometric(self.degree)
