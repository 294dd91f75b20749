"""Balls."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, lgamma, log, pi

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.disk import checked_centre
from kanpde.geometry.domain import (
    Domain,
    Face,
    Interval,
    checked_name,
    checked_positive,
    refuse_unnamed,
)
from kanpde.geometry.implicit import Columns, Implicit
from kanpde.geometry.vector import Vector, taken_apart

DIGITS = 2.0**15
"""Into so many parts a coordinate of the unit cube is cut, where it stands for two: which part, and
where in it."""


class Ball(Domain):
    """The ball of a radius about a centre: `Ball(x=0, y=0, z=0, radius=1)`, or in other dimensions
    `Ball(x=Vector(5), radius=1)`; its one face is called `name`, "sphere" where none is given.

    Args:
        *nameless: Nothing, since coordinates have names.
        radius: Positive.
        name: Of its face; shapes that are given the same name share a face when they are combined.
        **centre: By coordinate, a number, or of one that is a vector Vector(5) or, with all its
            components 1, Vector(5, 1); the origin of x, y and z where none is given.

    Raises:
        ProblemError: For a radius that is not positive, a centre that is not finite, or other than
            three coordinates without a vector.
    """

    def __init__(
        self,
        *nameless: object,
        radius: float = 1.0,
        name: str | None = None,
        **centre: float | Vector,
    ):
        refuse_unnamed("Ball", nameless, ("x", "y", "z"), "radius=1")
        flat, self._vectors = taken_apart("Ball", centre, 0.0)
        dims = max(len(flat), 3) if self._vectors else 3
        self.centre = checked_centre("Ball", flat, dims)
        self.radius = checked_positive("Ball", "radius", radius)
        self.shared = checked_name("Ball", name) is not None
        self._face = name or "sphere"

    def __repr__(self) -> str:
        parts = {x for own in self._vectors.values() for x in own}
        shown = {
            name: f"Vector({len(own)}, {self.centre[own[0]]:g})"
            for name, own in self._vectors.items()
        }
        shown |= {x: f"{value:g}" for x, value in self.centre.items() if x not in parts}
        centre = ", ".join(f"{x}={value}" for x, value in shown.items())
        return (
            f"Ball({centre},"
            f" radius={self.radius:g}{f', name={self._face!r}' if self.shared else ''})"
        )

    @property
    def bounds(self) -> Mapping[str, Interval]:
        return {x: (value - self.radius, value + self.radius) for x, value in self.centre.items()}

    @property
    def vectors(self) -> Mapping[str, tuple[str, ...]]:
        return self._vectors

    @property
    def dims(self) -> int:
        """How many coordinates it has."""
        return len(self.centre)

    @property
    def faces(self) -> Mapping[str, Face]:
        return {self._face: Face(self._face, self.dims / self.radius * self.volume)}

    @property
    def volume(self) -> float:
        if self.dims == 3:
            return 4 / 3 * pi * self.radius**3
        half = self.dims / 2
        return exp(half * log(pi) - lgamma(half + 1) + self.dims * log(self.radius))

    @property
    def fill(self) -> float:
        # Elsewhere points of the bounding box are left out, of which there are too many here.
        return super().fill if self.dims == 3 else 1.0

    def interior_kept(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """In other than three dimensions: evenly by the power of the distance that the volume
        grows with, in the direction of normal numbers (Muller 1959)."""
        if self.dims == 3:
            return super().interior_kept(unit)
        first = unit[:, :1] * DIGITS
        distance = self.radius * unit[:, :1] ** (1 / self.dims)
        unit = torch.cat([first.frac(), unit[:, 1:]], 1)
        points = self._middle(unit) + distance * _direction(unit)
        return points, torch.ones(len(points), dtype=torch.bool)

    def depth(self, points: Tensor) -> Tensor:
        return self.radius - self._away(points).norm(dim=1)

    def boundary(self, face: str, unit: Tensor) -> Tensor:
        """Archimedes: the height of points that are even on the sphere is even; in other than three
        dimensions the direction of normal numbers."""
        if self.dims != 3:
            first = unit[:, :1] * DIGITS
            unit = torch.cat([(first.floor() + 0.5) / DIGITS, first.frac(), unit[:, 1:]], 1)
            return self._middle(unit) + self.radius * _direction(unit)
        height, turn = 2 * unit[:, 0] - 1, 2 * pi * unit[:, 1]
        across = (1 - height**2).clamp_min(0).sqrt()
        return self._middle(unit) + self.radius * torch.stack(
            [across * turn.cos(), across * turn.sin(), height], 1
        )

    def normals(self, face: str, points: Tensor) -> Tensor:
        away = self._away(points)
        return away / away.norm(dim=1, keepdim=True)

    def implicit(self, *faces: str) -> Implicit:
        return Implicit(
            (lambda columns: (self.radius**2 - self._squared(columns)) / (2 * self.radius),), True
        )

    def outside(self, columns: Columns) -> Tensor:
        """Distance to the sphere from outside, smooth but at the centre, [points]."""
        return self._squared(columns).sqrt() - self.radius

    def _away(self, points: Tensor) -> Tensor:
        return points - self._middle(points)

    def _middle(self, like: Tensor) -> Tensor:
        return like.new_tensor(list(self.centre.values()))

    def _squared(self, columns: Columns) -> Tensor:
        first, *others = (
            column - value for column, value in zip(columns, self.centre.values(), strict=True)
        )
        total = first * first
        for away in others:
            total = total + away * away
        return total


def _direction(unit: Float[Tensor, "points dims"]) -> Float[Tensor, "points dims"]:
    """Directions that are even on the sphere, from points of the unit cube."""
    inside = unit.clamp(1e-12, 1 - 1e-12)
    normal = torch.special.ndtri(inside)
    return normal / normal.norm(dim=1, keepdim=True).clamp_min(1e-12)
