"""Elements of mesh files with the names of the groups that they belong to: what Gmsh writes, and
VTK's unstructured grids (meshio reads both)."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from jaxtyping import Float, Int, Shaped

from kanpde.errors import ProblemError, first_line, listed, nearest
from kanpde.machine.beside import beside_the_file

ENDINGS_OF_MESHES = {".msh": "gmsh", ".vtu": "vtu"}
"""The reader of meshio, by how a file's name ends."""

PARTS_OF_KINDS = {
    "line": (1, [[0, 1]]),
    "line3": (1, [[0, 1]]),
    "triangle": (2, [[0, 1, 2]]),
    "triangle6": (2, [[0, 1, 2]]),
    "quad": (2, [[0, 1, 2], [0, 2, 3]]),
    "quad8": (2, [[0, 1, 2], [0, 2, 3]]),
    "quad9": (2, [[0, 1, 2], [0, 2, 3]]),
    "tetra": (3, [[0, 1, 2, 3]]),
    "tetra10": (3, [[0, 1, 2, 3]]),
}
"""By meshio's name of an element its dimension, and the corners of the lines, triangles and
tetrahedra that it is made of."""

UNREADABLE_MESH = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    OverflowError,
    ParseError,
    struct.error,
)
"""What meshio raises for damaged files, besides errors of its own."""


@dataclass(frozen=True)
class MeshElements:
    """The elements of one dimension.

    Attributes:
        corners: Numbers of their points.
        groups: By element the name of its group, or its number where that has none; "" where it
            belongs to no group.
    """

    corners: Int[np.ndarray, "elements corners"]
    groups: Shaped[np.ndarray, " elements"]


@dataclass(frozen=True)
class MeshFile:
    """What a mesh file holds.

    Attributes:
        path: As it was given.
        points: In space.
        by_dimension: Lines, triangles and tetrahedra, by 1, 2 and 3.
    """

    path: Path
    points: Float[np.ndarray, "points 3"]
    by_dimension: Mapping[int, MeshElements]


def read_mesh(path: Path, what: str) -> MeshFile:
    """The points and elements of a file.

    Args:
        path: Of the file; a relative one is looked for beside the problem's file first.
        what: How messages call it.

    Raises:
        ProblemError: For files that are not there, cannot be read, or hold elements that are
            neither lines, triangles, quadrilaterals nor tetrahedra; and where meshio is missing.
    """
    found = Path(beside_the_file(path))
    if found.suffix.lower() not in ENDINGS_OF_MESHES:
        raise ProblemError(
            f"{what}: got a file ending in {found.suffix!r}; expected {listed(ENDINGS_OF_MESHES)}"
        )
    if not found.is_file():
        folder = sorted(found.parent.glob("*")) if found.parent.is_dir() else []
        beside = [p.name for p in folder if p.suffix.lower() in ENDINGS_OF_MESHES]
        raise ProblemError(f"{what}: no such file{nearest(found.name, beside)}")
    raw = _raw(found, what)
    known = [block for block in raw.cells if block.type != "vertex"]
    for block in known:
        if block.type not in PARTS_OF_KINDS:
            raise ProblemError(
                f"{what}: holds elements of the kind {block.type!r}; expected"
                f" {listed(PARTS_OF_KINDS)}"
            )
    points = np.zeros((len(raw.points), 3))
    points[:, : raw.points.shape[1]] = raw.points
    if not np.isfinite(points).all():
        raise ProblemError(f"{what}: a point is not finite; expected finite coordinates")
    return MeshFile(path, points, {d: _elements(raw, d) for d in (1, 2, 3)})


def _raw(path: Path, what: str) -> Any:
    """The mesh as meshio has it. Raises ProblemError."""
    try:
        import meshio
    except ImportError:
        raise ProblemError(
            f"{what}: meshes are read by the package meshio; pip install 'kanpde[mesh]'"
        ) from None
    reader = getattr(meshio, ENDINGS_OF_MESHES[path.suffix.lower()])
    try:
        # What it warns of, it prints.
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return reader.read(path)
    except (*UNREADABLE_MESH, meshio.ReadError, meshio._exceptions.CorruptionError) as error:
        hint = ""
        if "ncompatible cell data" in str(error):
            hint = (
                "; some elements are in physical groups and others are not: save those of groups"
                " only, or in version 2.2"
            )
        raise ProblemError(
            f"{what}: cannot be read as {path.suffix.lower()} ({first_line(error)}){hint}"
        ) from error


def _elements(raw: Any, dimension: int) -> MeshElements:
    """All elements of a dimension."""
    names = {(int(tag), int(d)): name for name, (tag, d) in raw.field_data.items()}
    corners, groups = [np.empty((0, dimension + 1), int)], [np.empty(0, object)]
    for k, block in enumerate(raw.cells):
        d, parts = PARTS_OF_KINDS.get(block.type, (0, [[0]]))
        if d == dimension:
            of = [names.get((t, d), str(t) if t else "") for t in _tags(raw, k)]
            corners += [block.data[:, part].astype(int) for part in parts]
            groups += [np.array(of, object)] * len(parts)
    return MeshElements(np.concatenate(corners), np.concatenate(groups))


def _tags(raw: Any, k: int) -> list[int]:
    """The numbers of the groups of a block's elements, zeros where they are in none."""
    given, count = raw.cell_data.get("gmsh:physical"), len(raw.cells[k].data)
    found = [] if given is None else np.asarray(given[k]).astype(int).tolist()
    return found if len(found) == count else [0] * count
