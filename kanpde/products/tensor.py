"""Tensor products of splines: u = Σ c_ij… B_i(x) B_j(y)…, one set of coefficients an unknown.

As a network, it is one level of multiplication nodes (Liu et al. 2024, KAN 2.0) whose edges are the
functions of the basis themselves; in substance, a spline in space and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.products.axes import FEWEST_CELLS, Axis, Modes, SplineAxis, along
from kanpde.residual.calculus import MultiIndex

POINTS_AT_ONCE = 2_000_000
"""Numbers that are held at once while single points are evaluated."""


@dataclass(frozen=True, eq=False)
class Product:
    """Functions of all unknowns on one box: the same axes, and coefficients of each.

    Attributes:
        axes: Functions of each coordinate.
        C: Coefficients, [unknowns, functions of the first axis, …].
    """

    axes: tuple[Axis, ...]
    C: Float[np.ndarray, "unknowns ..."]

    def on_grid(
        self, unknown: int, x: Sequence[Float[np.ndarray, " points"]], index: MultiIndex
    ) -> Float[np.ndarray, " ..."]:
        """A derivative on a grid of points.

        Args:
            unknown: Number of the unknown.
            x: The points along every coordinate.
            index: How often by every coordinate.
        """
        ways = zip(self.axes, x, index, strict=True)
        return along([axis.matrix(at, order) for axis, at, order in ways], self.C[unknown])

    def at(
        self,
        points: Float[np.ndarray, "points dims"],
        leaves: Sequence[tuple[int, MultiIndex]],
    ) -> Float[np.ndarray, "points leaves"]:
        """Derivatives at single points.

        Args:
            points: Where.
            leaves: The derivatives, each the number of an unknown and how often by every
                coordinate.
        """
        found = np.empty((len(points), len(leaves)))
        support = int(np.prod([axis.degree + 1 for axis in self.axes]))
        step = max(1, POINTS_AT_ONCE // support)
        for start in range(0, len(points), step):
            found[start : start + step] = self._at(points[start : start + step], leaves)
        return found

    def _at(
        self,
        points: Float[np.ndarray, "points dims"],
        leaves: Sequence[tuple[int, MultiIndex]],
    ) -> Float[np.ndarray, "points leaves"]:
        cells = [axis.cell_of(x) for axis, x in zip(self.axes, points.T, strict=True)]
        dims, where = len(cells), []
        for i, (axis, cell) in enumerate(zip(self.axes, cells, strict=True)):
            shape = [len(points)] + [1] * dims
            shape[1 + i] = -1
            where.append(axis.alive[cell].reshape(shape))
        known: dict[tuple[int, int], Float[np.ndarray, "points support"]] = {}
        parts: dict[int, Float[np.ndarray, "points ..."]] = {}
        found = np.empty((len(points), len(leaves)))
        for a, (u, index) in enumerate(leaves):
            if u not in parts:
                parts[u] = self.C[u][tuple(where)]
            value = parts[u]
            for i, order in enumerate(index):
                if (i, order) not in known:
                    known[i, order] = self.axes[i].local(cells[i], points[:, i], order)
                value = np.einsum("pa...,pa->p...", value, known[i, order])
            found[:, a] = value
        return found

    def plain(self) -> dict[str, Any]:
        """Tensors and plain values, of which `from_plain` makes the same."""
        return {
            "axes": plain_axes(self.axes),
            "coefficients": torch.from_numpy(self.C.copy()),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Product:
        """The functions that `plain` was made of.

        Args:
            plain: What `plain` gave.
        """
        return cls(axes_from(plain["axes"]), plain["coefficients"].numpy())


def plain_axes(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Tensors and plain values, of which `axes_from` makes the same.

    Args:
        axes: Functions of one coordinate each.
    """
    return [
        {
            "breaks": torch.from_numpy(axis.breaks.copy()),
            "degree": axis.degree,
            "order": axis.order if isinstance(axis, Modes) else 0,
            "periodic": axis.periodic,
            "creases": list(axis.creases) if isinstance(axis, SplineAxis) else [],
            "smooth": axis.smooth if isinstance(axis, SplineAxis) else 0,
            "fewest": axis.fewest if isinstance(axis, SplineAxis) else 0,
        }
        for axis in axes
    ]


def axes_from(plain: Sequence[dict[str, Any]]) -> tuple[Axis, ...]:
    """The axes that `plain_axes` was given.

    Args:
        plain: What it made of them.
    """
    return tuple(_axis(**one) for one in plain)


def _axis(
    breaks: Tensor,
    degree: int,
    order: int,
    periodic: bool,
    creases: Sequence[float] = (),
    smooth: int = 0,
    fewest: int = FEWEST_CELLS,
) -> Axis:
    if order:
        return Modes(breaks.numpy(), degree, order)
    return SplineAxis(breaks.numpy(), degree, periodic, tuple(creases), smooth, fewest)
