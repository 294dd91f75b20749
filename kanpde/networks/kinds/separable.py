"""Separable KANs: u = Σ_j Π_i φ_ij(x_i), sums of products of splines of one coordinate each.

It is one level of multiplication nodes (MultKAN: Liu et al. 2024b, "KAN 2.0", section 2), each of
which takes one edge of every coordinate. The form is the canonical decomposition of Hitchcock 1927;
Cho et al. 2023 ("Separable PINN") have networks in place of the splines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.networks.axis_splines import AxisSplines
from kanpde.networks.basis import HIGH, LOW
from kanpde.networks.canonical import refitted
from kanpde.networks.network import Edges, Layer, Network
from kanpde.networks.spec import Spec, Suited
from kanpde.networks.sums_of_products import SumsOfProducts

FIRST_SIZE = 0.5
"""Standard deviation of the first coefficients."""

RESOLVED = 8
"""Intervals of the first grid."""

REFINEMENTS = 6
"""Of refinement, at most: those after the first in which nothing is needed are left out."""


@dataclass(frozen=True)
class Separable(Spec):
    """A separable KAN.

    Attributes:
        width: Terms of every unknown (its rank): one number for all, or one for each.
        degree: Of the splines, 1 to 9.
        grid: Knot intervals along every coordinate, at least 1.
        grids: Knot intervals of each coordinate; none for `grid` along all of them.
        circles: Which coordinates are periodic, by their number.

    Raises:
        RecipeError: A value is out of range.
    """

    width: tuple[int, ...] = (4,)
    degree: int = 9
    grid: int = RESOLVED
    grids: tuple[int, ...] = ()
    circles: tuple[int, ...] = ()

    kind: ClassVar[str] = "separable"
    title: ClassVar[str] = "Separable KAN"
    resolution: ClassVar[str | None] = "grid"
    highest_degree: ClassVar[int | None] = 9
    wraps: ClassVar[bool] = True
    levels: ClassVar[int | None] = 1
    whole_time: ClassVar[bool] = True
    least_points: ClassVar[int] = 4000

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not isinstance(n, int) or n < 1 for n in self.grids):
            raise RecipeError(
                f"grids: got {self.grids!r}; expected at least 1 interval a coordinate"
            )

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        reasons = (
            "sums of products: alternating least squares find the first factors, a coordinate at a"
            " time",
            "the grid of a coordinate grows while its coefficients ask for it, terms come while the"
            " residual does, and go where nothing is lost",
        )
        rounds = "lm:30,refine:4000," * REFINEMENTS
        return Suited(cls(), f"als:12,{rounds}lm:60", reasons)

    def along(self, circles: Sequence[int]) -> Separable:
        return replace(self, circles=tuple(circles))

    @classmethod
    def options(cls) -> tuple[str, ...]:
        return tuple(name for name in super().options() if name != "circles")

    def details(self) -> str:
        grids = self.grids if len(set(self.grids)) > 1 else self.grids[:1] or (self.grid,)
        word = "grids" if len(grids) > 1 else "grid"
        return f"degree {self.degree}, {word} {'-'.join(map(str, grids))}"

    def highest_order(self) -> int:
        """Highest derivative that is continuous: degree - 1."""
        return self.degree - 1

    def trained(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> tuple[Layer, Tensor]:
        layer = self.layer(inputs, outputs)
        drawn = torch.randn(layer.size, generator=generator, dtype=torch.float64)
        return layer, FIRST_SIZE * drawn

    def layer(self, inputs: int, outputs: int) -> SumsOfProducts:
        """The one layer of the network.

        Args:
            inputs: How many coordinates there are.
            outputs: How many unknowns.

        Raises:
            RecipeError: There are ranks or grids for another number of them.
        """
        ranks = self.width * outputs if len(self.width) == 1 else self.width
        grids = self.grids or (self.grid,) * inputs
        if len(ranks) != outputs:
            raise RecipeError(
                f"width: got {len(ranks)} ranks, {self.width}, for {outputs} unknowns; expected one"
                " for all or one for each"
            )
        if len(grids) != inputs:
            raise RecipeError(
                f"grids: got {len(grids)}, {self.grids}, for {inputs} coordinates; expected one for"
                " each"
            )
        axes = [AxisSplines(n, self.degree, i in self.circles) for i, n in enumerate(grids)]
        return SumsOfProducts(axes, ranks)

    def count(self, inputs: int, outputs: int) -> int:
        return self.layer(inputs, outputs).size

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with random coefficients, float64 on the CPU."""
        layer, theta = self.trained(inputs, outputs, generator)
        assert isinstance(layer, SumsOfProducts)
        return Network(self, (inputs, layer.terms, outputs), [layer], theta)

    def extend(self, network: Network, grid: int, jets: Sequence[Tensor] | None = None) -> Network:
        """The same function on finer grids: each as many times as fine as `grid` is to the last
        one."""
        (layer,) = network.layers
        assert isinstance(layer, SumsOfProducts)
        axes = [axis.finer(max(1, round(axis.grid * grid / self.grid))) for axis in layer.axes]
        return refitted(network, axes)

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """The factors of all terms, sampled over [-1, 1]."""
        (layer,) = network.layers
        assert isinstance(layer, SumsOfProducts)
        x = torch.linspace(LOW, HIGH, samples, dtype=torch.float64)
        inputs = len(layer.axes)
        values = layer.functions(network.theta, x[:, None].expand(-1, inputs))
        return [Edges(np.tile(x.numpy(), (inputs, 1)), values.numpy())]
