"""Rows of least squares that data give: what products of splines are off by at scattered points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from kanpde.problem.data import Measurement
from kanpde.problem.noise import noise_units
from kanpde.products.axes import Axis
from kanpde.products.far import functions_at
from kanpde.products.rows import WeightedRows
from kanpde.residual.residual import Residual

LIGHT_DATA = 1e-8
"""How heavy data are beside equations, which hold whatever the errors of data are."""


@dataclass(frozen=True, eq=False)
class MisfitRows:
    """Misfits to data, each over its noise.

    Attributes:
        matrix: From all coefficients to what was measured, over its noise.
        known: What was measured, over its noise.
        normal: As that of conditions; there is none.
        residuals: There are none: misfits are affine.
        light: Their weight over that by which they are as heavy as equations.
        shape: Of all coefficients.
    """

    matrix: sp.csr_matrix
    known: Float[np.ndarray, " data"]
    normal: tuple[float, ...] = (0.0,)
    residuals: tuple[Residual, ...] = ()
    light: float = LIGHT_DATA
    shape: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, sets: Sequence[Measurement], axes: Sequence[Axis], unknowns: Sequence[str]
    ) -> MisfitRows:
        """Those of sets of measurements, set by set and unknown by unknown.

        Args:
            sets: The sets.
            axes: Functions of each coordinate.
            unknowns: Names of the unknowns.
        """
        size = int(np.prod([axis.size for axis in axes]))
        parts, values = [], []
        for m, units in zip(sets, noise_units(sets), strict=True):
            here = functions_at(axes, m.points.numpy(), (0,) * len(axes))
            for u, found, unit in zip(m.unknowns, m.values.T, units.T, strict=True):
                k, scale = unknowns.index(u), 1 / unit.numpy()
                before = sp.csr_matrix((here.shape[0], k * size))
                after = sp.csr_matrix((here.shape[0], (len(unknowns) - k - 1) * size))
                parts.append(sp.hstack([before, sp.diags(scale) @ here, after], format="csr"))
                values.append(found.numpy() * scale)
        shape = (len(unknowns), *(axis.size for axis in axes))
        return cls(sp.vstack(parts, format="csr"), np.concatenate(values), shape=shape)

    def weight(self, rows: WeightedRows, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """Of the squares: a share of that by which they are as heavy as equations are for functions
        that are as smooth as the box, however fine the cells are.

        Args:
            rows: The equations.
            C: The coefficients.
        """
        g = rows.linear(C)[1][:, :, : len(rows.leaves)]
        waves = [np.pi / (axis.ends[1] - axis.ends[0]) for axis in rows.axes]
        each = [float(np.prod(np.power(waves, index))) for _, index in rows.leaves]
        strength = (g**2).sum((0, 1)) * np.square(each)
        squares = np.asarray(self.matrix.sum(1)).ravel() ** 2
        owners = self.matrix.indices[self.matrix.indptr[:-1]] // int(np.prod(C.shape[1:]))
        shares = []
        for k in np.unique(owners):
            own = np.array([u == rows.unknowns[k] for u, _ in rows.leaves])
            shares.append(float(strength[own].sum() / squares[owners == k].sum()))
        return self.light * (min(share for share in shares if share > 0) if any(shares) else 1.0)

    @cached_property
    def _ones(self) -> Float[np.ndarray, "data 1 1"]:
        return np.ones((len(self.known), 1, 1))

    def _there(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, " data"]:
        """What was measured, as the products have it, over the noise."""
        return self.matrix @ C.ravel()

    def values(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "data 1"]:
        """The misfits.

        Args:
            C: The coefficients.
        """
        return self.linear(C)[0]

    def linear(
        self, C: Float[np.ndarray, "unknowns ..."]
    ) -> tuple[Float[np.ndarray, "data 1"], Float[np.ndarray, "data 1 1"]]:
        """The misfits, and their partials by what was measured.

        Args:
            C: The coefficients.
        """
        return (self._there(C) - self.known)[:, None], self._ones

    def unmet(self, C: Float[np.ndarray, "unknowns ..."]) -> float:
        """Data need not be met: they have errors.

        Args:
            C: The coefficients.
        """
        return 0.0

    def pushed(
        self, g: Float[np.ndarray, "data 1 1"], D: Float[np.ndarray, "unknowns ..."]
    ) -> Float[np.ndarray, "data 1"]:
        """J times a change of the coefficients.

        Args:
            g: Partials.
            D: The change.
        """
        return g[:, :, 0] * self._there(D)[:, None]

    def lifted(
        self, g: Float[np.ndarray, "data 1 1"], r: Float[np.ndarray, "data 1"]
    ) -> Float[np.ndarray, "unknowns ..."]:
        """Jᵀ times rows, by all coefficients.

        Args:
            g: Partials.
            r: The rows.
        """
        return (self.matrix.T @ (g[:, 0, 0] * r[:, 0])).reshape(self.shape)

    def diagonal(self, C: Float[np.ndarray, "unknowns ..."]) -> Float[np.ndarray, "unknowns ..."]:
        """Of JᵀJ, by all coefficients.

        Args:
            C: The coefficients.
        """
        return np.asarray(self.matrix.multiply(self.matrix).sum(0)).reshape(C.shape)

    def supports(self, shape: Sequence[int]) -> Int[np.ndarray, "data local"]:
        """Places of the coefficients of every row in the array of all of them.

        Args:
            shape: Of that array.
        """
        return self.matrix.indices.reshape(self.matrix.shape[0], -1)

    def add_to(
        self,
        C: Float[np.ndarray, "unknowns ..."],
        index: Int[np.ndarray, "unknowns ..."],
        weight: float,
        columns: Float[np.ndarray, "free band"],
        slope: Float[np.ndarray, " free"],
    ) -> float:
        """Add the normal equations of these rows to those of all.

        Args:
            C: The coefficients.
            index: Number of the parameter behind each coefficient, -1 where it is given.
            weight: Of the squares.
            columns: The lower band of JᵀJ, column after column, which is added to.
            slope: Jᵀr, which is added to.

        Returns:
            The sum of the squares, without the weight.
        """
        r, numbers = self._there(C) - self.known, index.ravel()
        some = np.flatnonzero(numbers >= 0)
        pick = sp.csr_matrix(
            (np.ones(len(some)), (some, numbers[some])), shape=(len(numbers), len(slope))
        )
        J = self.matrix @ pick
        slope += weight * (J.T @ r)
        products = sp.tril(J.T @ J, format="coo")
        np.add.at(columns, (products.col, products.row - products.col), weight * products.data)
        return float((r**2).sum())
