"""Boxes and balls of many coordinates: points inside and on faces, normals, volumes."""

import math

import pytest
import torch

from kanpde import Ball, Box, Time, Vector
from kanpde.geometry import many
from kanpde.geometry.sampling import inside_points, unit_points

COUNT = 4096


def test_few_and_many():
    assert not many(Box(x=Vector(5, (0, 1))))
    assert many(Box(x=Vector(6, (0, 1))))
    assert many(Box(x=Vector(5, (0, 1))) * Time(t=(0, 1)))
    assert repr(Box(x=Vector(7, (0, 1)), y=(0, 2))) == "Box(x=Vector(7, (0, 1)), y=(0, 2))"
    assert repr(Ball(x=Vector(4, 1), radius=2)) == "Ball(x=Vector(4, 1), radius=2)"


@pytest.mark.parametrize("dims", [4, 9, 40])
def test_points_in_a_ball_are_even(dims):
    """The square of the distance has mean d / (d + 2), the square of a coordinate the d-th part."""
    ball = Ball(x=Vector(dims, 3), radius=2)
    points = inside_points(ball, COUNT, 0)
    away = (points - 3) / 2
    squares = (away**2).sum(1)
    assert len(points) == COUNT
    assert bool(ball.inside(points).all())
    assert float(squares.mean()) == pytest.approx(dims / (dims + 2), rel=2e-3)
    assert (away**2).mean(0).tolist() == pytest.approx([1 / (dims + 2)] * dims, rel=0.1)
    assert away.mean(0).abs().max() < 0.02
    below = (squares < 0.25 ** (1 / dims) ** 1).double().mean()
    assert float(below) == pytest.approx((0.25 ** (1 / dims)) ** (dims / 2), abs=0.02)


@pytest.mark.parametrize("dims", [4, 9, 40])
def test_points_on_a_sphere_are_even_and_look_outwards(dims):
    ball = Ball(x=Vector(dims, -1), radius=0.5)
    points = ball.boundary("sphere", unit_points(COUNT, dims - 1, 0))
    normals = ball.normals("sphere", points)
    torch.testing.assert_close(ball.depth(points), torch.zeros(COUNT, dtype=torch.float64))
    torch.testing.assert_close((points + 1) / 0.5, normals)
    assert (normals**2).mean(0).tolist() == pytest.approx([1 / dims] * dims, rel=0.1)
    assert normals.mean(0).abs().max() < 0.02


def test_volumes_and_areas():
    ball = Ball(x=Vector(4), radius=2)
    assert ball.volume == pytest.approx(math.pi**2 / 2 * 16)
    assert ball.faces["sphere"].measure == pytest.approx(2 * math.pi**2 * 8)
    assert Ball(radius=2).faces["sphere"].measure == pytest.approx(16 * math.pi)
    assert Ball(x=Vector(100), radius=1).volume == pytest.approx(2.368202e-40, rel=1e-5)


def test_sides_of_a_box_are_two_faces_a_name():
    box = Box(x=Vector(6, (0, 1)), y=(0, 4))
    assert {*box.faces} == {"x-", "x+", "y-", "y+"}
    assert box.faces["x+"].measure == pytest.approx(6 * 4)
    assert box.faces["y-"].measure == pytest.approx(1)
    assert box.faces["y-"].coordinate == "y"
    points = box.boundary("x+", unit_points(COUNT, 6, 0))
    ends = (points[:, :6] == 1).sum(1)
    assert bool((ends == 1).all())
    each = (points[:, :6] == 1).double().mean(0)
    assert each.tolist() == pytest.approx([1 / 6] * 6, rel=0.02)
    normals = box.normals("x+", points)
    torch.testing.assert_close(normals[:, :6], (points[:, :6] == 1).double())
    assert float(points[:, 6].mean()) == pytest.approx(2, rel=0.01)
    inner = points[:, :6][points[:, :6] < 1]
    assert float(inner.mean()) == pytest.approx(0.5, abs=0.01)
    assert float((inner**2).mean()) == pytest.approx(1 / 3, abs=0.01)


def test_sides_of_a_long_component_are_small():
    box = Box(x=Vector(5, (0, 1)), y=Vector(2, (0, 3)))
    points = box.boundary("x-", unit_points(64, 6, 0))
    assert bool((points[:, :5] == 0).any(1).all())
    assert (points[:, 5:] > 1).any()


def test_a_ball_in_time():
    domain = Ball(x=Vector(6), radius=1) * Time(t=(1, 3))
    assert domain.fill == 1
    points = inside_points(domain, COUNT, 0)
    assert bool(domain.inside(points).all())
    assert float(points[:, -1].mean()) == pytest.approx(2, abs=0.01)
    first = domain.boundary("t-", unit_points(64, 6, 0))
    assert len(first) == 64
    assert bool((first[:, -1] == 1).all())
    wall = domain.boundary("sphere", unit_points(64, 6, 0))
    torch.testing.assert_close(wall[:, :6].norm(dim=1), torch.ones(64, dtype=torch.float64))
