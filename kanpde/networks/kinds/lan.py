"""LAN: learnable activations on nodes (Liu et al. 2024, appendix B): a linear map, and a B-spline
of its own on every unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.kernels.taylor import compose, correlate, powers
from kanpde.networks.activation import Activation
from kanpde.networks.basis import Basis, BasisLayer
from kanpde.networks.kan import Splines
from kanpde.networks.mlp import glorot
from kanpde.networks.network import Layer, Network
from kanpde.networks.refine import refined
from kanpde.networks.rows import Rows
from kanpde.networks.spec import Spec, Suited


class NodeLayer:
    """y_u = Σ_j c_uj B_j(x_u): one function a unit, of any basis; theta holds c [units, size].

    Args:
        units: How many units come in, and go out.
        basis: The functions B_j.
    """

    def __init__(self, units: int, basis: Basis):
        self.basis, self.shape = basis, (units, basis.size, 1)
        self.size = units * basis.size

    def _taylor(self, theta: Tensor, x: Tensor, order: int) -> tuple[list[Tensor], Tensor, Tensor]:
        """Taylor coefficients of every unit's function, [points, units] each, and what the basis
        says of x."""
        cell, b = self.basis.evaluate(x, order)
        index = self._columns(cell, b.shape[3])
        return list((b * theta[index][:, :, None]).sum(3).unbind(2)), cell, b

    def _columns(self, cell: Tensor, alive: int) -> Tensor:
        first = cell + self.basis.size * torch.arange(self.shape[0], device=cell.device)
        return first[..., None] + torch.arange(alive, device=cell.device)

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return compose(self._taylor(theta, X[:, 0], len(counts))[0], X, counts)

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        inward, rows = self.jacobian(theta, L, X, counts, back)
        return inward, rows.transposed_times(X.new_ones(len(X)))

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        f, cell, b = self._taylor(theta, X[:, 0], len(counts) + 1)
        H = torch.stack([(power * L).sum(1) for power in powers(X, counts)], 2)
        block = torch.einsum("nuo,nuoj->nuj", H, b[:, :, : len(counts) + 1])
        inward = correlate(
            L, compose([nu * nth for nu, nth in enumerate(f)][1:], X, counts), counts
        )
        return inward, Rows(
            block.flatten(1),
            self._columns(cell, 1)[:, :, 0],
            (b.shape[3],) * self.shape[0],
            self.size,
        )

    def functions(
        self, theta: Tensor, x: Float[Tensor, "points units"]
    ) -> Float[Tensor, "units 1 points"]:
        """The functions at points of each unit, float64 on the CPU.

        Args:
            theta: The coefficients of the layer, [units · size].
            x: Where, [points, units].

        Returns:
            The values, [units, 1, points].
        """
        return self._taylor(theta.detach().double().cpu(), x, 0)[0][0].T[:, None]

    def extended(
        self, theta: Tensor, basis: Basis, center: Tensor, scale: Tensor
    ) -> tuple[NodeLayer, Tensor, float]:
        """The same functions in another basis, over inputs z with x = center + scale · z.

        Args:
            theta: The coefficients of the layer, [units · size].
            basis: The other basis.
            center: Middle of every new interval, in x, [units].
            scale: Half the length of it, [units].

        Returns:
            The new layer, its coefficients, and the error of them: the largest one over the largest
            value.

        Raises:
            RunError: The functions are not finite.
        """
        wide = BasisLayer(self.shape[0], 1, self.basis)
        _, found, error = wide.extended(theta, basis, center, scale)
        return NodeLayer(self.shape[0], basis), found, error


@dataclass(frozen=True)
class LAN(Spec):
    """A network of linear maps with a B-spline of its own on every unit.

    tanh and a fitted range bring every unit onto the interval [-1, 1] of the splines.

    Attributes:
        width: Hidden units by layer, a number or several.
        degree: Of the splines, 1 to 9.
        grid: Knot intervals on [-1, 1], at least 1.

    Raises:
        RecipeError: A value is out of range.
    """

    width: tuple[int, ...] = (12, 12)
    degree: int = 7
    grid: int = 3

    kind: ClassVar[str] = "lan"
    title: ClassVar[str] = "LAN"
    resolution: ClassVar[str | None] = "grid"
    highest_degree: ClassVar[int | None] = 9

    @classmethod
    def suited(cls, evolving: bool, extra: int) -> Suited:
        return Suited(
            cls(width=(12 + extra, 12 + extra)),
            "lm:60,extend:5,lm:80",
            ("two hidden layers of 12 units with splines of degree 7, grid 3 to 5",),
        )

    def details(self) -> str:
        return f"degree {self.degree}, grid {self.grid}"

    def highest_order(self) -> int:
        return self.degree - 1

    def count(self, inputs: int, outputs: int) -> int:
        """Number of parameters between so many inputs and outputs."""
        return sum((p + 1) * q for p, q in pairwise((inputs, *self.width, outputs))) + sum(
            self.width
        ) * (self.grid + self.degree)

    def trained(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> tuple[Layer, Tensor]:
        return glorot(inputs, outputs, generator)

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> Network:
        """A network whose functions begin near sines of several frequencies, float64 on the CPU."""
        widths = (inputs, *self.width, outputs)
        layers: list[Layer] = []
        theta: list[Tensor] = []
        basis = Splines(self.grid, self.degree)
        for p, q in pairwise(widths):
            if layers:
                layers += [Activation("tanh"), NodeLayer(p, basis)]
                theta.append(_waves(basis, p, generator))
            layer, part = self.trained(p, q, generator)
            layers.append(layer)
            theta.append(part)
        return Network(self, widths, layers, torch.cat(theta))

    def extend(self, network: Network, grid: int, jets: Sequence[Tensor] | None = None) -> Network:
        """The same function on another grid (see refine.refined)."""
        return refined(
            network, replace(self, grid=grid), lambda layer, seen: Splines(grid, self.degree), jets
        )


def _waves(basis: Splines, units: int, generator: torch.Generator) -> Tensor:
    """Coefficients [units · size] of waves sin(ωx + φ) with random ω up to π and random φ."""
    omega, phase = (
        torch.rand(units, 1, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    x = basis.samples()
    values = torch.sin(torch.pi * omega * x.T + 2 * torch.pi * phase)
    return basis.fit(x.expand(-1, units), values[:, :, None])[0].reshape(-1)
