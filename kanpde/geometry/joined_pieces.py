"""Pieces of the plane side by side as one region, with seams where two of them meet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from kanpde.geometry.domain import Domain
from kanpde.geometry.pieces import Pieces
from kanpde.geometry.planar import SAME_POINT, BoundaryCurve, Planar
from kanpde.geometry.planar_sets import as_planar, cut, shared_curves
from kanpde.geometry.plane_mesh import MeshRegion
from kanpde.geometry.triangulation import Triangulation


class JoinedPieces(Planar):
    """What pieces of the plane cover together; faces are called as the pieces' are.

    Args:
        pieces: Of two coordinates.
    """

    def __init__(self, pieces: Pieces):
        self.pieces = pieces
        self._parts = {name: as_planar(r.domain) for name, r in pieces.regions.items()}

    def __repr__(self) -> str:
        return repr(self.pieces)

    @property
    def names(self) -> tuple[str, str]:
        first, second = self.pieces.coordinates
        return first, second

    def depth(self, points: Tensor) -> Tensor:
        return self.pieces.depth(points)

    @cached_property
    def seams(self) -> Sequence[BoundaryCurve]:  # type: ignore[override]
        found = []
        for name, contact in self.pieces.contacts.items():
            both = (contact.first.domain, contact.second.domain)
            found += [BoundaryCurve(one.curve, name, False) for one in shared_curves(*both)]
        return found

    @cached_property
    def bounding(self) -> Sequence[BoundaryCurve]:  # type: ignore[override]
        slack, found = 10 * SAME_POINT * max(p.size for p in self._parts.values()), []
        for name, part in self._parts.items():
            others = [q.curve for key, p in self._parts.items() if key != name for q in p.bounding]
            for bound in part.bounding:
                for piece in cut(bound.curve, others, slack / 10):
                    shared = any(s.curve.holds(piece.middle, slack) for s in self.seams)
                    if piece.length > slack and not shared:
                        face = self.pieces.regions[name].full(bound.face)
                        found.append(BoundaryCurve(piece, face, bound.shared))
        return found

    def own_triangles(self) -> Triangulation | None:
        meshes = [part for part in self._parts.values() if isinstance(part, MeshRegion)]
        joined = MeshRegion.joined(meshes) if len(meshes) == len(self._parts) else None
        return None if joined is None else joined.own_triangles()


def in_plane(domain: Domain) -> Planar:
    """A domain of two coordinates, in pieces or in one, as a region of the plane."""
    return JoinedPieces(domain) if isinstance(domain, Pieces) else as_planar(domain)
