"""Boxes: intervals, rectangles and their like in up to five dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.domain import Domain, Face, Interval, checked_interval


class Box(Domain):
    """The product of named intervals: `Box(x=(-1, 1), y=(0, 2))`; faces "x-", "x+", "y-", "y+".

    Raises ProblemError for intervals that are not finite and increasing, or for no or more than five of them.
    """

    def __init__(self, **intervals: tuple[float, float]):
        if not 1 <= len(intervals) <= 5:
            raise ProblemError(f"Box(…): got {len(intervals) or 'no'} coordinates; expected 1 to 5, such as Box(x=(0, 1), y=(0, 2))")
        self._bounds = {name: checked_interval("Box", name, interval) for name, interval in intervals.items()}

    def __repr__(self) -> str:
        return f"Box({', '.join(f'{x}=({a:g}, {b:g})' for x, (a, b) in self._bounds.items())})"

    @property
    def bounds(self) -> Mapping[str, Interval]:
        return self._bounds

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        lengths = {x: b - a for x, (a, b) in self._bounds.items()}
        found = {}
        for x in lengths:
            measure = prod(length for y, length in lengths.items() if y != x)
            for sign, side in (("-", -1), ("+", 1)):
                found[x + sign] = Face(x + sign, measure, x, side)
        return found

    @property
    def is_box(self) -> bool:
        return True

    def interior(self, unit: Tensor) -> Tensor:
        ends = unit.new_tensor(list(self._bounds.values()))
        return ends[:, 0] + unit * (ends[:, 1] - ends[:, 0])

    def boundary(self, face: str, unit: Tensor) -> Tensor:
        axis, side = self._place(face)
        full = torch.cat([unit[:, :axis], unit.new_full((len(unit), 1), (side + 1) / 2), unit[:, axis:]], 1)
        return self.interior(full)

    def normals(self, face: str, points: Tensor) -> Tensor:
        axis, side = self._place(face)
        normals = torch.zeros_like(points)
        normals[:, axis] = side
        return normals

    def _place(self, face: str) -> tuple[int, int]:
        where = self.faces[face]
        assert where.coordinate is not None
        return self.coordinates.index(where.coordinate), where.side
