"""KANs with Gaussians on their edges (FastKAN: Li 2024, "Kolmogorov-Arnold networks are radial
basis function networks")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.networks.basis import Basis
from kanpde.networks.expansion import Expansion

GAUSSIAN_WIDTH = 1.7
"""Width of a Gaussian over the distance of the centres. Li's is 1, with which derivatives of the
best fit keep an error of e^(-π²) however fine the grid; with D its square it is e^(-π² D), 4e-13
(Maz'ya and Schmidt 1996, "approximate approximations")."""

BEYOND = 5
"""Centres on either side of [-1, 1]. With 2 of them the ends keep errors of 3e-5 in smooth
functions however fine the grid; with 5, 5e-11."""


def centres(grid: int) -> Tensor:
    """Centres of `grid` intervals on [-1, 1] and BEYOND more on either side.

    Args:
        grid: Number of intervals.

    Returns:
        The centres, [grid + 2 BEYOND + 1].
    """
    return -1 + 2 / grid * torch.arange(-BEYOND, grid + BEYOND + 1, dtype=torch.float64)


class Gaussians(Basis):
    """exp(-((x - c_j)/h)²), with h = GAUSSIAN_WIDTH times the distance of the centres.

    Args:
        grid: Intervals between the centres c_j on [-1, 1].
    """

    redundant = True

    def __init__(self, grid: int):
        self.grid, self.size = grid, grid + 2 * BEYOND + 1
        self.centres, self.h = centres(grid), GAUSSIAN_WIDTH * 2 / grid

    def taylor(self, x: Tensor, order: int) -> Tensor:
        t = (x[..., None] - self.centres.to(x)) / self.h
        found = [torch.exp(-t.square())]
        for nu in range(order):  # f' = -2 t f, coefficient by coefficient
            before = found[nu - 1] if nu else torch.zeros_like(t)
            found.append(-2 / (nu + 1) * (t * found[nu] + before))
        return torch.stack([f / self.h**nu for nu, f in enumerate(found)], -2)

    def finer(self, resolution: int) -> Gaussians:
        return Gaussians(resolution)


@dataclass(frozen=True)
class FastKAN(Expansion):
    """A KAN with Gaussians on its edges.

    tanh, with a fitted range, is in the place of Li's layer norm, which no jet of a point can pass
    without its neighbours.

    Attributes:
        width: Hidden units by layer, a number or several.
        grid: Intervals between the centres on [-1, 1], at least 1.

    Raises:
        RecipeError: A value is out of range.
    """

    grid: int = 6

    kind: ClassVar[str] = "fastkan"
    title: ClassVar[str] = "FastKAN"
    later: ClassVar[tuple[int, ...]] = (10, 20)

    def basis(self) -> Gaussians:
        return Gaussians(self.grid)
