"""Integrals and values at other places on a grid: rows of weights, by which a residual's leaves
there follow from the values on all nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.reference.collocation import CollocationGrid
from kanpde.reference.embedded import Embedded
from kanpde.reference.grid import Grid
from kanpde.reference.patchwork import Patchwork
from kanpde.residual.calculus import Values
from kanpde.residual.elsewhere import Rule, gathered
from kanpde.residual.residual import Residual

CELLS_OF_A_PART, FEWEST_PARTS, MOST_PARTS = 8, {1: 4, 2: 2}, 32
"""Cells of differences on one part of the rule of quadrature, whose error falls faster than theirs,
and parts along a coordinate, by the dimensions of space."""

POINTS_OF_DIFFERENCES, POINTS_OF_FUNCTIONS = 10, 16
"""Points of Gauss's rule on a part, for differences and for global functions."""

MOST_COLUMNS = 1500
"""Values at other places for one node."""


def rule_for(grid: Grid) -> Rule:
    """The rule of quadrature on a grid, which is the finer, the finer the grid.

    Args:
        grid: Of space.
    """
    cells, fewest = max(grid.cells), FEWEST_PARTS.get(len(grid.names), 2)
    if isinstance(grid, CollocationGrid):
        return Rule(max(fewest, round(cells / POINTS_OF_FUNCTIONS)), POINTS_OF_FUNCTIONS)
    return Rule(min(MOST_PARTS, max(fewest, cells // CELLS_OF_A_PART)), POINTS_OF_DIFFERENCES)


def far_columns(
    problem: Formulation,
    grid: Grid,
    residual: Residual,
    at: Values,
    normal: Values | None,
) -> list[tuple[str, int, sp.csr_matrix]]:
    """What a residual asks for at other places: of each leaf the unknown, its order in time, and
    the matrix [places, nodes] that gives it from what a system solves for, node by node of each
    place.

    Args:
        problem: What is discretised.
        grid: Of its space.
        residual: Of the problem, with the rule of the grid.
        at: Coordinates of the nodes, space alone.
        normal: Outward normals there, on a face.

    Raises:
        ReferenceUnavailable: Places are at other times, or move.
    """
    if not residual.afar:
        return []
    if isinstance(grid, Embedded | Patchwork):
        raise ReferenceUnavailable(
            f"{residual.name}: integrals and values at other places are discretised on boxes"
        )
    time = problem.domain.time
    if any(time in one.moved for one in residual.afar):
        raise ReferenceUnavailable(
            f"{residual.name}: holds values at other times; an evolution is marched, and knows none"
        )
    points = len(next(iter(at.values())))
    moments = list(np.linspace(*problem.domain.bounds[time], 3)) if time else [None]
    known = []
    for moment in moments:
        now = dict(at)
        if time and moment is not None:
            now[time] = torch.full((points,), moment, dtype=torch.float64)
        known.append(residual.places(now, normal))
    found = []
    for k, (one, place) in enumerate(zip(residual.afar, known[0], strict=True)):
        if any(not torch.equal(place.at[x], other[k].at[x]) for other in known for x in grid.names):
            raise ReferenceUnavailable(
                f"{residual.name}: the places of an integral or a value move in time"
            )
        if place.shape[0] > MOST_COLUMNS:
            raise ReferenceUnavailable(
                f"{residual.name}: an integral has {place.shape[0]} nodes for every node of the"
                f" grid; at most {MOST_COLUMNS} are taken"
            )
        ((different, which),) = gathered([place], grid.names)
        read = _reading(grid, different)
        for u, index in one.leaves:
            space = len(grid.names)
            rows = (read @ grid.derivative(index[:space])).tocsr()
            found.append((u, sum(index[space:]), rows[which.ravel()]))
    return found


def _reading(grid: Grid, points: Float[np.ndarray, "some dims"]) -> sp.csr_matrix:
    """The matrix from values on the nodes to those at points."""
    found = None
    for name, x in zip(grid.names, points.T, strict=True):
        places, which = np.unique(x, return_inverse=True)
        own = grid.reading(name, places)[which]
        found = own if found is None else _by_rows(found, own)
    assert found is not None
    return found


def _by_rows(A: sp.csr_matrix, B: sp.csr_matrix) -> sp.csr_matrix:
    """Products of every entry of a row with every entry of the same row of another matrix."""
    a, b = np.diff(A.indptr), np.diff(B.indptr)
    each = np.repeat(b, a)
    first = np.repeat(B.indptr[:-1], a)
    count = int(each.sum())
    within = np.arange(count) - np.repeat(np.cumsum(each) - each, each)
    there = np.repeat(first, each) + within
    data = np.repeat(A.data, each) * B.data[there]
    columns = np.repeat(A.indices.astype(np.int64), each) * B.shape[1] + B.indices[there]
    starts = np.r_[0, np.cumsum(a * b)]
    return sp.csr_matrix((data, columns, starts), shape=(A.shape[0], A.shape[1] * B.shape[1]))


def with_rule_of(grid: Grid, residual: Residual) -> Residual:
    """A residual whose integrals have as many nodes as a grid can do with.

    Args:
        grid: Of space.
        residual: Any.
    """
    return replace(residual, rule=rule_for(grid)) if residual.afar else residual


def totals(problem: Formulation) -> list[Constraint]:
    """The conditions that hold for the whole, such as that an integral is given: they ask for
    nothing at the points of a face.

    Args:
        problem: Any.
    """
    return [c for c in problem.constraints if c.residual.afar and not c.residual.needs]


def missing_ends(problem: Formulation, unknown: str, wanted: Sequence[Constraint]) -> int:
    """How many conditions along the coordinates of space an unknown has less than its order asks
    for, of one that lives on a line.

    Args:
        problem: On a box.
        unknown: Its name.
        wanted: Conditions that are not counted.
    """
    counts: Mapping[str, int] = {x: problem.order(unknown, x) for x in problem.domain.space}
    missing = 0
    for x, order in counts.items():
        if x in problem.periodic:
            continue
        given = sum(
            c.residual.equations
            for c in problem.constraints
            if problem.domain.faces[c.face].coordinate == x
            and not any(c is one for one in wanted)
            and any(u == unknown for u, _ in c.residual.needs)
        )
        missing += max(0, order - given)
    return missing
