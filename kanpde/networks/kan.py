"""B-spline KANs: Liu et al. 2024, with tanh between layers so that every layer sees its grid's
interval [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.kernels import (
    network_jet,
    network_jet_adjoint,
    network_jet_jacobian,
    network_jet_rows,
    network_jet_squares,
    spline_jet,
    spline_jet_adjoint,
    spline_jet_jacobian,
    uniform_knots,
)
from kanpde.kernels.plain import taps
from kanpde.networks.activation import Activation
from kanpde.networks.along_axes import is_along_axes
from kanpde.networks.basis import HIGH, LOW, Basis, BasisLayer
from kanpde.networks.network import Edges, Layer, Network, chained
from kanpde.networks.refine import Finer, refined
from kanpde.networks.rows import Rows
from kanpde.networks.spec import Spec, Suited


class Splines(Basis):
    """B-splines of a degree on [-1, 1], of which only degree + 1 are alive at a point.

    Args:
        grid: Number of intervals of [-1, 1].
        degree: Of the splines.
        knots: Of their own for every input, [inputs, grid + 2 degree + 1]; without them, equally
            spaced ones for all.
    """

    def __init__(self, grid: int, degree: int, knots: Tensor | None = None):
        self.grid, self.degree, self.size, self.order = grid, degree, grid + degree, degree + 1
        self.own = knots

    def knots(self, inputs: int, like: Tensor) -> Tensor:
        """The knots, the same tensor each time.

        Args:
            inputs: How many units come in.
            like: A tensor of the type and on the device that are wanted.

        Returns:
            The knots, [inputs, grid + 2 degree + 1].
        """
        if self.own is None:
            return uniform_knots(inputs, LOW, HIGH, self.grid, self.degree, like.dtype, like.device)
        self.own = self.own.to(like)
        return self.own

    def evaluate(self, x: Tensor, order: int) -> tuple[Tensor, Tensor]:
        return taps(x, self.knots(x.shape[1], x), self.degree, order)

    def taylor(self, x: Tensor, order: int) -> Tensor:
        cell, b = self.evaluate(x, order)
        index = (cell[..., None] + torch.arange(self.degree + 1, device=x.device))[
            :, :, None
        ].expand_as(b)
        return x.new_zeros(*b.shape[:3], self.size).scatter_(3, index, b)

    def finer(self, resolution: int) -> Splines:
        return Splines(resolution, self.degree)

    def initial(self, inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
        return (
            torch.randn(inputs, self.size, outputs, generator=generator, dtype=torch.float64)
            * 0.3
            / math.sqrt(inputs)
        )

    def identity(self) -> Tensor:
        """The coefficients of x itself, on equally spaced knots: their means (Greville 1967),
        [size]."""
        knots = LOW + (HIGH - LOW) / self.grid * torch.arange(
            -self.degree, self.grid + self.degree + 1, dtype=torch.float64
        )
        return knots[1:-1].unfold(0, self.degree, 1).mean(1)

    def fitted(self, old: Splines, inputs: int, center: Tensor, scale: Tensor) -> Tensor:
        """Where a refit looks at the functions of an old grid, over z with x = center + scale · z.

        It looks at degree + 1 points on every piece of either grid, so that a finer grid that
        contains the old one holds its functions to rounding.

        Args:
            old: The splines on the old grid.
            inputs: How many units come in.
            center: Middle of every new interval, in the old inputs x, [inputs].
            scale: Half the length of it, [inputs].

        Returns:
            The points z, [samples, inputs].
        """
        inner = (torch.arange(self.degree + 1, dtype=torch.float64) + 0.5) / (self.degree + 1)
        if self.own is None and old.own is None:
            cells = (
                math.lcm(old.grid, self.grid)
                if math.lcm(old.grid, self.grid) <= 1024
                else 4 * max(old.grid, self.grid)
            )
            z = LOW + (HIGH - LOW) * (
                (torch.arange(cells, dtype=torch.float64)[:, None] + inner) / cells
            )
            return z.reshape(-1, 1).expand(-1, inputs)
        like = center.double()
        found = []
        for basis, shift, factor in ((self, 0 * like, 1 + 0 * like), (old, like, scale)):
            breaks = basis.knots(inputs, like)[:, basis.degree : basis.degree + basis.grid + 1]
            left, length = breaks[:, :-1], breaks.diff(dim=1)
            found.append(
                (
                    ((left[..., None] + length[..., None] * inner).flatten(1) - shift[:, None])
                    / factor[:, None]
                ).clamp(LOW, HIGH)
            )
        return torch.cat(found, 1).T


class SplineLayer(BasisLayer):
    """y_q = Σ_p φ_pq(x_p) with B-splines on a grid over [-1, 1], by the fused kernels.

    theta holds c [inputs, grid + degree, outputs].

    Args:
        inputs: How many units x_p come in.
        outputs: How many units y_q go out.
        basis: The splines.
    """

    basis: Splines

    def __init__(self, inputs: int, outputs: int, basis: Splines):
        super().__init__(inputs, outputs, basis)
        self.grid, self.degree = basis.grid, basis.degree

    @property
    def constants(self) -> list[Tensor]:
        """The knots, where they are not equally spaced: a checkpoint keeps them."""
        return [] if self.basis.own is None else [self.basis.own]

    @constants.setter
    def constants(self, found: list[Tensor]) -> None:
        self.basis = Splines(self.grid, self.degree, *found)

    def knots(self, like: Tensor) -> Tensor:
        """The knots [inputs, grid + 2 degree + 1], of the type and on the device of a tensor.

        Args:
            like: The tensor.
        """
        return self.basis.knots(self.shape[0], like)

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        if is_along_axes(X, counts):
            return super().forward(theta, X, counts)
        return spline_jet(X, theta.view(self.shape), self.knots(X), counts)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        if is_along_axes(X, counts):
            return super().adjoint(theta, L, X, counts, back)
        inward, gradient = spline_jet_adjoint(
            L, X, theta.view(self.shape), self.knots(X), counts, back
        )
        return inward, gradient.view(-1)

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        if is_along_axes(X, counts):
            return super().jacobian(theta, L, X, counts, back)
        inward, cell, block = spline_jet_jacobian(
            L, X, theta.view(self.shape), self.knots(X), counts, back
        )
        inputs, functions, outputs = self.shape
        first = outputs * (cell + functions * torch.arange(inputs, device=cell.device))
        return inward, Rows(
            block.flatten(1), first, ((self.degree + 1) * outputs,) * inputs, self.size
        )

    def samples(self, basis: Basis, center: Tensor, scale: Tensor) -> Tensor:
        assert isinstance(basis, Splines)
        return basis.fitted(self.basis, self.shape[0], center, scale)


class SplineNetwork(Network):
    """Spline layers with tanh between them: all of them in one operator, which keeps no jets of the
    hidden levels."""

    def forward(self, X: Tensor, counts: Sequence[int]) -> list[Tensor]:
        if is_along_axes(X, counts):
            return super().forward(X, counts)
        return [X, network_jet(X, *self._operands(X), counts)]

    def gradient(self, jets: Sequence[Tensor], L: Tensor, counts: Sequence[int]) -> Tensor:
        if is_along_axes(jets[0], counts):
            return super().gradient(jets, L, counts)
        return self.masked(network_jet_adjoint(L, jets[0], *self._operands(L), counts))

    def squares(
        self, X: Tensor, W: Tensor, b: Tensor, counts: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        if is_along_axes(X, counts):
            return super().squares(X, W, b, counts)
        r, gradient = network_jet_squares(X, *self._operands(X), W, b, counts)
        return r, self.masked(gradient)

    def rows(self, X: Tensor, W: Tensor, b: Tensor, counts: Sequence[int]) -> Tensor:
        if is_along_axes(X, counts):
            return super().rows(X, W, b, counts)
        return network_jet_rows(X, *self._operands(X), W, b, counts)

    def linear(
        self, X: Tensor, W: Tensor, b: Tensor, counts: Sequence[int]
    ) -> tuple[Tensor, list[Rows]]:
        if is_along_axes(X, counts):
            return super().linear(X, W, b, counts)
        return self.rows(X, W, b, counts), [self.jacobian([X], own, counts) for own in W]

    def jacobian(self, jets: Sequence[Tensor], L: Tensor, counts: Sequence[int]) -> Rows:
        if is_along_axes(jets[0], counts):
            # Nearly all of its columns are of the first layer, and full.
            return Rows.full(super().jacobian(jets, L, counts).dense())
        values, starts = network_jet_jacobian(L, jets[0], *self._operands(L), counts)
        lengths = tuple(
            (layer.degree + 1) * layer.shape[2]
            for layer in self._splines()
            for _ in range(layer.shape[0])
        )
        return self.masked_rows(Rows(values, starts, lengths, self.theta.numel()))

    def _splines(self) -> list[SplineLayer]:
        return [layer for layer in self.layers if isinstance(layer, SplineLayer)]

    def _operands(
        self, like: Tensor
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Coefficients and knots of the splines, centers and scales of the activations."""
        splines = self._splines()
        parts = [
            part.view(layer.shape)
            for layer, part in zip(self.layers, self.parts(), strict=True)
            if isinstance(layer, SplineLayer)
        ]
        ranges = [
            layer.affine(like, width)
            for layer, width in zip(self.layers[1::2], self.widths[1:-1], strict=True)
            if isinstance(layer, Activation)
        ]
        return (
            parts,
            [layer.knots(like) for layer in splines],
            [c for c, _ in ranges],
            [s for _, s in ranges],
        )


@dataclass(frozen=True)
class KAN(Spec):
    """A B-spline Kolmogorov-Arnold network.

    Attributes:
        width: Hidden units by layer, a number or several.
        degree: Of the splines, 1 to 9.
        grid: Knot intervals on [-1, 1], at least 1.

    Raises:
        RecipeError: A value is out of range.
    """

    degree: int = 7
    grid: int = 6

    kind: ClassVar[str] = "kan"
    title: ClassVar[str] = "KAN"
    resolution: ClassVar[str | None] = "grid"
    along_axes: ClassVar[bool] = True
    highest_degree: ClassVar[int | None] = 9

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        if evolving:
            reasons = (
                "it evolves in time: two hidden layers, which follow what moves",
                "splines of degree 7, from grid 3 to 6",
            )
            return Suited(
                cls(width=(6 + extra, 6 + extra), degree=7, grid=3),
                "lm:100,extend:6,lm:120",
                reasons,
            )
        reasons = (
            "it is steady: one hidden layer, damped layer by layer",
            "splines of degree 7, from grid 3 to 24",
        )
        return Suited(
            cls(width=(5 + extra,), degree=7, grid=3),
            "lm/layer:40,extend:8,lm/layer:40,extend:24,lm/layer:160",
            reasons,
        )

    def details(self) -> str:
        return f"degree {self.degree}, grid {self.grid}"

    def highest_order(self) -> int:
        """Highest derivative that is continuous: degree - 1."""
        return self.degree - 1

    def trained(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> tuple[Layer, Tensor]:
        basis = Splines(self.grid, self.degree)
        return SplineLayer(inputs, outputs, basis), basis.initial(
            inputs, outputs, generator
        ).reshape(-1)

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with random coefficients, float64 on the CPU."""
        return chained(
            self,
            (inputs, *self.width, outputs),
            lambda p, q: self.trained(p, q, generator),
            "tanh",
            SplineNetwork,
        )

    def extend(self, network: Network, grid: int, jets: Sequence[Tensor] | None = None) -> Network:
        """The same function on another grid (see refine.refined); a grid that contains the old one,
        unmoved, holds it to rounding."""
        return refined(network, replace(self, grid=grid), self._finer(grid), jets)

    def _finer(self, grid: int) -> Finer:
        return lambda layer, seen: Splines(grid, self.degree)

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """Edge functions sampled over the grid's interval."""
        return [
            layer.edges(part, samples)
            for layer, part in zip(network.layers, network.parts(), strict=True)
            if isinstance(layer, BasisLayer)
        ]
