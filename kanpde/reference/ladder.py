"""The grids that a reference is computed on, from the coarsest to the finest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from math import pi

import numpy as np

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import Domain, Pieces
from kanpde.problem.formulation import Formulation
from kanpde.reference.embedded import Embedded
from kanpde.reference.grid import Grid
from kanpde.reference.patchwork import boxes, embedded, homes_of, in_boxes, space_of

FIRST_CELLS = {1: 32, 2: 16, 3: 10}
"""Cells along each coordinate of the first grid, by space dimensions."""

REENTRANT_ANGLE = 1.01 * pi
"""From which on a corner counts as re-entrant."""

CELLS_ACROSS = 4
"""Cells that the first grid has at least across a piece."""

CROWDED_PLACES = 4
"""Places along a coordinate to which lines can crowd, at most."""


def sizes(
    problem: Formulation, fewest: int, cells: int | Mapping[str, int] | None
) -> Iterator[tuple[int, ...]]:
    """Cells along each space coordinate, grid by grid: three of them where the caller says how
    many.

    Otherwise they are doubled on a line, with grids of three halves in between in the plane; in
    space they grow by a half.

    Args:
        problem: Whose domain the grids cover.
        fewest: Cells along a coordinate with which the scheme has nodes enough.
        cells: Of the finest grid, along all coordinates or each, on pieces that are boxes in every
            interval between planes; None for ever finer grids.

    Raises:
        ReferenceUnavailable: Where cells are odd, so that there is no grid of half as many.
    """
    space = problem.domain.space
    if cells is None and isinstance(space_of(problem.domain), Pieces):
        yield from _on_pieces(problem)
        return
    if cells is None:
        yield from _doubling(len(space)) if problem.domain.is_box else _proportioned(problem)
        return
    finest = tuple(cells[x] for x in space) if isinstance(cells, Mapping) else (cells,) * len(space)
    if any(n < 2 or n % 2 for n in finest):
        raise ReferenceUnavailable(
            f"cells={cells}: expected even numbers, because the error is estimated on a grid of"
            " half as many"
        )
    coarsest = tuple(n // 4 for n in finest)
    if all(n % 4 == 0 for n in finest) and min(coarsest) >= max(8, fewest):
        yield coarsest
    yield tuple(n // 2 for n in finest)
    yield finest


def _doubling(dimensions: int) -> Iterator[tuple[int, ...]]:
    """Grids of as many cells along each coordinate."""
    first = FIRST_CELLS[dimensions]
    for k in count():
        along = {
            1: first * 2**k,
            2: first * 2 ** (k // 2) * (2 + k % 2) // 2,
            3: int(first * 1.5**k),
        }
        yield (along[dimensions],) * dimensions


def _on_pieces(problem: Formulation) -> Iterator[tuple[int, ...]]:
    """Grids of pieces: as on a box in every interval between planes, or as on a domain that is
    none, but fine enough for the smallest piece."""
    pieces = space_of(problem.domain)
    assert isinstance(pieces, Pieces)
    if in_boxes(pieces):
        yield from _doubling(len(pieces.coordinates))
        return
    bounds = pieces.bounds
    smallest = min(
        (b - a) / (bounds[x][1] - bounds[x][0])
        for region in pieces.regions.values()
        for x, (a, b) in region.bounds.items()
    )
    for along in _proportioned(problem):
        if min(along) * smallest >= CELLS_ACROSS:
            yield along


def _proportioned(problem: Formulation) -> Iterator[tuple[int, ...]]:
    """Grids of cells that are nearly squares, each with many nodes in common with the one
    before."""
    lengths = [b - a for a, b in (problem.domain.bounds[x] for x in problem.domain.space)]
    mean = float(np.prod(lengths)) ** (1 / len(lengths))
    shares = [max(4, round(FIRST_CELLS[len(lengths)] / 2 * length / mean)) for length in lengths]
    for k in count():
        yield tuple(share * 2 ** (k // 2) * (2 + k % 2) for share in shares)


def grid_of(problem: Formulation, cells: tuple[int, ...], order: int) -> Grid:
    """The grid of a problem's space, with its boundary embedded where the domain is no box; on
    pieces, a grid for each.

    Args:
        problem: Whose domain the grid covers.
        cells: Along each space coordinate.
        order: Of accuracy.
    """
    domain = problem.domain
    bounds = {x: domain.bounds[x] for x in domain.space}
    if domain.is_box:
        return Grid(bounds, cells, order, frozenset(problem.periodic))
    space = space_of(domain)
    if isinstance(space, Pieces):
        patchwork = boxes if in_boxes(space) else embedded
        return patchwork(space, cells, order, homes_of(problem))
    return Embedded(bounds, cells, order, domain=space, graded=_crowding(space, order))


def _crowding(domain: Domain, order: int) -> tuple[dict[float, float], ...]:
    """Where lines must crowd, by coordinate: the places of corners, and powers; () where no corner
    is re-entrant, or there are too many.

    In a corner of angle ω a solution may be like r^α with α = π/ω. What that spoils in a whole
    solution falls as the nodes to the power -2αq, what it spoils around the corner as -(α + 1)q.
    """
    if not any(corner.opening > REENTRANT_ANGLE for corner in domain.corners):
        return ()
    found: tuple[dict[float, float], ...] = ({}, {})
    for corner in domain.corners:
        exponent = np.pi / corner.opening
        power = max(order / (2 * exponent), order / (1 + exponent))
        for places, at in zip(found, corner.at, strict=True):
            at = next((other for other in places if abs(other - at) < 1e-9), at)
            places[at] = max(places.get(at, 1.0), power)
    return found if all(len(places) <= CROWDED_PLACES for places in found) else ()
