"""Nodes whose values follow from those on other nodes, by rows that come from no residual."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.formulation import Formulation
from kanpde.reference.embedded import Embedded
from kanpde.reference.grid import Grid
from kanpde.reference.patchwork import Patchwork
from kanpde.reference.pressure import continuation

Continued = tuple[int, np.ndarray, sp.csr_matrix]
"""An unknown, nodes, and rows [nodes, grid nodes] that vanish."""


def absent(grid: Grid) -> list[Continued]:
    """The nodes of pieces that an unknown does not live in: it is zero there.

    Args:
        grid: Of space.
    """
    if not isinstance(grid, Patchwork):
        return []
    one = sp.identity(grid.nodes, format="csr")
    return [
        (v, np.arange(grid.nodes)[grid.own(piece)], one[grid.own(piece)])
        for v, homes in enumerate(grid.homes)
        for piece in grid.patches
        if piece not in homes
    ]


def continued_pressures(
    problem: Formulation,
    grid: Grid,
    pressures: Sequence[int],
    free: Bool[np.ndarray, "unknowns nodes"],
) -> list[Continued]:
    """Pressures on the faces from those inside.

    Args:
        problem: What is discretised.
        grid: Of its space.
        pressures: Numbers of the unknowns that no equation of their own holds.
        free: Which nodes have an equation for an unknown.

    Raises:
        ReferenceUnavailable: The domain is no box.
    """
    if not pressures:
        return []
    if isinstance(grid, Embedded):
        raise ReferenceUnavailable(
            f"{problem.unknowns[pressures[0]]!r} is a pressure, which no equation"
            " of its own holds; on domains that are no box it is not discretised"
        )
    return [(v, *rows) for v in pressures for rows in continuation(problem, grid, free[v])]


def close_by(grid: Grid, unknowns: int) -> list[Continued]:
    """The nodes that are interpolated, of all unknowns.

    Args:
        grid: Of space.
        unknowns: How many there are.
    """
    if isinstance(grid, Patchwork):
        return [(v, *grid.close_by(piece)) for v in range(unknowns) for piece in grid.homes[v]]
    return [(v, *grid.close_by) for v in range(unknowns)] if isinstance(grid, Embedded) else []
