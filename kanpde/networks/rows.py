"""Rows of a Jacobian, kept as the runs of columns that are not zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kanpde.kernels import (
    runs_gram,
    runs_normal,
    runs_pulled,
    runs_times,
    runs_transposed_times,
)
from kanpde.kernels.runs import dense


@dataclass(frozen=True)
class Rows:
    """A matrix [rows, columns] by its runs (see kernels/runs.py).

    Attributes:
        values: The entries of all runs, [rows, Σ lengths].
        starts: The column in which each run begins, [rows, runs].
        lengths: How many columns each run has, the same in all rows.
        columns: How many columns the matrix has.
    """

    values: Float[Tensor, "rows entries"]
    starts: Int[Tensor, "rows runs"]
    lengths: tuple[int, ...]
    columns: int

    @staticmethod
    def full(matrix: Float[Tensor, "rows columns"]) -> Rows:
        """A matrix without zeros: one run a row.

        Args:
            matrix: The matrix, [rows, columns].
        """
        lengths = (matrix.shape[1],) if matrix.shape[1] else ()
        return Rows(
            matrix,
            torch.zeros(len(matrix), len(lengths), dtype=torch.int64, device=matrix.device),
            lengths,
            matrix.shape[1],
        )

    @staticmethod
    def beside(parts: Sequence[Rows]) -> Rows:
        """Matrices with the same rows, side by side.

        Args:
            parts: The matrices, from left to right.
        """
        starts, columns = [], 0
        for part in parts:
            starts.append(part.starts + columns)
            columns += part.columns
        return Rows(
            torch.cat([p.values for p in parts], 1),
            torch.cat(starts, 1),
            sum((p.lengths for p in parts), ()),
            columns,
        )

    @staticmethod
    def below(parts: Sequence[Rows]) -> Rows:
        """Matrices with the same runs, one below the other.

        Args:
            parts: The matrices, from top to bottom.
        """
        if len(parts) == 1:
            return parts[0]
        return Rows(
            torch.cat([p.values for p in parts]),
            torch.cat([p.starts for p in parts]),
            parts[0].lengths,
            parts[0].columns,
        )

    def dense(self) -> Float[Tensor, "rows columns"]:
        """The matrix with its zeros."""
        return dense(self.values, self.starts, self.lengths, self.columns)

    def __matmul__(self, v: Float[Tensor, " columns"]) -> Float[Tensor, " rows"]:
        return runs_times(self.values, self.starts, self.lengths, v)

    def transposed_times(self, r: Float[Tensor, " rows"]) -> Float[Tensor, " columns"]:
        """Jᵀ r.

        Args:
            r: A vector, [rows].

        Returns:
            The product, [columns].
        """
        return runs_transposed_times(self.values, self.starts, self.lengths, self.columns, r)

    def gram(self) -> Float[Tensor, "columns columns"]:
        """JᵀJ below and on the diagonal, which is all that Cholesky reads; what stands above is not
        set."""
        return runs_gram(self.values, self.starts, self.lengths, self.columns)

    def normal(
        self, r: Float[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "columns columns"], Float[Tensor, " columns"], Float[Tensor, ""]]:
        """JᵀJ as `gram` gives it, Jᵀr and r·r.

        Args:
            r: A vector, [rows].
        """
        return runs_normal(self.values, self.starts, self.lengths, self.columns, r)

    def pulled(
        self, v: Float[Tensor, " columns"], a: Float[Tensor, " rows"], factor: float
    ) -> Float[Tensor, " columns"]:
        """Jᵀ (factor (a - J v)).

        Args:
            v: A vector, [columns].
            a: A vector, [rows].
            factor: A number.

        Returns:
            The product, [columns].
        """
        return runs_pulled(self.values, self.starts, self.lengths, v, a, factor)
