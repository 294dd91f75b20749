"""Functions that vanish on a face and are positive inside: R-functions (Rvachev; Shapiro 2007, Acta
Numerica 16; Sukumar and Srivastava 2022).

All are normalised to first order: the gradient has length 1 on the face. Columns are the
coordinates of points, [points] each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from torch import Tensor

Columns = Sequence[Tensor] | Tensor
"""The coordinates of some points, [points] each; or [dims, points]."""

Level = Callable[[Columns], Tensor]
"""A function of points, [points]."""

SMALLEST_SUMMAND = 1e-300
"""Keeps roots and quotients from 0/0; far below rounding of anything else."""


@dataclass(frozen=True)
class Implicit:
    """Zero on a face, positive inside the domain, with a gradient of length 1 on the face; called
    with columns it returns [points].

    Where two parts vanish, at a corner, only their product is smooth.

    Attributes:
        parts: Of the pieces of the face, functions of the same kind that it joins.
        smooth: Whether all derivatives of the parts, and so of their product, exist in the domain
            and up to the face; else they grow without bound towards ends of pieces.
    """

    parts: tuple[Level, ...]
    smooth: bool

    def __call__(self, columns: Columns) -> Tensor:
        return joined([part(columns) for part in self.parts])


def trimmed(level: Tensor, trim: Tensor) -> Tensor:
    """Zero only where `level` is and `trim` is not negative: distance to a piece of a curve, smooth
    but on the piece and at its ends (Sukumar and Srivastava 2022, equation 4).

    Args:
        level: A normalised function that vanishes on the curve, [points].
        trim: A normalised function that is positive on the piece, [points].
    """
    beyond = ((trim**2 + level**4 + SMALLEST_SUMMAND).sqrt() - trim) / 2
    return (level**2 + beyond**2 + SMALLEST_SUMMAND).sqrt()


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Zero where any of the parts is, which are not negative: 1/ω = Σ 1/ω_i, in a form that is
    finite where one is zero."""
    return reduce(lambda a, b: a * b / (a + b + SMALLEST_SUMMAND), parts)


def either(a: Tensor, b: Tensor) -> Tensor:
    """Positive where one of the two is: a + b + √(a² + b²), smooth but where both vanish."""
    return a + b + (a**2 + b**2 + SMALLEST_SUMMAND).sqrt()
