"""What every domain can say of itself: coordinates, faces, points inside and on a face, normals."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.implicit import Implicit

if TYPE_CHECKING:
    from kanpde.geometry.time import SpaceTime

Interval = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """A named part of the boundary.

    Attributes:
        name: By which conditions are put on it.
        measure: Its length or area (times the time span), the weight of an integral over it.
        coordinate: Set where the face is flat and lies at an end of this coordinate.
        side: Which end: -1 for the lower, +1 for the upper one; 0 for neither.
    """

    name: str
    measure: float
    coordinate: str | None = None
    side: int = 0


@dataclass(frozen=True)
class Corner:
    """A corner of the boundary of a planar region.

    Attributes:
        at: Where.
        opening: The angle inside, in radians; more than π where the corner is re-entrant.
        faces: The one that ends here and the one that begins, the inside to their left; the pieces
            about it where several meet.
        direction: Of the one that begins: the angle to the first coordinate from which the opening
            is counted, counter-clockwise.
    """

    at: tuple[float, float]
    opening: float
    faces: tuple[str, ...]
    direction: float


class Domain(ABC):
    """A region with named coordinates. Points are tensors [points, dimensions] in the order of
    `coordinates`."""

    @property
    @abstractmethod
    def bounds(self) -> Mapping[str, Interval]:
        """Bounding interval of every coordinate, in order; time, where there is one, is last."""

    @property
    @abstractmethod
    def faces(self) -> Mapping[str, Face]:
        """The faces of space by name (and the initial face "t-" of a space-time domain)."""

    @abstractmethod
    def boundary(
        self, face: str, unit: Float[Tensor, "points across"]
    ) -> Float[Tensor, "kept across+1"]:
        """Map points onto a face, evenly by area.

        Args:
            face: Its name.
            unit: Points spread over the unit cube of one dimension less.

        Returns:
            Those that lie on the face.
        """

    @abstractmethod
    def normals(
        self, face: str, points: Float[Tensor, "points dims"]
    ) -> Float[Tensor, "points dims"]:
        """Outward unit normals.

        Args:
            face: The name of a face.
            points: Points on it.
        """

    @abstractmethod
    def depth(self, points: Float[Tensor, "points dims"]) -> Float[Tensor, " points"]:
        """Positive inside, negative outside, zero on the boundary, near which its size is the
        distance to it."""

    @property
    @abstractmethod
    def volume(self) -> float:
        """Length, area or volume of space, times the span of time."""

    def implicit(self, *faces: str) -> Implicit | None:
        """A function that is zero on the faces and positive inside; None where there is none.

        Time is not looked at, but for the initial face, which goes with no other.
        """
        return None

    def inside(
        self, points: Float[Tensor, "points dims"], slack: float = 0.0
    ) -> Bool[Tensor, " points"]:
        """Whether points lie in the domain or on its boundary.

        Args:
            points: Any points.
            slack: Distance from the domain up to which a point counts as inside.
        """
        size = max(high - low for low, high in self.bounds.values())
        return self.depth(points) >= -(slack + 1e-12 * size)

    def interior(self, unit: Float[Tensor, "points dims"]) -> Float[Tensor, "kept dims"]:
        """Map points into the domain, evenly by volume.

        Args:
            unit: Points spread over the unit cube.

        Returns:
            Those that lie in the domain.
        """
        points, kept = self.interior_kept(unit)
        return points[kept]

    def interior_kept(
        self, unit: Float[Tensor, "points dims"]
    ) -> tuple[Float[Tensor, "points dims"], Bool[Tensor, " points"]]:
        """Where `interior` maps all points, and which of them it keeps.

        Args:
            unit: Points spread over the unit cube.
        """
        points = self.box(unit)
        return points, self.inside(points)

    def boundary_kept(
        self, face: str, unit: Float[Tensor, "points across"]
    ) -> tuple[Float[Tensor, "points across+1"], Bool[Tensor, " points"]]:
        """Where `boundary` maps all points, and which of them it keeps.

        Args:
            face: Its name.
            unit: Points spread over the unit cube of one dimension less.
        """
        points = self.boundary(face, unit)
        return points, torch.ones(len(points), dtype=torch.bool, device=points.device)

    def kept(self, face: str) -> float:
        """Fraction of points that `boundary` keeps."""
        return 1.0

    @property
    def fill(self) -> float:
        """Fraction of the bounding box that it fills: of points that `interior` keeps."""
        return self.volume / math.prod(high - low for low, high in self.bounds.values())

    @property
    def compound(self) -> bool:
        """Whether it is written with an operator."""
        return False

    @property
    def corners(self) -> tuple[Corner, ...]:
        """Corners of the boundary of a planar region; of the faces of space, where there is
        time."""
        return ()

    @property
    def reentrant(self) -> str:
        """Which edges in space are re-entrant, in words; empty where none are."""
        return ""

    @property
    def vanished(self) -> Mapping[str, str]:
        """Faces that a set operation left nothing of, and the operation in words."""
        return {}

    def box(self, unit: Float[Tensor, "points dims"]) -> Float[Tensor, "points dims"]:
        """Points of the unit cube, stretched over the bounding box."""
        ends = unit.new_tensor(list(self.bounds.values()))
        return ends[:, 0] + unit * (ends[:, 1] - ends[:, 0])

    @property
    def time(self) -> str | None:
        """Name of the time coordinate, if there is one."""
        return None

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of all coordinates, space first."""
        return tuple(self.bounds)

    @property
    def vectors(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the components of coordinates that have one name together, by that name."""
        return {}

    @property
    def family(self) -> Mapping[str, Interval]:
        """Ranges of the parameters of a family, which come first among the coordinates."""
        return {}

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the coordinates that are no parameters of a family."""
        return self.coordinates[len(self.family) :]

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the space coordinates."""
        return tuple(c for c in self.own if c != self.time)

    @property
    def is_box(self) -> bool:
        """Whether it is the whole product of its bounding intervals, so that grids and exact
        boundary values apply."""
        return False

    def __mul__(self, time: object) -> SpaceTime:
        """Space times time. Raises ProblemError for anything but Time."""
        # Space-time and set operations are domains themselves, built on this class.
        from kanpde.geometry.time import SpaceTime

        return SpaceTime(self, time)

    def __add__(self, other: object) -> Domain:
        """Refused, with what to write. Raises ProblemError."""
        raise ProblemError(
            f"{self!r} + {other!r}: space and time are multiplied, Box(x=(0, 1)) * Time(t=(0, 1));"
            " regions are joined by |"
        )

    def __sub__(self, other: object) -> Domain:
        """What lies in this and not in the other. Raises ProblemError where nothing does."""
        from kanpde.geometry.sets import combined

        return combined("-", self, other)

    def __or__(self, other: object) -> Domain:
        """What lies in one of the two."""
        from kanpde.geometry.sets import combined

        return combined("|", self, other)

    def __and__(self, other: object) -> Domain:
        """What lies in both. Raises ProblemError where nothing does."""
        from kanpde.geometry.sets import combined

        return combined("&", self, other)


class Rejecting(Domain):
    """A domain onto whose faces more points are mapped than lie on them."""

    @abstractmethod
    def boundary_kept(
        self, face: str, unit: Float[Tensor, "points across"]
    ) -> tuple[Float[Tensor, "points across+1"], Bool[Tensor, " points"]]: ...

    @abstractmethod
    def kept(self, face: str) -> float: ...

    def boundary(
        self, face: str, unit: Float[Tensor, "points across"]
    ) -> Float[Tensor, "kept across+1"]:
        points, kept = self.boundary_kept(face, unit)
        return points[kept]


def refuse_nameless(what: str, given: Sequence[object], names: Sequence[str]) -> None:
    """Refuse intervals without the names of their coordinates.

    Args:
        what: How messages call what they were given to.
        given: What was given without a name.
        names: That coordinates may have.

    Raises:
        ProblemError: Where there is any.
    """
    if not given:
        return
    shown = ", ".join(f"{one!r:.40}" for one in given)
    pairs = [(one[0], one[1]) for one in given if isinstance(one, tuple | list) and len(one) == 2]
    if not pairs and len(given) == 2:
        pairs = [(given[0], given[1])]
    pairs = pairs or [(0, 1)]
    meant = ", ".join(f"{x}=({low}, {high})" for x, (low, high) in zip(names, pairs, strict=False))
    raise ProblemError(f"{what}({shown}): intervals have names; write {what}({meant})")


def refuse_unnamed(what: str, given: Sequence[object], names: Sequence[str], size: str) -> None:
    """Refuse a centre without the names of its coordinates.

    Args:
        what: How messages call what it was given to.
        given: What was given without a name.
        names: That coordinates may have.
        size: How its size is written, such as "radius=1".

    Raises:
        ProblemError: Where there is any.
    """
    if not given:
        return
    shown = ", ".join(f"{one!r:.40}" for one in given)
    first = given[0] if isinstance(given[0], tuple | list) else given
    values = [v for v in first if isinstance(v, int | float)][: len(names)]
    values += [0] * (len(names) - len(values))
    meant = ", ".join(f"{x}={v:g}" for x, v in zip(names, values, strict=True))
    raise ProblemError(f"{what}({shown}): coordinates have names; write {what}({meant}, {size})")


def checked_interval(what: str, name: str, interval: object) -> Interval:
    """The interval as two floats.

    Args:
        what: How messages call what it was given to.
        name: Of its coordinate.
        interval: What the user gave.

    Raises:
        ProblemError: Unless it is finite and increasing.
    """
    if not isinstance(interval, tuple | list) or len(interval) != 2:
        raise ProblemError(f"{what}({name}=…): got {interval!r}; expected (low, high)")
    if not all(isinstance(end, Real) and not isinstance(end, bool) for end in interval):
        raise ProblemError(f"{what}({name}=…): got {interval!r}; expected two numbers (low, high)")
    low, high = (float(end) for end in interval)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        hint = f"; did you mean ({high:g}, {low:g})?" if high < low else ""
        raise ProblemError(
            f"{what}({name}=…): got ({low:g}, {high:g}); expected low < high, both finite{hint}"
        )
    return low, high


def checked_number(what: str, name: str, value: object) -> float:
    """A finite number as a float.

    Args:
        what: How messages call what it was given to.
        name: Of the argument.
        value: What the user gave.

    Raises:
        ProblemError: For anything else.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise ProblemError(f"{what}({name}=…): got {value!r}; expected a finite number")
    return float(value)


def checked_positive(what: str, name: str, value: object) -> float:
    """A positive number as a float.

    Args:
        what: How messages call what it was given to.
        name: Of the argument.
        value: What the user gave.

    Raises:
        ProblemError: For anything else.
    """
    number = checked_number(what, name, value)
    if number <= 0:
        raise ProblemError(f"{what}({name}={number:g}): expected a positive number")
    return number


def operation(a: Domain, sign: str, b: Domain) -> str:
    """How code writes a set operation."""
    left = f"({a!r})" if a.compound and getattr(a, "sign", "") != sign else repr(a)
    return f"{left} {sign} {f'({b!r})' if b.compound else repr(b)}"


def turned(face: str) -> str:
    """The face of a box that looks the other way: "x-" for "x+"."""
    return face[:-1] + ("-" if face.endswith("+") else "+")


def checked_name(what: str, name: object) -> str | None:
    """The name of a face, if one is given.

    Args:
        what: How messages call the shape.
        name: What the user gave.

    Raises:
        ProblemError: For what is no word.
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise ProblemError(
            f"{what}(name={name!r}): expected the name of a face, such as name='wall'"
        )
    return name
