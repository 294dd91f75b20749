"""Bodies bounded by triangles, from STL files and from meshes of tetrahedra."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.domain import Domain, Face, Interval, checked_name, checked_positive
from kanpde.geometry.mesh_files import ENDINGS_OF_MESHES, MeshFile, read_mesh
from kanpde.machine.beside import beside_the_file

POINTS_TIMES_TRIANGLES = 1 << 14
"""Pairs of a point and a triangle that are looked at together: as many as fit into a cache."""

ONE_SURFACE = 0.9
"""Cosine of the angle between triangles that are part of one smooth surface, at least."""

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


class Solid(Domain):
    """What a closed surface of triangles bounds: `Solid("part.stl")`, in the file's units times
    `scale`; the coordinates are x, y and z.

    Where the file names parts of the surface, these are its faces: several `solid` of an STL file
    of text, or groups of triangles of a mesh. The rest is called `name`, "surface" where none is
    given. Every question costs points times triangles: a few thousand triangles are fine.

    Args:
        path: An STL file, binary or text, or a mesh (.msh, .vtu) of tetrahedra or of a surface. A
            relative path is looked for beside the problem's file or the script first, then in the
            current folder.
        scale: By which its numbers are multiplied.
        name: Of the face that the file does not name; shapes that are given the same name share a
            face when they are combined.

    Raises:
        ProblemError: For a file that cannot be read, and for a surface that is not closed.
    """

    def __init__(self, path: str | Path, *, scale: float = 1.0, name: str | None = None):
        self.path, self.scale = Path(path), checked_positive("Solid", "scale", scale)
        self._name = checked_name("Solid", name)
        surface = read(path)
        corners = self.scale * surface.corners
        edges = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        kept = np.linalg.norm(edges, axis=1) > 0
        corners = corners[kept]
        volume = float(
            np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
        )
        _check_closed(self.path, corners)
        if volume == 0:
            raise ProblemError(f"Solid({str(path)!r}): encloses no volume")
        self._corners = torch.from_numpy(corners if volume > 0 else corners[:, ::-1].copy())
        self._volume = abs(volume)
        names = [group or name or "surface" for group in surface.groups[kept]]
        self._of = {
            face: torch.tensor([one == face for one in names]) for face in dict.fromkeys(names)
        }
        self.shared = name is not None or set(self._of) != {"surface"}

    def __repr__(self) -> str:
        scale = f", scale={self.scale:g}" if self.scale != 1 else ""
        return f"Solid({str(self.path)!r}{scale}{f', name={self._name!r}' if self._name else ''})"

    @cached_property
    def bounds(self) -> Mapping[str, Interval]:  # type: ignore[override]
        flat = self._corners.reshape(-1, 3)
        return {
            x: (float(a), float(b))
            for x, a, b in zip("xyz", flat.amin(0), flat.amax(0), strict=True)
        }

    @cached_property
    def _normals(self) -> Float[Tensor, "triangles 3"]:
        """Outward normals, twice as long as the triangles are large."""
        a, b, c = self._corners.unbind(1)
        return torch.linalg.cross(b - a, c - a)

    @property
    def volume(self) -> float:
        return self._volume

    @cached_property
    def reentrant(self) -> str:  # type: ignore[override]
        """Edges of two triangles that look at each other, and are no part of a smooth surface."""
        middles, normals = self._corners.mean(1).numpy(), self._normals.numpy()
        normals = normals / np.linalg.norm(normals, axis=1)[:, None]
        ends = self._corners[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2, 3).numpy()
        places = np.unique(ends.reshape(-1, 3), axis=0, return_inverse=True)[1].reshape(-1, 2)
        order = np.lexsort(np.sort(places, axis=1).T)
        one, other = (order[0::2] // 3, order[1::2] // 3)
        turned = np.einsum("ei,ei->e", normals[one], normals[other]) < ONE_SURFACE
        inward = np.einsum("ei,ei->e", normals[one], middles[other] - middles[one]) > 0
        found = np.flatnonzero(turned & inward)
        if not len(found):
            return ""
        x, y, z = ends[order[2 * found[0]]].mean(0)
        return f"at ({x:.4g}, {y:.4g}, {z:.4g})"

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        areas = self._normals.norm(dim=1) / 2
        return {face: Face(face, float(areas[own].sum())) for face, own in self._of.items()}

    def depth(self, points: Tensor) -> Tensor:
        return torch.where(self._winds(points), 1, -1) * self._nearest(points)[0]

    def interior(self, unit: Tensor) -> Tensor:
        points = self.box(unit)
        return points[self._winds(points)]

    def boundary(self, face: str, unit: Tensor) -> Tensor:
        """Each triangle has its part of the first coordinate, which goes on inside of it; the
        square is folded onto the triangle by its root."""
        areas = self._normals[self._of[face]].norm(dim=1).to(unit)
        ends = areas.cumsum(0)
        place = unit[:, 0] * ends[-1]
        which = torch.bucketize(place, ends[:-1].contiguous(), right=True)
        first = ((place - (ends[which] - areas[which])) / areas[which]).clamp(0, 1).sqrt()[:, None]
        a, b, c = self._corners[self._of[face]].to(unit)[which].unbind(1)
        return a + first * (b - a + unit[:, 1:] * (c - b))

    def normals(self, face: str, points: Tensor) -> Tensor:
        own = self._of[face]
        normals = self._normals[own].to(points)[self._nearest(points, own)[1]]
        return normals / normals.norm(dim=1, keepdim=True)

    def _winds(self, points: Tensor) -> Bool[Tensor, " points"]:
        """Whether the surface winds around points: its solid angle is 4π inside, 0 outside (Van
        Oosterom and Strackee 1983)."""
        found = []
        for part in points.split(max(POINTS_TIMES_TRIANGLES // len(self._corners), 1)):
            a, b, c = (self._corners.to(points)[None] - part[:, None, None]).unbind(2)
            la, lb, lc = a.norm(dim=2), b.norm(dim=2), c.norm(dim=2)
            below = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
            found.append(
                2 * torch.atan2((a * torch.linalg.cross(b, c)).sum(2), below).sum(1) > 2 * math.pi
            )
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool)

    def _nearest(self, points: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Distance to the surface, or to some of its triangles, and which of them is next."""
        here: Tensor | slice = slice(None) if own is None else own
        corners, normals = self._corners[here].to(points), self._normals[here].to(points)
        normals = normals / normals.norm(dim=1, keepdim=True)
        found = []
        for part in points.split(max(POINTS_TIMES_TRIANGLES // len(corners), 1)):
            above = torch.ones(len(part), len(corners), dtype=torch.bool, device=points.device)
            aside = torch.full(
                (len(part), len(corners)), math.inf, dtype=points.dtype, device=points.device
            )
            for k in range(3):
                start, along = corners[:, k], corners[:, (k + 1) % 3] - corners[:, k]
                away = part[:, None] - start
                above &= (torch.linalg.cross(along[None], away) * normals).sum(2) >= 0
                tau = ((away * along).sum(2) / along.square().sum(1)).clamp(0, 1)
                aside = torch.minimum(aside, (away - tau[:, :, None] * along).norm(dim=2))
            height = ((part[:, None] - corners[:, 0]) * normals).sum(2).abs()
            found.append(torch.where(above, height, aside).min(1))
        return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


@dataclass(frozen=True)
class Surface:
    """Triangles in space.

    Attributes:
        corners: Of each.
        groups: By triangle what the file calls its part of the surface, "" where it does not.
    """

    corners: Float[np.ndarray, "triangles 3 3"]
    groups: Shaped[np.ndarray, " triangles"]


def read(path: str | Path) -> Surface:
    """The triangles of a file.

    Args:
        path: Of an STL file, binary or text, or of a mesh; a relative one is looked for beside the
            problem's file first.

    Raises:
        ProblemError: For a file that cannot be read, or holds no triangles.
    """
    if Path(path).suffix.lower() in ENDINGS_OF_MESHES:
        found = _around(read_mesh(Path(path), f"Solid({str(path)!r})"))
    else:
        found = _stl(path)
    if not len(found.corners):
        raise ProblemError(
            f"Solid({str(path)!r}): holds no triangles; expected an STL file, binary or text, or a"
            " mesh"
        )
    if not np.isfinite(found.corners).all():
        raise ProblemError(f"Solid({str(path)!r}): a corner is not finite")
    return found


def _around(file: MeshFile) -> Surface:
    """The surface of the tetrahedra, all turned one way, or, where there are none, all triangles,
    with the groups of triangles."""
    faces, tetrahedra = file.by_dimension[2], file.by_dimension[3].corners
    if not len(tetrahedra):
        return Surface(file.points[faces.corners], faces.groups)
    a, b, c, e = file.points[tetrahedra].transpose(1, 0, 2)
    turned = np.einsum("ti,ti->t", np.cross(b - a, c - a), e - a) < 0
    tetrahedra = np.where(turned[:, None], tetrahedra[:, [1, 0, 2, 3]], tetrahedra)
    sides = tetrahedra[:, [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]].reshape(-1, 3)
    _, first, count = np.unique(np.sort(sides, 1), axis=0, return_index=True, return_counts=True)
    outer = sides[first[count == 1]]
    pairs = zip(map(frozenset, faces.corners.tolist()), faces.groups, strict=True)
    named = dict(pairs)
    groups = [named.get(frozenset(side), "") for side in outer.tolist()]
    return Surface(file.points[outer], np.array(groups, object))


def _stl(path: str | Path) -> Surface:
    """The triangles of an STL file, with the names of the solids where there are several."""
    try:
        raw = Path(beside_the_file(path)).read_bytes()
    except OSError as error:
        raise ProblemError(
            f"Solid({str(path)!r}): {error.strerror}; expected an STL file"
        ) from None
    count = int.from_bytes(raw[80:84], "little")
    if len(raw) == 84 + 50 * count and count:
        corners = np.frombuffer(raw, _RECORD, count, 84)["corners"].astype(np.float64)
        return Surface(corners, np.full(count, "", object))
    lines = [line.split(maxsplit=1) for line in raw.decode("ascii", "replace").splitlines()]
    words, groups, solid = [], [], ""
    for line in (line for line in lines if line):
        if line[0] == "solid":
            solid = line[1].strip() if len(line) > 1 else ""
        if line[0] == "vertex":
            words.append(line[1].split() if len(line) > 1 else [])
            groups.append(solid)
    try:
        corners = np.array(words, dtype=np.float64).reshape(-1, 3, 3)
    except ValueError:
        raise ProblemError(
            f"Solid({str(path)!r}): is no STL file; expected triangles, each of three lines"
            " `vertex x y z`, or their binary form"
        ) from None
    several = len(set(groups)) > 1
    return Surface(corners, np.array(groups if several else [""] * len(groups), object)[::3])


def _check_closed(path: Path, corners: NDArray[np.float64]) -> None:
    """Raise ProblemError unless every edge is run through once in either direction."""
    _, flat = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    triangles = flat.reshape(-1, 3)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    one_way, count = np.unique(edges, axis=0, return_counts=True)
    other_way = {tuple(edge) for edge in one_way[:, ::-1].tolist()}
    alone = sum(tuple(edge) not in other_way for edge in one_way.tolist()) + int((count > 1).sum())
    if alone:
        raise ProblemError(
            f"Solid({str(path)!r}): the surface is not closed, or its triangles are not turned one"
            f" way: {alone} of {len(edges)} edges have no partner; expected a closed surface"
        )
