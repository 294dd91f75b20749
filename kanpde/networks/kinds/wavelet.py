"""KANs with wavelets on their edges (Wav-KAN: Bozorgasl and Chen 2024), on a dyadic frame of scales
and places.

Bozorgasl and Chen train one scale and one place an edge. Here an edge has many wavelets of fixed
scales and places, so that it is linear in what is trained and can be refined: a finer level is
added, and what was there stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.errors import RecipeError, listed, nearest
from kanpde.networks.basis import Basis
from kanpde.networks.expansion import Expansion

OMEGA = 5.0
"""Frequency of Morlet's wavelet."""

WAVELET_WIDTH = 1.2
"""Scale of a wavelet over the distance between two of its level."""


def _gaussian(t: Tensor, order: int) -> list[Tensor]:
    """Taylor coefficients of exp(-t²/2)."""
    found = [torch.exp(-t.square() / 2)]
    for nu in range(order):
        before = found[nu - 1] if nu else torch.zeros_like(t)
        found.append(-(t * found[nu] + before) / (nu + 1))
    return found


def _times(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """Taylor coefficients of a product."""
    return [
        sum((a[i] * b[nu - i] for i in range(nu + 1)), torch.zeros_like(b[0]))
        for nu in range(len(b))
    ]


def mexican_hat(t: Tensor, order: int) -> list[Tensor]:
    """Taylor coefficients of (1 - t²) exp(-t²/2).

    Args:
        t: Where, of any shape.
        order: Highest order of the coefficients.

    Returns:
        Coefficients of order 0 … order, each of the shape of t.
    """
    zero = torch.zeros_like(t)
    polynomial = [1 - t.square(), -2 * t, -torch.ones_like(t)] + [zero] * order
    return _times(polynomial, _gaussian(t, order))


def morlet(t: Tensor, order: int) -> list[Tensor]:
    """Taylor coefficients of cos(ω t) exp(-t²/2), with ω = OMEGA.

    Args:
        t: Where, of any shape.
        order: Highest order of the coefficients.

    Returns:
        Coefficients of order 0 … order, each of the shape of t.
    """
    s, c = torch.sin(OMEGA * t), torch.cos(OMEGA * t)
    wave = [OMEGA**nu / math.factorial(nu) * (c, -s, -c, s)[nu % 4] for nu in range(order + 1)]
    return _times(wave, _gaussian(t, order))


MOTHERS: dict[str, Callable[[Tensor, int], list[Tensor]]] = {
    "mexican-hat": mexican_hat,
    "morlet": morlet,
}


class Wavelets(Basis):
    """1 and x, and wavelets ψ((x - t)/s) on a dyadic frame of scales s and places t.

    The levels are grid, grid/2, … down to 3 intervals, coarsest first, with s = WAVELET_WIDTH · 2 /
    intervals.

    Args:
        mother: Which wavelet ψ is, a key of MOTHERS.
        grid: Intervals of the finest level.
    """

    redundant = True

    def __init__(self, mother: str, grid: int):
        self.mother, self.grid = mother, grid
        levels = [grid]
        while levels[0] % 2 == 0 and levels[0] > 5:
            levels.insert(0, levels[0] // 2)
        places = [-1 + 2 / n * torch.arange(-1, n + 2, dtype=torch.float64) for n in levels]
        self.places = torch.cat(places)
        self.scales = torch.cat(
            [torch.full_like(t, WAVELET_WIDTH * 2 / n) for t, n in zip(places, levels, strict=True)]
        )
        self.size = 2 + len(self.places)

    def taylor(self, x: Tensor, order: int) -> Tensor:
        found = x.new_zeros(*x.shape, order + 1, self.size)
        found[..., 0, 0], found[..., 0, 1], found[..., 1:2, 1] = 1, x, 1
        s = self.scales.to(x)
        for nu, f in enumerate(MOTHERS[self.mother]((x[..., None] - self.places.to(x)) / s, order)):
            found[..., nu, 2:] = f / s**nu
        return found

    def finer(self, resolution: int) -> Wavelets:
        return Wavelets(self.mother, resolution)

    def decay(self) -> Tensor:
        """Second derivatives of all levels alike."""
        return torch.cat(
            [torch.ones(2, dtype=torch.float64), (self.scales / self.scales.max()) ** 2]
        )


@dataclass(frozen=True)
class Wavelet(Expansion):
    """A KAN with wavelets on its edges.

    Attributes:
        width: Hidden units by layer, a number or several.
        grid: Intervals of the finest level, at least 1.
        mother: "mexican-hat" or "morlet".

    Raises:
        RecipeError: A value is out of range.
    """

    grid: int = 3
    mother: str = "mexican-hat"

    kind: ClassVar[str] = "wavelet"
    title: ClassVar[str] = "Wav-KAN"
    later: ClassVar[tuple[int, ...]] = (6, 12)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mother not in MOTHERS:
            raise RecipeError(
                f"mother: got {self.mother!r}; expected one of"
                f" {listed(MOTHERS)}{nearest(self.mother, MOTHERS)}"
            )

    def basis(self) -> Wavelets:
        return Wavelets(self.mother, self.grid)

    def details(self) -> str:
        return f"{self.mother}, grid {self.grid}"
