"""Implicit functions of faces: zero on them, positive inside, gradients of length 1, and smooth
where they say so."""

import pytest
import torch
from shapes import PLANAR, SOLID, cube, square

from kanpde import Ball, Box, Disk, Polygon, Time
from kanpde.geometry.sampling import inside_points, unit_points

ALL = {"square": (square,), "cube": (cube,), **PLANAR, **SOLID}
FACES = [
    pytest.param(domain, face, id=f"{name}, {face}")
    for name, (domain, *_) in ALL.items()
    for face in domain.faces
]


def size(domain):
    return max(b - a for a, b in domain.bounds.values())


def on_face(domain, face, count=256):
    """Points of a face, away from its ends."""
    points = domain.boundary(
        face, 0.005 + 0.99 * unit_points(count, len(domain.coordinates) - 1, 0)
    )
    corners = torch.tensor([c.at for c in domain.corners], dtype=torch.float64)
    return (
        points
        if not len(corners)
        else points[torch.cdist(points, corners).amin(1) > 0.02 * size(domain)]
    )


def test_only_faces_of_solids_that_go_on_through_them_have_none():
    without = [
        (name, face)
        for name, (domain, *_) in ALL.items()
        for face in domain.faces
        if domain.implicit(face) is None
    ]
    assert without == [("solid L", "x+"), ("solid L", "y+")]


@pytest.mark.parametrize(("domain", "face"), FACES)
def test_zero_on_the_face_and_positive_inside(domain, face):
    function = domain.implicit(face)
    if function is None:
        return
    assert float(function(on_face(domain, face).T).abs().max()) < 1e-12 * size(domain)
    inside = inside_points(domain, 4096, 0)
    assert float(function(inside.T).min()) > 0
    others = [on_face(domain, other) for other in domain.faces if other != face]
    assert all(float(function(points.T).min()) > 1e-4 * size(domain) for points in others)


@pytest.mark.parametrize(("domain", "face"), FACES)
def test_it_rises_as_the_distance_does(domain, face):
    function = domain.implicit(face)
    if function is None:
        return
    points = on_face(domain, face)
    step = 1e-6 * size(domain)
    slope = function((points - step * domain.normals(face, points)).T) / step
    assert torch.allclose(slope, torch.ones_like(slope), rtol=2e-4)


def derivatives(function, points, orders=4):
    """The largest derivatives along a fixed slanted line, order by order."""
    along = torch.tensor([0.6, 0.64, 0.48], dtype=torch.float64)[: points.shape[1]]
    s = torch.zeros(len(points), dtype=torch.float64, requires_grad=True)
    value, found = function([points[:, i] + along[i] * s for i in range(points.shape[1])]), []
    for _ in range(orders):
        value = (
            torch.autograd.grad(value.sum(), s, create_graph=True)[0]
            if value.requires_grad
            else torch.zeros_like(s)
        )
        found.append(value.detach())
    return torch.stack(found, 1)


@pytest.mark.parametrize(("domain", "face"), FACES)
def test_four_derivatives_are_finite_inside_and_bounded_where_it_is_smooth(domain, face):
    function = domain.implicit(face)
    if function is None:
        return
    inside = inside_points(domain, 2048, 0)
    assert bool(derivatives(function, inside).isfinite().all())
    if function.smooth:  # the parts are, up to the boundary and its corners
        near = torch.cat(
            [
                inside,
                *(
                    domain.boundary(f, unit_points(512, inside.shape[1] - 1, 1))
                    for f in domain.faces
                ),
            ]
        )
        for part in function.parts:
            assert (
                float(derivatives(part, near).abs().max()) <= 3 / 0.2**3
            )  # of a distance to the smallest circle: radius 0.2


def test_derivatives_are_right():
    """By autograd and by differences."""
    function = PLANAR["half a union"][0].implicit("rim")
    points = inside_points(PLANAR["half a union"][0], 64, 0)
    points = points[PLANAR["half a union"][0].depth(points) > 0.05]
    h, along = 1e-4, torch.tensor([0.6, 0.64], dtype=torch.float64)
    values = [function((points + k * h * along).T) for k in (-1, 0, 1)]
    exact = derivatives(function, points, 2)
    assert torch.allclose((values[2] - values[0]) / (2 * h), exact[:, 0], atol=1e-4)
    assert torch.allclose(
        (values[2] - 2 * values[1] + values[0]) / h**2, exact[:, 1], atol=1e-2, rtol=1e-3
    )


@pytest.mark.parametrize(
    "domain",
    [
        PLANAR["L"][0],
        PLANAR["step"][0],
        PLANAR["clockwise"][0],
        PLANAR["half a union"][0],
        Disk(name="c") | Disk(x=1, y=0, name="c"),
    ],
)
def test_all_faces_at_once(domain):
    """At re-entrant corners the two that meet become one, so that nothing is trimmed and the sign
    is that of the region on both sides."""
    function = domain.implicit(*domain.faces)
    inside = inside_points(domain, 4096, 0)
    assert float(function(inside.T).min()) > 0
    for face in domain.faces:
        points = on_face(domain, face)
        assert float(function(points.T).abs().max()) < 1e-12 * size(domain)
        step, normals = 1e-6 * size(domain), domain.normals(face, points)
        across = (function((points - step * normals).T) - function((points + step * normals).T)) / (
            2 * step
        )
        assert torch.allclose(across, torch.ones_like(across), rtol=2e-4)


def test_which_are_smooth():
    L = PLANAR["L"][0]
    assert [L.implicit(face).smooth for face in L.faces] == [True, False, True, False]
    assert (square - Disk(radius=0.5)).implicit("circle").smooth
    assert not (Disk(name="c") | Disk(x=1, y=0, name="c")).implicit("c").smooth
    assert (
        Polygon(x=[0, 1, 1, 0], y=[0, 0, 1, 1], names="wall").implicit("wall").smooth
    )  # a product of four
    assert len(Polygon(x=[0, 1, 1, 0], y=[0, 0, 1, 1], names="wall").implicit("wall").parts) == 4


def test_time_is_not_looked_at_but_at_the_start():
    domain = (square - Disk(radius=0.5)) * Time(t=(2, 3))
    points = inside_points(domain, 64, 0)
    assert torch.equal(
        domain.implicit("circle")(points.T), domain.region.implicit("circle")(points[:, :2].T)
    )
    assert torch.equal(domain.implicit("t-")(list(points.T)), points[:, 2] - 2)
    assert (Ball() * Time(t=(0, 1))).implicit("sphere").smooth
    interval = Box(x=(1, 4))
    assert interval.implicit("x+")([torch.tensor([1.5], dtype=torch.float64)]).tolist() == [2.5]
