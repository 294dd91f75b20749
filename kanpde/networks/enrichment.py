"""Functions that a solution has in corners and no smooth network: r^α sin αθ and their like, with
coefficients that are trained.

In a corner of opening ω the solutions of Δu = 0 with u = 0, or with ∂u/∂n = 0, on both faces are
r^α sin αθ, or r^α cos αθ, with α = kπ/ω; where one face has the one and the other the other, α = (k
- ½)π/ω (Grisvard 1985, "Elliptic problems in nonsmooth domains", section 4.4; Strang and Fix 1973,
chapter 8). Where α is a whole number they are smooth, and the solutions for smooth data have Re or
Im of z^α log z in their place. For other equations of second order they are the leading terms where
the principal part is the Laplacian.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.geometry import Domain
from kanpde.geometry.domain import Corner
from kanpde.geometry.implicit import Columns
from kanpde.problem.constraints import Constraint

ROUGH = 2.0
"""An exponent below it, unless it is whole, makes second derivatives unbounded: then all corners
give functions."""

HIGHEST_EXPONENT = 4.0
"""Exponents from here on are left to the network."""

WHOLE = 1e-9


@dataclass(frozen=True)
class Feature:
    """One corner function, and the unknown that it is part of.

    Attributes:
        unknown: Name of the unknown.
        label: What the function is called in reports.
        function: Its values at columns [points], one a coordinate.
    """

    unknown: str
    label: str
    function: Callable[[Columns], Tensor]


@dataclass(frozen=True)
class Singular:
    """r^α sin αθ or r^α cos αθ about a corner.

    Where α is whole, z^α log z is in place of z^α.

    Attributes:
        corner: About which r and θ are measured.
        exponent: α.
        sine: Whether it is the sine; else it is the cosine.
    """

    corner: Corner
    exponent: float
    sine: bool

    @property
    def whole(self) -> bool:
        """Whether the exponent is a whole number."""
        return abs(self.exponent - round(self.exponent)) < WHOLE

    def __call__(self, columns: Columns) -> Tensor:
        middle = (
            self.corner.direction + self.corner.opening / 2
        )  # where the cut of atan2 is farthest from
        dx, dy = (column - at for column, at in zip(columns, self.corner.at, strict=False))
        a, b = (
            dx * math.cos(middle) + dy * math.sin(middle),
            dy * math.cos(middle) - dx * math.sin(middle),
        )
        log = (a * a + b * b).clamp_min(1e-30).log() / 2
        angle = torch.atan2(b, a) + self.corner.opening / 2
        size, sine, cosine = (
            (self.exponent * log).exp(),
            (self.exponent * angle).sin(),
            (self.exponent * angle).cos(),
        )
        if self.whole:
            return size * (
                log * sine + angle * cosine if self.sine else log * cosine - angle * sine
            )
        return size * (sine if self.sine else cosine)

    def __str__(self) -> str:
        kind = f"{'sin' if self.sine else 'cos'} {self.exponent:.4g}θ"
        return (
            f"r^{self.exponent:.4g} {'log r ' if self.whole else ''}{kind} at"
            f" ({self.corner.at[0]:g}, {self.corner.at[1]:g})"
        )


def enrichment(
    domain: Domain,
    constraints: Sequence[Constraint],
    unknowns: Sequence[str],
    periodic: Sequence[str] = (),
) -> list[Feature]:
    """What all corners contribute to a steady planar problem.

    There is nothing to contribute unless the problem has one unknown and one condition a face, and
    a corner is rough. Rough is an exponent below ROUGH that is no whole number, such as 2/3 in the
    re-entrant corner of an L.

    Args:
        domain: Of the problem.
        constraints: Its conditions.
        unknowns: Names of all that is unknown.
        periodic: Coordinates in which everything is periodic.

    Returns:
        The corner functions; none where no corner is rough.
    """
    if len(unknowns) != 1 or len(domain.coordinates) != 2 or domain.time or periodic:
        return []
    by_face = {face: [c for c in constraints if c.face == face] for face in domain.faces}
    found = [
        s
        for corner in domain.corners
        for s in singular(corner, *(by_face[face] for face in corner.faces))
    ]
    if not any(s.exponent < ROUGH and not s.whole for s in found):
        return []
    return [Feature(unknowns[0], str(s), s) for s in found]


def singular(
    corner: Corner,
    before: Sequence[Constraint],
    after: Sequence[Constraint],
    *,
    highest: float = HIGHEST_EXPONENT,
) -> list[Singular]:
    """The functions of one corner, given the conditions on its two faces.

    Args:
        corner: Where the faces meet.
        before: The conditions on the face that ends there.
        after: The conditions on the face that begins there.
        highest: Exponents from here on are left out.

    Returns:
        The functions; none where there is not one condition on each face.
    """
    kinds = [
        _gives_values(conditions[0])
        for conditions in (before, after)
        if len(conditions) == 1 and conditions[0].where is None
    ]
    if len(kinds) != 2:
        return []
    ends, begins = kinds
    shift = 0.0 if ends == begins else 0.5
    exponents = [
        (k - shift) * math.pi / corner.opening
        for k in range(1, math.ceil(highest * corner.opening / math.pi) + 2)
    ]
    return [Singular(corner, alpha, begins) for alpha in exponents if alpha < highest - WHOLE]


def _gives_values(constraint: Constraint) -> bool:
    """Whether it is of Dirichlet's kind: it asks for no derivative."""
    return constraint.residual.order == 0
