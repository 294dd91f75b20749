"""Regions of the plane from mesh files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import pi
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry.arcs import Arc
from kanpde.geometry.curves import POINTS_TIMES_SEGMENTS, distance
from kanpde.geometry.domain import checked_positive
from kanpde.geometry.mesh_files import MeshElements, MeshFile, read_mesh
from kanpde.geometry.outlines import outlines, traced
from kanpde.geometry.planar import BoundaryCurve, Planar
from kanpde.geometry.polygon import odd
from kanpde.geometry.triangulation import Triangulation, anticlockwise

FLAT = 1e-9
"""Of the size of a mesh, how far its points may be from a plane."""

SIDES_OF_A_TRIANGLE = [[0, 1], [1, 2], [2, 0]]
"""Which of its corners each of them runs between."""


class PlaneMesh:
    """Triangles of the plane side by side, with the groups of them and of lines.

    Args:
        what: How messages call them.
        points: Of the file.
        faces: Triangles, in either direction.
        lines: Some of the edges between them, and others.

    Attributes:
        triangles: Anticlockwise.
        groups: The name of each triangle's group.
        beside: The triangle to the left of each directed edge.
        named: The groups of lines, by the two points of each.

    Raises:
        ProblemError: For triangles that overlap or have no area.
    """

    def __init__(
        self,
        what: str,
        points: Float[np.ndarray, "points 2"],
        faces: MeshElements,
        lines: MeshElements,
    ):
        self.points, self.groups = points, faces.groups
        self.triangles = anticlockwise(points, faces.corners)
        self._check_areas(what)
        self.beside: dict[tuple[int, int], int] = {}
        for k, triangle in enumerate(self.triangles.tolist()):
            for i, j in SIDES_OF_A_TRIANGLE:
                edge = (triangle[i], triangle[j])
                if edge in self.beside:
                    raise ProblemError(
                        f"{what}: triangles {self.beside[edge] + 1} and {k + 1} overlap at"
                        f" {self.at(edge[0])}, so that one of them is inverted; expected triangles"
                        " side by side"
                    )
                self.beside[edge] = k
        pairs = map(frozenset, lines.corners.tolist())
        self.named = dict(zip(pairs, lines.groups.tolist(), strict=True))

    def _check_areas(self, what: str) -> None:
        a, b, c = self.points[self.triangles].transpose(1, 0, 2)
        areas = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
        longest = np.linalg.norm([b - a, c - b, a - c], axis=-1).max(0)
        flat = np.flatnonzero(areas <= FLAT * longest**2)
        if len(flat):
            raise ProblemError(
                f"{what}: triangle {flat[0] + 1}, at {self.at(self.triangles[flat[0], 0])}, has no"
                " area; expected three corners that lie in no line"
            )

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """The names of the groups of triangles."""
        return tuple(dict.fromkeys(group for group in self.groups if group))

    def at(self, point: int) -> str:
        """Where a point is, in words."""
        x, y = self.points[point]
        return f"({x:.6g}, {y:.6g})"

    def face(self, a: int, b: int, rest: str) -> tuple[str, bool]:
        """What an edge belongs to, and whether a group of lines says so; else it is the region on
        its other side.

        Args:
            a: Where it begins.
            b: Where it ends, the inside to its left.
            rest: The name where nothing gives it one.
        """
        if group := self.named.get(frozenset((a, b))):
            return group, True
        across = self.beside.get((b, a))
        return (rest if across is None else self.groups[across] or rest), False


class MeshRegion(Planar):
    """What some triangles of a mesh cover.

    Args:
        what: How code writes it.
        mesh: All of the triangles.
        kept: Which of them.
        names: Of the coordinates.
        arcs: Whether edges whose ends lie on a circle are an arc of it.

    Raises:
        ProblemError: Where the boundary touches itself.
    """

    def __init__(
        self,
        what: str,
        mesh: PlaneMesh,
        kept: Bool[np.ndarray, " triangles"],
        names: tuple[str, str],
        arcs: bool,
    ):
        self._what, self._mesh, self._kept = what, mesh, kept
        self._names, self._arcs = names, arcs
        edges = mesh.triangles[kept][:, SIDES_OF_A_TRIANGLE].reshape(-1, 2).tolist()
        paired = {(b, a) for a, b in edges}
        self._rim = np.array([(a, b) for a, b in edges if (a, b) not in paired])
        begins, count = np.unique(self._rim[:, 0], return_counts=True)
        if (count > 1).any():
            raise ProblemError(
                f"{what}: its boundary touches itself at {mesh.at(begins[count.argmax()])};"
                " expected parts and holes that are apart or share edges"
            )

    def __repr__(self) -> str:
        return self._what

    @staticmethod
    def joined(regions: Sequence[MeshRegion]) -> MeshRegion | None:
        """Regions of one mesh as one, None for those of several.

        Args:
            regions: One at least.
        """
        first = regions[0]
        if any(one._mesh is not first._mesh for one in regions):
            return None
        kept = np.any([one._kept for one in regions], axis=0)
        return MeshRegion(repr(list(regions)), first._mesh, kept, first._names, first._arcs)

    def own_triangles(self) -> Triangulation:
        """The file's own triangles; quadrilaterals are two each."""
        kept = self._mesh.triangles[self._kept]
        used, number = np.unique(kept, return_inverse=True)
        return Triangulation(self._mesh.points[used], number.reshape(kept.shape))

    @property
    def names(self) -> tuple[str, str]:
        return self._names

    @cached_property
    def bounding(self) -> Sequence[BoundaryCurve]:  # type: ignore[override]
        return [bound for ring in self._rings for bound, _, _ in ring]

    @cached_property
    def _rings(self) -> list[list[tuple[BoundaryCurve, Tensor, Tensor]]]:
        """Curves with the points at which they begin and end, ring by ring."""
        points = self._mesh.points
        size, found, holes = float(np.ptp(points[self._rim], axis=(0, 1)).max()), [], 0
        for one in outlines(points, self._rim):
            holes += one.inner
            rest = f"hole{holes}" if one.inner else "outline"
            edges = zip(one.at.tolist(), np.roll(one.at, -1).tolist(), strict=True)
            faces = [self._mesh.face(a, b, rest) for a, b in edges]
            curves = list(traced(points[one.at], faces, size, self._arcs))
            begins = [k for _, k in curves]
            at = torch.from_numpy(points[one.at])
            found.append(
                [
                    (BoundaryCurve(curve, *faces[k]), at[k], at[after])
                    for (curve, k), after in zip(curves, [*begins[1:], begins[0]], strict=True)
                ]
            )
        return found

    def depth(self, points: Tensor) -> Tensor:
        return torch.where(self._within(points), 1, -1) * distance(
            [bound.curve for bound in self.bounding], points
        )

    def _within(self, points: Tensor) -> Bool[Tensor, " points"]:
        """Whether points lie in an odd number of the rings: that of chords, and what lies between
        a chord and its arc besides."""
        every = [one for ring in self._rings for one in ring]
        chords = points.new_tensor(
            [[*a.tolist(), *b.tolist()] for bound, a, b in every if not bound.curve.closed]
        ).reshape(-1, 4)
        parts = points.split(max(POINTS_TIMES_SEGMENTS // max(len(chords), 1), 1))
        inside = torch.cat([odd(part, *chords.T) for part in parts])
        for bound, _, _ in every:
            if isinstance(bound.curve, Arc):
                inside ^= _beyond_the_chord(bound.curve, points)
        return inside


def _beyond_the_chord(arc: Arc, points: Tensor) -> Bool[Tensor, " points"]:
    """Whether points lie in a circle, on the side of the chord of its arc on which that is."""
    x, y = points[:, 0] - arc.centre[0], points[:, 1] - arc.centre[1]
    within = x * x + y * y < arc.radii[0] ** 2
    return within if abs(arc.high - arc.low) >= 2 * pi else within & (arc.trim(points.T) > 0)


class Mesh(MeshRegion):
    """What the triangles of a mesh file cover: `Mesh("bracket.msh")`, in the file's units times
    `scale`.

    Its faces are the groups of lines in the file, called by their names or, where they have none,
    their numbers. The rest of the boundary is "outline" outside, and "hole1", "hole2", … around
    what is left out. Boundary edges in one line are one; three or more whose ends lie on a circle
    are an arc of it; all others stay as straight as they are in the file.

    Args:
        path: A file of Gmsh (.msh) or VTK (.vtu), of triangles or quadrilaterals. A relative path
            is looked for beside the problem's file or the script first, then in the current folder.
        scale: By which its numbers are multiplied.
        coordinates: Names of the two.
        arcs: False leaves all edges straight.

    Attributes:
        regions: The names of the groups of triangles.

    Raises:
        ProblemError: For a file that cannot be read, is not plane, or whose triangles overlap or
            touch in nothing but a point.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        scale: float = 1.0,
        coordinates: Sequence[str] = ("x", "y"),
        arcs: bool = True,
    ):
        names = _checked_coordinates(coordinates)
        given = [repr(str(path))]
        given += [f"scale={scale:g}"] if scale != 1 else []
        given += [f"coordinates={names!r}"] if names != ("x", "y") else []
        what = f"Mesh({', '.join([*given, *([] if arcs else ['arcs=False'])])})"
        file = read_mesh(Path(path), what)
        points = checked_positive("Mesh", "scale", scale) * _plane(file, what)
        mesh = PlaneMesh(what, points, file.by_dimension[2], file.by_dimension[1])
        super().__init__(what, mesh, np.ones(len(mesh.triangles), bool), names, arcs)
        self.regions = mesh.regions

    def region(self, name: str) -> MeshRegion:
        """The part of the domain that a group of triangles covers, for Pieces(…) of several
        materials. What of its boundary is in no group of lines, and has another region on the other
        side, is called as that region.

        Args:
            name: Of the group.

        Raises:
            ProblemError: Where there is none of that name.
        """
        if name not in self.regions:
            known = listed(self.regions) if self.regions else "none; name physical surfaces in Gmsh"
            raise ProblemError(
                f"{self!r}: has no region {name!r}; its regions are"
                f" {known}{nearest(str(name), self.regions)}"
            )
        kept = self._mesh.groups == name
        return MeshRegion(f"{self!r}.region({name!r})", self._mesh, kept, self._names, self._arcs)


def _checked_coordinates(given: object) -> tuple[str, str]:
    """The names of two coordinates. Raises ProblemError."""
    found = tuple(given) if isinstance(given, list | tuple) else (given,)
    if len(found) != 2 or not all(isinstance(x, str) and x.isidentifier() for x in found):
        raise ProblemError(
            f"Mesh(coordinates={given!r}): expected the names of two coordinates, such as"
            " coordinates=('x', 'y')"
        )
    return found[0], found[1]


def _plane(file: MeshFile, what: str) -> Float[np.ndarray, "points 2"]:
    """Coordinates in the plane. Raises ProblemError for a file without it."""
    if count := len(file.by_dimension[3].corners):
        raise ProblemError(
            f"{what}: holds {count} tetrahedra; expected triangles of the plane; bodies are"
            " Solid(…)"
        )
    if not len(file.by_dimension[2].corners):
        raise ProblemError(f"{what}: holds no triangles; expected a mesh of a surface")
    used = file.points[np.unique(file.by_dimension[2].corners)]
    if np.ptp(used[:, 2]) > FLAT * np.ptp(used, axis=0).max():
        raise ProblemError(
            f"{what}: is not plane: z runs from {used[:, 2].min():g} to {used[:, 2].max():g};"
            " expected one z for all points; closed surfaces are Solid(…)"
        )
    return file.points[:, :2]
