"""Regions of the plane from mesh files, against the regions that the meshes were made of."""

from math import pi

import numpy as np
import pytest
import torch
from meshed import write_mesh, write_region

from kanpde import Box, Dirichlet, Disk, Interface, Mesh, Pieces, Polygon, Problem, laplacian
from kanpde.errors import ProblemError
from kanpde.geometry.sampling import unit_points
from kanpde.problem.file import load

BODY = Box(x=(0, 3), y=(0, 2)) - Disk(x=3, y=2, radius=0.7, name="bite")
PART = BODY - Disk(x=1, y=1, radius=0.4, name="hole")
SQUARE = [[0.0, 0], [1, 0], [1, 1], [0, 1], [2, 0], [2, 1]]
TWO = [[0, 1, 2, 3], [1, 4, 5, 2]]
"""Two squares side by side."""


@pytest.mark.parametrize("file", ["part41.msh", "part22.msh", "part.vtu"])
def test_a_mesh_is_the_region_that_it_was_made_of(tmp_path, file):
    groups = {"x+": None, "y-": "floor"}
    path = write_region(tmp_path / file, PART, 0.2, groups, "2.2" if "22" in file else "4.1")
    part = Mesh(path, scale=2)
    named = "41" in file or "22" in file
    lengths = {"x-": 2, "floor": 3, "y+": 2.3, "outline": 1.3, "bite": 0.35 * pi, "hole": 0.8 * pi}
    measures = {name: face.measure / 2 for name, face in part.faces.items()}
    if named:
        assert part.regions == ("part",)
        assert measures == pytest.approx(lengths)
        assert (part.faces["x-"].coordinate, part.faces["x-"].side) == ("x", -1)
        assert len(part.bounding) == 6  # a hole is one arc, and a side is one segment
    else:  # which has the numbers of groups only
        assert sorted(measures.values()) == pytest.approx(sorted(lengths.values()))
        assert set(part.faces) == {"outline", "1", "2", "3", "4", "5"}
    assert part.volume / 4 == pytest.approx(PART.volume, rel=1e-12)
    points = 8 * unit_points(2048, 2, 0) - 1
    assert part.depth(points) == pytest.approx(2 * PART.depth(points / 2), abs=1e-12)
    assert sorted(c.opening for c in part.corners) == pytest.approx(
        sorted(c.opening for c in PART.corners)
    )
    straight = Mesh(path, scale=2, arcs=False)
    assert len(straight.bounding) > 20
    assert 0.05 < straight.volume - part.volume < 0.2  # chords cut off what arcs take


def test_what_is_no_arc_stays_straight(tmp_path):
    """An octagon, and a nose whose three edges are symmetric."""
    turn = torch.arange(8) * pi / 4
    for shape in (
        Polygon(x=turn.cos().tolist(), y=turn.sin().tolist()),
        Polygon(x=[0, 2, 2.4, 2.4, 2, 0], y=[-1, -1, -0.31, 0.31, 1, 1]),
    ):
        found = Mesh(write_region(tmp_path / "nose.msh", shape, 3.0, dict.fromkeys(shape.faces)))
        assert len(found.bounding) == len(shape.bounding)
        assert found.volume == pytest.approx(shape.volume, rel=1e-12)


def test_regions_are_pieces(tmp_path):
    elements = {
        "line": ([[0, 3], [4, 5]], ["cold", "hot"]),
        "quad": (TWO, ["steel", "brass"]),
    }
    mesh = Mesh(write_mesh(tmp_path / "two.msh", SQUARE, elements))
    steel, brass = mesh.region("steel"), mesh.region("brass")
    assert mesh.volume == 2
    assert (steel.volume, brass.volume) == (1, 1)
    assert set(steel.faces) == {"cold", "brass", "outline"}
    pieces = Pieces(steel=steel, brass=brass)
    assert list(pieces.contacts) == ["steel|brass"]
    assert set(pieces.faces) == {
        *("steel.cold", "steel.outline", "brass.hot", "brass.outline", "steel|brass"),
    }
    problem = Problem(
        pieces,
        lambda u, x, y: laplacian(u),
        [Dirichlet(u=lambda x: x), Interface(u=0, flux={"steel": 1.0, "brass": 2.0})],
    )
    assert len(problem.constraints) == 6
    with pytest.raises(ProblemError, match="regions are steel, brass; did you mean 'steel'"):
        mesh.region("stel")


def test_a_path_is_looked_for_beside_the_problem_file(tmp_path, monkeypatch):
    write_region(tmp_path / "part.msh", Box(x=(0, 1), y=(0, 1)), 0.5)
    (tmp_path / "heat.py").write_text(
        "from kanpde import Dirichlet, Mesh, Problem, laplacian\n"
        "problem = Problem(Mesh('part.msh'), lambda u, x, y: laplacian(u), [Dirichlet(u=0)])\n"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load("../heat.py")[0].domain.volume == pytest.approx(1)
    assert repr(load("../heat.py")[0].domain) == "Mesh('part.msh')"


def elements(corners, kind="triangle", group="part"):
    return {kind: (corners, [group] * len(corners))}


BOW = [[0.0, 0], [1, 0], [1, 1], [-1, 0], [-1, -1], [0, 1]]
REFUSED = {
    "overlap": (SQUARE, elements([[0, 1, 2], [0, 1, 3]]), "triangles 1 and 2 overlap at"),
    "flat": ([[0.0, 0], [1, 1], [2, 2]], elements([[0, 1, 2]]), "triangle 1, at .* has no area"),
    "touching": (BOW, elements([[0, 1, 2], [0, 3, 4]]), r"boundary touches itself at \(0, 0\)"),
    "body": (
        [[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
        elements([[0, 1, 2, 3]], "tetra"),
        r"holds 1 tetrahedra; expected triangles of the plane; bodies are Solid\(…\)",
    ),
    "surface": (
        [[0.0, 0, 0], [1, 0, 0], [0, 1, 1]],
        elements([[0, 1, 2]]),
        "is not plane: z runs from 0 to 1; expected one z",
    ),
    "lines": (SQUARE, elements([[0, 1]], "line"), "holds no triangles"),
    "not finite": ([[0.0, 0], [1, np.inf], [0, 1]], elements([[0, 1, 2]]), "is not finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_meshes_that_are_refused(tmp_path, name):
    points, given, message = REFUSED[name]
    path = write_mesh(tmp_path / "mesh.msh", points, given, "2.2")
    with pytest.raises(ProblemError, match=message) as caught:
        Mesh(path)
    assert "\n" not in str(caught.value)


def test_files_that_are_refused(tmp_path):
    write_mesh(tmp_path / "part.msh", SQUARE, elements([[0, 1, 2]]))
    (tmp_path / "broken.msh").write_text("$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Nodes\n1 1\n")
    (tmp_path / "empty.vtu").write_text("")
    write_mesh(tmp_path / "cubes.vtu", np.eye(8, 3), elements([[*range(8)]], "hexahedron"))
    for given, message in (
        ("prt.msh", "no such file; did you mean 'part.msh'"),
        ("part.stp", r"got a file ending in '.stp'; expected \.msh, \.vtu"),
        ("broken.msh", "cannot be read as .msh"),
        ("empty.vtu", "cannot be read as .vtu"),
        ("cubes.vtu", "holds elements of the kind 'hexahedron'; expected"),
    ):
        with pytest.raises(ProblemError, match=message) as caught:
            Mesh(tmp_path / given)
        assert "\n" not in str(caught.value)
    with pytest.raises(ProblemError, match="expected the names of two coordinates"):
        Mesh(tmp_path / "part.msh", coordinates=("x", "y", "z"))
    with pytest.raises(ProblemError, match="expected a positive number"):
        Mesh(tmp_path / "part.msh", scale=0)
