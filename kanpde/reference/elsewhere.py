"""Integrals and values at other places on a grid: rows of weights, by which a residual's leaves
there follow from the values on all nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

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
"""Values at other places for one node, where they cannot be summed up before."""

INSTANTS_SEEN = 3
"""At which is seen whether places and kernels stay the same."""


def rule_for(grid: Grid) -> Rule:
    """The rule of quadrature on a grid, which is the finer, the finer the grid.

    Args:
        grid: Of space.
    """
    cells, fewest = max(grid.cells), FEWEST_PARTS.get(len(grid.names), 2)
    if isinstance(grid, CollocationGrid):
        return Rule(max(fewest, round(cells / POINTS_OF_FUNCTIONS)), POINTS_OF_FUNCTIONS)
    return Rule(min(MOST_PARTS, max(fewest, cells // CELLS_OF_A_PART)), POINTS_OF_DIFFERENCES)


@dataclass(frozen=True)
class Condensed(Residual):
    """A residual that is affine in what it asks for at other places, which is summed up before: it
    takes one more column for every equation, unknown and order in time.

    Attributes:
        inner: What is evaluated.
        sums: How many columns every equation has for what is elsewhere.
    """

    inner: Residual = field(kw_only=True)
    sums: int = field(kw_only=True)

    def _evaluated(
        self,
        coordinates: Values,
        derivatives: Float[torch.Tensor, "points _given"],
        normal: Values | None,
        partials: bool,
    ) -> tuple[
        Float[torch.Tensor, "points equations"],
        Float[torch.Tensor, "points equations _columns"] | None,
    ]:
        here = len(self.needs)
        values, slopes = self.inner.near(coordinates, derivatives[:, :here], normal, partials)
        there = derivatives[:, here:].reshape(len(values), self.equations, self.sums)
        values = values + there.sum(2)
        if slopes is None:
            return values, None
        ones = torch.eye(self.equations).to(values).repeat_interleave(self.sums, 1)
        return values, torch.cat([slopes, ones.expand(len(values), -1, -1)], 2)


@dataclass(frozen=True)
class _Read:
    """What gives a leaf at its places.

    Attributes:
        unknown: Of the leaf.
        rate: Its order in time.
        matrix: From what a system solves for to the leaf at the different places, [some, nodes].
        which: The place of every node of the rule, [each, points].
    """

    unknown: str
    rate: int
    matrix: sp.csr_matrix
    which: Int[np.ndarray, "each points"]


def far_columns(
    problem: Formulation,
    grid: Grid,
    residual: Residual,
    at: Values,
    normal: Values | None,
) -> tuple[Residual, list[tuple[str, int, sp.csr_matrix]]]:
    """What a residual asks for at other places, column by column of what it takes after its
    `needs`.

    Args:
        problem: What is discretised.
        grid: Of its space.
        residual: Of the problem, with the rule of the grid.
        at: Coordinates of the nodes, space alone.
        normal: Outward normals there, on a face.

    Returns:
        The residual that takes these columns, which is another one where sums can be made
        beforehand; and of some columns the unknown, its order in time, and the matrix [columns *
        points, nodes] that gives them from what a system solves for.

    Raises:
        ReferenceUnavailable: Places are at other times, or move.
    """
    if not residual.afar:
        return residual, []
    reads = _reads(problem, grid, residual, at, normal)
    summed = _condensed(problem, residual, reads, at, normal)
    if summed is not None:
        return summed
    if sum(len(one.which) for one in reads) > MOST_COLUMNS:
        raise ReferenceUnavailable(
            f"{residual.name}: its integrals have {sum(len(one.which) for one in reads)} nodes for"
            f" every node of the grid; at most {MOST_COLUMNS} are taken"
        )
    return residual, [(o.unknown, o.rate, o.matrix[o.which.ravel()]) for o in reads]


def _moments(problem: Formulation, at: Values) -> list[Values]:
    """Coordinates of nodes, at some instants of an evolution."""
    time = problem.domain.time
    if not time:
        return [at]
    like = next(iter(at.values()))
    return [
        {**at, time: torch.full_like(like, float(t))}
        for t in np.linspace(*problem.domain.bounds[time], INSTANTS_SEEN)
    ]


def _reads(
    problem: Formulation, grid: Grid, residual: Residual, at: Values, normal: Values | None
) -> list[_Read]:
    """What gives each leaf of a residual at its places."""
    if isinstance(grid, Embedded | Patchwork):
        raise ReferenceUnavailable(
            f"{residual.name}: integrals and values at other places are discretised on boxes"
        )
    if any(problem.domain.time in one.moved for one in residual.afar):
        raise ReferenceUnavailable(
            f"{residual.name}: holds values at other times; an evolution is marched, and knows none"
        )
    first, *others = (residual.places(now, normal) for now in _moments(problem, at))
    found, space = [], len(grid.names)
    for k, (one, place) in enumerate(zip(residual.afar, first, strict=True)):
        if any(not torch.equal(place.at[x], o[k].at[x]) for o in others for x in grid.names):
            raise ReferenceUnavailable(
                f"{residual.name}: the places of an integral or a value move in time"
            )
        ((different, which),) = gathered([place], grid.names)
        read = _reading(grid, different)
        for u, index in one.leaves:
            rows = (read @ grid.derivative(index[:space])).tocsr()
            found.append(_Read(u, sum(index[space:]), rows, which))
    return found


def _condensed(
    problem: Formulation,
    residual: Residual,
    reads: Sequence[_Read],
    at: Values,
    normal: Values | None,
) -> tuple[Residual, list[tuple[str, int, sp.csr_matrix]]] | None:
    """The residual with what it asks for elsewhere summed up, and these sums; None where its
    partials are not the same for every solution and always."""
    if not residual.affine:
        return None
    width = len(residual.needs) + sum(len(one.which) for one in reads)
    points = len(next(iter(at.values())))
    zeros = torch.zeros(points, width, dtype=torch.float64)
    known = []
    for now in _moments(problem, at):
        slopes = residual(now, zeros, normal)[1]
        assert slopes is not None
        known.append(slopes[:, :, len(residual.needs) :])
    if any(not torch.equal(known[0], other) for other in known):
        return None
    keys = list(dict.fromkeys((one.unknown, one.rate) for one in reads))
    sums = []
    for e in range(residual.equations):
        for key in keys:
            total, first = None, 0
            for one in reads:
                each = len(one.which)
                mine = known[0][:, e, first : first + each].numpy()
                first += each
                if (one.unknown, one.rate) == key:
                    part = _summed(mine, one)
                    total = part if total is None else total + part
            sums.append((*key, sp.csr_matrix(total)))
    given = {f.name: getattr(residual, f.name) for f in fields(Residual)}
    given["afar"] = ()
    return Condensed(**given, inner=residual, sums=len(keys)), sums


def _summed(slopes: Float[np.ndarray, "points each"], read: _Read) -> sp.csr_matrix:
    """Σ slopes · values at places, as a matrix [points, nodes]."""
    points, each = slopes.shape
    where = np.repeat(np.arange(points), each)
    shape = (points, read.matrix.shape[0])
    return sp.csr_matrix((slopes.ravel(), (where, read.which.T.ravel())), shape=shape) @ read.matrix


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
            # That a number is constant all the way round says one thing twice.
            missing += order if unknown in problem.numbers else 0
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
