"""Regions side by side, such as two materials: what is outside, and where two of them meet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed
from kanpde.geometry.domain import Domain, Face, Interval, Rejecting
from kanpde.geometry.regions import Contact, Region, spread_points

if TYPE_CHECKING:
    from kanpde.geometry.time import SpaceTime

SHARE_OF_ROUNDING = 1e-9
"""Distance, relative to the size of the domain, below which two boundaries are the same."""

PROBES_OF_A_DOMAIN = 4096
"""Points of a region by which an overlap with another one is found."""


class Pieces(Rejecting):
    """Regions side by side, each with equations of its own: `Pieces(copper=Disk(…), air=Box(…) -
    Disk(…))`.

    Faces are those of the regions, such as "air.x-", as far as no other one lies there, and the
    contacts of two of them, such as "copper|air", with normals that point out of the first.

    Args:
        **regions: Domains of the same coordinates, without time, by the name of the piece.

    Attributes:
        regions: The pieces by name.
        contacts: Where two of them meet, by the name of that face.

    Raises:
        ProblemError: For regions that overlap, do not touch any other, or have other coordinates,
            and for fewer than two.
    """

    def __init__(self, **regions: Domain):
        if len(regions) < 2:
            raise ProblemError(
                f"Pieces(…): got {len(regions) or 'no'} regions; expected two or more, such as"
                " Pieces(copper=Disk(…), air=Box(…) - Disk(…))"
            )
        for name, region in regions.items():
            _check_region(name, region, next(iter(regions.values())))
        self._slack = SHARE_OF_ROUNDING * max(
            b - a for region in regions.values() for a, b in region.bounds.values()
        )
        self.regions = {name: Region(name, region, self._slack) for name, region in regions.items()}
        for name, region in self.regions.items():
            region.others = [other.domain for key, other in self.regions.items() if key != name]
        self._check_apart()
        found = [Contact(a, b) for a, b in combinations(self.regions.values(), 2)]
        self.contacts = {contact.name: contact for contact in found if contact.parts}
        self._check_joined()

    def _check_apart(self) -> None:
        """Raise ProblemError for regions that overlap."""
        unit = spread_points(len(self.coordinates), PROBES_OF_A_DOMAIN)
        for a, b in combinations(self.regions.values(), 2):
            common = [a.interior(unit), b.interior(unit)]
            deep = torch.cat([torch.minimum(a.depth(p), b.depth(p)) for p in common])
            if len(deep) and float(deep.max()) > 1e3 * self._slack:
                point = torch.cat(common)[int(deep.argmax())]
                at = ", ".join(
                    f"{x}={float(v):.3g}" for x, v in zip(self.coordinates, point, strict=True)
                )
                raise ProblemError(
                    f"Pieces({a!r}, {b!r}): overlap, at {at} for example; take one from the other,"
                    f" such as {b.name}=… - …"
                )

    def _check_joined(self) -> None:
        """Raise ProblemError for a region that touches no other."""
        joined = {region.name for c in self.contacts.values() for region in (c.first, c.second)}
        for name, region in self.regions.items():
            if name not in joined:
                raise ProblemError(
                    f"Pieces({name}={region.domain!r}): touches no other piece; expected regions"
                    " that share a part of their boundary"
                )

    def __repr__(self) -> str:
        return f"Pieces({', '.join(map(repr, self.regions.values()))})"

    @cached_property
    def bounds(self) -> Mapping[str, Interval]:  # type: ignore[override]
        ends = [region.bounds for region in self.regions.values()]
        return {x: (min(b[x][0] for b in ends), max(b[x][1] for b in ends)) for x in ends[0]}

    @property
    def volume(self) -> float:
        return sum(region.volume for region in self.regions.values())

    def depth(self, points: Tensor) -> Tensor:
        """As of every domain, but zero where two pieces meet."""
        return torch.stack([region.depth(points) for region in self.regions.values()]).amax(0)

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        found = {
            name: face for region in self.regions.values() for name, face in region.faces.items()
        }
        return {
            **found,
            **{name: Face(name, contact.measure) for name, contact in self.contacts.items()},
        }

    def boundary_kept(self, face: str, unit: Tensor) -> tuple[Tensor, Tensor]:
        return (
            self.contacts[face].boundary_kept(unit)
            if face in self.contacts
            else self.owner(face).boundary_kept(face, unit)
        )

    def kept(self, face: str) -> float:
        return self.contacts[face].kept if face in self.contacts else self.owner(face).kept(face)

    def normals(self, face: str, points: Tensor) -> Tensor:
        return (
            self.contacts[face].normals(points)
            if face in self.contacts
            else self.owner(face).normals(face, points)
        )

    def owner(self, face: str) -> Region:
        """The region that a face, which is no contact, belongs to."""
        return next(region for region in self.regions.values() if face in region.faces)

    def beside(self, face: str) -> tuple[Region, ...]:
        """The regions that a face belongs to: two where it is a contact."""
        contact = self.contacts.get(face)
        return (self.owner(face),) if contact is None else (contact.first, contact.second)

    def home(self, name: str) -> str:
        """The piece that a copy of an unknown, such as "u_air", belongs to."""
        return max((piece for piece in self.regions if name.endswith(f"_{piece}")), key=len)

    def region(self, points: Tensor) -> Tensor:
        """The number of the region that each point lies in, the first of two where they meet."""
        return (
            torch.stack([region.depth(points) for region in self.regions.values()])
            .ge(-self._slack)
            .double()
            .argmax(0)
        )

    def __mul__(self, time: object) -> SpaceTime:
        raise ProblemError(
            f"{self!r} * {time!r}: pieces take no time beside them; make it the last coordinate of"
            " each, such as Box(x=(0, 1), t=(0, 2)), with Dirichlet(…, on='t-') as its start"
        )


def _check_region(name: str, region: object, first: Domain) -> None:
    """Raise ProblemError for what cannot be a piece beside the first one."""
    if not isinstance(region, Domain) or isinstance(region, Pieces):
        raise ProblemError(
            f"Pieces({name}=…): got {type(region).__name__}; expected a domain such as"
            " Box(x=(0, 1))"
        )
    if region.time is not None:
        raise ProblemError(
            f"Pieces({name}={region!r}): a piece takes no time beside it; make {region.time!r} the"
            f" last coordinate of a box, such as Box(x=(0, 1), {region.time}=(0, 2))"
        )
    if region.coordinates != first.coordinates:
        raise ProblemError(
            f"Pieces({name}={region!r}): has the coordinates {listed(region.coordinates)};"
            f" expected {listed(first.coordinates)} in this order, as the first one"
        )
