"""Functions that a harmonic solution has in the corners of a polygon, and no spline: r^α sin αθ and
their like, the real or imaginary parts of functions of one complex variable.

About a corner of straight sides with values, or slopes, given on each, the solution of Δu = f for
smooth data is a smooth function and a sum of these (Grisvard 1985, section 4.4). They are harmonic
all over the domain, so that equations do not see them, and conditions on the sides far away do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float

from kanpde.geometry import Domain
from kanpde.geometry.domain import Corner
from kanpde.geometry.sampling import inside_points
from kanpde.networks.enrichment import ROUGH, Singular, singular
from kanpde.problem.constraints import Constraint
from kanpde.problem.faces import by_name
from kanpde.problem.formulation import Formulation
from kanpde.residual.residual import Residual

HIGHEST_BESIDE = 8.0
"""Exponents from here on are left to splines."""

PLACES_SEEN, ON_A_RAY = 65, 2001
"""Points of a side, or inside, at which coefficients are looked at; and of a ray away from a corner
at which the domain is looked for."""

SAME_NORMAL = 1e-9
"""By which normals along a straight side differ, at most."""

LAPLACE = {(2, 0), (0, 2)}
"""The derivatives that Laplace's operator adds up."""

NEAREST = 1e-30
"""Distance from a corner, over the size of the domain, at which derivatives are looked at that are
infinite in it."""


@dataclass(frozen=True)
class CornerFunction:
    """One of these functions.

    Attributes:
        singular: Which.
        size: Of the domain, over which distances are measured.
    """

    singular: Singular
    size: float

    def derivative(
        self, points: Float[np.ndarray, "points 2"], index: tuple[int, ...]
    ) -> Float[np.ndarray, " points"]:
        """A derivative: that of w^α, or w^α log w, by w = r exp(iθ), times how w changes.

        Args:
            points: Where.
            index: How often by each coordinate.
        """
        corner, alpha = self.singular.corner, self.singular.exponent
        middle = corner.direction + corner.opening / 2
        z = (points - np.array(corner.at)) @ np.array([1, 1j]) / self.size
        # The cut of the logarithm points away from the middle of the corner.
        turned = z * np.exp(-1j * middle)
        log = np.log(np.maximum(np.abs(turned), NEAREST)) + 1j * (
            np.angle(turned) + corner.opening / 2
        )
        plain, logarithmic = (0.0, 1.0) if self.singular.whole else (1.0, 0.0)
        count = sum(index)
        for n in range(count):
            plain, logarithmic = plain * (alpha - n) + logarithmic, logarithmic * (alpha - n)
        found = (plain + logarithmic * log) * np.exp((alpha - count) * log)
        found = found * 1j ** index[1] * (np.exp(-1j * corner.direction) / self.size) ** count
        return np.asarray(found.imag if self.singular.sine else found.real)

    def values(
        self, columns: Sequence[Float[torch.Tensor, " points"]]
    ) -> Float[torch.Tensor, " points"]:
        """Its values in torch's own operations, which a graph can hold.

        Args:
            columns: The points, one column a coordinate.
        """
        x, y = self.singular.corner.at
        corner = replace(self.singular.corner, at=(x / self.size, y / self.size))
        return replace(self.singular, corner=corner)([column / self.size for column in columns])


@lru_cache(maxsize=8)
def corner_functions(problem: Formulation) -> tuple[CornerFunction, ...]:
    """Those of all corners of a problem.

    Args:
        problem: Any. There are none where it is not Poisson's equation in one unknown on a domain
            that is no box, where no corner is rough, where a side of a rough one is not straight or
            has not one plain condition all along it, and where the domain goes round such a corner.
    """
    domain = problem.domain
    if domain.is_box or domain.time or len(domain.coordinates) != 2 or problem.parameters:
        return ()
    if len(problem.groups) != 1 or len(problem.copies) != 1 or problem.periodic:
        return ()
    places = inside_points(domain, PLACES_SEEN, seed=0) if domain.corners else None
    if places is None or not all(_is_laplace(e, places) for e in problem.equations):
        return ()
    low, high = np.array(list(domain.bounds.values())).T
    by_face = {face: [c for c in problem.constraints if c.face == face] for face in domain.faces}
    found = []
    for corner in domain.corners:
        own = singular(corner, *(by_face[face] for face in corner.faces), highest=HIGHEST_BESIDE)
        rough = corner.opening > math.pi or any(s.exponent < ROUGH and not s.whole for s in own)
        if _suited(domain, corner, by_face):
            found += own
        elif rough:
            return ()
    if not any(s.exponent < ROUGH and not s.whole for s in found):
        return ()
    return tuple(CornerFunction(s, float(np.hypot(*(high - low)))) for s in found)


def _is_laplace(equation: Residual, inside: Float[torch.Tensor, "points 2"]) -> bool:
    """Whether an equation is that of Poisson: it adds up the two second derivatives."""
    alone = {index for _, index in equation.needs} == LAPLACE and equation.equations == 1
    if not alone or not equation.affine:
        return False
    slopes = _slopes(equation, inside, None)
    return bool((slopes[:, 0] == slopes[:, 1]).all() and slopes.all())


def _suited(domain: Domain, corner: Corner, by_face: Mapping[str, Sequence[Constraint]]) -> bool:
    """Whether the functions of a corner satisfy the conditions of its sides, and are smooth all
    over the domain but in the corner."""
    middle = corner.direction + corner.opening / 2
    low, high = np.array(list(domain.bounds.values())).T
    away = -float(np.hypot(*(high - low))) * np.array([math.cos(middle), math.sin(middle)])
    ray = np.array(corner.at) + np.linspace(0, 1, ON_A_RAY)[1:, None] * away
    plain = all(_is_plain(domain, face, by_face[face]) for face in corner.faces)
    return plain and not bool(domain.inside(torch.from_numpy(ray)).any())


def _is_plain(domain: Domain, face: str, conditions: Sequence[Constraint]) -> bool:
    """Whether a side is straight, with one condition all along it: its value, or its slope across
    it, is given."""
    places = torch.linspace(0, 1, PLACES_SEEN, dtype=torch.float64)[:, None]
    points = domain.boundary(face, places)
    normals = domain.normals(face, points)
    if len(conditions) != 1 or float((normals - normals[0]).abs().max()) > SAME_NORMAL:
        return False
    residual = conditions[0].residual
    if conditions[0].where is not None or not residual.affine or residual.equations != 1:
        return False
    slopes = _slopes(residual, points, normals)
    if residual.order == 0:
        return bool(slopes.all())
    given = torch.zeros_like(points)
    for (_, index), slope in zip(residual.needs, slopes.T, strict=True):
        if sum(index) != 1:
            return False
        given[:, index.index(1)] = slope
    across = (given * normals).sum(1)
    along = given - across[:, None] * normals
    return bool(across.all()) and bool((along.norm(dim=1) <= SAME_NORMAL * across.abs()).all())


def _slopes(
    residual: Residual,
    points: Float[torch.Tensor, "points 2"],
    normals: Float[torch.Tensor, "points 2"] | None,
) -> Float[torch.Tensor, "points leaves"]:
    """By what a residual changes with each of its derivatives."""
    names, zero = residual.coordinates, points.new_zeros(len(points), len(residual.needs))
    out = None if normals is None else by_name(normals, names)
    slopes = residual.near(by_name(points, names), zero, out)[1]
    assert slopes is not None
    return slopes[:, 0]
