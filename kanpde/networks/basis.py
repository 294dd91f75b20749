"""A basis of functions of one variable on [-1, 1], and the layer of any basis on jets: y_q = Σ_p
Σ_j c_pjq B_j(x_p).

A basis says what its functions are, by their Taylor coefficients at a point; how a finer one is
made; and how coefficients begin. The rest is the same for all: jets, adjoint, rows of the Jacobian
(kernels/expansion.py), refitting, edge functions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kanpde.errors import RunError
from kanpde.kernels import expansion_jet, expansion_jet_adjoint, expansion_jet_jacobian
from kanpde.kernels.expansion import edges
from kanpde.networks.network import Edges
from kanpde.networks.rows import Rows

LOW, HIGH = -1.0, 1.0

START = 0.4
"""Root mean square of a layer's outputs at the start: tanh, behind it, then bends a little."""

RIDGE = 1e-12
"""Of a least-squares fit in a redundant basis, over the size of its matrix: coefficients stay
small, and the fit loses nothing that counts."""


class Basis(ABC):
    """Functions B_0 … B_{size-1} on [-1, 1], which go on smoothly outside of it."""

    size: int
    """How many functions."""

    order: float = math.inf
    """Of approximation: the error of the best fit to a smooth function falls like size^-order; inf:
    faster than any power."""

    redundant: bool = False
    """Whether the functions are nearly dependent, so that a fit needs a little damping to have
    coefficients of moderate size."""

    @abstractmethod
    def taylor(
        self, x: Float[Tensor, "points inputs"], order: int
    ) -> Float[Tensor, "points inputs orders size"]:
        """B_j^(ν)(x)/ν! for ν = 0 … order, 5 at most."""

    @abstractmethod
    def finer(self, resolution: int) -> Basis:
        """The basis of the same kind with another resolution."""

    def evaluate(
        self, x: Float[Tensor, "points inputs"], order: int
    ) -> tuple[Int[Tensor, "points inputs"], Float[Tensor, "points inputs orders alive"]]:
        """The first function that is alive at x, and the Taylor coefficients of those that are; a
        local basis overrides it."""
        return torch.zeros(x.shape, dtype=torch.int64, device=x.device), self.taylor(x, order)

    def decay(self) -> Float[Tensor, " size"]:
        """How large first coefficients are, one beside the other: those of rough functions smaller,
        where functions differ in that."""
        return torch.ones(self.size, dtype=torch.float64)

    def initial(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> Float[Tensor, "inputs size outputs"]:
        """Random coefficients with which an output of the layer has root mean square START for
        inputs all over [-1, 1]."""
        decay = self.decay()
        B = self.at(_inside(200).expand(-1, 1))[0]
        spread = float((B * decay).square().sum(1).mean().sqrt())
        drawn = torch.randn(inputs, self.size, outputs, generator=generator, dtype=torch.float64)
        return drawn * decay[:, None] * (START / (spread * math.sqrt(inputs)))

    def samples(self) -> Float[Tensor, "samples 1"]:
        """Where a fit looks at functions: more densely towards the ends, where polynomials need
        it."""
        return _inside(6 * self.size + 50)

    def at(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "inputs points size"]:
        """All values, those of functions that are not alive among them."""
        cell, b = self.evaluate(x, 0)
        found = x.new_zeros(*x.shape, self.size)
        return found.scatter_(2, cell[..., None] + torch.arange(b.shape[3]), b[:, :, 0]).transpose(
            0, 1
        )

    def fit(
        self, z: Float[Tensor, "samples inputs"], values: Float[Tensor, "inputs samples outputs"]
    ) -> tuple[Float[Tensor, "inputs size outputs"], float]:
        """Coefficients by least squares, and the largest error over the largest value."""
        B = self.at(z)
        if self.redundant:
            damping = (
                RIDGE
                * float(B.norm(dim=1).max())
                * torch.eye(self.size, dtype=B.dtype).expand(len(B), -1, -1)
            )
            C = torch.linalg.lstsq(
                torch.cat([B, damping], 1),
                torch.cat([values, values.new_zeros(len(B), self.size, values.shape[2])], 1),
                driver="gels",
            ).solution
        else:
            C = torch.linalg.lstsq(B, values, driver="gels").solution
        error = float(
            (torch.bmm(B, C) - values).abs().max()
            / values.abs().max().clamp_min(torch.finfo(values.dtype).tiny)
        )
        return C, error


def _inside(count: int) -> Tensor:
    """Chebyshev's points in [-1, 1], [count, 1]."""
    angle = math.pi * (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return -torch.cos(angle)[:, None]


class BasisLayer:
    """y_q = Σ_p Σ_j c_pjq B_j(x_p) for any basis; theta holds c [inputs, size, outputs]."""

    def __init__(self, inputs: int, outputs: int, basis: Basis):
        self.basis, self.shape = basis, (inputs, basis.size, outputs)
        self.size = math.prod(self.shape)

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        return expansion_jet(
            X, theta.view(self.shape), *self.basis.evaluate(X[:, 0], len(counts)), counts
        )

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        inward, gradient = expansion_jet_adjoint(
            L,
            X,
            theta.view(self.shape),
            *self.basis.evaluate(X[:, 0], len(counts) + back),
            counts,
            back,
        )
        return inward, gradient.view(-1)

    def jacobian(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Rows]:
        cell, b = self.basis.evaluate(X[:, 0], len(counts) + back)
        inward, block = expansion_jet_jacobian(L, X, theta.view(self.shape), cell, b, counts, back)
        return inward, self.rows(cell, block)

    def rows(self, cell: Tensor, block: Tensor) -> Rows:
        """The block [points, inputs, alive, outputs] of coefficients from `cell` on as rows of all
        coefficients."""
        inputs, functions, outputs = self.shape
        if block.shape[2] == functions:
            return Rows.full(block.flatten(1))
        first = outputs * (cell + functions * torch.arange(inputs, device=cell.device))
        return Rows(block.flatten(1), first, (block.shape[2] * outputs,) * inputs, self.size)

    def functions(
        self, theta: Tensor, x: Float[Tensor, "points inputs"]
    ) -> Float[Tensor, "inputs outputs points"]:
        """The edge functions at points of each input, float64 on the CPU."""
        C = theta.detach().double().cpu().view(self.shape)
        return edges(C, *self.basis.evaluate(x, 0))[:, :, 0].permute(1, 2, 0)

    def samples(
        self, basis: Basis, center: Tensor, scale: Tensor
    ) -> Float[Tensor, "samples inputs"]:
        """Where a refit in another basis looks at the functions."""
        return max((basis.samples(), self.basis.samples()), key=len).expand(-1, self.shape[0])

    def extended(
        self, theta: Tensor, basis: Basis, center: Tensor, scale: Tensor
    ) -> tuple[BasisLayer, Tensor, float]:
        """The same functions in another basis, over inputs z with x = center + scale · z, [inputs]
        each; and the error of that: the largest one over the largest value. Raises RunError where
        the functions are not finite.
        """
        finer = type(self)(self.shape[0], self.shape[2], basis)
        z = self.samples(basis, center, scale)
        values = self.functions(theta, center + scale * z).transpose(1, 2)
        if not bool(values.isfinite().all()):
            raise RunError(
                "extend: the network's edge functions are not finite; expected a network that"
                " training left intact"
            )
        C, error = basis.fit(z, values)
        return finer, C.reshape(-1).to(theta), error

    def edges(self, theta: Tensor, samples: int) -> Edges:
        """The edge functions sampled over [-1, 1]."""
        x = torch.linspace(LOW, HIGH, samples, dtype=torch.float64)
        values = self.functions(theta, x[:, None].expand(-1, self.shape[0]))
        return Edges(np.tile(x.numpy(), (self.shape[0], 1)), values.numpy())
