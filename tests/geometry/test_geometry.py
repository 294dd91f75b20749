"""Domains: where their points, faces and normals are, and what they refuse."""

import math

import pytest
import torch

from kanpde import Box, ProblemError, Time

unit = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.25, 0.75]], dtype=torch.float64)


def test_interior_of_a_box_is_the_scaled_cube():
    box = Box(x=(-1, 1), y=(0, 4))
    assert box.coordinates == box.space == ("x", "y")
    assert box.bounds == {"x": (-1.0, 1.0), "y": (0.0, 4.0)}
    assert box.time is None
    assert box.is_box
    assert repr(box) == "Box(x=(-1, 1), y=(0, 4))"
    assert box.interior(unit[:, :2]).tolist() == [[-1, 0], [1, 4], [0, 1]]


def test_faces_of_a_box():
    box = Box(x=(-1, 1), y=(0, 4), z=(0, 3))
    assert list(box.faces) == ["x-", "x+", "y-", "y+", "z-", "z+"]
    assert [face.measure for face in box.faces.values()] == [12, 12, 6, 6, 8, 8]
    assert [(face.coordinate, face.side) for face in box.faces.values()] == [
        (x, s) for x in "xyz" for s in (-1, 1)
    ]


@pytest.mark.parametrize(
    ("face", "points", "normal"),
    [
        ("x-", [[-1, 0, 0], [-1, 4, 3], [-1, 2, 0.75]], [-1, 0, 0]),
        ("x+", [[1, 0, 0], [1, 4, 3], [1, 2, 0.75]], [1, 0, 0]),
        ("y+", [[-1, 4, 0], [1, 4, 3], [0, 4, 0.75]], [0, 1, 0]),
        ("z-", [[-1, 0, 0], [1, 4, 0], [0, 1, 0]], [0, 0, -1]),
    ],
)
def test_points_and_normals_of_a_face(face, points, normal):
    box = Box(x=(-1, 1), y=(0, 4), z=(0, 3))
    found = box.boundary(face, unit[:, :2])
    assert found.tolist() == points
    assert box.normals(face, found).tolist() == [normal] * 3


def test_an_interval_has_ends():
    box = Box(x=(2, 5))
    assert [face.measure for face in box.faces.values()] == [1, 1]
    assert box.boundary("x+", unit[:, :0]).tolist() == [[5]] * 3


def test_space_and_time():
    domain = Box(x=(-1, 1), y=(0, 4)) * Time(tau=(1, 3))
    assert domain.coordinates == ("x", "y", "tau")
    assert domain.space == ("x", "y")
    assert domain.time == "tau"
    assert domain.is_box
    assert repr(domain) == "Box(x=(-1, 1), y=(0, 4)) * Time(tau=(1, 3))"
    assert list(domain.faces) == ["x-", "x+", "y-", "y+", "tau-"]
    assert [face.measure for face in domain.faces.values()] == [8, 8, 4, 4, 8]
    assert (domain.faces["tau-"].coordinate, domain.faces["tau-"].side) == ("tau", -1)
    assert domain.interior(unit).tolist() == [[-1, 0, 1], [1, 4, 3], [0, 1, 2.5]]


def test_faces_of_space_are_swept_through_time():
    domain = Box(x=(-1, 1), y=(0, 4)) * Time(t=(1, 3))
    side = domain.boundary("y+", unit[:, :2])
    assert side.tolist() == [[-1, 4, 1], [1, 4, 3], [0, 4, 1.5]]
    assert domain.normals("y+", side).tolist() == [[0, 1, 0]] * 3
    start = domain.boundary("t-", unit[:, :2])
    assert start.tolist() == [[-1, 0, 1], [1, 4, 1], [0, 1, 1]]
    assert domain.normals("t-", start).tolist() == [[0, 0, -1]] * 3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Box(), r"Box\(…\): got no coordinates; expected 1 to 5"),
        (
            lambda: Box(**dict.fromkeys("abcdef", (0, 1))),
            r"Box\(…\): got 6 coordinates; expected 1 to 5",
        ),
        (
            lambda: Box(x=(1, -1)),
            (
                r"Box\(x=…\): got \(1, -1\); expected low < high, both finite; did you mean \(-1,"
                r" 1\)\?"
            ),
        ),
        (lambda: Box(x=(1, 1)), r"Box\(x=…\): got \(1, 1\); expected low < high"),
        (
            lambda: Box(x=(0, math.inf)),
            r"Box\(x=…\): got \(0, inf\); expected low < high, both finite$",
        ),
        (lambda: Box(x=(math.nan, 1)), "both finite$"),
        (lambda: Box(x=("0", 1)), r"Box\(x=…\): got \('0', 1\); expected two numbers"),
        (lambda: Box(x=3), r"Box\(x=…\): got 3; expected \(low, high\)"),
        (lambda: Box(x=(0, 1, 2)), r"expected \(low, high\)"),
        (lambda: Time(), r"Time\(…\): got no coordinates; expected one"),
        (lambda: Time(t=(0, 1), s=(0, 1)), r"Time\(…\): got 2 coordinates; expected one"),
        (lambda: Time(t=(1, 0)), r"Time\(t=…\): got \(1, 0\)"),
        (lambda: Box(x=(0, 1)) * Time(x=(0, 1)), "'x' is a space coordinate already"),
        (
            lambda: Box(x=(0, 1)) * Box(y=(0, 1)),
            "expected Time, such as .*; a box takes all its coordinates at once",
        ),
        (lambda: Box(x=(0, 1)) * 3, "expected Time"),
        (
            lambda: Time(t=(0, 1)) * Box(x=(0, 1)),
            r"time comes last; write Box\(x=\(0, 1\)\) \* Time",
        ),
        (lambda: Box(x=(0, 1)) * Time(t=(0, 1)) * Time(s=(0, 1)), "has a time already, 't'"),
        (
            lambda: Box(**dict.fromkeys("abcde", (0, 1))) * Time(t=(0, 1)),
            "has 6 coordinates; expected at most 5, time included",
        ),
    ],
)
def test_what_a_domain_refuses(build, message):
    with pytest.raises(ProblemError, match=message):
        build()
