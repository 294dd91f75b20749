"""Where a solution changes over short lengths: about holes of a domain, and about its re-entrant corners."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from kanpde.geometry.domain import Domain
from kanpde.geometry.pieces import Pieces
from kanpde.geometry.time import SpaceTime

SAMPLES = 4096
"""Points of a face by which it is judged."""

OPEN = 1e-6
"""Angle, in radians, beyond π from which a corner is re-entrant."""

GAP = 0.02
"""Distance to the sides of the bounding box, in extents of a face, from which it is taken for closed where a domain does not say how faces meet."""


CORNER = 0.06
"""Radius that a re-entrant corner is taken to have, over the side of a square as large as the domain. There is no length in the flow about a corner
itself; with this one the velocity of backward_step2d is right to 6e-3 in place of 1e-2, and the pressure to 4e-2 in place of 8e-2."""


@dataclass(frozen=True)
class Focus:
    """A hole: its face, the middle of its bounding box and half of its largest extent; or a corner: where it is, and CORNER."""

    name: str
    center: tuple[float, ...]
    radius: float


def foci(domain: Domain) -> list[Focus]:
    """The holes and the re-entrant corners of a domain, none where it is a box or in pieces."""
    if domain.is_box or isinstance(domain, Pieces):
        return []
    region = domain.region if isinstance(domain, SpaceTime) else domain
    return holes(region) + reentrant(region)


def reentrant(region: Domain) -> list[Focus]:
    """The corners with an opening of more than π."""
    at = dict.fromkeys(corner.at for corner in region.corners if corner.opening > math.pi + OPEN)
    return [Focus(f"({x:g}, {y:g})", (x, y), CORNER * math.sqrt(region.volume)) for x, y in at]


def holes(region: Domain) -> list[Focus]:
    """The faces that meet no other, do not reach the sides of the bounding box, and have their middle outside of the region."""
    low, high = torch.tensor(list(region.bounds.values()), dtype=torch.float64).T
    dims = len(low) - 1
    along = round(SAMPLES ** (1 / dims)) if dims else 1
    unit = torch.cartesian_prod(*[(torch.arange(along, dtype=torch.float64) + 0.5) / along] * dims).reshape(-1, dims)
    meeting = {face for corner in region.corners for face in corner.faces}
    found = []
    for face in region.faces:
        points = region.boundary(face, unit)
        if face in meeting or not len(points):
            continue
        first, last = points.aminmax(dim=0)
        middle, extent = (first + last) / 2, float((last - first).max())
        gap = (GAP if dims > 1 else 1e-6) * extent
        apart = bool((first > low + gap).all() and (last < high - gap).all())
        if apart and not bool(region.inside(middle[None])[0]):
            found.append(Focus(face, tuple(middle.tolist()), extent / 2))
    return found
