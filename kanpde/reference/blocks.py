"""Equations and conditions on a grid: blocks of rows, built of their residuals and evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from kanpde.errors import ReferenceUnavailable
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.reference.assembly import evaluate
from kanpde.reference.boundary import coordinates_on
from kanpde.reference.elsewhere import far_columns, with_rule_of
from kanpde.reference.grid import Grid
from kanpde.reference.matrices import BlockOfRows, dense_if_full
from kanpde.reference.patchwork import Patchwork
from kanpde.reference.work import Work
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual


@dataclass(frozen=True)
class BlocksOnGrid:
    """Makes and evaluates the blocks of a system.

    Attributes:
        problem: What is discretised.
        grid: Of its space.
        number: Of each copy of an unknown, that of the unknown.
        work: What counts the operations.
    """

    problem: Formulation
    grid: Grid
    number: Mapping[str, int]
    work: Work

    def of_equation(
        self, equation: Residual, rows: list[tuple[int, np.ndarray, int]]
    ) -> BlockOfRows:
        """An equation at the nodes where it holds.

        Args:
            equation: Its residual.
            rows: By row of the equation: its number, the nodes where it holds, and the number of
                the unknown that it is solved for.
        """
        N = self.grid.nodes
        nodes = np.unique(np.concatenate([at for _, at, _ in rows]))
        return self.build(
            equation,
            nodes,
            None,
            [(r, np.searchsorted(nodes, at), v * N + at) for r, at, v in rows],
        )

    def build(
        self,
        residual: Residual,
        nodes: np.ndarray,
        normal: Values | None,
        rows: list[tuple[int, np.ndarray, np.ndarray]],
        beside: Mapping[str, np.ndarray] | None = None,
    ) -> BlockOfRows:
        """A residual at nodes.

        Args:
            residual: An equation's or a condition's.
            nodes: Of the grid.
            normal: Outward normal there, for conditions.
            rows: As in `BlockOfRows`.
            beside: On pieces, the nodes at the same places by piece.
        """
        space = len(self.grid.names)
        groups: dict[tuple[int, int], list[int]] = {}
        residual = with_rule_of(self.grid, residual)
        at = {x: v[torch.from_numpy(nodes)] for x, v in self.grid.points().items()}
        for a, (u, index) in enumerate(residual.needs):
            groups.setdefault((self.number[u], sum(index[space:])), []).append(a)

        def where(unknown: str) -> np.ndarray:
            if beside is None or not isinstance(self.grid, Patchwork):
                return nodes
            return beside[self.grid.pieces.home(unknown)]

        stacks = {
            key: (
                columns,
                sp.vstack(
                    [
                        self.grid.derivative(index[:space])[where(u)]
                        for u, index in (residual.needs[a] for a in columns)
                    ],
                    format="csr",
                ),
            )
            for key, columns in groups.items()
        }
        width = len(residual.needs)
        residual, far = far_columns(self.problem, self.grid, residual, at, normal)
        for u, rate, rows_there in far:
            columns = [*range(width, width + rows_there.shape[0] // len(nodes))]
            width += len(columns)
            known, stack = stacks.get((self.number[u], rate), ([], None))
            both = rows_there if stack is None else sp.vstack([stack, rows_there], format="csr")
            stacks[self.number[u], rate] = [*known, *columns], both
        return BlockOfRows(
            residual,
            at,
            normal,
            rows,
            stacks,
            len(nodes),
            {key: dense_if_full(stack) for key, (_, stack) in stacks.items()},
        )

    def evaluated(
        self, part: BlockOfRows, fields: Sequence[np.ndarray], t: np.ndarray | None, partials: bool
    ):
        """The values of a residual at its points, and its partials if they are asked for, at some
        instants at once.

        Args:
            part: What is evaluated.
            fields: U and its derivatives in time, [size, instants] each.
            t: The instants, for an evolution.
            partials: Whether they are asked for.
        """
        stages, N = fields[0].shape[1], self.grid.nodes
        leaves = np.empty((part.points, stages, part.width))
        for (v, order), (columns, _) in part.stacks.items():
            leaves[:, :, columns] = np.moveaxis(
                (part.applied[v, order] @ fields[order][v * N : (v + 1) * N]).reshape(
                    len(columns), part.points, stages
                ),
                0,
                -1,
            )
        at, normal = part.at, part.normal
        if stages > 1:
            at = {x: v.repeat_interleave(stages) for x, v in at.items()}
            normal = (
                None
                if normal is None
                else {x: v.repeat_interleave(stages) for x, v in normal.items()}
            )
        if t is not None:
            time = self.problem.domain.time
            assert time is not None
            at = {**at, time: torch.from_numpy(np.tile(t, part.points))}
        self.work.evaluated(leaves.size, partials)
        return evaluate(part.residual, at, leaves.reshape(-1, leaves.shape[-1]), normal, partials)

    def of_total(self, constraint: Constraint, row: int) -> BlockOfRows:
        """The row of a condition that holds for the whole, at any node of its face.

        Args:
            constraint: The condition.
            row: Of the system.
        """
        nodes = self.grid.face(self.problem.domain.faces[constraint.face])[:1]
        normal = coordinates_on(self.problem, self.grid, constraint.face, nodes)[1]
        rows = [(0, np.arange(1), np.array([row]))]
        return self.build(constraint.residual, nodes, normal, rows)

    def mean(self, pin: Constraint, row: int, many: int) -> BlockOfRows:
        """A condition that pins the constant of a pressure, in the mean over its nodes.

        Args:
            pin: The condition.
            row: Of the system.
            many: How many conditions share it.

        Raises:
            ReferenceUnavailable: It holds at no node.
        """
        nodes = self.grid.face(self.problem.domain.faces[pin.face])
        if pin.where is not None:
            nodes = nodes[
                pin.where(coordinates_on(self.problem, self.grid, pin.face, nodes)[0])
                .numpy()
                .astype(bool)
            ]
        if not len(nodes):
            raise ReferenceUnavailable(
                f"{pin.label}: where=… keeps no node of {pin.face}; make the piece larger"
            )
        normal = coordinates_on(self.problem, self.grid, pin.face, nodes)[1]
        part = self.build(
            pin.residual, nodes, normal, [(0, np.arange(len(nodes)), np.full(len(nodes), row))]
        )
        part.mean, part.share = True, 1.0 / (many * len(nodes))
        return part
