"""The Jacobian of an objective by blocks of points, where all of its rows together would take too
much memory.

JᵀJ and Jᵀr are sums over points, so that a block is made, used and forgotten. It is made again
wherever J is needed again: twice a step of Levenberg-Marquardt in place of once, and once more a
further trial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.networks.rows import Rows
from kanpde.training.objective import Objective, Term

ROOM = 256 * 2**20
"""Bytes that the rows of a Jacobian may take at a time. It is no matter of the machine: sums over
other blocks end in other last bits."""

ROOM_ON_GPU = 4 * 2**30
"""The same on a GPU, which makes rows faster than it makes them twice."""


@dataclass(frozen=True)
class Block:
    """Some points of a term, with their rows of the Jacobian.

    Attributes:
        term: Number of the term.
        points: Where the points are among those of the term.
        rows: Their rows, one object an equation.
    """

    term: int
    points: slice
    rows: list[Rows]


class Blocks:
    """As Rows, for the rows of an objective at the network's present parameters.

    They stay those at these parameters, wherever the network moves meanwhile.

    Args:
        objective: The objective.
        points: Points of a block, term by term.
    """

    def __init__(self, objective: Objective, points: list[int]):
        self.network, self.terms, self.points = replace(objective.network), objective.terms, points
        self.shapes = [(t.equations, len(t.frame.points)) for t in self.terms]

    def blocks(self) -> Iterator[Block]:
        """One after another, each made when it is asked for."""
        for i, (t, size) in enumerate(zip(self.terms, self.points, strict=True)):
            for begin in range(0, len(t.frame.points), size):
                at = slice(begin, begin + size)
                yield Block(i, at, t.part(at, self.network).jacobian(self.network)[1])

    def normal(
        self, r: Float[Tensor, " rows"]
    ) -> tuple[
        Float[Tensor, "parameters parameters"], Float[Tensor, " parameters"], Float[Tensor, ""]
    ]:
        """The normal matrix, the right side that belongs to it, and the sum of squares.

        Args:
            r: The residuals [rows].

        Returns:
            JᵀJ [parameters, parameters], which is right below and on the diagonal, Jᵀr
            [parameters], and r·r.
        """
        matrix, slope, by_term = (
            r.new_zeros(len(self.network.theta), len(self.network.theta)),
            torch.zeros_like(self.network.theta),
            self._split(r),
        )
        for block in self.blocks():
            for rows, own in zip(block.rows, by_term[block.term][:, block.points], strict=True):
                own_matrix, own_slope, _ = rows.normal(own.contiguous())
                matrix += own_matrix
                slope += own_slope
        return matrix, slope, r @ r

    def pulled(
        self, v: Float[Tensor, " parameters"], a: Float[Tensor, " rows"], factor: float
    ) -> Float[Tensor, " parameters"]:
        """Jᵀ (factor (a - J v)).

        Args:
            v: A step of the parameters [parameters].
            a: One number for each row [rows].
            factor: By which the difference is multiplied.
        """
        found, by_term = torch.zeros_like(self.network.theta), self._split(a)
        for block in self.blocks():
            for rows, own in zip(block.rows, by_term[block.term][:, block.points], strict=True):
                found += rows.pulled(v, own, factor)
        return found

    def _split(self, r: Float[Tensor, " rows"]) -> list[Float[Tensor, "_equations _points"]]:
        """Rows term by term."""
        parts = torch.split(r, [equations * points for equations, points in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def linear(objective: Objective) -> tuple[Float[Tensor, " rows"], Rows | Blocks]:
    """The rows of an objective and their derivatives by the parameters.

    Args:
        objective: The objective.

    Returns:
        The rows [rows], and their derivatives, by blocks where they take more than ROOM,
        on a GPU more than ROOM_ON_GPU.
    """
    theta = objective.network.theta
    room = ROOM_ON_GPU if theta.is_cuda else ROOM
    if objective.whole or objective.rows * theta.numel() * theta.element_size() <= room:
        return objective.jacobian()
    sizes = [bytes_a_point(t, objective) for t in objective.terms]
    if (
        sum(size * len(t.frame.points) for size, t in zip(sizes, objective.terms, strict=True))
        <= room
    ):
        return objective.jacobian()
    return objective.residuals(), Blocks(objective, [max(1, room // size) for size in sizes])


def bytes_a_point(t: Term, objective: Objective) -> int:
    """Bytes that the rows of a term's Jacobian take for one point.

    Args:
        t: The term.
        objective: The objective that it belongs to.
    """
    if not len(t.frame.points):
        return 1
    _, rows = t.part(slice(0, 1), objective.network).jacobian(objective.network)
    return sum(J.values.nbytes + J.starts.nbytes for J in rows)
