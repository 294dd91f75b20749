"""Conditions of finite elements: values at nodes, and derivatives that are tested on faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import space_faces
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import dependence
from kanpde.reference.elements import ElementGrid
from kanpde.reference.fluxes import Equation, along_edges, timed
from kanpde.reference.sampled import Numbering, Sampling, columns
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual


@dataclass(frozen=True)
class TestedFace:
    """Edges at a face, where conditions are tested.

    Attributes:
        normal: Outward.
        weights: Of quadrature, times lengths.
        equations: There.
        rows: Conditions, and the row of each.
        unknowns: Whose test functions they are for, and which have no value given.
        holds: Where this set of conditions holds.
    """

    normal: Float[np.ndarray, "edges points 2"]
    weights: Float[np.ndarray, "edges points"]
    equations: dict[Residual, Sampling]
    rows: list[tuple[Sampling, int]]
    unknowns: list[int]
    holds: Bool[np.ndarray, "edges points"]


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
    """

    residual: Residual
    row: int
    rows: Int[np.ndarray, " nodes"]
    share: float
    nodes: Int[np.ndarray, " nodes"]
    at: Values
    normal: Values


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
        for face in space_faces(problem.domain):
            self._on_face(face, leave)

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
            held = dependence(c.residual, timed(self._problem, at), columns(grid.names, normal))
            for row in range(c.residual.equations):
                order, unknowns = self._order(c, held[row])
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

    def _order(self, c: Constraint, held: np.ndarray) -> tuple[int, list[int]]:
        """The order in space of a condition's row, and the unknowns that it depends on."""
        leaves = [leaf for leaf, on in zip(c.residual.needs, held, strict=True) if on]
        if not leaves:
            raise ReferenceUnavailable(f"{c.label}: does not depend on any unknown")
        order = max(sum(self._numbering.split(index)[0]) for _, index in leaves)
        return order, sorted({self._numbering.number[u] for u, _ in leaves})

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
        at, normal = (columns(self._grid.names, part) for part in (places, normals))
        return Given(c.residual, row, rows, share, nodes, at, normal)

    def _nodes_on(self, face: str) -> Int[np.ndarray, " nodes"]:
        """Numbers of the nodes of a face."""
        mesh, edges = self._grid.mesh, self._edges_on(face)
        return np.unique(np.concatenate([mesh.facets[:, edges].ravel(), mesh.p.shape[1] + edges]))

    def _edges_on(self, face: str) -> Int[np.ndarray, " edges"]:
        """Numbers of the edges of a face."""
        found = self._grid.rim[[name == face for name in self._grid.faces]]
        if not len(found):
            raise ReferenceUnavailable(f"no edge of the mesh lies on {face}")
        return found

    def _test(self, face: str, table, normal, weights, given: np.ndarray, tested: list) -> None:
        """Conditions on derivatives, wherever the same ones hold and the same values are given."""
        sampled = {
            id(c): Sampling(c.residual, table, self._numbering, normal) for c, _, _ in tested
        }
        equations = {
            one.residual: Sampling(one.residual, table, self._numbering, normal)
            for one in self._equations
        }
        diffused = self._diffused(equations)
        patterns = np.concatenate([given, [holds for _, _, holds in tested]]) if tested else given
        every, which = np.unique(patterns.reshape(len(patterns), -1).T, axis=0, return_inverse=True)
        for k, pattern in enumerate(every):
            values, rows = pattern[: len(given)], pattern[len(given) :]
            unknowns = [v for v in diffused if not values[v]]
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

    def _diffused(self, equations: dict[Residual, Sampling]) -> list[int]:
        """The unknowns whose equations hold their second derivatives."""
        found = []
        for one in self._equations:
            sampled = equations[one.residual]
            held = dependence(
                one.residual, timed(self._problem, columns(self._grid.names, sampled.table.at))
            )
            for (u, index), on in zip(one.residual.needs, held[one.row], strict=True):
                second = sum(self._numbering.split(index)[0]) == 2
                if on and second and self._numbering.number[u] == one.unknown:
                    found.append(one.unknown)
        return sorted(set(found))

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
