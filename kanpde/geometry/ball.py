"""Balls."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi

import torch
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


class Ball(Domain):
    """The ball of a radius about a centre: `Ball(x=0, y=0, z=0, radius=1)`; its one face is called
    `name`, "sphere" where none is given.

    Args:
        *nameless: Nothing, since coordinates have names.
        radius: Positive.
        name: Of its face; shapes that are given the same name share a face when they are combined.
        **centre: By coordinate; the origin of x, y and z where none is given.

    Raises:
        ProblemError: For a radius that is not positive, a centre that is not finite, or other than
            three coordinates.
    """

    def __init__(
        self,
        *nameless: object,
        radius: float = 1.0,
        name: str | None = None,
        **centre: float,
    ):
        refuse_unnamed("Ball", nameless, ("x", "y", "z"), "radius=1")
        self.centre = checked_centre("Ball", centre, 3)
        self.radius = checked_positive("Ball", "radius", radius)
        self.shared = checked_name("Ball", name) is not None
        self._face = name or "sphere"

    def __repr__(self) -> str:
        centre = ", ".join(f"{x}={value:g}" for x, value in self.centre.items())
        return (
            f"Ball({centre},"
            f" radius={self.radius:g}{f', name={self._face!r}' if self.shared else ''})"
        )

    @property
    def bounds(self) -> Mapping[str, Interval]:
        return {x: (value - self.radius, value + self.radius) for x, value in self.centre.items()}

    @property
    def faces(self) -> Mapping[str, Face]:
        return {self._face: Face(self._face, 4 * pi * self.radius**2)}

    @property
    def volume(self) -> float:
        return 4 / 3 * pi * self.radius**3

    def depth(self, points: Tensor) -> Tensor:
        return self.radius - self._away(points).norm(dim=1)

    def boundary(self, face: str, unit: Tensor) -> Tensor:
        """Archimedes: the height of points that are even on the sphere is even."""
        height, turn = 2 * unit[:, 0] - 1, 2 * pi * unit[:, 1]
        across = (1 - height**2).clamp_min(0).sqrt()
        return unit.new_tensor(list(self.centre.values())) + self.radius * torch.stack(
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
        return points - points.new_tensor(list(self.centre.values()))

    def _squared(self, columns: Columns) -> Tensor:
        a, b, c = (
            column - value for column, value in zip(columns, self.centre.values(), strict=True)
        )
        return a * a + b * b + c * c
