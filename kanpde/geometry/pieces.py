"""Regions side by side, such as two materials: what is outside, and where two of them meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed
from kanpde.geometry.domain import Domain, Face, Interval, Rejecting
from kanpde.geometry.implicit import Implicit

if TYPE_CHECKING:
    from kanpde.geometry.time import SpaceTime

ROUNDING = 1e-9
"""Distance, relative to the size of the domain, below which two boundaries are the same."""

PROBES = 1024
"""Points of a face by which is told how much of it is shared; those of a domain by which an overlap
is found are four times as many."""


class Region(Rejecting):
    """One of the pieces. Its faces are called after it, such as "air.x-", and end where another
    piece begins."""

    def __init__(self, name: str, domain: Domain, slack: float):
        self.name, self.domain, self._slack = name, domain, slack
        self.others: Sequence[Domain] = ()

    def __repr__(self) -> str:
        return f"{self.name}={self.domain!r}"

    @property
    def bounds(self) -> Mapping[str, Interval]:
        return self.domain.bounds

    @property
    def volume(self) -> float:
        return self.domain.volume

    def depth(self, points: Tensor) -> Tensor:
        return self.domain.depth(points)

    def interior(self, unit: Tensor) -> Tensor:
        return self.domain.interior(unit)

    def shared(self, face: str, others: Sequence[Domain]) -> float:
        """The part of a face of the domain that lies on the boundary of the others."""
        points = self.domain.boundary(face, _spread(len(self.coordinates) - 1, PROBES))
        return float(self._touched(points, others).double().mean())

    def _touched(self, points: Tensor, others: Sequence[Domain]) -> Tensor:
        near = [other.depth(points).abs() <= self._slack for other in others]
        return torch.stack(near).any(0) if near else torch.zeros(len(points), dtype=torch.bool)

    @cached_property
    def _free(self) -> dict[str, float]:
        """How much of each face of the domain no other piece lies at."""
        return {face: 1 - self.shared(face, self.others) for face in self.domain.faces}

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        found = {}
        for face, given in self.domain.faces.items():
            if self._free[face] > 0:
                found[self.full(face)] = Face(
                    self.full(face), given.measure * self._free[face], given.coordinate, given.side
                )
        return found

    def full(self, face: str) -> str:
        """What the pieces call a face of the domain."""
        return f"{self.name}.{face}"

    def boundary_kept(self, face: str, unit: Tensor) -> tuple[Tensor, Tensor]:
        points, kept = self.domain.boundary_kept(self._own(face), unit)
        return points, (
            kept if self._free[self._own(face)] == 1 else kept & ~self._touched(points, self.others)
        )

    def kept(self, face: str) -> float:
        return self.domain.kept(self._own(face)) * self._free[self._own(face)]

    def normals(self, face: str, points: Tensor) -> Tensor:
        return self.domain.normals(self._own(face), points)

    def implicit(self, *faces: str) -> Implicit | None:
        """None where a part of a face is shared: there it must not vanish."""
        own = [self._own(face) for face in faces]
        return self.domain.implicit(*own) if all(self._free[face] == 1 for face in own) else None

    def _own(self, face: str) -> str:
        return face.removeprefix(f"{self.name}.")


class Contact:
    """Where two pieces meet: the part of the first one's boundary that is also the second one's.
    Normals point out of the first."""

    def __init__(self, first: Region, second: Region):
        self.first, self.second = first, second
        self.parts = {
            face: part
            for face in first.domain.faces
            for part in [first.shared(face, [second.domain])]
            if part > 0
        }

    @property
    def name(self) -> str:
        return f"{self.first.name}|{self.second.name}"

    @cached_property
    def measure(self) -> float:
        """Its length or area."""
        return sum(
            self.first.domain.faces[face].measure * part for face, part in self.parts.items()
        )

    def boundary_kept(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Points, evenly over the faces that hold the contact, and which of them lie on it."""
        measures = torch.tensor(
            [self.first.domain.faces[face].measure for face in self.parts], dtype=torch.float64
        )
        ends = (measures / measures.sum()).cumsum(0)
        place = unit[:, 0] if unit.shape[1] else torch.zeros(len(unit), dtype=torch.float64)
        which = torch.bucketize(place, ends[:-1].contiguous(), right=True)
        points = unit.new_empty(len(unit), len(self.first.coordinates))
        kept = torch.zeros(len(unit), dtype=torch.bool)
        for k, face in enumerate(self.parts):
            here = which == k
            own = unit[here].clone()
            if own.shape[1]:
                low = ends[k - 1] if k else 0.0
                own[:, 0] = ((own[:, 0] - low) / (ends[k] - low)).clamp(0, 1)
            points[here], kept[here] = self.first.domain.boundary_kept(face, own)
        return points, kept & self.first._touched(points, [self.second.domain])

    @cached_property
    def kept(self) -> float:
        """Fraction of points that lie on it."""
        whole = sum(
            self.first.domain.faces[face].measure / self.first.domain.kept(face)
            for face in self.parts
        )
        return self.measure / whole

    def normals(self, points: Tensor) -> Tensor:
        faces = list(self.parts)
        found = torch.stack([self.first.domain.normals(face, points) for face in faces])
        if len(faces) == 1 or not len(points):
            return found[0]
        step = 1e-6 * max(b - a for a, b in self.first.bounds.values())
        # the face that a point belongs to is the one along whose normal one leaves the piece at
        # once
        left = torch.stack(
            [
                self.first.depth(points + step * n) - self.first.depth(points - step * n)
                for n in found
            ]
        )
        return found[left.argmin(0), torch.arange(len(points))]


class Pieces(Rejecting):
    """Regions side by side, each with equations of its own: `Pieces(copper=Disk(…), air=Box(…) -
    Disk(…))`.

    Faces are those of the regions, such as "air.x-", as far as no other one lies there, and the
    contacts of two of them, such as "copper|air", with normals that point out of the first. Raises
    ProblemError for regions that overlap, do not touch any other, or have other coordinates, and
    for fewer than two.
    """

    def __init__(self, **regions: Domain):
        if len(regions) < 2:
            raise ProblemError(
                f"Pieces(…): got {len(regions) or 'no'} regions; expected two or more, such as"
                " Pieces(copper=Disk(…), air=Box(…) - Disk(…))"
            )
        for name, region in regions.items():
            if not isinstance(region, Domain) or isinstance(region, Pieces):
                raise ProblemError(
                    f"Pieces({name}=…): got {type(region).__name__}; expected a domain such as"
                    " Box(x=(0, 1))"
                )
            if region.time is not None:
                raise ProblemError(
                    f"Pieces({name}={region!r}): a piece has no time of its own; write Pieces(…) *"
                    f" Time({region.time}=…)"
                )
            if region.coordinates != next(iter(regions.values())).coordinates:
                first = next(iter(regions.values())).coordinates
                raise ProblemError(
                    f"Pieces({name}={region!r}): has the coordinates {listed(region.coordinates)};"
                    f" expected {listed(first)} in this order, as the first one"
                )
        self._slack = ROUNDING * max(
            b - a for region in regions.values() for a, b in region.bounds.values()
        )
        self.regions = {name: Region(name, region, self._slack) for name, region in regions.items()}
        for name, region in self.regions.items():
            region.others = [other.domain for key, other in self.regions.items() if key != name]
        self._check_apart()
        found = [Contact(a, b) for a, b in combinations(self.regions.values(), 2)]
        self.contacts = {contact.name: contact for contact in found if contact.parts}
        for name in regions:
            if not any(name in (c.first.name, c.second.name) for c in self.contacts.values()):
                raise ProblemError(
                    f"Pieces({name}={regions[name]!r}): touches no other piece; expected regions"
                    " that share a part of their boundary"
                )

    def _check_apart(self) -> None:
        unit = _spread(len(self.coordinates), 4 * PROBES)
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
            f"{self!r} * {time!r}: pieces are for steady problems; a coefficient that jumps in an"
            " evolution can be written as torch.where(…)"
        )


def _spread(dims: int, count: int) -> Tensor:
    """Points of the unit cube, the same every time; on a line the middles of equal parts."""
    if dims < 2:
        return (
            ((torch.arange(count, dtype=torch.float64) + 0.5) / count)[:, None]
            if dims
            else torch.zeros(1, 0, dtype=torch.float64)
        )
    return torch.rand(count, dims, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
