"""B-spline KANs: Liu et al. 2024, with tanh between layers so that every layer sees its grid's interval [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.kernels import network_jet, network_jet_adjoint, network_jet_jacobian, network_jet_squares, spline_jet, spline_jet_adjoint, spline_jet_jacobian, uniform_knots
from kanpde.kernels.reference import edges as edge_values
from kanpde.kernels.reference import taps
from kanpde.networks.activation import Activation
from kanpde.networks.network import Edges, Layer, Network, chained, checked_width
from kanpde.networks.rows import Rows

LOW, HIGH = -1.0, 1.0


class SplineLayer:
    """y_q = Σ_p φ_pq(x_p) with B-splines on a uniform grid over [-1, 1]; theta holds c [inputs, grid + degree, outputs]."""

    def __init__(self, inputs: int, outputs: int, grid: int, degree: int):
        self.shape = (inputs, grid + degree, outputs)
        self.grid, self.degree = grid, degree
        self.size = math.prod(self.shape)

    def knots(self, like: Tensor) -> Tensor:
        """The knots [inputs, grid + 2 degree + 1], of the type and on the device of a tensor."""
        return uniform_knots(self.shape[0], LOW, HIGH, self.grid, self.degree, like.dtype, like.device)

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return spline_jet(X, theta.view(self.shape), self.knots(X), counts)

    def adjoint(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Tensor]:
        inward, gradient = spline_jet_adjoint(L, X, theta.view(self.shape), self.knots(X), counts, back)
        return inward, gradient.view(-1)

    def jacobian(self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True) -> tuple[Tensor, Rows]:
        inward, cell, block = spline_jet_jacobian(L, X, theta.view(self.shape), self.knots(X), counts, back)
        inputs, functions, outputs = self.shape
        first = outputs * (cell + functions * torch.arange(inputs, device=cell.device))
        return inward, Rows(block.flatten(1), first, ((self.degree + 1) * outputs,) * inputs, self.size)

    def extended(self, theta: Tensor, grid: int, center: Tensor, scale: Tensor) -> tuple[SplineLayer, Tensor]:
        """The same functions on another grid, over inputs z with x = center + scale · z, [inputs] each.

        Coefficients are refitted by least squares, degree + 1 points on every piece of either grid. A finer grid that
        contains the old one holds the old functions, so that fit is exact to rounding.
        """
        finer = SplineLayer(self.shape[0], self.shape[2], grid, self.degree)
        cells = math.lcm(self.grid, grid) if math.lcm(self.grid, grid) <= 1024 else 4 * max(self.grid, grid)
        inner = (torch.arange(self.degree + 1, dtype=torch.float64) + 0.5) / (self.degree + 1)
        z = (LOW + (HIGH - LOW) * ((torch.arange(cells, dtype=torch.float64)[:, None] + inner) / cells)).reshape(-1, 1)
        old = theta.detach().double().cpu().view(self.shape)
        values = edge_values(old, *_values_at(center + scale * z, self))[:, :, 0]
        cell, b = _values_at(z, finer)
        basis = torch.zeros(len(z), finer.shape[1], dtype=torch.float64)
        basis.scatter_(1, cell + torch.arange(self.degree + 1), b[:, 0, 0])
        fit = torch.linalg.lstsq(basis, values.flatten(1), driver="gels").solution
        coefficients = fit.view(finer.shape[1], *values.shape[1:]).transpose(0, 1)
        return finer, coefficients.reshape(-1).to(theta)


class SplineNetwork(Network):
    """Spline layers with tanh between them: all of them in one operator, which keeps no jets of the hidden levels."""

    def forward(self, X: Tensor, counts: Sequence[int]) -> list[Tensor]:
        return [X, network_jet(X, *self._operands(X), counts)]

    def gradient(self, jets: Sequence[Tensor], L: Tensor, counts: Sequence[int]) -> Tensor:
        return network_jet_adjoint(L, jets[0], *self._operands(L), counts)

    def squares(self, X: Tensor, W: Tensor, b: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        return network_jet_squares(X, *self._operands(X), W, b, counts)

    def jacobian(self, jets: Sequence[Tensor], L: Tensor, counts: Sequence[int]) -> Rows:
        values, starts = network_jet_jacobian(L, jets[0], *self._operands(L), counts)
        lengths = tuple((layer.degree + 1) * layer.shape[2] for layer in self._splines() for _ in range(layer.shape[0]))
        return Rows(values, starts, lengths, self.parameters)

    def _splines(self) -> list[SplineLayer]:
        return [layer for layer in self.layers if isinstance(layer, SplineLayer)]

    def _operands(self, like: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Coefficients and knots of the splines, centers and scales of the activations."""
        splines = self._splines()
        parts = [part.view(layer.shape) for layer, part in zip(self.layers, self.parts(), strict=True) if isinstance(layer, SplineLayer)]
        ranges = [layer.affine(like, width) for layer, width in zip(self.layers[1::2], self.widths[1:-1], strict=True) if isinstance(layer, Activation)]
        return parts, [layer.knots(like) for layer in splines], [c for c, _ in ranges], [s for _, s in ranges]


def _values_at(x: Tensor, layer: SplineLayer) -> tuple[Tensor, Tensor]:
    return taps(x, layer.knots(x)[: x.shape[1]], layer.degree, 0)


def _covering(values: Tensor, margin: float = 0.05) -> tuple[Tensor, Tensor]:
    """Center and half-width [units] of intervals that cover the values [points, units] and a margin on both sides."""
    low, high = values.detach().double().cpu().aminmax(dim=0)
    return (low + high) / 2, ((high - low) / 2).clamp_min(1e-3) * (1 + margin)


@dataclass(frozen=True)
class KAN:
    """A B-spline Kolmogorov-Arnold network.

    width: hidden units by layer; degree: of the splines, 1 to 7; grid: knot intervals on [-1, 1].
    Raises RecipeError for anything out of range.
    """

    width: tuple[int, ...] = (5,)
    degree: int = 7
    grid: int = 6
    kind = "kan"

    def __post_init__(self):
        object.__setattr__(self, "width", checked_width(self.width))
        if not 1 <= self.degree <= 7:
            raise RecipeError(f"degree: got {self.degree}; expected 1 to 7")
        if self.grid < 1:
            raise RecipeError(f"grid: got {self.grid}; expected at least 1 interval")

    def describe(self, widths: Sequence[int]) -> str:
        """Such as "KAN 2-5-1, degree 7, grid 24"."""
        return f"KAN {'-'.join(map(str, widths))}, degree {self.degree}, grid {self.grid}"

    def count(self, inputs: int, outputs: int) -> int:
        """Number of parameters between so many inputs and outputs."""
        return sum(p * q * (self.grid + self.degree) for p, q in pairwise((inputs, *self.width, outputs)))

    def highest_order(self) -> int:
        """Highest derivative that is continuous: degree - 1."""
        return self.degree - 1

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network with random coefficients, float64 on the CPU."""

        def spline(p: int, q: int) -> tuple[Layer, Tensor]:
            layer = SplineLayer(p, q, self.grid, self.degree)
            return layer, torch.randn(layer.size, generator=generator, dtype=torch.float64) * 0.3 / math.sqrt(p)

        return chained(self, (inputs, *self.width, outputs), spline, "tanh", SplineNetwork)

    def extend(self, network: Network, grid: int, jets: Sequence[Tensor] | None = None) -> Network:
        """The same function on another grid.

        jets: those of a forward pass over the collocation points; given, every hidden layer's grid is moved to where its
        inputs are, with a margin, so that no coefficient is left without points.
        """
        layers: list = []
        theta = []
        for level, (layer, part) in enumerate(zip(network.layers, network.parts(), strict=True)):
            if isinstance(layer, SplineLayer):
                center, scale = torch.zeros(layer.shape[0], dtype=torch.float64), torch.ones(layer.shape[0], dtype=torch.float64)
                if layers and jets is not None:
                    center, scale = _covering(jets[level][:, 0])
                    layers[-1] = layers[-1].rescaled(center, scale)
                layer, part = layer.extended(part, grid, center, scale)
                theta.append(part)
            layers.append(layer)
        return SplineNetwork(replace(self, grid=grid), network.widths, layers, torch.cat(theta))

    def edges(self, network: Network, samples: int) -> list[Edges]:
        """Edge functions sampled over the grid's interval."""
        x = torch.linspace(LOW, HIGH, samples, dtype=torch.float64)
        found = []
        for layer, part in zip(network.layers, network.parts(), strict=True):
            if isinstance(layer, SplineLayer):
                at = x[:, None].expand(-1, layer.shape[0])
                values = edge_values(part.detach().double().cpu().view(layer.shape), *_values_at(at, layer))[:, :, 0]
                found.append(Edges(np.tile(x.numpy(), (layer.shape[0], 1)), values.permute(1, 2, 0).numpy()))
        return found
