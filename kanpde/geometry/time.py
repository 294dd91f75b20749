"""Time, and the product of a region of space with it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.box import Box
from kanpde.geometry.domain import (
    Corner,
    Domain,
    Face,
    Interval,
    Rejecting,
    refuse_nameless,
)
from kanpde.geometry.implicit import Implicit, Level
from kanpde.geometry.vector import FEW, refuse_vector


class Time(Box):
    """A span of time: `Box(x=(0, 1)) * Time(t=(0, 2))`; alone, `Time(t=(0, 10))`, it is the domain
    of ordinary differential equations, a box of one coordinate with the faces "t-" and "t+".

    Args:
        *nameless: Nothing, since the coordinate has a name.
        **interval: (begin, end) of the one coordinate, by its name.

    Raises:
        ProblemError: Unless it is one increasing interval.
    """

    def __init__(self, *nameless: object, **interval: tuple[float, float]):
        refuse_nameless("Time", nameless, ("t",))
        refuse_vector("Time", interval, "time is one coordinate, such as Time(t=(0, 1))")
        if len(interval) != 1:
            raise ProblemError(
                f"Time(…): got {len(interval) or 'no'} coordinates; expected one, such as"
                " Time(t=(0, 1))"
            )
        super().__init__(**interval)
        ((self.name, self.span),) = self.bounds.items()

    def __repr__(self) -> str:
        return f"Time({self.name}=({self.span[0]:g}, {self.span[1]:g}))"

    def __mul__(self, space: object) -> SpaceTime:
        if isinstance(space, Time):
            raise ProblemError(f"{self!r} * {space!r}: has a time already, {self.name!r}")
        raise ProblemError(f"{self!r} * …: time comes last; write {space!r} * {self!r}")


def bracketed(region: Domain) -> str:
    """How code writes a region before `*`."""
    return f"({region!r})" if region.compound else repr(region)


MAX_COORDINATES = FEW
"""Of a family: the grids on which solutions are measured and drawn go no further."""


class SpaceTime(Rejecting):
    """Space times time. The faces are those of space, swept through time, and the initial face,
    such as "t-".

    Args:
        space: Without time.
        time: A Time.

    Attributes:
        region: The space.

    Raises:
        ProblemError: For what is not Time, for a second time, a name twice, or more than five
            coordinates in all without a vector.
    """

    def __init__(self, space: Domain, time: object):
        if not isinstance(time, Time):
            raise ProblemError(
                f"{space!r} * {time!r}: expected Time, such as Time(t=(0, 1)); a box takes all its"
                " coordinates at once, Box(x=…, y=…)"
            )
        if space.time is not None:
            raise ProblemError(f"{space!r} * {time!r}: has a time already, {space.time!r}")
        if time.name in (*space.coordinates, *space.vectors):
            raise ProblemError(f"Time({time.name}=…): {time.name!r} is a space coordinate already")
        if len(space.coordinates) >= MAX_COORDINATES and not space.vectors:
            raise ProblemError(
                f"{space!r} * {time!r}: has {len(space.coordinates) + 1} coordinates; expected at"
                f" most {MAX_COORDINATES}, time included, or a vector, Box(x=Vector(…))"
            )
        self.region = space
        self._time = time

    def __repr__(self) -> str:
        return f"{bracketed(self.region)} * {self._time!r}"

    @property
    def time(self) -> str:
        return self._time.name

    @property
    def span_of_time(self) -> Time:
        """The time."""
        return self._time

    @property
    def vectors(self) -> Mapping[str, tuple[str, ...]]:
        return self.region.vectors

    @property
    def family(self) -> Mapping[str, Interval]:
        return self.region.family

    @property
    def initial_face(self) -> str:
        """Name of the face at the start of time."""
        return f"{self._time.name}-"

    @property
    def bounds(self) -> Mapping[str, Interval]:
        return {**self.region.bounds, self._time.name: self._time.span}

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        low, high = self._time.span
        found = {
            name: Face(name, face.measure * (high - low), face.coordinate, face.side)
            for name, face in self.region.faces.items()
        }
        found[self.initial_face] = Face(self.initial_face, self.region.volume, self.time, -1)
        return found

    @property
    def is_box(self) -> bool:
        return self.region.is_box and len(self.coordinates) <= FEW

    @property
    def fill(self) -> float:
        return self.region.fill

    @property
    def volume(self) -> float:
        return self.region.volume * (self._time.span[1] - self._time.span[0])

    @property
    def corners(self) -> tuple[Corner, ...]:
        return self.region.corners

    @property
    def vanished(self) -> Mapping[str, str]:
        return self.region.vanished

    def depth(self, points: Tensor) -> Tensor:
        low, high = self._time.span
        return torch.stack(
            [self.region.depth(points[:, :-1]), points[:, -1] - low, high - points[:, -1]]
        ).amin(0)

    def implicit(self, *faces: str) -> Implicit | None:
        if faces == (self.initial_face,):
            return Implicit(
                (lambda columns: columns[len(self.coordinates) - 1] - self._time.span[0],), True
            )
        found = self.region.implicit(*faces)
        return (
            None
            if found is None
            else Implicit(tuple(self._in_space(part) for part in found.parts), found.smooth)
        )

    def _in_space(self, part: Level) -> Level:
        return lambda columns: part(columns[: len(self.coordinates) - 1])

    def kept(self, face: str) -> float:
        return self.region.fill if face == self.initial_face else self.region.kept(face)

    def interior_kept(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self._time.span
        space, kept = self.region.interior_kept(unit[:, :-1])
        return torch.cat([space, low + (high - low) * unit[:, -1:]], 1), kept

    def boundary_kept(self, face: str, unit: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self._time.span
        if face == self.initial_face:
            space, kept = self.region.interior_kept(unit)
            return torch.cat([space, space.new_full((len(space), 1), low)], 1), kept
        space, kept = self.region.boundary_kept(face, unit[:, :-1])
        return torch.cat([space, low + (high - low) * unit[:, -1:]], 1), kept

    def normals(self, face: str, points: Tensor) -> Tensor:
        normals = torch.zeros_like(points)
        if face == self.initial_face:
            normals[:, -1] = -1
        else:
            normals[:, :-1] = self.region.normals(face, points[:, :-1])
        return normals
