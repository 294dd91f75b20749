"""Bodies from STL files."""

import math

import numpy as np
import pytest
import torch
from meshed import write_mesh

from kanpde import Ball, Box, Dirichlet, Problem, ProblemError, Solid, Time, laplacian
from kanpde.geometry.sampling import inside_points, unit_points


def cube_triangles():
    """The unit cube, each side in two triangles, turned outwards."""
    found = []
    for axis in range(3):
        for side in (0.0, 1.0):
            square = np.array([[side, 0, 0], [side, 1, 0], [side, 1, 1], [side, 0, 1]])[
                :: 1 if side else -1
            ]
            square = np.roll(square, axis, axis=1)
            found += [square[[0, 1, 2]], square[[0, 2, 3]]]
    return np.array(found)


def sphere_triangles(levels):
    """A refined octahedron on the unit sphere."""
    tips = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    found = [[tips[k], tips[(k + 1) % 4], [0, 0, 1]] for k in range(4)] + [
        [tips[(k + 1) % 4], tips[k], [0, 0, -1]] for k in range(4)
    ]
    triangles = np.array(found, dtype=float)
    for _ in range(levels):
        a, b, c = triangles.transpose(1, 0, 2)
        ab, bc, ca = (
            (p + q) / np.linalg.norm(p + q, axis=1, keepdims=True)
            for p, q in ((a, b), (b, c), (c, a))
        )
        triangles = np.concatenate(
            [np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        )
    return triangles


def text(triangles):
    rows = []
    for triangle in triangles:
        corners = "".join(f"vertex {x:.17g} {y:.17g} {z:.17g}\n" for x, y, z in triangle)
        rows.append(f"facet normal 0 0 0\nouter loop\n{corners}endloop\nendfacet\n")
    return ("solid part\n" + "".join(rows) + "endsolid part\n").encode()


def binary(triangles):
    record = np.zeros(
        len(triangles),
        np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")]),
    )
    record["corners"] = triangles
    return b"made here".ljust(80) + len(triangles).to_bytes(4, "little") + record.tobytes()


@pytest.fixture
def stl(tmp_path):
    def write(triangles, form=text):
        path = tmp_path / "part.stl"
        path.write_bytes(form(triangles))
        return path

    return write


@pytest.mark.parametrize("form", [text, binary])
@pytest.mark.parametrize("turned", [1, -1])
def test_a_cube_is_a_box(stl, form, turned):
    solid, box = (
        Solid(stl(cube_triangles()[:, ::turned], form), name="skin"),
        Box(x=(0, 1), y=(0, 1), z=(0, 1)),
    )
    assert solid.bounds == box.bounds
    assert solid.volume == pytest.approx(1)
    assert solid.faces["skin"].measure == pytest.approx(6)
    points = 3 * unit_points(512, 3, 0) - 1
    inside = box.inside(points)
    assert torch.equal(solid.inside(points), inside)
    assert torch.allclose(solid.depth(points)[inside], box.depth(points)[inside])
    away = torch.maximum(torch.maximum(-points, points - 1), torch.zeros(())).norm(dim=1)
    assert torch.allclose(-solid.depth(points)[~inside], away[~inside])
    skin = solid.boundary("skin", unit_points(4096, 2, 0))
    assert float(box.depth(skin).abs().max()) < 1e-12
    assert [float((skin[:, k] == 0).double().mean()) for k in range(3)] == pytest.approx(
        [1 / 6] * 3, abs=2e-3
    )
    assert skin.mean(0).tolist() == pytest.approx([0.5] * 3, abs=2e-3)
    assert skin.var(0).tolist() == pytest.approx(
        [2 / 3 / 12 + 1 / 12] * 3, abs=2e-3
    )  # four sides spread evenly, two at the ends
    normals = solid.normals("skin", skin)
    assert float(box.depth(skin - 1e-6 * normals).min()) > 0
    assert float(box.depth(skin + 1e-6 * normals).max()) < 0


def test_a_sphere_of_triangles(stl):
    solid = Solid(stl(sphere_triangles(3)), scale=2)
    assert solid.volume == pytest.approx(8 * 4 / 3 * math.pi, rel=0.03)
    points = inside_points(solid, 256, 0)
    assert len(points) == 256
    assert float(points.norm(dim=1).max()) < 2
    a, b, c = torch.from_numpy(2 * sphere_triangles(3)).unbind(1)
    normals = torch.linalg.cross(b - a, c - a)
    cut_off = 2 - float(
        ((a * normals).sum(1) / normals.norm(dim=1)).min()
    )  # how far the chords stay inside of the sphere
    gap = Ball(radius=2).depth(points) - solid.depth(points)
    assert -1e-12 < float(gap.min()) < float(gap.max()) < cut_off + 1e-12 < 0.05
    assert repr(solid).endswith("part.stl', scale=2)")


def test_in_problems_and_set_operations(stl):
    part = Solid(stl(sphere_triangles(0)), scale=0.5)
    around = Box(x=(-1, 1), y=(-1, 1), z=(-1, 1)) - part
    assert around.volume == pytest.approx(8 - part.volume, rel=2e-3)
    assert around.faces["surface"].measure == pytest.approx(part.faces["surface"].measure, rel=1e-3)
    points = around.boundary("surface", unit_points(64, 2, 0))
    assert (
        float(((points * around.normals("surface", points)).sum(1)).max()) < 0
    )  # outwards of what is around: into the part
    assert around.implicit("surface") is None
    problem = Problem(
        around,
        lambda u, x, y, z: laplacian(u),
        [Dirichlet(u=0, on="surface"), Dirichlet(u=1, on=("x-", "x+", "y-", "y+", "z-", "z+"))],
    )
    assert len(problem.constraints) == 7
    assert (part * Time(t=(0, 1))).volume == part.volume


def named(triangles):
    """The unit cube with a solid for each of three parts of its surface."""
    heights = triangles[:, :, 2]
    low, high = (heights == 0).all(1), (heights == 1).all(1)
    parts = {"floor": low, "roof": high, "my walls": ~low & ~high}
    return b"".join(
        text(triangles[own]).replace(b"solid part", f"solid {name}".encode())
        for name, own in parts.items()
    )


def tetrahedra(path):
    """The unit cube in six, in either direction, its floor a group."""
    points = [[x, y, z] for x in (0.0, 1) for y in (0.0, 1) for z in (0.0, 1)]
    steps = [[1, 2, 4], [2, 1, 4], [1, 4, 2], [4, 1, 2], [2, 4, 1], [4, 2, 1]]
    cells = [[0, a, a + b, 7] for a, b, _ in steps]
    floor = [[0, 4, 6], [0, 2, 6]]
    parts = {"triangle": (floor, ["floor"] * 2), "tetra": (cells, ["body"] * 6)}
    return write_mesh(path, points, parts)


@pytest.mark.parametrize("file", ["cube.stl", "cube.msh"])
def test_faces_by_name(tmp_path, file):
    path = tmp_path / file
    if path.suffix == ".stl":
        path.write_bytes(named(cube_triangles()))
        rest = {"roof": 1, "my walls": 4}
    else:
        tetrahedra(path)
        rest = {"skin": 5}
    solid, box = Solid(path, name="skin"), Box(x=(0, 1), y=(0, 1), z=(0, 1))
    areas = {name: face.measure for name, face in solid.faces.items()}
    assert areas == pytest.approx({"floor": 1, **rest})
    assert solid.volume == pytest.approx(1)
    points = 3 * unit_points(256, 3, 0) - 1
    assert torch.equal(solid.inside(points), box.inside(points))
    floor = solid.boundary("floor", unit_points(512, 2, 0))
    assert float(floor[:, 2].abs().max()) == 0
    assert floor[:, :2].mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert solid.normals("floor", floor)[:, 2].tolist() == pytest.approx([-1] * 512)
    around = solid.boundary(next(iter(rest)), unit_points(64, 2, 0))
    assert float(around[:, 2].min()) > 0
    problem = Problem(
        solid,
        lambda u, x, y, z: laplacian(u),
        [Dirichlet(u=0, on="floor"), Dirichlet(u=1, on=tuple(rest))],
    )
    assert len(problem.constraints) == 1 + len(rest)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"part.stl'\): No such file or directory; expected an STL file$"),
        (b"", "holds no triangles; expected an STL file, binary or text, or a mesh"),
        (b"\x89PNG" + bytes(200), "holds no triangles"),
        (b"solid\nvertex 0 0 0\nvertex 1 0 a\nendsolid", "is no STL file; expected triangles"),
        (b"solid\nvertex 0 0 0\nvertex 1 0 0\nendsolid", "is no STL file; expected triangles"),
        (
            text(cube_triangles()[:-1]),
            (
                "the surface is not closed, .*: 3 of 33 edges have no partner; expected a closed"
                " surface"
            ),
        ),
        (
            text(np.concatenate([cube_triangles()[:-1], cube_triangles()[-1:, ::-1]])),
            "not turned one way",
        ),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    path = tmp_path / "part.stl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProblemError, match=message):
        Solid(path)
    with pytest.raises(ProblemError, match="expected a positive number"):
        Solid(path, scale=0)


def test_reentrant_edges_are_found(stl):
    assert Solid(stl(cube_triangles())).reentrant == ""
    assert Solid(stl(sphere_triangles(1))).reentrant == ""
    # A cube of which one face is pushed in to its middle: the pyramid's edges look inwards.
    kept = [one for one in cube_triangles() if not (one[:, 2] == 1).all()]
    square = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], dtype=float)
    tip = np.array([0.5, 0.5, 0.5])
    pushed = [np.array([square[k], square[(k + 1) % 4], tip]) for k in range(4)]
    found = Solid(stl(np.array([*kept, *pushed]))).reentrant
    assert found.startswith("at (")
    assert found.endswith("0.75)")
