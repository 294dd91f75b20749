"""Mesh files of regions, as Gmsh and VTK write them: triangles of our own, with groups."""

import meshio
import numpy as np
import torch

from kanpde.geometry.planar_sets import as_planar
from kanpde.geometry.triangulation import triangulated


def triangles_of(region, length, groups=()):
    """The points, the edges at the boundary with the names of their faces, and the triangles.

    Args:
        region: Of the plane.
        length: Of edges.
        groups: By face the name of the group; None for no group, by default its own name.
    """
    planar = as_planar(region)
    found = triangulated(planar, length)
    sides = found.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    edges, count = np.unique(np.sort(sides, 1), axis=0, return_counts=True)
    edges = edges[count == 1]
    middle = torch.from_numpy(found.points[edges].mean(1))
    nearest = torch.stack([b.curve.distance(middle) for b in planar.bounding]).argmin(0)
    faces = [planar.bounding[k].face for k in nearest]
    return found.points, edges, [dict(groups).get(f, f) for f in faces], found.triangles


def write_mesh(path, points, elements, version="4.1"):
    """Write a file.

    Args:
        path: Ends in .msh or .vtu.
        points: [points, 2] or [points, 3].
        elements: By meshio's name of an element the corners, and the group of each, None for none.
        version: Of Gmsh's format.
    """
    points = np.column_stack([points, np.zeros((len(points), 3 - np.shape(points)[1]))])
    of = {"line": 1, "tetra": 3}
    known = [(of.get(kind, 2), g) for kind, (_, every) in elements.items() for g in every if g]
    tags = {key: k + 1 for k, key in enumerate(dict.fromkeys(known))}
    if path.suffix == ".msh" and version == "4.1":
        path.write_text("\n".join(_gmsh41(points, elements, tags, of)) + "\n")
        return path
    numbers = [
        np.array([tags.get((of.get(kind, 2), g), 0) for g in every])
        for kind, (_, every) in elements.items()
    ]
    mesh = meshio.Mesh(
        points,
        [(kind, np.array(corners)) for kind, (corners, _) in elements.items()],
        cell_data={"gmsh:physical": numbers, "gmsh:geometrical": numbers},
        field_data={name: np.array([tag, d]) for (d, name), tag in tags.items()},
    )
    if path.suffix == ".vtu":
        meshio.vtu.write(str(path), mesh)
    else:
        meshio.gmsh.write(str(path), mesh, "2.2", binary=False)
    return path


def _gmsh41(points, elements, tags, of):
    """Lines of a file whose elements are all in groups, one curve or surface each."""
    names = [f'{d} {tag} "{name}"' for (d, name), tag in tags.items()]
    yield from ("$MeshFormat", "4.1 0 8", "$EndMeshFormat")
    yield from ("$PhysicalNames", str(len(tags)), *names, "$EndPhysicalNames")
    by_dimension = [[tag for (d, _), tag in tags.items() if d == k] for k in range(4)]
    yield from ("$Entities", " ".join(str(len(each)) for each in by_dimension))
    yield from (f"{tag} 0 0 0 1 1 1 1 {tag} 0" for each in by_dimension for tag in each)
    yield from (
        "$EndEntities",
        "$Nodes",
        f"1 {len(points)} 1 {len(points)}",
        f"2 1 0 {len(points)}",
    )
    yield from (str(k + 1) for k in range(len(points)))
    yield from (" ".join(f"{x:.16g}" for x in at) for at in points)
    blocks = [
        (of.get(kind, 2), tag, {"line": 1, "triangle": 2, "quad": 3, "tetra": 4}[kind], here)
        for kind, (corners, groups) in elements.items()
        for (d, name), tag in tags.items()
        if d == of.get(kind, 2)
        and (here := [c for c, g in zip(corners, groups, strict=True) if g == name])
    ]
    count = sum(len(here) for *_, here in blocks)
    yield from ("$EndNodes", "$Elements", f"{len(blocks)} {count} 1 {count}")
    number = 0
    for d, tag, kind, here in blocks:
        yield f"{d} {tag} {kind} {len(here)}"
        for corners in here:
            number += 1
            yield f"{number} {' '.join(str(c + 1) for c in corners)}"
    yield "$EndElements"


def write_region(path, region, length, groups=(), version="4.1"):
    """Write a region's triangles, all of the group "part", and its faces."""
    points, edges, faces, triangles = triangles_of(region, length, groups)
    kept = [k for k, face in enumerate(faces) if face]
    elements = {
        "line": (edges[kept].tolist(), [faces[k] for k in kept]),
        "triangle": (triangles.tolist(), ["part"] * len(triangles)),
    }
    return write_mesh(path, points, elements, version)
