"""KANs with reflectional switch functions on their edges (FasterKAN: Delis 2024; Ta 2024,
"BSRBF-KAN", section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.kernels.activation import tanh_taylor
from kanpde.networks.basis import Basis
from kanpde.networks.expansion import Expansion
from kanpde.networks.kinds.fastkan import BEYOND, centres

SWITCH_WIDTH = 3.0
"""h over the distance of the centres. The transform of 1 - tanh² falls like e^(-π|ω|h/2), so that a
grid of distance d leaves functions an error of e^(-π² h/d), however fine: 5e-5 for h = d, 1e-13
here."""


class Switches(Basis):
    """1 - tanh²((x - c_j)/h), the derivative of tanh.

    A Taylor coefficient is (ν + 1) times the next one of tanh, so that every derivative is exact;
    the first of them is -2/h tanh (1 - tanh²).

    Args:
        grid: Intervals between the centres c_j on [-1, 1].
    """

    redundant = True

    def __init__(self, grid: int):
        self.grid, self.size = grid, grid + 2 * BEYOND + 1
        self.centres, self.h = centres(grid), SWITCH_WIDTH * 2 / grid

    def taylor(self, x: Tensor, order: int) -> Tensor:
        f = tanh_taylor((x[..., None] - self.centres.to(x)) / self.h, order + 1)
        return torch.stack([(nu + 1) * f[nu + 1] / self.h**nu for nu in range(order + 1)], -2)

    def finer(self, resolution: int) -> Switches:
        return Switches(resolution)


@dataclass(frozen=True)
class FasterKAN(Expansion):
    """A KAN with reflectional switch functions on its edges.

    Attributes:
        width: Hidden units by layer, a number or several.
        grid: Intervals between the centres on [-1, 1], at least 1.

    Raises:
        RecipeError: A value is out of range.
    """

    grid: int = 6

    kind: ClassVar[str] = "fasterkan"
    title: ClassVar[str] = "FasterKAN"
    later: ClassVar[tuple[int, ...]] = (10, 20)

    def basis(self) -> Switches:
        return Switches(self.grid)
