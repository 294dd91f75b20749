"""Values that hold exactly on curved faces: products of levels, and interpolation by inverse
distance.

Each group of faces carries one function and one level, which is zero on its faces and tends to 1
away from them. The factor is the product of the levels; the lift is Rvachev's interpolant Σ g_i
w_i, whose weights w_i = Π_{j≠i} ω_j / Σ_k Π_{j≠k} ω_j are 1 on their own faces and 0 on those of
the others (Rvachev, Sheiko, Shapiro and Tsukanov 2001, "Transfinite interpolation over implicitly
defined sets", CAGD 18). Groups must not touch: where two do, the weights have no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain, SpaceTime
from kanpde.geometry.implicit import Columns

Value = Callable[[Columns], Tensor]
"""A function of columns [points], one a coordinate of the domain."""

DEPTH = 0.2
"""Distance, in units of the size of the domain, at which a level bends over to 1. On
poisson2d_holes a quarter of it makes errors ten times larger; levels that grow without bound do not
train."""

PROBES = 64
"""Points at which functions are compared."""

FACE_SAMPLES = 512
"""Points of a face from which the distance to the others is taken."""


@dataclass(frozen=True)
class Group:
    """Faces with one function.

    Attributes:
        faces: Their names.
        level: A function that is zero on them, positive inside and at most 1.
        value: What they prescribe.
    """

    faces: tuple[str, ...]
    level: Value
    value: Value


@dataclass(frozen=True)
class Curved:
    """Factor and lift of groups of faces, as functions of columns [points].

    Attributes:
        groups: The groups, of which no two touch.
    """

    groups: tuple[Group, ...]

    def factor(self, columns: Columns) -> Tensor:
        """Product of the levels.

        Args:
            columns: The points by their coordinates, [points] each.

        Returns:
            The product, [points].
        """
        return prod(
            (group.level(columns) for group in self.groups), start=torch.ones_like(columns[0])
        )

    def lift(self, columns: Columns) -> Tensor:
        """The interpolant.

        Args:
            columns: The points by their coordinates, [points] each.

        Returns:
            Its values, [points].
        """
        if len(self.groups) == 1:
            return self.groups[0].value(columns)
        levels = [group.level(columns) for group in self.groups]
        weights = [
            prod(
                (level for j, level in enumerate(levels) if j != i),
                start=torch.ones_like(columns[0]),
            )
            for i in range(len(levels))
        ]
        total = sum(weights[1:], weights[0])
        return (
            sum(
                (w * group.value(columns) for w, group in zip(weights, self.groups, strict=True)),
                torch.zeros_like(total),
            )
            / total
        )


def level(domain: Domain, faces: Sequence[str]) -> Value:
    """Product of ω / √(ω² + depth²) over the implicit functions ω of the pieces of the faces.

    Args:
        domain: Which the faces bound.
        faces: Their names.

    Returns:
        The product as a function of columns [points].
    """
    found, depth = domain.implicit(*faces), DEPTH * size(domain)
    assert found is not None

    def product(columns: Columns) -> Tensor:
        total = torch.ones_like(columns[0])
        for part in found.parts:
            omega = part(columns)
            total = total * omega / (omega**2 + depth**2).sqrt()
        return total

    return product


def size(domain: Domain) -> float:
    """The side of a square (cube) as large as the space of the domain.

    Args:
        domain: In space, or in space and time.
    """
    region = domain.region if isinstance(domain, SpaceTime) else domain
    return float(region.volume ** (1 / len(region.coordinates)))


def smooth(domain: Domain, face: str) -> bool:
    """Whether a face has an implicit function with all derivatives.

    Args:
        domain: Which the face bounds.
        face: Its name.
    """
    found = domain.implicit(face)
    return found is not None and found.smooth


def same(domain: Domain, a: Value, b: Value) -> bool:
    """Whether two functions agree all over the bounding box of the domain.

    Args:
        domain: Where they are compared, at PROBES points.
        a: A function of columns [points].
        b: Another one.
    """
    unit = torch.rand(
        PROBES,
        len(domain.coordinates),
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    ends = unit.new_tensor(list(domain.bounds.values()))
    columns = (ends[:, 0] + unit * (ends[:, 1] - ends[:, 0])).T
    try:
        return bool(torch.allclose(a(columns), b(columns), rtol=1e-13, atol=1e-13))
    except ProblemError:
        return False


def touching(domain: Domain, first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether a face of the first meets one of the second.

    In the plane the corners tell it, else the distance of points.

    Args:
        domain: Which the faces bound.
        first: Names of faces.
        second: Names of other faces.
    """
    region = domain.region if isinstance(domain, SpaceTime) else domain
    if len(region.coordinates) == 2:
        return any(
            {*corner.faces} & {*first} and {*corner.faces} & {*second} for corner in region.corners
        )
    near = 0.01 * size(region)
    unit = torch.rand(
        FACE_SAMPLES,
        len(region.coordinates) - 1,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    distances = [
        f(region.boundary(face, unit).T)
        for face in first
        for other in second
        if (f := region.implicit(other)) is not None
    ]
    return any(bool((found < near).any()) for found in distances if len(found))
