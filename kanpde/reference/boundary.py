"""Which boundary condition replaces the equation of which unknown at which node.

A condition on a face replaces the row of its unknown at the face's nodes. Where a face has two
conditions for one unknown (a clamped plate), the one with the higher derivative replaces the row of
the next layer of nodes, though it still holds on the face. A node that two faces share belongs to
the condition with the lower derivative, then to the one given first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy  # whose parts are imported when they are first used
import torch
from jaxtyping import Int

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry import Face, Pieces, SpaceTime
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import space_faces
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import dependence
from kanpde.reference.characteristics import check_waves, incoming
from kanpde.reference.embedded import Embedded
from kanpde.reference.grid import Grid
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual


@dataclass(frozen=True)
class Placed:
    """One row of a condition: it holds at the nodes `at` of a face and replaces the unknown's rows
    at `owners`. beside: on pieces, the nodes at the same places by piece."""

    constraint: Constraint
    row: int
    unknown: int
    at: Int[np.ndarray, " points"]
    owners: Int[np.ndarray, " points"]
    beside: Mapping[str, Int[np.ndarray, " points"]] = field(default_factory=dict)


def place(problem: Formulation, grid: Grid, leave: Sequence[Constraint] = ()) -> list[Placed]:
    """All conditions on the faces of space but those to leave. Raises ReferenceUnavailable where
    there are more than the orders allow."""
    if isinstance(problem.domain, SpaceTime) and problem.domain.is_box:
        check_waves(problem, grid)
    rows = sorted(_rows(problem, grid, leave), key=lambda row: row[3])
    owner = np.full((len(problem.unknowns), grid.nodes), -1)
    faces = list(space_faces(problem.domain))
    used: dict[tuple[int, str], np.ndarray] = {}
    placed: list[Placed] = []
    beyond: list[Placed] = []
    for constraint, r, unknown, _ in rows:
        face, name = problem.domain.faces[constraint.face], problem.unknowns[unknown]
        where, order, along = _room(problem, grid, name, face)
        here = grid.face(face)
        wanted = chosen(constraint, problem, grid, here)
        count = used.setdefault((unknown, where), np.zeros(len(here), dtype=int))
        if (count + wanted).max(initial=0) > order:
            lender = _lender(problem, grid, face, unknown, used, owner, wanted)
            if lender is None:
                raise ReferenceUnavailable(
                    f"{constraint.label}: {(count + wanted).max()} conditions on {where}, but"
                    f" {name!r} is of order {along}"
                )
            unknown, order = lender
            count = used.setdefault((unknown, where), np.zeros(len(here), dtype=int))
        count += wanted
        me, target = faces.index(constraint.face), np.full(len(here), -1)
        line = not problem.domain.time and isinstance(grid, Grid) and len(problem.coordinates) == 1
        layers = (order + 1) // 2 if line else order
        for layer in range(layers):
            nodes = grid.face(face, layer)
            free = wanted & (owner[unknown, nodes] < 0)
            target[free] = nodes[free]
            wanted = wanted & (owner[unknown, nodes] == me)
            owner[unknown, nodes[free]] = me
        held = target >= 0
        if held.any():
            placed.append(Placed(constraint, r, unknown, here[held], target[held]))
        elif line:
            beyond.append(Placed(constraint, r, unknown, here, here))
    return placed + [_across(problem, grid, p, owner) for p in beyond]


def _across(problem: Formulation, grid: Grid, placed: Placed, owner: np.ndarray) -> Placed:
    """A condition of more than half of an equation's order at one end of a line, where it replaces
    rows at the other end.

    Rows that are missing at one end alone leave solutions of the differences that grow from node to
    node.
    """
    face = problem.domain.faces[placed.constraint.face]
    (other,) = (
        f
        for f in problem.domain.faces.values()
        if f.coordinate == face.coordinate and f.side != face.side
    )
    layer = 0
    while owner[placed.unknown, grid.face(other, layer)[0]] >= 0:
        layer += 1
    nodes = grid.face(other, layer)
    owner[placed.unknown, nodes] = list(space_faces(problem.domain)).index(face.name)
    return replace(placed, owners=nodes)


def _lender(
    problem: Formulation,
    grid: Grid,
    face: Face,
    unknown: int,
    used: Mapping[tuple[int, str], np.ndarray],
    owner: np.ndarray,
    wanted: np.ndarray,
) -> tuple[int, int] | None:
    """Whose row a condition takes that its unknown's own order has no room for, since the orders of
    all unknowns together count, and how many layers deep it may look for one.

    What has a rate keeps to its own rows, one on each face, as far as waves come in there. Else it
    is the row of another unknown that has room. None where there is none.
    """
    if isinstance(grid, Embedded) or isinstance(problem.domain, Pieces):
        return None
    x, time = str(face.coordinate), problem.domain.time
    where, orders = _room(problem, grid, problem.unknowns[unknown], face)[0], {}
    for v, u in enumerate(problem.unknowns):
        orders[v] = problem.order(u, x)
    if time and problem.order(problem.unknowns[unknown], time):
        here = grid.face(face)
        mine = [count for v in orders if (count := used.get((v, where))) is not None]
        on_face = sum(
            int((owner[v, here] == list(space_faces(problem.domain)).index(face.name)).any())
            for v in orders
        )
        room = sum(int(count.max()) for count in mine) < sum(orders.values())
        free = not (owner[unknown, here][wanted] >= 0).any()
        waves = incoming(problem, grid, face)
        return (unknown, 1) if room and free and waves and on_face < waves else None
    for v, order in orders.items():
        count = used.get((v, where), np.zeros(len(wanted), dtype=int))
        rated = time and problem.order(problem.unknowns[v], time)
        if v != unknown and not rated and (count + wanted).max() <= order:
            return v, order
    return None


def _room(problem: Formulation, grid: Grid, unknown: str, face: Face) -> tuple[str, int, str]:
    """Where the conditions on an unknown share the places that there are, how many of these, and
    why."""
    if isinstance(grid, Embedded):
        order = max(
            sum(index[: len(grid.names)])
            for e in problem.equations
            for u, index in e.needs
            if u == unknown
        )
        return face.name, (order + 1) // 2, f"{order}, which takes {(order + 1) // 2}"
    x = face.coordinate
    assert x is not None
    return (
        f"{x}- and {x}+ together",
        problem.order(unknown, x),
        f"{problem.order(unknown, x)} along {x!r}",
    )


def _rows(
    problem: Formulation, grid: Grid, leave: Sequence[Constraint]
) -> list[tuple[Constraint, int, int, int]]:
    """(constraint, its row, the unknown whose equation it replaces, its order of
    differentiation)."""
    found = []
    for name in space_faces(problem.domain):
        constraints = [
            c
            for c in problem.constraints
            if c.face == name and not any(c is other for other in leave)
        ]
        if not constraints:
            continue
        nodes = grid.face(problem.domain.faces[name])
        at, normal = coordinates_on(problem, grid, name, nodes)
        entries = [
            (c, r, orders)
            for c in constraints
            for r, orders in enumerate(
                orders_of(c.residual, problem.unknowns, dependence(c.residual, at, normal))
            )
        ]
        general = [
            (c, r, orders)
            for c, r, orders in entries
            if c.prescribed is None and (orders >= 0).sum() > 1
        ]
        for c, r, orders in entries:
            if not any(c is g[0] and r == g[1] for g in general):
                if (orders < 0).all():
                    raise ReferenceUnavailable(f"{c.label}: does not depend on any unknown")
                found.append((c, r, int(np.argmax(orders)), int(orders.max())))
        if general:
            taken = np.zeros(len(problem.unknowns))
            for c, _, v, _ in found:
                taken[v] += c.face == name and c.where is None
            gain = np.stack(
                [np.where(orders < 0, -1e3, orders - 10 * taken) for _, _, orders in general]
            )
            which, unknown = scipy.optimize.linear_sum_assignment(
                np.concatenate([gain, gain - 10], 1), maximize=True
            )
            for i, v in zip(which, unknown % len(problem.unknowns), strict=True):
                found.append((general[i][0], general[i][1], int(v), int(general[i][2][v])))
    return found


def orders_of(
    residual: Residual, unknowns: Sequence[str], depends: np.ndarray
) -> Int[np.ndarray, "rows unknowns"]:
    """Highest order of differentiation of each unknown in each row; -1 where the unknown does not
    enter."""
    found = np.full((residual.equations, len(unknowns)), -1)
    for a, (unknown, index) in enumerate(residual.needs):
        v = unknowns.index(unknown)
        found[:, v] = np.where(depends[:, a], np.maximum(found[:, v], sum(index)), found[:, v])
    return found


def match(
    problem: Formulation, equations: Sequence[Residual], unknowns: Sequence[str], at: Values
) -> list[tuple[Residual, int, int]]:
    """(equation, its row, the number of the unknown that it is solved for): by derivatives in time,
    then by the highest in space.

    An equation may be left to an unknown that it does not hold, as ∇·u = 0 is to the pressure.

    Args:
        problem: What is discretised.
        equations: Those of the problem, or of one of its pieces.
        unknowns: The unknowns, or their copies, that live there.
        at: Places by coordinate.

    Raises:
        ReferenceUnavailable: Where there are not as many equations as unknowns.
    """
    entries = [
        (e, r, depends)
        for e in equations
        for r, depends in zip(range(e.equations), dependence(e, at), strict=True)
    ]
    if len(entries) != len(unknowns):
        raise ReferenceUnavailable(
            f"{len(entries)} equations for {len(unknowns)} unknowns: finite differences"
            " take as many of each"
        )
    gain = np.zeros((len(entries),) * 2)
    for i, (e, _, depends) in enumerate(entries):
        for (u, index), held in zip(e.needs, depends, strict=True):
            v, space = unknowns.index(u), len(problem.domain.space)
            if held:
                rate = sum(index[space:]) > 0 and sum(index[space:]) == problem.order(
                    u, str(problem.domain.time)
                )
                gain[i, v] = max(gain[i, v], 10.0 ** (1 + sum(index[:space]) + 4 * rate))
    if len(entries) == 1:  # There is no choice, and scipy.optimize takes long to import.
        return [(entries[0][0], entries[0][1], 0)]
    rows, chosen_for = scipy.optimize.linear_sum_assignment(gain, maximize=True)
    return [(entries[r][0], entries[r][1], int(v)) for r, v in zip(rows, chosen_for, strict=True)]


def coordinates_on(
    problem: Formulation, grid: Grid, face: str, nodes: np.ndarray, time: float | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Coordinates and outward unit normals at nodes of a face; time: by default the start of it."""
    at = {x: v[torch.from_numpy(nodes)] for x, v in grid.points().items()}
    if isinstance(problem.domain, SpaceTime):
        start = problem.domain.bounds[problem.domain.time][0]
        at[problem.domain.time] = torch.full(
            (len(nodes),), start if time is None else time, dtype=torch.float64
        )
    points = torch.stack([at[x] for x in problem.coordinates], 1)
    return at, dict(zip(problem.coordinates, problem.domain.normals(face, points).T, strict=True))


def chosen(
    constraint: Constraint, problem: Formulation, grid: Grid, nodes: np.ndarray
) -> np.ndarray:
    """Which nodes of a face a condition's `where` keeps, bool [nodes]; raises ReferenceUnavailable
    if that changes in time."""
    if constraint.where is None:
        return np.ones(len(nodes), dtype=bool)
    times = (
        np.linspace(*problem.domain.bounds[problem.domain.time], 5)
        if problem.domain.time
        else [None]
    )
    masks = [
        constraint.where(coordinates_on(problem, grid, constraint.face, nodes, t)[0])
        .numpy()
        .astype(bool)
        for t in times
    ]
    if any((mask != masks[0]).any() for mask in masks):
        raise ReferenceUnavailable(
            f"{constraint.label}: where=… changes with time; the finite differences take pieces of"
            " a face that stay"
        )
    return masks[0]
