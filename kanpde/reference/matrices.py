"""The matrix of a system from the partials of its residuals: sparse, where the places of its
entries are found once, or full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual

FULL = 0.3
"""Of a matrix's entries, the part that does not vanish from which on it is full."""


@dataclass
class BlockOfRows:
    """A residual at some nodes, and the rows of the system that it fills.

    Attributes:
        residual: An equation's or a condition's.
        at: Coordinates of the nodes by name.
        normal: Outward normal there, for conditions.
        rows: By equation of the residual: its number, the points that it is taken at, and the rows
            of the system that it fills there.
        stacks: By unknown and order in time: columns of what the residual takes, and the matrices
            of their derivatives in space, stacked.
        applied: The same matrices as they are applied: dense where few of their entries vanish.
        points: How many.
        mean: Whether the points fill one row together, each with its share.
        share: Of each point in that row.
    """

    residual: Residual
    at: dict[str, torch.Tensor]
    normal: Values | None
    rows: list[tuple[int, np.ndarray, np.ndarray]]
    stacks: dict[tuple[int, int], tuple[list[int], sp.csr_matrix]]
    points: int
    applied: dict[tuple[int, int], sp.csr_matrix | np.ndarray]
    mean: bool = False
    share: float = 1.0

    @property
    def width(self) -> int:
        """How many leaves the residual takes."""
        return sum(len(columns) for columns, _ in self.stacks.values())

    @property
    def full(self) -> bool:
        """Whether all of its matrices are."""
        return all(isinstance(matrix, np.ndarray) for matrix in self.applied.values())


class EntryPlaces:
    """Where the entries of a sparse matrix come from.

    Attributes:
        rates: By slope, the order in time of the derivative that it is by.
        slope: By term, the slope that it holds.
        weight: By term, what that is multiplied with.
        starts: By entry, its first term.
        indices: By entry, its row.
        indptr: By column, its first entry.
    """

    def __init__(self, parts: Sequence[BlockOfRows], fixed: sp.csr_matrix, nodes: int):
        """Find them.

        Args:
            parts: All blocks of rows.
            fixed: The rows that no residual fills, [size, size].
            nodes: Of each unknown.
        """
        rows, columns, weight, slope, rates, first = [], [], [], [], [], 0
        for part in parts:
            needs = part.width
            entries = [
                (a, k, v, order, stack)
                for (v, order), (cols, stack) in part.stacks.items()
                for k, a in enumerate(cols)
            ]
            for _, points, owners in part.rows:
                order_of = np.zeros(needs, dtype=int)
                for a, k, v, order, stack in entries:
                    D = stack[k * part.points : (k + 1) * part.points][points].tocoo()
                    rows.append(owners[D.row])
                    columns.append(v * nodes + D.col)
                    weight.append(part.share * D.data)
                    slope.append(first + a * len(points) + D.row)
                    order_of[a] = order
                rates.append(np.repeat(order_of, len(points)))
                first += needs * len(points)
        constant = fixed.tocoo()
        rows.append(constant.row)
        columns.append(constant.col)
        weight.append(constant.data)
        slope.append(np.full(constant.nnz, first))
        size, key = fixed.shape[0], np.concatenate(columns).astype(np.int64)
        key = key * size + np.concatenate(rows)
        by_place = np.argsort(key, kind="stable")
        places, self.starts = np.unique(key[by_place], return_index=True)
        self.rates = np.concatenate([*rates, [0]])
        self.slope = np.concatenate(slope)[by_place]
        self.weight = np.concatenate(weight)[by_place]
        self.indices = (places % size).astype(np.int32)
        self.indptr = np.searchsorted(places // size, np.arange(size + 1)).astype(np.int32)


def filled(
    parts: Sequence[BlockOfRows], fixed: sp.csr_matrix, nodes: int, slopes: np.ndarray
) -> list[np.ndarray]:
    """The matrices ∂r/∂U, ∂r/∂U' and ∂r/∂U'' where those of derivatives are full.

    Args:
        parts: All blocks of rows, which are `full`.
        fixed: The rows that no residual fills, [size, size].
        nodes: Of each unknown.
        slopes: Partials of all residuals, block by block.
    """
    first = 0
    found = [fixed.toarray(), np.zeros(fixed.shape), np.zeros(fixed.shape)]
    for part in parts:
        for _, points, owners in part.rows:
            for (v, order), (columns, _) in part.stacks.items():
                at = slice(v * nodes, (v + 1) * nodes)
                for k, a in enumerate(columns):
                    begin = first + a * len(points)
                    mine = slopes[begin : begin + len(points), None]
                    D = part.applied[v, order][k * part.points + points]
                    terms = part.share * mine * D
                    if part.mean:
                        found[order][owners[0], at] += terms.sum(0)
                    else:
                        found[order][owners, at] += terms
            first += part.width * len(points)
    return found


def dense_if_full(matrix: sp.csr_matrix) -> sp.csr_matrix | np.ndarray:
    """The same matrix, whose products are faster as a dense one where few entries vanish.

    Args:
        matrix: Sparse.
    """
    return matrix.toarray() if matrix.nnz > FULL * np.prod(matrix.shape) else matrix
