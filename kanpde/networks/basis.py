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
from kanpde.networks.along_axes import axis_adjoint, axis_jet, axis_rows, is_along_axes
from kanpde.networks.network import Edges
from kanpde.networks.rows import Rows

LOW, HIGH = -1.0, 1.0

START = 0.4
"""Root mean square of a layer's outputs at the start: tanh, which comes after it, then bends a
little."""

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
        """Taylor coefficients B_j^(ν)(x)/ν! of all functions, for ν = 0 … order.

        Args:
            x: Where, [points, inputs].
            order: Highest ν, 5 at most.

        Returns:
            The coefficients, [points, inputs, order + 1, size].
        """

    @abstractmethod
    def finer(self, resolution: int) -> Basis:
        """The basis of the same kind with another resolution.

        Args:
            resolution: What a stage `Extend` names: the intervals of a grid, or the degree.
        """

    def evaluate(
        self, x: Float[Tensor, "points inputs"], order: int
    ) -> tuple[Int[Tensor, "points inputs"], Float[Tensor, "points inputs orders alive"]]:
        """Taylor coefficients of those functions that are alive at x, which means not zero there.

        Here all of them are; a local basis overrides it.

        Args:
            x: Where, [points, inputs].
            order: Highest order of the coefficients.

        Returns:
            The number of the first function that is alive, [points, inputs], and the coefficients
            of those that are, [points, inputs, order + 1, alive].
        """
        return torch.zeros(x.shape, dtype=torch.int64, device=x.device), self.taylor(x, order)

    def decay(self) -> Float[Tensor, " size"]:
        """How large first coefficients are, one beside the other, [size].

        Those of rough functions are smaller, where functions differ in that.
        """
        return torch.ones(self.size, dtype=torch.float64)

    def initial(
        self, inputs: int, outputs: int, generator: torch.Generator
    ) -> Float[Tensor, "inputs size outputs"]:
        """Random coefficients for the start of a layer.

        With them, an output of the layer has root mean square START for inputs all over [-1, 1].

        Args:
            inputs: How many units come into the layer.
            outputs: How many units go out of it.
            generator: What the coefficients are drawn from.

        Returns:
            The coefficients [inputs, size, outputs], float64 on the CPU.
        """
        decay = self.decay()
        B = self.at(_inside(200).expand(-1, 1))[0]
        spread = float((B * decay).square().sum(1).mean().sqrt())
        drawn = torch.randn(inputs, self.size, outputs, generator=generator, dtype=torch.float64)
        return drawn * decay[:, None] * (START / (spread * math.sqrt(inputs)))

    def samples(self) -> Float[Tensor, "samples 1"]:
        """Where a fit looks at functions, [samples, 1].

        It looks more densely towards the ends, where polynomials need it.
        """
        return _inside(6 * self.size + 50)

    def at(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "inputs points size"]:
        """All values, those of functions that are not alive among them.

        Args:
            x: Where, [points, inputs].

        Returns:
            The values, [inputs, points, size].
        """
        cell, b = self.evaluate(x, 0)
        found = x.new_zeros(*x.shape, self.size)
        return found.scatter_(2, cell[..., None] + torch.arange(b.shape[3]), b[:, :, 0]).transpose(
            0, 1
        )

    def fit(
        self, z: Float[Tensor, "samples inputs"], values: Float[Tensor, "inputs samples outputs"]
    ) -> tuple[Float[Tensor, "inputs size outputs"], float]:
        """Coefficients by least squares.

        Args:
            z: Where the functions are known, [samples, inputs].
            values: What they are there, [inputs, samples, outputs].

        Returns:
            The coefficients [inputs, size, outputs], and the largest error over the largest value.
        """
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


SETS_KEPT = 4
"""Sets of points at which a layer keeps the values of its basis."""


class BasisLayer:
    """y_q = Σ_p Σ_j c_pjq B_j(x_p) for any basis; theta holds c [inputs, size, outputs].

    Args:
        inputs: How many units x_p come in.
        outputs: How many units y_q go out.
        basis: The functions B_j.
    """

    def __init__(self, inputs: int, outputs: int, basis: Basis):
        self.basis, self.shape = basis, (inputs, basis.size, outputs)
        self.size = math.prod(self.shape)
        self._known: list[tuple[Tensor, Tensor]] = []

    def at_points(self, X: Float[Tensor, "points 1 inputs"], order: int) -> Tensor:
        """Taylor coefficients of the basis where a jet is given by points alone (see
        along_axes.py), [points, inputs, orders, size]; those of the last sets of points are kept.

        Args:
            X: The points.
            order: The highest.
        """
        for points, found in self._known:
            if points is X and found.shape[2] == order + 1:
                return found
        found = self.basis.taylor(X[:, 0], order)
        if order:
            # Those of training; what is only looked at is forgotten.
            self._known = [*self._known, (X, found)][-SETS_KEPT:]
        return found

    def forward(self, theta: Tensor, X: Tensor, counts: Sequence[int]) -> Tensor:
        if is_along_axes(X, counts):
            return axis_jet(self.at_points(X, len(counts)), theta.view(self.shape))
        return expansion_jet(
            X, theta.view(self.shape), *self.basis.evaluate(X[:, 0], len(counts)), counts
        )

    def adjoint(
        self, theta: Tensor, L: Tensor, X: Tensor, counts: Sequence[int], back: bool = True
    ) -> tuple[Tensor, Tensor]:
        if is_along_axes(X, counts):
            return X, axis_adjoint(L, self.at_points(X, len(counts))).reshape(-1)
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
        if is_along_axes(X, counts):
            return X, Rows.full(axis_rows(L, self.at_points(X, len(counts))))
        cell, b = self.basis.evaluate(X[:, 0], len(counts) + back)
        inward, block = expansion_jet_jacobian(L, X, theta.view(self.shape), cell, b, counts, back)
        return inward, self.rows(cell, block)

    def rows(self, cell: Tensor, block: Tensor) -> Rows:
        """The derivatives by a few coefficients as rows of a Jacobian of all of them.

        Args:
            cell: The first function that is alive, [points, inputs].
            block: The derivatives by the coefficients from `cell` on, [points, inputs, alive,
                outputs].
        """
        inputs, functions, outputs = self.shape
        if block.shape[2] == functions:
            return Rows.full(block.flatten(1))
        first = outputs * (cell + functions * torch.arange(inputs, device=cell.device))
        return Rows(block.flatten(1), first, (block.shape[2] * outputs,) * inputs, self.size)

    def functions(
        self, theta: Tensor, x: Float[Tensor, "points inputs"]
    ) -> Float[Tensor, "inputs outputs points"]:
        """The edge functions at points of each input, float64 on the CPU.

        Args:
            theta: The coefficients of the layer, [inputs · size · outputs].
            x: Where, [points, inputs].

        Returns:
            The values, [inputs, outputs, points].
        """
        C = theta.detach().double().cpu().view(self.shape)
        return edges(C, *self.basis.evaluate(x, 0))[:, :, 0].permute(1, 2, 0)

    def samples(
        self, basis: Basis, center: Tensor, scale: Tensor
    ) -> Float[Tensor, "samples inputs"]:
        """Where a refit in another basis looks at the functions.

        Args:
            basis: The other basis.
            center: Middle of every new interval, in the present inputs, [inputs].
            scale: Half the length of it, [inputs].

        Returns:
            Points z in [-1, 1], [samples, inputs]; the present inputs are center + scale · z.
        """
        return max((basis.samples(), self.basis.samples()), key=len).expand(-1, self.shape[0])

    def extended(
        self, theta: Tensor, basis: Basis, center: Tensor, scale: Tensor
    ) -> tuple[BasisLayer, Tensor, float]:
        """The same functions in another basis, over inputs z with x = center + scale · z.

        Args:
            theta: The coefficients of the layer, [inputs · size · outputs].
            basis: The other basis.
            center: Middle of every new interval, in x, [inputs].
            scale: Half the length of it, [inputs].

        Returns:
            The new layer, its coefficients, and the error of them: the largest one over the largest
            value.

        Raises:
            RunError: The functions are not finite.
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
        """The edge functions sampled over [-1, 1].

        Args:
            theta: The coefficients of the layer, [inputs · size · outputs].
            samples: How many points an edge.
        """
        x = torch.linspace(LOW, HIGH, samples, dtype=torch.float64)
        values = self.functions(theta, x[:, None].expand(-1, self.shape[0]))
        return Edges(np.tile(x.numpy(), (self.shape[0], 1)), values.numpy())
