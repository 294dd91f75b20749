"""Holes: closed faces around what is left out of a domain."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kanpde.geometry.domain import Domain
from kanpde.geometry.pieces import Pieces
from kanpde.geometry.time import SpaceTime

POINTS_OF_A_RIM = 4096
"""Points of a face by which is judged whether it surrounds a hole."""

GAP_TO_THE_SIDES = 0.02
"""Distance to the sides of the bounding box, in extents of a face, from which it is taken for
closed where a domain does not say how faces meet."""


@dataclass(frozen=True)
class Hole:
    """What is left out of a domain, inside of a closed face.

    Attributes:
        face: The name of the face.
        center: The middle of the face's bounding box.
        radius: Half of its largest extent.
    """

    face: str
    center: tuple[float, ...]
    radius: float


def holes(domain: Domain) -> list[Hole]:
    """The faces that meet no other, do not reach the sides of the bounding box, and have their
    middle outside of the domain."""
    if domain.is_box or isinstance(domain, Pieces):
        return []
    region = domain.region if isinstance(domain, SpaceTime) else domain
    low, high = torch.tensor(list(region.bounds.values()), dtype=torch.float64).T
    dims = len(low) - 1
    along = round(POINTS_OF_A_RIM ** (1 / dims)) if dims else 1
    unit = torch.cartesian_prod(
        *[(torch.arange(along, dtype=torch.float64) + 0.5) / along] * dims
    ).reshape(-1, dims)
    meeting = {face for corner in region.corners for face in corner.faces}
    found = []
    for face in region.faces:
        points = region.boundary(face, unit)
        if face in meeting or not len(points):
            continue
        first, last = points.aminmax(dim=0)
        middle, extent = (first + last) / 2, float((last - first).max())
        gap = (GAP_TO_THE_SIDES if dims > 1 else 1e-6) * extent
        apart = bool((first > low + gap).all() and (last < high - gap).all())
        if apart and not bool(region.inside(middle[None])[0]):
            found.append(Hole(face, tuple(middle.tolist()), extent / 2))
    return found
