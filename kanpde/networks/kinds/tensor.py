"""Tensor products of splines: u = Σ c_ij… B_i(x) B_j(y)…, whose cells and spans of time follow the
error, up to a tolerance.

As a network it is one level of multiplication nodes (Liu et al. 2024b, KAN 2.0) whose edges are the
functions of a basis; in substance, least squares by splines in space and time. It is found by
refinement (see training/refinement.py), so that it has no layers, and no schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kanpde.errors import RecipeError
from kanpde.networks.kind import NetworkKind

RANGES = {"degree": (3, 9), "modes": (3, 31), "cells": (8, 100_000)}
"""What the settings may be."""


@dataclass(frozen=True)
class Tensor(NetworkKind):
    """A tensor product of splines, refined until it meets a tolerance.

    Attributes:
        degree: Of the splines in space, 3 to 9.
        modes: Degree of the polynomials in one span of time, 3 to 31.
        cells: Along a coordinate, at most.

    Raises:
        RecipeError: A value is out of range.
    """

    degree: int = 9
    modes: int = 11
    cells: int = 600

    kind: ClassVar[str] = "tensor"
    title: ClassVar[str] = "tensor product of splines"

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            value = vars(self)[name]
            if not isinstance(value, int) or not least <= value <= most:
                raise RecipeError(
                    f"{name}: got {value!r:.40}; expected a whole number, {least} to {most:,}"
                )

    def details(self) -> str:
        return f"degree {self.degree}, {self.modes} modes in a span of time"

    def highest_order(self) -> int:
        """Of a spline of degree p, the derivative of order p - 1 is continuous."""
        return self.degree - 1
