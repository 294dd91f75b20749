"""Bodies bounded by triangles, from STL files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.domain import Domain, Face, Interval, checked_name, checked_positive
from kanpde.machine.beside import beside_the_file

POINTS_TIMES_TRIANGLES = 1 << 14
"""Pairs of a point and a triangle that are looked at together: as many as fit into a cache."""

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


class Solid(Domain):
    """What a closed surface of triangles bounds: `Solid("part.stl")`, in the file's units times
    `scale`; the coordinates are x, y and z.

    Its one face is called `name`, "surface" where none is given. Every question costs points times
    triangles: a few thousand triangles are fine.

    Args:
        path: The STL file, binary or text. A relative path is looked for beside the problem's file
            or the script first, then in the current folder.
        scale: By which its numbers are multiplied.
        name: Of its face; shapes that are given the same name share a face when they are combined.

    Raises:
        ProblemError: For a file that cannot be read, and for a surface that is not closed.
    """

    def __init__(self, path: str | Path, *, scale: float = 1.0, name: str | None = None):
        self.path, self.scale = Path(path), checked_positive("Solid", "scale", scale)
        self.shared = checked_name("Solid", name) is not None
        self._face = name or "surface"
        corners = self.scale * read(beside_the_file(self.path))
        edges = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        corners = corners[np.linalg.norm(edges, axis=1) > 0]
        volume = float(
            np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
        )
        _check_closed(self.path, corners)
        if volume == 0:
            raise ProblemError(f"Solid({str(path)!r}): encloses no volume")
        self._corners = torch.from_numpy(corners if volume > 0 else corners[:, ::-1].copy())
        self._volume = abs(volume)

    def __repr__(self) -> str:
        scale = f", scale={self.scale:g}" if self.scale != 1 else ""
        return f"Solid({str(self.path)!r}{scale}{f', name={self._face!r}' if self.shared else ''})"

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
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        return {self._face: Face(self._face, float(self._normals.norm(dim=1).sum() / 2))}

    def depth(self, points: Tensor) -> Tensor:
        return torch.where(self._winds(points), 1, -1) * self._nearest(points)[0]

    def interior(self, unit: Tensor) -> Tensor:
        points = self.box(unit)
        return points[self._winds(points)]

    def boundary(self, face: str, unit: Tensor) -> Tensor:
        """Each triangle has its part of the first coordinate, which goes on inside of it; the
        square is folded onto the triangle by its root."""
        areas = self._normals.norm(dim=1).to(unit)
        ends = areas.cumsum(0)
        place = unit[:, 0] * ends[-1]
        which = torch.bucketize(place, ends[:-1].contiguous(), right=True)
        first = ((place - (ends[which] - areas[which])) / areas[which]).clamp(0, 1).sqrt()[:, None]
        a, b, c = self._corners.to(unit)[which].unbind(1)
        return a + first * (b - a + unit[:, 1:] * (c - b))

    def normals(self, face: str, points: Tensor) -> Tensor:
        normals = self._normals.to(points)[self._nearest(points)[1]]
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

    def _nearest(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to the surface, and which triangle is next."""
        corners, normals = self._corners.to(points), self._normals.to(points)
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


def read(path: Path) -> NDArray[np.float64]:
    """The triangles of an STL file, binary or text.

    Args:
        path: The file.

    Returns:
        Their corners, [triangles, corners, 3].

    Raises:
        ProblemError: For a file that cannot be read, or holds no triangles.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ProblemError(
            f"Solid({str(path)!r}): {error.strerror}; expected an STL file"
        ) from None
    count = int.from_bytes(raw[80:84], "little")
    if len(raw) == 84 + 50 * count and count:
        corners = np.frombuffer(raw, _RECORD, count, 84)["corners"].astype(np.float64)
    else:
        words = [
            line.split()[1:]
            for line in raw.decode("ascii", "replace").splitlines()
            if line.split()[:1] == ["vertex"]
        ]
        try:
            corners = np.array(words, dtype=np.float64).reshape(-1, 3, 3)
        except ValueError:
            raise ProblemError(
                f"Solid({str(path)!r}): is no STL file; expected triangles, each of three lines"
                " `vertex x y z`, or their binary form"
            ) from None
    if not len(corners):
        raise ProblemError(
            f"Solid({str(path)!r}): holds no triangles; expected an STL file, binary or text"
        )
    if not np.isfinite(corners).all():
        raise ProblemError(f"Solid({str(path)!r}): a corner is not finite")
    return corners


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
