"""The pieces of a domain, and where two of them meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from kanpde.geometry.domain import Domain, Face, Interval, Rejecting
from kanpde.geometry.implicit import Implicit

PROBES_OF_A_FACE = 1024
"""Points of a face by which is told how much of it is shared."""


class Region(Rejecting):
    """One of the pieces. Its faces are called after it, such as "air.x-", and end where another
    piece begins.

    Args:
        name: Of the piece.
        domain: What it is, with faces of its own.
        slack: Distance below which two boundaries are the same.

    Attributes:
        others: The domains of the other pieces.
    """

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
        """How much of a face lies on the boundary of others.

        Args:
            face: As the region's own domain calls it.
            others: Other domains.

        Returns:
            A number between 0 and 1.
        """
        points = self.domain.boundary(
            face, spread_points(len(self.coordinates) - 1, PROBES_OF_A_FACE)
        )
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
    Normals point out of the first.

    Args:
        first: One of the two.
        second: The other.

    Attributes:
        parts: The faces of the first one's domain that hold it, and what part of each it is.
    """

    def __init__(self, first: Region, second: Region):
        self.first, self.second = first, second
        shared = {face: first.shared(face, [second.domain]) for face in first.domain.faces}
        self.parts = {face: part for face, part in shared.items() if part > 0}

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
        which = torch.bucketize(place.contiguous(), ends[:-1].contiguous(), right=True)
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


def spread_points(dims: int, count: int) -> Tensor:
    """Points of the unit cube, the same every time; on a line the middles of equal parts.

    Args:
        dims: Of the cube; there is one point of none.
        count: How many.
    """
    if dims < 2:
        return (
            ((torch.arange(count, dtype=torch.float64) + 0.5) / count)[:, None]
            if dims
            else torch.zeros(1, 0, dtype=torch.float64)
        )
    return torch.rand(count, dims, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
