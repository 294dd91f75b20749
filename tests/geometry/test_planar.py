"""Regions of the plane and of space: areas and lengths, points spread evenly, normals, corners, and
that all of it is right after set operations."""

import subprocess
import sys
from math import atan2, cos, pi, sin, sqrt

import pytest
import torch
from scipy.special import ellipe
from shapes import PLANAR, SOLID, square

from kanpde import Box, Disk, Ellipse, Polygon, Time
from kanpde.geometry.sampling import inside_points, unit_points

ALL = {**PLANAR, **SOLID}

WITHOUT_SHAPELY = """
import sys

sys.modules["shapely"] = None
import kanpde.solver
from kanpde import Disk

assert Disk(x=0, y=0, radius=1).volume > 3
"""


def test_only_polygons_need_shapely():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SHAPELY], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def grid(domain, n):
    """Midpoints of n cells along each coordinate of the bounding box, and the volume of a cell."""
    dims = len(domain.coordinates)
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    points = domain.box(
        torch.stack([a.ravel() for a in torch.meshgrid(*[axis] * dims, indexing="ij")], 1)
    )
    return points, float(torch.tensor([(b - a) / n for a, b in domain.bounds.values()]).prod())


@pytest.mark.parametrize(("domain", "volume", "lengths"), PLANAR.values(), ids=PLANAR)
def test_area_and_lengths_are_exact(domain, volume, lengths):
    assert domain.volume == pytest.approx(volume, rel=1e-12)
    if lengths:
        assert {name: face.measure for name, face in domain.faces.items()} == pytest.approx(
            lengths, rel=1e-12
        )


@pytest.mark.parametrize(("domain", "volume", "areas"), SOLID.values(), ids=SOLID)
def test_volume_and_areas_of_solids(domain, volume, areas):
    assert domain.volume == pytest.approx(volume, rel=1e-3)
    assert {name: face.measure for name, face in domain.faces.items()} == pytest.approx(
        areas, rel=1e-3
    )


@pytest.mark.parametrize(("domain", "volume", "lengths"), ALL.values(), ids=ALL)
def test_inside_is_where_the_area_is(domain, volume, lengths):
    points, cell = grid(domain, 400 if len(domain.coordinates) == 2 else 60)
    assert float(domain.inside(points).sum()) * cell == pytest.approx(volume, rel=4e-3)
    assert domain.fill == pytest.approx(
        volume / float(torch.tensor([b - a for a, b in domain.bounds.values()]).prod()), rel=1e-3
    )


@pytest.mark.parametrize(("domain", "volume", "lengths"), ALL.values(), ids=ALL)
def test_points_inside_are_even(domain, volume, lengths):
    """As many in each of 8² or 4³ cells as its part of the area lets expect, at Sobol points:
    within a fraction of the root of it."""
    n = 8 if len(domain.coordinates) == 2 else 4
    points = inside_points(domain, 4096, 1)
    assert len(points) == 4096
    fine = grid(domain, 50 * n if n == 8 else 15 * n)[0]
    fine = fine[domain.inside(fine)]
    low, high = torch.tensor(list(domain.bounds.values()), dtype=torch.float64).T

    def shares(of):
        cell = ((of - low) / (high - low) * n).long().clamp(0, n - 1)
        return torch.bincount(
            (cell * torch.tensor([n**k for k in range(cell.shape[1])])).sum(1),
            minlength=n ** cell.shape[1],
        ) / len(of)

    expected = 4096 * shares(fine)
    seen = 4096 * shares(points)
    chi = ((seen - expected) ** 2 / expected.clamp_min(1)).sum() / (expected > 0).sum()
    assert chi < 0.5  # 1 for independent points


@pytest.mark.parametrize(("domain", "volume", "lengths"), ALL.values(), ids=ALL)
def test_points_on_faces_are_even_and_on_the_boundary(domain, volume, lengths):
    """No point is off the boundary, and the integrals of |x - centre|² and of n over them are those
    of the region, by the divergence theorem."""
    dims = len(domain.coordinates)
    size = max(b - a for a, b in domain.bounds.values())
    flux, closed = 0.0, torch.zeros(dims, dtype=torch.float64)
    for name, face in domain.faces.items():
        points = domain.boundary(name, unit_points(8192, dims - 1, 3))
        normals = domain.normals(name, points)
        assert float(domain.depth(points).abs().max()) < 1e-9 * size
        assert torch.allclose(
            normals.norm(dim=1), torch.ones(len(points), dtype=torch.float64), atol=1e-12
        )
        step = 1e-4 * size
        outside, inside = (
            domain.depth(points + step * normals) < 0,
            domain.depth(points - step * normals) > 0,
        )
        assert float((outside & inside).double().mean()) > 0.995  # but next to corners
        flux += face.measure * float((points * normals).sum(1).mean())
        closed += face.measure * normals.mean(0)
    tolerance = 1e-3 if dims == 2 else 5e-3
    assert flux / dims == pytest.approx(volume, rel=tolerance)
    assert closed.tolist() == pytest.approx([0.0] * dims, abs=tolerance * size ** (dims - 1) * 4)


@pytest.mark.parametrize("name", ["perforated", "half a union", "ellipse", "frame"])
def test_points_on_a_face_are_spread_by_length(name):
    """Points at even fractions of a face are apart by as much as the face is long."""
    domain = PLANAR[name][0]
    for face in domain.faces.values():
        points = domain.boundary(
            face.name, torch.linspace(0, 1, 20001, dtype=torch.float64)[:, None]
        )
        gaps = (points[1:] - points[:-1]).norm(dim=1)
        assert float(gaps.median()) == pytest.approx(face.measure / 20000, rel=1e-6)
        assert int((gaps / gaps.median() > 1.001).sum()) <= len(
            domain.curves(face.name)
        )  # from piece to piece
        assert int((gaps / gaps.median() < 0.999).sum()) <= len(domain.curves(face.name))


def test_an_ellipse_is_measured_by_elliptic_integrals():
    for a, b in ((1.0, 1.0), (2.0, 1.0), (10.0, 1.0), (1.0, 3.0), (100.0, 1.0)):
        long, short = max(a, b), min(a, b)
        assert Ellipse(radii=(a, b)).faces["ellipse"].measure == pytest.approx(
            4 * long * ellipe(1 - (short / long) ** 2), rel=1e-12
        )


def test_normals_are_gradients_of_the_depth():
    domain = Ellipse(x=0.5, y=0, radii=(2, 1), angle=0.3)
    points = domain.boundary("ellipse", unit_points(64, 1, 0))
    step = 1e-6
    gradient = torch.stack(
        [
            (domain.depth(points + step * e) - domain.depth(points - step * e)) / (2 * step)
            for e in torch.eye(2, dtype=torch.float64)
        ],
        1,
    )
    assert torch.allclose(domain.normals("ellipse", points), -gradient, atol=1e-8)


@pytest.mark.parametrize("radii", [(2.0, 1.0), (1.0, 3.0), (10.0, 1.0), (1.0, 1.0)])
def test_distance_to_an_ellipse(radii):
    """Against the least distance to very many of its points, from anywhere."""
    domain = Ellipse(x=0.5, y=0, radii=radii, angle=0.3)
    curve = domain.bounding[0].curve
    points = torch.cat(
        [
            domain.box(3 * unit_points(200, 2, 0) - 1),
            torch.tensor([[0.5, 0.0]], dtype=torch.float64),
        ]
    )
    part = curve.part(0.4, 2.5)
    ends = torch.tensor([part.start, part.end], dtype=torch.float64)
    near = torch.cat([part.along(unit_points(100, 1, 0)[:, 0]), ends]) + 0.02 * (
        unit_points(102, 2, 1) - 0.5
    )
    # The largest curvature: a point s away from the nearest one is further by (1 + bent d) s² / 2d.
    bent = max(radii) / min(radii) ** 2
    for piece, of in ((curve, points), (part, near)):
        many = piece.along(torch.linspace(0, 1, 20001, dtype=torch.float64))
        brute = torch.stack([(many - p).square().sum(1).min() for p in of])
        excess = brute - piece.distance(of) ** 2
        assert float(excess.min()) > -1e-9
        assert bool(
            (excess < float((many[1] - many[0]).norm()) ** 2 * (1 + bent * brute.sqrt())).all()
        )
    assert torch.equal(domain.depth(points).sign(), curve.level(points.T).sign())


def test_bounds_are_tight():
    assert Ellipse(radii=(2, 1), angle=pi / 6).bounds["x"] == pytest.approx(
        (-sqrt(3.25), sqrt(3.25)), rel=1e-14
    )
    assert (Disk() & Box(x=(0, 2), y=(-2, 2))).bounds == {
        "x": pytest.approx((0, 1), abs=1e-14),
        "y": pytest.approx((-1, 1)),
    }
    assert (square - Box(x=(0.5, 2), y=(-2, 2))).bounds == {"x": (-1.0, 0.5), "y": (-1.0, 1.0)}
    assert Polygon(x=[0, 3, 1], y=[0, 0, 2]).bounds == {"x": (0.0, 3.0), "y": (0.0, 2.0)}


def test_faces_that_lie_at_an_end_of_a_coordinate_say_so():
    bitten = PLANAR["bitten"][0].faces
    assert [(f.coordinate, f.side) for f in bitten.values()] == [
        ("x", -1),
        ("x", 1),
        ("y", -1),
        ("y", 1),
        (None, 0),
    ]
    assert [(f.coordinate, f.side) for f in PLANAR["L"][0].faces.values()] == [
        ("x", -1),
        (None, 0),
        ("y", -1),
        (None, 0),
    ]


@pytest.mark.parametrize(
    ("domain", "corners"),
    [
        (Disk(), {}),
        (square, {(-1, -1): pi / 2, (1, -1): pi / 2, (1, 1): pi / 2, (-1, 1): pi / 2}),
        (
            PLANAR["L"][0],
            {
                (0, 0): 3 * pi / 2,
                (1, 0): pi / 2,
                (0, 1): pi / 2,
                (-1, -1): pi / 2,
                (1, -1): pi / 2,
                (-1, 1): pi / 2,
            },
        ),
        (
            Polygon(x=[0, 2, 0], y=[0, 0, 1]),
            {(0, 0): pi / 2, (2, 0): atan2(1, 2), (0, 1): atan2(2, 1)},
        ),
        (
            square - Disk(x=1, y=1, radius=1),
            {(-1, -1): pi / 2, (1, -1): pi / 2, (-1, 1): pi / 2, (1, 0): pi / 2, (0, 1): pi / 2},
        ),
        (
            square - Disk(x=1, y=0.5, radius=0.6) & Box(x=(0, 2), y=(-0.5, 0.5)),
            {(0, -0.5): pi / 2, (1, -0.5): pi / 2, (0, 0.5): pi / 2},
        ),
        (
            PLANAR["half a union"][0],
            {(-1, 0): pi / 2, (2, 0): pi / 2, (0.5, sqrt(0.75)): 4 * pi / 3},
        ),
        (PLANAR["crescent"][0], {(0.5, sqrt(0.75)): pi / 3, (0.5, -sqrt(0.75)): pi / 3}),
        (PLANAR["lens"][0], {(0.5, sqrt(0.75)): 2 * pi / 3, (0.5, -sqrt(0.75)): 2 * pi / 3}),
        (
            square - Polygon(x=[0, 1, -1], y=[0, 3, 3]),
            {(0, 0): 2 * pi - 2 * atan2(1, 3)},
        ),  # and four of the square, two beside the cut
        (
            Polygon(x=[0, 1, 2, 2, 0], y=[0, 0, 0, 1, 1]),
            {(1, 0): pi},
        ),  # edge1 goes on straight in edge2
    ],
)
def test_corners_and_their_openings(domain, corners):
    found = {tuple(round(v, 9) + 0.0 for v in c.at): c.opening for c in domain.corners}
    for at, opening in corners.items():
        assert found[tuple(round(v, 9) for v in at)] == pytest.approx(opening, abs=1e-9)
    if len(corners) > 1:
        re_entrant = {at for at, opening in found.items() if opening > pi + 1e-9}
        assert re_entrant == {
            tuple(round(v, 9) for v in at) for at, opening in corners.items() if opening > pi + 1e-9
        }
    assert (domain.corners == ()) == (not corners)


@pytest.mark.parametrize(("domain", "volume", "lengths"), PLANAR.values(), ids=PLANAR)
def test_openings_are_counted_from_the_direction_through_the_inside(domain, volume, lengths):
    for corner in domain.corners:
        turn = torch.linspace(0, 2 * pi, 401, dtype=torch.float64)
        around = torch.tensor(corner.at, dtype=torch.float64) + 1e-4 * torch.stack(
            [(corner.direction + turn).cos(), (corner.direction + turn).sin()], 1
        )
        expected = (turn > 0) & (turn < corner.opening)
        clear = (turn > 0.02) & ((turn - corner.opening).abs() > 0.02) & (turn < 2 * pi - 0.02)
        assert bool((domain.inside(around) == expected)[clear].all())
        begins = torch.tensor(
            [
                [
                    corner.at[0] + 1e-5 * cos(corner.direction),
                    corner.at[1] + 1e-5 * sin(corner.direction),
                ]
            ],
            dtype=torch.float64,
        )
        after = torch.stack([c.distance(begins) for c in domain.curves(corner.faces[1])])
        assert float(after.amin()) < 1e-9


def test_points_of_seams_and_of_coinciding_edges():
    L, step = PLANAR["L"][0], PLANAR["step"][0]
    points = torch.tensor(
        [[1, 0.5], [0.5, 1], [1, 0], [0, 0.5], [0, 0], [0.5, -1]], dtype=torch.float64
    )
    assert L.inside(points).tolist() == [False, False, True, True, True, True]
    seam = torch.tensor([[1, 0], [1, 0.5], [1, 0.7], [1.5, 0.5], [1.5, 0.6]], dtype=torch.float64)
    assert step.inside(seam).tolist() == [True, True, True, True, False]
    assert step.depth(seam[:1]).tolist() == [0.5]  # a true distance, also where the boxes meet
    solid = SOLID["solid L"][0]
    assert solid.inside(
        torch.tensor(
            [[1, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 1], [-0.5, -0.5, 1]], dtype=torch.float64
        )
    ).tolist() == [False, True, False, True]


def test_slack_widens():
    points = torch.tensor([[1.05, 0.0], [1.2, 0.0], [0.95, 0.0]], dtype=torch.float64)
    assert Disk().inside(points).tolist() == [False, False, True]
    assert Disk().inside(points, 0.1).tolist() == [True, False, True]
    assert Disk().inside(points, -0.1).tolist() == [False, False, False]


def test_with_time():
    domain = (square - Disk(radius=0.5)) * Time(t=(1, 3))
    assert (
        repr(domain) == "(Box(x=(-1, 1), y=(-1, 1)) - Disk(x=0, y=0, radius=0.5)) * Time(t=(1, 3))"
    )
    assert not domain.is_box
    assert domain.volume == pytest.approx(2 * (4 - pi / 4))
    assert domain.fill == pytest.approx(1 - pi / 16)
    assert domain.faces["circle"].measure == pytest.approx(2 * pi)
    assert domain.faces["t-"].measure == pytest.approx(4 - pi / 4)
    points = inside_points(domain, 2048, 0)
    assert points.shape == (2048, 3)
    assert bool(domain.inside(points).all())
    assert points[:, 2].mean().item() == pytest.approx(2, abs=0.02)
    rim = domain.boundary("circle", unit_points(512, 2, 0))
    assert torch.allclose(rim[:, :2].norm(dim=1), torch.tensor(0.5, dtype=torch.float64))
    assert torch.allclose(
        domain.normals("circle", rim), torch.cat([-2 * rim[:, :2], 0 * rim[:, 2:]], 1)
    )
    start = domain.boundary("t-", unit_points(512, 2, 0))
    assert len(start) == pytest.approx(512 * domain.kept("t-"), rel=0.05)
    assert start[:, 2].unique().tolist() == [1]
    assert domain.corners == domain.region.corners


@pytest.mark.parametrize(("domain", "volume", "lengths"), ALL.values(), ids=ALL)
def test_a_domain_is_written_as_it_is_read(domain, volume, lengths):
    names = {
        name: getattr(__import__("kanpde"), name)
        for name in ("Ball", "Box", "Disk", "Ellipse", "Polygon")
    }
    again = eval(repr(domain), names)
    assert repr(again) == repr(domain)
    assert again.volume == domain.volume
