"""Conditions of finite elements: values at nodes, and derivatives that are tested on faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from kanpde.errors import ReferenceUnavailable, listed
from kanpde.geometry import Pieces
from kanpde.geometry.regions import Contact
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import space_faces
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import dependence
from kanpde.reference.elements import ElementGrid
from kanpde.reference.fluxes import Equation, along_edges, timed
from kanpde.reference.sampled import Numbering, Sampling, columns
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual

SidedUnknown = tuple[int, int]
"""On which side of an interface it lives, 0 or 1, and the number of an unknown."""


@dataclass(frozen=True)
class Tied:
    """A condition on the values of two unknowns, one on each side of an interface.

    Attributes:
        constraint: The condition.
        row: Of its residual.
        first: The number of the unknown on the first side.
        second: That of the one on the other side.
    """

    constraint: Constraint
    row: int
    first: int
    second: int


@dataclass(frozen=True)
class TestedFace:
    """Edges at a face, where conditions are tested.

    Attributes:
        normal: Outward; where two pieces meet, of the first.
        weights: Of quadrature, times lengths.
        equations: There.
        rows: Conditions, and the row of each.
        unknowns: Whose test functions they are for, and which have no value given.
        holds: Where this set of conditions holds.
        tied: Conditions on the values of both sides.
        nodes: Of each side, in the same order, where two pieces meet.
        crossed: The unknowns of the second of these.
    """

    normal: Float[np.ndarray, "edges points 2"]
    weights: Float[np.ndarray, "edges points"]
    equations: dict[Residual, Sampling]
    rows: list[tuple[Sampling, int]]
    unknowns: list[SidedUnknown]
    holds: Bool[np.ndarray, "edges points"]
    tied: list[Tied] = field(default_factory=list)
    nodes: tuple[Int[np.ndarray, " nodes"], ...] = ()
    crossed: frozenset[str] = frozenset()

    def equation(
        self, unknown: SidedUnknown, every: Sequence[Equation]
    ) -> tuple[Sampling, Equation]:
        """The equation that an unknown is solved for there.

        Args:
            unknown: One of them, or one that is tied.
            every: All equations.
        """
        for one in every:
            sampled = self.equations.get(one.residual)
            if sampled is not None and (sampled.on, one.unknown) == unknown:
                return sampled, one
        raise ReferenceUnavailable("an unknown on a face has no equation there")


@dataclass(frozen=True)
class Given:
    """Values of an unknown at nodes, by one row of a condition.

    Attributes:
        residual: Of the condition.
        row: Of the residual.
        rows: Of the system, one a node, or the same for all where it holds in the mean.
        share: By which they are multiplied.
        nodes: Where it is taken.
        at: Their coordinates.
        normal: Outward there.
        beside: The nodes of another piece at the same places.
        crossed: The unknowns of that piece.
    """

    residual: Residual
    row: int
    rows: Int[np.ndarray, " nodes"]
    share: float
    nodes: Int[np.ndarray, " nodes"]
    at: Values
    normal: Values
    beside: Int[np.ndarray, " nodes"] | None = None
    crossed: frozenset[str] = frozenset()

    def nodes_of(self, unknown: str) -> Int[np.ndarray, " nodes"]:
        """Where an unknown is taken.

        Args:
            unknown: Its name.
        """
        return self.nodes if self.beside is None or unknown not in self.crossed else self.beside


class FaceConditions:
    """The conditions of a problem on the faces of space.

    Args:
        problem: What is discretised.
        grid: The elements.
        numbering: Of the system.
        equations: Of the problem.
        free: Which nodes have an equation for an unknown, [unknowns, nodes]; those where values are
            given have none afterwards.
        leave: Conditions that are placed elsewhere.

    Attributes:
        given: Values at nodes.
        sides: What is tested on faces.

    Raises:
        ReferenceUnavailable: Where they do not fit the unknowns.
    """

    def __init__(
        self,
        problem: Formulation,
        grid: ElementGrid,
        numbering: Numbering,
        equations: Sequence[Equation],
        free: Bool[np.ndarray, "unknowns nodes"],
        leave: Sequence[Constraint],
    ):
        self._problem, self._grid, self._numbering = problem, grid, numbering
        self._equations, self._free = equations, free
        self.given: list[Given] = []
        self.sides: list[TestedFace] = []
        contacts = grid.domain.contacts if isinstance(grid.domain, Pieces) else {}
        for face in space_faces(problem.domain):
            if face not in contacts:
                self._on_face(face, leave)
        for contact in contacts.values():
            self._on_contact(contact)

    def _on_face(self, face: str, leave: Sequence[Constraint]) -> None:
        """Place the conditions of a face."""
        grid, problem = self._grid, self._problem
        edges, nodes = self._edges_on(face), self._nodes_on(face)
        constraints = [
            c for c in problem.constraints if c.face == face and not any(c is p for p in leave)
        ]
        table, normal, weights = along_edges(grid, edges, grid.mesh.f2t[0, edges])
        given = np.zeros((len(problem.unknowns), *weights.shape), dtype=bool)
        tested: list[tuple[Constraint, int, np.ndarray]] = []
        for c in constraints:
            if c.residual.afar:
                raise ReferenceUnavailable(
                    f"{c.label}: holds an integral or a value at another place; finite elements do"
                    " not take these"
                )
            at = columns(grid.names, table.at)
            held = dependence(c.residual, timed(self._problem, at), self._numbering.normals(normal))
            for row in range(c.residual.equations):
                order, names = self._order(c, held[row])
                unknowns = [self._numbering.number[u] for u in names]
                holds = self._holds(c, at).reshape(weights.shape)
                if order == 0 and len(unknowns) == 1:
                    given[unknowns[0]] |= holds
                    self._give(c, row, unknowns[0], nodes)
                elif order == 1:
                    tested.append((c, row, holds))
                else:
                    raise ReferenceUnavailable(
                        f"{c.label}: is of order {order} in {len(unknowns)} unknowns; finite"
                        " elements take values of one unknown, and first derivatives"
                    )
        self._test(face, table, normal, weights, given, tested)

    def _on_contact(self, contact: Contact) -> None:
        """Place the conditions where two pieces meet. Raises ReferenceUnavailable."""
        grid, face = self._grid, contact.name
        assert isinstance(grid.domain, Pieces)
        names = list(grid.domain.regions)
        pieces = [names.index(region.name) for region in (contact.first, contact.second)]
        edges = [self._edges_on(face, piece) for piece in pieces]
        edges[1] = edges[1][grid.facing(*edges)]
        (table, normal, weights), (beside, _, _) = (
            along_edges(grid, e, grid.mesh.f2t[0, e]) for e in edges
        )
        vertices = grid.mesh.p.shape[1]
        nodes = [np.concatenate([*grid.mesh.facets[:, e], vertices + e]) for e in edges]
        once = np.unique(nodes[0], return_index=True)[1]
        first, second = (every[once] for every in nodes)
        crossed = frozenset(u for u in self._problem.copies if names[pieces[1]] == grid.home(u))
        at, normals = columns(grid.names, table.at), self._numbering.normals(normal)
        rows, tied, alone = [], [], []
        for c in (c for c in self._problem.constraints if c.face == face):
            sampled = Sampling(
                c.residual, table, self._numbering, normal, beside=beside, crossed=crossed
            )
            held = dependence(c.residual, timed(self._problem, at), normals)
            for row in range(c.residual.equations):
                order, copies = self._order(c, held[row])
                sides = [int(u in crossed) for u in copies]
                numbers = [self._numbering.number[u] for u in copies]
                if order == 0 and sides in ([0], [1]):
                    alone.append((sides[0], numbers[0]))
                    self._give(c, row, numbers[0], (first, second)[sides[0]])
                elif order == 0 and sorted(sides) == [0, 1]:
                    i, j = sides.index(0), sides.index(1)
                    tied.append(Tied(c, row, numbers[i], numbers[j]))
                elif order == 1:
                    rows.append((sampled, row))
                else:
                    raise ReferenceUnavailable(
                        f"{c.label}: is of order {order} in {listed(copies)}; finite elements"
                        " take values of one unknown on each side, and first derivatives"
                    )
        equations = {
            one.residual: Sampling(one.residual, where, self._numbering, normal, on=side)
            for side, where in enumerate((table, beside))
            for one in self._equations
            if one.piece == pieces[side]
        }
        left = [*alone, *((1, one.second) for one in tied)]
        unknowns = [v for v in self._diffused(equations) if v not in left]
        if not rows or len(rows) != len(unknowns):
            raise ReferenceUnavailable(
                f"{face}: {len(rows)} conditions with derivatives for {len(unknowns)} unknowns"
                " without values; finite elements take as many of each"
            )
        holds = np.ones(weights.shape, dtype=bool)
        self.sides.append(
            TestedFace(
                normal, weights, equations, rows, unknowns, holds, tied, (first, second), crossed
            )
        )

    def tie(
        self, face: TestedFace, one: Tied, kept: Bool[np.ndarray, " nodes"], rows: np.ndarray
    ) -> None:
        """Let a condition take rows of the system.

        Args:
            face: Where two pieces meet.
            one: The condition.
            kept: At which of the nodes it does.
            rows: Which, one a node that is kept.
        """
        first, second = (nodes[kept] for nodes in face.nodes)
        found = self._value(one.constraint, one.row, first, rows, 1.0)
        self.given.append(replace(found, beside=second, crossed=face.crossed))

    def _order(self, c: Constraint, held: np.ndarray) -> tuple[int, list[str]]:
        """The order in space of a condition's row, and the unknowns that it depends on."""
        leaves = [leaf for leaf, on in zip(c.residual.needs, held, strict=True) if on]
        if not leaves:
            raise ReferenceUnavailable(f"{c.label}: does not depend on any unknown")
        order = max(sum(self._numbering.split(index)[0]) for _, index in leaves)
        return order, sorted({u for u, _ in leaves})

    def _holds(self, c: Constraint, at: Values) -> Bool[np.ndarray, " points"]:
        if c.where is None:
            return np.ones(len(next(iter(at.values()))), dtype=bool)
        domain = self._problem.domain
        times = np.linspace(*domain.bounds[domain.time], 5) if domain.time else [None]
        masks = [c.where(timed(self._problem, at, t)).numpy().astype(bool) for t in times]
        if any((mask != masks[0]).any() for mask in masks):
            raise ReferenceUnavailable(f"{c.label}: where=… changes with time")
        return masks[0]

    def _give(self, c: Constraint, row: int, unknown: int, nodes: np.ndarray) -> None:
        """A condition takes the rows of nodes that no other one has taken."""
        nodes = nodes[self._free[unknown, nodes]]
        nodes = nodes[self._holds(c, columns(self._grid.names, self._grid.places[nodes]))]
        self._free[unknown, nodes] = False
        self.given.append(self._value(c, row, nodes, unknown * self._grid.nodes + nodes, 1.0))

    def _value(
        self, c: Constraint, row: int, nodes: np.ndarray, rows: np.ndarray, share: float
    ) -> Given:
        """A condition's row at nodes of its face."""
        places = self._grid.places[nodes]
        normals = self._grid.domain.normals(c.face, torch.from_numpy(places)).numpy()
        at, normal = columns(self._grid.names, places), self._numbering.normals(normals)
        return Given(c.residual, row, rows, share, nodes, at, normal)

    def _nodes_on(self, face: str) -> Int[np.ndarray, " nodes"]:
        """Numbers of the nodes of a face."""
        mesh, edges = self._grid.mesh, self._edges_on(face)
        return np.unique(np.concatenate([mesh.facets[:, edges].ravel(), mesh.p.shape[1] + edges]))

    def _edges_on(self, face: str, piece: int | None = None) -> Int[np.ndarray, " edges"]:
        """Numbers of the edges of a face; where pieces meet, those of one of them."""
        found = self._grid.rim[[name == face for name in self._grid.faces]]
        if piece is not None:
            found = found[self._grid.piece[self._grid.mesh.f2t[0, found]] == piece]
        if not len(found):
            raise ReferenceUnavailable(f"no edge of the mesh lies on {face}")
        return found

    def _test(self, face: str, table, normal, weights, given: np.ndarray, tested: list) -> None:
        """Conditions on derivatives, wherever the same ones hold and the same values are given."""
        sampled = {
            id(c): Sampling(c.residual, table, self._numbering, normal) for c, _, _ in tested
        }
        piece = self._grid.node_pieces[table.nodes[0, 0]]
        equations = {
            one.residual: Sampling(one.residual, table, self._numbering, normal)
            for one in self._equations
            if one.piece == piece
        }
        diffused = self._diffused(equations)
        patterns = np.concatenate([given, [holds for _, _, holds in tested]]) if tested else given
        every, which = np.unique(patterns.reshape(len(patterns), -1).T, axis=0, return_inverse=True)
        for k, pattern in enumerate(every):
            values, rows = pattern[: len(given)], pattern[len(given) :]
            unknowns = [(side, v) for side, v in diffused if not values[v]]
            here = [
                (sampled[id(c)], row) for (c, row, _), on in zip(tested, rows, strict=True) if on
            ]
            if len(here) != len(unknowns):
                raise ReferenceUnavailable(
                    f"{face}: {len(here)} conditions with derivatives for {len(unknowns)} unknowns"
                    " without values; finite elements take as many of each"
                )
            if here:
                holds = (which.ravel() == k).reshape(weights.shape)
                self.sides.append(TestedFace(normal, weights, equations, here, unknowns, holds))

    def _diffused(self, equations: dict[Residual, Sampling]) -> list[SidedUnknown]:
        """The unknowns whose equations hold their second derivatives."""
        found = set()
        for one in self._equations:
            sampled = equations.get(one.residual)
            if sampled is None:
                continue
            held = dependence(
                one.residual, timed(self._problem, columns(self._grid.names, sampled.table.at))
            )
            for (u, index), on in zip(one.residual.needs, held[one.row], strict=True):
                second = sum(self._numbering.split(index)[0]) == 2
                if on and second and self._numbering.number[u] == one.unknown:
                    found.add((sampled.on, one.unknown))
        return sorted(found)

    def pin(self, pins: Sequence[Constraint], row: int) -> bool:
        """Conditions that pin the constant of a pressure hold in the mean.

        Args:
            pins: The conditions.
            row: Of the system that says so.

        Returns:
            Whether there are any.
        """
        for pin in pins:
            nodes = self._nodes_on(pin.face)
            nodes = nodes[self._holds(pin, columns(self._grid.names, self._grid.places[nodes]))]
            if not len(nodes):
                raise ReferenceUnavailable(f"{pin.label}: where=… keeps no node of {pin.face}")
            share = 1 / (len(pins) * len(nodes))
            self.given.append(self._value(pin, 0, nodes, np.full(len(nodes), row), share))
        return bool(pins)
