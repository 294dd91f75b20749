"""How numbers and coefficients beside products of splines depend on the data, by the factor of the
last normal equations: the same matrices as in sensitivity.py, which are never formed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.problem.noise import noise_ratio
from kanpde.problem.problem import Problem
from kanpde.products.measured import MisfitRows
from kanpde.products.newton import LeastSquares
from kanpde.products.normal import BandFactor, BorderedFactor

FEW_DATA, SIGNS = 500, 100
"""Data up to which what is fitted to them is counted exactly, and random signs that it is estimated
by where there are more."""


@dataclass(frozen=True, eq=False)
class ProductFactors:
    """The last linear problem of products of splines and what is unknown beside them, in units of
    the data's noise.

    Attributes:
        problem: With data.
        squares: What was lowered; the misfits are its last rows.
        C: The coefficients.
    """

    problem: Problem
    squares: LeastSquares
    C: Float[np.ndarray, "unknowns ..."]

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """Of the squares of each of the rows."""
        return self.squares.weights(self.C)

    @cached_property
    def factor(self) -> BandFactor | BorderedFactor:
        """Of the normal equations."""
        return self.squares.normal(self.C, self.weights).factor()

    @cached_property
    def _ratio(self) -> float:
        return noise_ratio(self.problem.data)

    @property
    def _measured(self) -> MisfitRows:
        found = self.squares.rows[-1]
        assert isinstance(found, MisfitRows)
        return found

    @property
    def residual(self) -> Float[Tensor, " data"]:
        """The misfits in units of the noise."""
        return torch.from_numpy(self._ratio * self._measured.values(self.C)[:, 0])

    @cached_property
    def degrees(self) -> float:
        """Rows of data less what is fitted to them."""
        data = len(self._measured.known)
        probes = np.eye(data)
        if data > FEW_DATA:
            probes = np.random.default_rng(0).choice([-1.0, 1.0], (SIGNS, data))
        D, weight = self._measured.matrix, self.weights[-1]
        fitted = squares = 0.0
        for one in probes:
            back = -self.factor.step(self.squares.gathered((D.T @ one).reshape(self.C.shape)))
            there = weight * (D @ self.squares.spread(back).ravel())
            fitted += float(one @ there)
            squares += float(there @ there)
        share = 1 / SIGNS if data > FEW_DATA else 1.0
        return data - share * (2 * fitted - squares)

    @property
    def noise_variance(self) -> float:
        """Of the values' errors, in units of the noise."""
        return float(self.residual.square().sum()) / max(self.degrees, 1.0)

    def gradients_of(self, names: Sequence[str]) -> Float[Tensor, "numbers all"]:
        """Derivatives of numbers by all that is free.

        Args:
            names: Theirs.
        """
        border = self.squares.border
        assert border is not None
        found = np.zeros((len(names), self.squares.free + border.count))
        for i, name in enumerate(names):
            own = border.owners == self.problem.outputs.index(name)
            found[i, self.squares.free :] = own
        return torch.from_numpy(found)

    def gradients_at(
        self, name: str, points: Float[Tensor, "points dims"]
    ) -> Float[Tensor, "points all"]:
        """Derivatives of a field's values at points by all that is free.

        Args:
            name: Of the field.
            points: The points.
        """
        border = self.squares.border
        assert border is not None
        k = self.problem.outputs.index(name)
        found = np.zeros((len(points), self.squares.free + border.count))
        here = self.squares.at(points.numpy())
        for j in np.flatnonzero(border.owners == k):
            one = border.spread(np.eye(border.count)[j], self.C.shape)[k]
            found[:, self.squares.free + j] = here @ one.ravel()
        return torch.from_numpy(found)

    def _solved(self, gradients: Float[Tensor, "quantities all"]) -> list[np.ndarray]:
        """The inverse of the normal equations times gradients, as coefficients."""
        steps = (-self.factor.step(g) for g in gradients.numpy())
        return [self.squares.spread(step) for step in steps]

    def errors(self, gradients: Float[Tensor, "quantities all"]) -> tuple[Tensor, Tensor]:
        """How quantities follow the errors of the values, and the residuals that equations are left
        with, [quantities, rows] each.

        Args:
            gradients: Derivatives of the quantities by all that is free.
        """
        solved, rows = self._solved(gradients), self.squares.rows[:-1]
        weight = self.weights[-1] / self._ratio
        noise = [weight * (self._measured.matrix @ z.ravel()) for z in solved]
        left = []
        known = [
            (w, some, *some.linear(self.C)) for w, some in zip(self.weights[:-1], rows, strict=True)
        ]
        for z in solved:
            parts = [w * (some.pushed(g, z) * r).ravel() for w, some, r, g in known]
            left.append(np.concatenate(parts))
        if not solved:
            return torch.zeros(0, 0).double(), torch.zeros(0, 0).double()
        return torch.from_numpy(np.stack(noise)), torch.from_numpy(np.stack(left))

    def covariance(self, gradients: Float[Tensor, "quantities all"]) -> Tensor:
        """The covariance of quantities for errors of the values of variance 1.

        Args:
            gradients: Derivatives of the quantities by all that is free.
        """
        L = self.errors(gradients)[0]
        return L @ L.T

    def discrepancy(self, gradients: Float[Tensor, "quantities all"]) -> Tensor:
        """The covariance of quantities for errors as large as the residuals that the equations are
        left with.

        Args:
            gradients: Derivatives of the quantities by all that is free.
        """
        L = self.errors(gradients)[1]
        return L @ L.T

    def inverse(self, gradients: Float[Tensor, "quantities all"], heavier: float) -> Tensor:
        """The covariance of quantities from the normal equations alone, which is large along what
        neither data nor equations determine.

        Args:
            gradients: Derivatives of the quantities by all that is free.
            heavier: By what the weight of the equations is multiplied.
        """
        *others, data = self.weights
        weights = (*(heavier * w for w in others), data)
        factor = self.squares.normal(self.C, weights).factor()
        G = gradients.numpy()
        found = G @ np.stack([-factor.step(g) for g in G], 1) if len(G) else np.zeros((0, 0))
        return torch.from_numpy(found * data / self._ratio**2)

    def shift(self, gradients: Float[Tensor, "quantities all"]) -> Float[Tensor, " quantities"]:
        """How far another step would move quantities.

        Args:
            gradients: Derivatives of the quantities by all that is free.
        """
        slope = self.squares.normal(self.C, self.weights).slope
        return gradients @ torch.from_numpy(self.factor.step(slope))
