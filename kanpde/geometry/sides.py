"""The boundary of a box of many coordinates: all lower ends of a vector's components are one face,
and all upper ends another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.domain import Face, Interval


@dataclass(frozen=True)
class ManySides:
    """The faces "x-" and "x+" of every name x, a vector's or a single coordinate's.

    Attributes:
        bounds: Of all coordinates.
        vectors: The components of vectors.
    """

    bounds: Mapping[str, Interval]
    vectors: Mapping[str, Sequence[str]]

    def faces(self) -> dict[str, Face]:
        """The faces by name; that of a single coordinate is flat."""
        found = {}
        for name, own in self._groups().items():
            measure = sum(self._measure(x) for x in own)
            flat = name if own == [name] else None
            for sign, side in (("-", -1), ("+", 1)):
                face = Face(name + sign, measure, flat, side if flat else 0)
                found[face.name] = face
        return found

    def place(
        self, face: str, unit: Float[Tensor, "points across"]
    ) -> Float[Tensor, "points across+1"]:
        """Points of the unit cube on a face, evenly by area.

        The first digits of the first coordinate say across which component a point lies.

        Args:
            face: Its name.
            unit: Points of the unit cube of one dimension less.
        """
        axes, side = self._axes(face)
        shares = unit.new_tensor([self._measure(x) for x in self._groups()[face[:-1]]])
        ends = (shares / shares.sum()).cumsum(0)
        which = torch.bucketize(unit[:, 0].contiguous(), ends[:-1], right=True)
        begins = torch.cat([ends.new_zeros(1), ends[:-1]])
        rest = (unit[:, 0] - begins[which]) / (ends - begins)[which]
        across = torch.cat([rest[:, None].clamp(0, 1), unit[:, 1:]], 1)
        axis = torch.tensor(axes)[which]
        number = torch.arange(len(self.bounds))
        behind = (number[None] - (number[None] > axis[:, None]).long()).clamp(
            max=across.shape[1] - 1
        )
        found = across.gather(1, behind)
        return found.scatter(1, axis[:, None], float(side > 0))

    def normals(
        self, face: str, points: Float[Tensor, "points dims"]
    ) -> Float[Tensor, "points dims"]:
        """Outward unit normals: along the component at whose end a point lies.

        Args:
            face: The name of a face.
            points: Points on it.
        """
        axes, side = self._axes(face)
        ends = points.new_tensor(list(self.bounds.values()))
        at = ends[axes, int(side > 0)]
        away = (points[:, axes] - at).abs() / (ends[axes, 1] - ends[axes, 0])
        normals = torch.zeros_like(points)
        return normals.scatter(1, torch.tensor(axes)[away.argmin(1)][:, None], float(side))

    def _groups(self) -> dict[str, list[str]]:
        parts = {x for own in self.vectors.values() for x in own}
        single = {x: [x] for x in self.bounds if x not in parts}
        return {**{name: list(own) for name, own in self.vectors.items()}, **single}

    def _axes(self, face: str) -> tuple[list[int], int]:
        names = list(self.bounds)
        return [names.index(x) for x in self._groups()[face[:-1]]], 1 if face[-1] == "+" else -1

    def _measure(self, x: str) -> float:
        return prod(b - a for y, (a, b) in self.bounds.items() if y != x)
