"""KANs for many coordinates: edge functions of coordinates are polynomials of a low degree, whose
sums few splines bend: u = Σ_q ψ_q(Σ_i φ_qi(x_i)).

Nearly all parameters are those of the polynomials, as many a coordinate as it has units times
degrees. What the solution needs beyond them is in the splines, of which there are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.basis import Basis
from kanpde.networks.kan import KAN, SplineLayer, Splines
from kanpde.networks.network import Layer, Network, chained
from kanpde.networks.refine import refined
from kanpde.networks.spec import Suited

FIRST_DEGREE = 3
"""Of the polynomials on the coarsest grid of the splines."""


@dataclass(frozen=True)
class Additive(KAN):
    """A KAN with polynomials of its coordinates, and splines of their sums.

    Attributes:
        width: Hidden units by layer, a number or several.
        degree: Of the splines, 1 to 9.
        grid: Knot intervals of the splines on [-1, 1]. On one of them polynomials are cubic, on g
            they have degree g + 2.
        highest: The degree up to which polynomials grow.

    Raises:
        RecipeError: A value is out of range.
    """

    width: tuple[int, ...] = (4,)
    degree: int = 7
    grid: int = 1
    highest: int = 5

    kind: ClassVar[str] = "additive"
    title: ClassVar[str] = "Additive KAN"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.highest, int) or not FIRST_DEGREE <= self.highest <= 16:
            raise RecipeError(f"highest: got {self.highest}; expected {FIRST_DEGREE} to 16")

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        reasons = (
            f"one hidden layer, whose {4 + extra} units add polynomials of single coordinates",
            "polynomials of degree 3 to 5, and splines of degree 7 of their sums, grid 1 to 3",
        )
        schedule = "lm:20,extend:2,lm:15,extend:3,lm:15"
        return Suited(cls(width=(4 + extra,)), schedule, reasons)

    @property
    def polynomials(self) -> Splines:
        """The functions on the edges of the first layer: splines of one interval."""
        return Splines(1, min(FIRST_DEGREE - 1 + self.grid, self.highest))

    def details(self) -> str:
        return f"polynomials of degree {self.polynomials.degree}, {super().details()}"

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with random coefficients, float64 on the CPU.

        Splines begin near the identity: what is a sum of functions of single coordinates is found
        at once, and the rest from there. Where they begin anywhere, sums of many coordinates are
        lost in the tails of tanh.
        """

        layers: list[Layer] = []

        def first_or_later(p: int, q: int) -> tuple[Layer, Tensor]:
            basis = Splines(self.grid, self.degree) if layers else self.polynomials
            drawn = basis.initial(p, q, generator)
            if layers:
                drawn = drawn + basis.identity()[:, None]
            layers.append(SplineLayer(p, q, basis))
            return layers[-1], drawn.reshape(-1)

        return chained(self, (inputs, *self.width, outputs), first_or_later, "tanh")

    def count(self, inputs: int, outputs: int) -> int:
        return self.build(inputs, outputs, torch.Generator()).theta.numel()

    def extend(self, network: Network, grid: int, jets: Sequence[Tensor] | None = None) -> Network:
        """The same function with splines on a finer grid, and polynomials of a higher degree."""
        spec = replace(self, grid=grid)

        def finer(layer: Layer, seen: Tensor | None) -> Basis:
            if layer is not network.layers[0]:
                return Splines(grid, self.degree)
            assert isinstance(layer, SplineLayer)
            return max(spec.polynomials, layer.basis, key=lambda basis: basis.degree)

        return refined(network, spec, finer, jets)
