"""A tensor product of splines as arrays: its cells and spans of time, and what it says of its error
on each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kanpde.geometry import Domain
from kanpde.products.axes import SplineAxis
from kanpde.products.estimates import felt, last_modes, roughness, seen
from kanpde.products.inside import curved, inside_of, space_of
from kanpde.products.solution import TensorSolution
from kanpde.products.tensor import Product

SAMPLED = 33
"""Points along a coordinate at which an unknown's variation is looked at."""


@dataclass(frozen=True)
class CellsDrawn:
    """The cells of one product: of a span of time, of a piece, or of all of a steady problem.

    Attributes:
        breaks: Along each coordinate, the ends of the cells [cells + 1].
        errors: Along each coordinate, the estimated error of every cell [cells], over the
            variations of the unknowns.
        within: Which cells of two coordinates lie in a domain that is no box [cells, cells]; None
            for all, and where the last coordinate is time.
    """

    breaks: tuple[NDArray[np.float64], ...]
    errors: tuple[NDArray[np.float64], ...]
    within: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class MeshDrawing:
    """What a picture of a tensor product of splines needs.

    Attributes:
        title: What it is, in words.
        coordinates: Their names.
        evolving: Whether the last one is time, which a span has no cells in.
        spans: The cells, span after span, or piece after piece.
    """

    title: str
    coordinates: tuple[str, ...]
    evolving: bool
    spans: tuple[CellsDrawn, ...]


def mesh_of(solution: TensorSolution) -> MeshDrawing:
    """The cells of a solution.

    Args:
        solution: The solution.
    """
    own, within = [list(some) for some in solution.holds], curved(solution.domain)
    sizes = np.zeros(len(solution.unknowns))
    for span, some in zip(solution.spans, own, strict=True):
        np.maximum.at(sizes, some, _variations(span, within))
    return MeshDrawing(
        solution.describe(),
        tuple(solution.domain.coordinates),
        solution.domain.time is not None,
        tuple(
            _cells(span, sizes[some], within)
            for span, some in zip(solution.spans, own, strict=True)
        ),
    )


def _variations(product: Product, within: Domain | None) -> NDArray[np.float64]:
    """By how much the unknowns vary; 1 where they do not."""
    grid = [np.linspace(*axis.ends, SAMPLED) for axis in product.axes]
    index, some = (0,) * len(grid), seen(within, grid)
    values = [product.on_grid(u, grid, index).ravel()[some] for u in range(len(product.C))]
    found = np.array([(v.max() - v.min()) / 2 for v in values])
    return np.where(found > 0, found, 1.0)


def _cells(product: Product, sizes: NDArray[np.float64], within: Domain | None) -> CellsDrawn:
    errors = []
    for i, axis in enumerate(product.axes):
        if isinstance(axis, SplineAxis):
            # the error of the best spline on each cell (Favard 1937)
            widths = np.diff(axis.breaks) / np.pi
            errors.append(widths ** (axis.degree + 1) * roughness(product, i, sizes, domain=within))
        else:
            seen = product if within is None else felt(product, space_of(within))
            errors.append(np.full(axis.cells, last_modes(seen, sizes)))
    breaks = tuple(np.asarray(axis.breaks, dtype=np.float64) for axis in product.axes)
    if within is None or within.time is not None:
        return CellsDrawn(breaks, tuple(errors))
    at = inside_of(within, product.axes)
    return CellsDrawn(breaks, tuple(errors), at.whole | at.cut)
