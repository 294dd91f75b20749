"""Rows of least squares that data give: what products of splines are off by at scattered points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from kanpde.problem.data import Measurement
from kanpde.problem.noise import noise_units
from kanpde.products.axes import Axis
from kanpde.products.far import functions_at
from kanpde.products.matrix_rows import MatrixRows
from kanpde.products.rows import WeightedRows

LIGHT_DATA = 1e-8
"""How heavy data are beside equations, which hold whatever the errors of data are."""


@dataclass(frozen=True, eq=False)
class MisfitRows(MatrixRows):
    """Misfits to data, each over its noise: the matrix gives what was measured.

    Attributes:
        light: Their weight over that by which they are as heavy as equations.
    """

    light: float = LIGHT_DATA

    normal: ClassVar[tuple[float, ...]] = (0.0,)  # as conditions, they are not equations

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
        return cls(sp.vstack(parts, format="csr"), np.concatenate(values), shape)

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
