"""KANs with Chebyshev polynomials on their edges (Sidharth and Gokul 2024, "Chebyshev
polynomial-based KANs")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.networks.basis import Basis
from kanpde.networks.expansion import Expansion


class Polynomials(Basis):
    """T_0 … T_degree, by their recursion T_{j+1} = 2x T_j - T_{j-1}.

    The recursion holds for Taylor coefficients as well.

    Args:
        degree: The highest degree.
    """

    def __init__(self, degree: int):
        self.degree, self.size = degree, degree + 1

    def taylor(self, x: Tensor, order: int) -> Tensor:
        found = x.new_zeros(self.size, order + 1, *x.shape)
        found[0, 0] = 1
        if self.degree:
            found[1, 0] = x
            found[1, 1:2] = 1
        twice = 2 * x
        for j in range(1, self.degree):
            torch.addcmul(-found[j - 1], twice, found[j], out=found[j + 1])
            found[j + 1, 1:].add_(found[j, :-1], alpha=2)
        return found.permute(2, 3, 1, 0)

    def finer(self, resolution: int) -> Polynomials:
        return Polynomials(resolution)

    def decay(self) -> Tensor:
        """j^-2: the n-th derivative of T_j grows like j^2n, and derivatives of the start should not
        be those of T_32 alone."""
        return torch.arange(1, self.size + 1, dtype=torch.float64) ** -2.0


@dataclass(frozen=True)
class Chebyshev(Expansion):
    """A KAN with Chebyshev polynomials on its edges.

    The inputs of the polynomials lie in [-1, 1] by tanh and by the range that an extension fits.

    Attributes:
        width: Hidden units by layer, a number or several.
        degree: Of the polynomials, 1 to 64.

    Raises:
        RecipeError: A value is out of range.
    """

    degree: int = 8

    kind: ClassVar[str] = "chebyshev"
    title: ClassVar[str] = "Chebyshev KAN"
    resolution: ClassVar[str | None] = "degree"
    highest_degree: ClassVar[int | None] = 64
    later: ClassVar[tuple[int, ...]] = (16, 32)

    def basis(self) -> Polynomials:
        return Polynomials(self.degree)
