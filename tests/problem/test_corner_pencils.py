"""Exponents of corners against closed forms, and what residuals are multiplied by there."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from kanpde import Box, Condition, Dirichlet, Initial, Neumann, Polygon, Problem, Time, d, laplacian
from kanpde.problem.corner_pencils import POWER, singular_corners, tempering

L = {"x": [0, 1, 1, -1, -1, 0], "y": [0, 0, 1, 1, -1, -1]}
"""A square without its fourth quadrant: an opening of 3π/2 at the origin."""

SQUARE = Box(x=(0, 1), y=(0, 1))


def poisson(u, x, y):
    return laplacian(u) + 1


def elastic(nu):
    """A square of plane stress, clamped on x- and free elsewhere."""
    plane, shear = 1 / (1 - nu**2), 1 / (2 + 2 * nu)

    def stress(u, v, x, y):
        return (
            plane * (d(u, x) + nu * d(v, y)),
            plane * (d(v, y) + nu * d(u, x)),
            shear * (d(u, y) + d(v, x)),
        )

    def balance(u, v, x, y):
        xx, yy, xy = stress(u, v, x, y)
        return d(xx, x) + d(xy, y), d(xy, x) + d(yy, y) - 1

    def pulled_along_x(u, v, x, y):
        xx, _, xy = stress(u, v, x, y)
        return xx, xy

    def pulled_along_y(u, v, x, y):
        _, yy, xy = stress(u, v, x, y)
        return xy, yy

    return Problem(
        SQUARE,
        [balance],
        [
            Dirichlet(u=0, v=0, on="x-"),
            Condition(pulled_along_x, on="x+"),
            Condition(pulled_along_y, on=("y-", "y+")),
        ],
    )


@pytest.mark.parametrize("nu", [0.1, 0.2, 0.45])
def test_clamped_and_free_faces_of_an_elastic_body(nu):
    """sin² λω = ((κ + 1)² - 4 λ² sin² ω) / 4κ, κ = (3 - ν) / (1 + ν) in plane stress (Williams
    1952)."""
    kappa, omega = (3 - nu) / (1 + nu), math.pi / 2

    def williams(power):
        right = ((kappa + 1) ** 2 - 4 * power**2 * math.sin(omega) ** 2) / (4 * kappa)
        return math.sin(power * omega) ** 2 - right

    found = singular_corners(elastic(nu))
    assert {one.corner.at for one in found} == {(0.0, 0.0), (0.0, 1.0)}
    for one in found:
        assert abs(one.exponent - brentq(williams, 0.4, 0.999)) < 1e-9


def test_corners_of_laplaces_equation():
    values = Problem(Polygon(**L), [poisson], [Dirichlet(u=0)])
    (found,) = singular_corners(values)
    assert abs(found.exponent - 2 / 3) < 1e-9
    assert str(found) == "(0, 0), where edge6 meets edge1: r^0.67"
    others = [f"edge{k}" for k in range(2, 7)]
    mixed = Problem(Polygon(**L), [poisson], [Dirichlet(u=0, on="edge1"), Neumann(u=0, on=others)])
    assert abs(singular_corners(mixed)[0].exponent - 1 / 3) < 1e-9


def test_corners_of_an_equation_that_knows_directions():
    """By a linear map it becomes Laplace's, and the corner one of another opening."""
    slopes = np.array([[2.0, 0.5], [0.5, 1.0]])
    problem = Problem(
        Polygon(**L),
        [lambda u, x, y: 2 * d(u, x, x) + d(u, x, y) + d(u, y, y) + 1],
        [Dirichlet(u=0)],
    )
    mapped = np.linalg.cholesky(np.linalg.inv(slopes)).T
    first, last = (math.atan2(*(mapped @ edge)[::-1]) for edge in ([1, 0], [0, -1]))
    (found,) = singular_corners(problem)
    assert abs(found.exponent - math.pi / ((last - first) % (2 * math.pi))) < 1e-6


def test_where_nothing_is_singular_or_nothing_is_known():
    smooth = [Dirichlet(u=0, on=("x-", "y-")), Neumann(u=0, on=("x+", "y+"))]
    assert singular_corners(Problem(SQUARE, [poisson], smooth)) == ()
    line = Problem(Box(x=(0, 1)), [lambda u, x: d(u, x, x)], [Dirichlet(u=0)])
    assert singular_corners(line) == ()
    heat = Problem(
        Box(x=(0, 1)) * Time(t=(0, 1)),
        [lambda u, x, t: d(u, t) - d(u, x, x)],
        [Dirichlet(u=0), Initial(u=0)],
    )
    assert singular_corners(heat) == ()
    infinite = Problem(SQUARE, [lambda u, x, y: laplacian(u) / x + d(u, x) / y], smooth)
    assert singular_corners(infinite) == ()
    curved = Problem(SQUARE, [lambda u, x, y: laplacian(u) - u**2 + 1], [Dirichlet(u=0)])
    assert singular_corners(curved) == ()


def test_residuals_count_by_the_distance_to_the_nearest_corner():
    problem = elastic(0.2)
    corners = singular_corners(problem)
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.3, 0.4], [1.0, 0.5]], dtype=torch.float64)
    found = tempering(corners, problem.domain, points, False)
    near = np.array([0, 0, 0.5, math.hypot(1, 0.5)]) / math.sqrt(2)
    assert np.allclose(found, near**POWER, rtol=1e-13, atol=0)
    faces = tempering(corners, problem.domain, points, True)
    assert np.allclose(faces, near ** (POWER - 0.5), rtol=1e-13, atol=0)
