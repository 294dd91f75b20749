"""From pointwise residuals to vectors and sparse matrices on a grid: r(U) and Σ_α diag(∂r/∂u_α)
D_α."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int

from kanpde.reference.grid import Grid
from kanpde.residual.calculus import Leaf, Values
from kanpde.residual.residual import Residual


def evaluate(
    residual: Residual,
    at: Values,
    leaves: Float[np.ndarray, "points leaves"],
    normal: Values | None = None,
    partials: bool = True,
) -> tuple[
    Float[np.ndarray, "points equations"], Float[np.ndarray, "points equations leaves"] | None
]:
    """A residual's values and partials in numpy."""
    values, slopes = residual(at, torch.from_numpy(leaves), normal, partials)
    return values.numpy(), None if slopes is None else slopes.numpy()


def dependence(
    residual: Residual, at: Values, normal: Values | None = None
) -> Bool[np.ndarray, "equations leaves"]:
    """Which rows of a residual depend on which of its leaves, probed at some of the points."""
    count = len(next(iter(at.values())))
    some = {x: v[:: max(1, count // 7)] for x, v in at.items()}
    nearby = None if normal is None else {x: v[:: max(1, count // 7)] for x, v in normal.items()}
    probes = len(next(iter(some.values())))
    leaves = np.random.default_rng(0).uniform(0.25, 0.75, (probes, len(residual.needs)))
    _, slopes = residual.near(some, torch.from_numpy(leaves), nearby)
    assert slopes is not None
    return (slopes != 0).any(0).numpy()


@dataclass
class GridResidual:
    """A residual at some of the nodes, with the rows of D_α that its leaves take there.

    Fields are flat vectors, the unknowns one after another.

    Attributes:
        residual: Pointwise, of coordinates and leaves.
        grid: Of space, with the matrices D_α.
        unknowns: Names, in the order of the fields.
        nodes: Where the residual is taken.
        leaves: The grid derivative (unknown, space index) in each column of `residual.needs`; None
            for a column that is supplied from elsewhere, such as a rate in time.
        normal: Outward normal at the nodes by coordinate, for conditions.
        at: Coordinates of the nodes by name.
    """

    residual: Residual
    grid: Grid
    unknowns: Sequence[str]
    nodes: Int[np.ndarray, " points"]
    leaves: Sequence[Leaf | None]
    normal: Values | None = None
    at: dict[str, torch.Tensor] = field(init=False)

    def __post_init__(self) -> None:
        chosen = torch.from_numpy(self.nodes)
        self.at = {x: v[chosen] for x, v in self.grid.points().items()}
        self._rows = {
            a: (self.unknowns.index(leaf[0]), self.grid.derivative(leaf[1])[self.nodes])
            for a, leaf in enumerate(self.leaves)
            if leaf is not None
        }

    def values(self, U: Float[np.ndarray, " size"]) -> Float[np.ndarray, "points leaves"]:
        """The leaves' values at the points, zero where they are supplied from elsewhere."""
        fields = U.reshape(len(self.unknowns), -1)
        found = np.zeros((len(self.nodes), len(self.leaves)))
        for a, (v, rows) in self._rows.items():
            found[:, a] = rows @ fields[v]
        return found

    def __call__(
        self,
        U: Float[np.ndarray, " size"],
        partials: bool = True,
        extra: Mapping[str, torch.Tensor] | None = None,
    ) -> tuple[
        Float[np.ndarray, "points equations"], Float[np.ndarray, "points equations leaves"] | None
    ]:
        """Residual and partials at the points; extra: further coordinates such as time, [points]
        each."""
        return evaluate(
            self.residual, {**self.at, **(extra or {})}, self.values(U), self.normal, partials
        )

    def matrix(self, slopes: Float[np.ndarray, "points leaves"]) -> sp.csr_matrix:
        """Σ_α diag(slope_α) D_α, sparse [points, fields * nodes], for one equation's partials."""
        blocks: list[sp.csr_matrix | None] = [None] * len(self.unknowns)
        for a, (v, rows) in self._rows.items():
            if slopes[:, a].any():
                part = sp.csr_matrix(
                    (
                        rows.data * np.repeat(slopes[:, a], np.diff(rows.indptr)),
                        rows.indices,
                        rows.indptr,
                    ),
                    shape=rows.shape,
                )
                blocks[v] = part if blocks[v] is None else blocks[v] + part
        empty = sp.csr_matrix((len(self.nodes), self.grid.nodes))
        return sp.hstack([empty if block is None else block for block in blocks], format="csr")
