"""What every domain can say of itself: coordinates, faces, points inside and on a face, normals."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from kanpde.errors import ProblemError

if TYPE_CHECKING:
    from kanpde.geometry.time import SpaceTime

Interval = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """A named piece of the boundary.

    measure: its length or area (times the time span), the weight of an integral over it. coordinate and side: set where
    the face is flat and lies at the lower (-1) or upper (+1) end of one coordinate.
    """

    name: str
    measure: float
    coordinate: str | None = None
    side: int = 0


class Domain(ABC):
    """A region with named coordinates. Points are tensors [points, dimensions] in the order of `coordinates`."""

    @property
    @abstractmethod
    def bounds(self) -> Mapping[str, Interval]:
        """Bounding interval of every coordinate, in order; time, where there is one, is last."""

    @property
    @abstractmethod
    def faces(self) -> Mapping[str, Face]:
        """The faces of space by name (and the initial face "t-" of a space-time domain)."""

    @abstractmethod
    def interior(self, unit: Float[Tensor, "points dims"]) -> Float[Tensor, "kept dims"]:
        """Map points spread over the unit cube into the domain, evenly by volume; shapes that reject points keep fewer."""

    @abstractmethod
    def boundary(self, face: str, unit: Float[Tensor, "points dims-1"]) -> Float[Tensor, "kept dims"]:
        """Map points spread over the unit cube of one dimension less onto a face, evenly by area."""

    @abstractmethod
    def normals(self, face: str, points: Float[Tensor, "points dims"]) -> Float[Tensor, "points dims"]:
        """Outward unit normals at points of a face."""

    @property
    def time(self) -> str | None:
        """Name of the time coordinate, if there is one."""
        return None

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of all coordinates, space first."""
        return tuple(self.bounds)

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the space coordinates."""
        return tuple(c for c in self.coordinates if c != self.time)

    @property
    def is_box(self) -> bool:
        """Whether it is the whole product of its bounding intervals, so that grids and exact boundary values apply."""
        return False

    def __mul__(self, time: object) -> SpaceTime:
        """Space times time. Raises ProblemError for anything but Time."""
        from kanpde.geometry.time import SpaceTime  # a domain that is itself built on this class

        return SpaceTime(self, time)


def checked_interval(what: str, name: str, interval: object) -> Interval:
    """The interval as two floats; raises ProblemError unless it is finite and increasing."""
    if not isinstance(interval, tuple | list) or len(interval) != 2:
        raise ProblemError(f"{what}({name}=…): got {interval!r}; expected (low, high)")
    if not all(isinstance(end, Real) and not isinstance(end, bool) for end in interval):
        raise ProblemError(f"{what}({name}=…): got {interval!r}; expected two numbers (low, high)")
    low, high = (float(end) for end in interval)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        hint = f"; did you mean ({high:g}, {low:g})?" if high < low else ""
        raise ProblemError(f"{what}({name}=…): got ({low:g}, {high:g}); expected low < high, both finite{hint}")
    return low, high
