"""Disks and ellipses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import pi

from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.arcs import Arc
from kanpde.geometry.domain import checked_name, checked_number, checked_positive, refuse_unnamed
from kanpde.geometry.planar import BoundaryCurve, Planar


class Disk(Planar):
    """The disk of a radius about a centre: `Disk(x=0, y=0, radius=1)`; its one face is called
    `name`, "circle" where none is given.

    Args:
        *nameless: Nothing, since coordinates have names.
        radius: Positive.
        name: Of its face; shapes that are given the same name share a face when they are combined.
        **centre: By coordinate; the origin of x and y where none is given.

    Raises:
        ProblemError: For a radius that is not positive, a centre that is not finite, or other than
            two coordinates.
    """

    def __init__(
        self,
        *nameless: object,
        radius: float = 1.0,
        name: str | None = None,
        **centre: float,
    ):
        refuse_unnamed("Disk", nameless, ("x", "y"), "radius=1")
        self._centre = checked_centre("Disk", centre, 2)
        self.radius = checked_positive("Disk", "radius", radius)
        self._name = checked_name("Disk", name)

    def __repr__(self) -> str:
        return f"Disk({_listed(self._centre)}, radius={self.radius:g}{_named(self._name)})"

    @property
    def names(self) -> tuple[str, str]:
        x, y = self._centre
        return x, y

    @cached_property
    def bounding(self) -> Sequence[BoundaryCurve]:  # type: ignore[override]
        x, y = self._centre.values()
        return [
            BoundaryCurve(
                Arc((x, y), (self.radius, self.radius), 0.0, 0.0, 2 * pi),
                self._name or "circle",
                self._name is not None,
            )
        ]

    def depth(self, points: Tensor) -> Tensor:
        return self.radius - (points - points.new_tensor(list(self._centre.values()))).norm(dim=1)


class Ellipse(Planar):
    """An ellipse: `Ellipse(x=0, y=0, radii=(2, 1), angle=0.3)`; its one face is called `name`,
    "ellipse" where none is given.

    Args:
        *nameless: Nothing, since coordinates have names.
        radii: Along the first and the second coordinate, before it is turned.
        angle: By which it is turned counter-clockwise, in radians.
        name: Of its face; shapes that are given the same name share a face when they are combined.
        **centre: By coordinate; the origin of x and y where none is given.

    Raises:
        ProblemError: For radii that are not two positive numbers, and what Disk refuses.
    """

    def __init__(
        self,
        *nameless: object,
        radii: tuple[float, float] | None = None,
        angle: float = 0.0,
        name: str | None = None,
        **centre: float,
    ):
        refuse_unnamed("Ellipse", nameless, ("x", "y"), "radii=(2, 1)")
        self._centre = checked_centre("Ellipse", centre, 2)
        if not isinstance(radii, tuple | list) or len(radii) != 2:
            raise ProblemError(
                f"Ellipse(radii={radii!r}): expected two positive numbers, such as radii=(2, 1)"
            )
        self.radii = (
            checked_positive("Ellipse", "radii", radii[0]),
            checked_positive("Ellipse", "radii", radii[1]),
        )
        self.angle = checked_number("Ellipse", "angle", angle)
        self._name = checked_name("Ellipse", name)

    def __repr__(self) -> str:
        angle = f", angle={self.angle:g}" if self.angle else ""
        return (
            f"Ellipse({_listed(self._centre)}, radii=({self.radii[0]:g},"
            f" {self.radii[1]:g}){angle}{_named(self._name)})"
        )

    @property
    def names(self) -> tuple[str, str]:
        x, y = self._centre
        return x, y

    @cached_property
    def bounding(self) -> Sequence[BoundaryCurve]:  # type: ignore[override]
        x, y = self._centre.values()
        return [
            BoundaryCurve(
                Arc((x, y), self.radii, self.angle, 0.0, 2 * pi),
                self._name or "ellipse",
                self._name is not None,
            )
        ]

    def depth(self, points: Tensor) -> Tensor:
        curve = self.bounding[0].curve
        return curve.distance(points).copysign(curve.level(points.T))


def checked_centre(what: str, centre: Mapping[str, object], dims: int) -> dict[str, float]:
    """The centre as floats, the origin where none is given.

    Args:
        what: How messages call the shape.
        centre: By coordinate.
        dims: How many coordinates there must be.

    Raises:
        ProblemError: For another number of coordinates, and numbers that are not finite.
    """
    if not centre:
        return dict.fromkeys(("x", "y", "z")[:dims], 0.0)
    if len(centre) != dims:
        example = ", ".join(f"{x}=0" for x in ("x", "y", "z")[:dims])
        raise ProblemError(
            f"{what}(…): got {len(centre)} coordinates ({', '.join(centre)}); expected {dims}, such"
            f" as {what}({example}, …)"
        )
    return {x: checked_number(what, x, value) for x, value in centre.items()}


def _listed(centre: Mapping[str, float]) -> str:
    return ", ".join(f"{x}={value:g}" for x, value in centre.items())


def _named(name: str | None) -> str:
    return f", name={name!r}" if name is not None else ""
