"""Products of splines with functions of corners beside them, on polygons."""

import math

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Disk, Neumann, Polygon, Problem, Robin, d, laplacian
from kanpde.errors import RunError
from kanpde.exports.splines import values
from kanpde.products.adaptive import adaptive
from kanpde.products.corner_functions import corner_functions
from kanpde.products.progress import Settings
from kanpde.products.refining_corners import RefinedCorners
from kanpde.products.solution import CorneredSolution, restored
from kanpde.recipes.choosing import choose
from kanpde.recipes.refined import usual

L = Box(x=(-1, 1), y=(-1, 1)) - Box(x=(0, 1), y=(-1, 0))


def poisson(u, x, y):
    return laplacian(u) + 1


def on(domain, *conditions, equation=poisson):
    return Problem(domain, equation, conditions or [Dirichlet(u=0)], name="corner")


LSHAPE = on(L)

TRUTH = {
    (-0.5, 0.5): 0.13105296203,
    (-0.1, 0.1): 0.09806646992,
    (-0.001, 0.001): 0.00506193404,
    (0.01, 0.02): 0.02149984594,
    (-0.9, -0.9): 0.01429006201,
}
"""Of the solution on the L, by rational functions with poles at its corners (Gopal and Trefethen
2019), whose error on the boundary, and so inside, is 5e-11."""

SLANTED = Polygon(x=[0, 2, 1, -0.5], y=[0, 0, 1.5, math.sqrt(3) / 2])
"""With 120° in the first corner."""


def singular(x, y):
    """r^(3/4) sin(3θ/4): nothing at θ = 0, and no slope at θ = 120°; and a smooth function."""
    r, theta = torch.sqrt(x**2 + y**2), torch.atan2(y, x)
    return r**0.75 * torch.sin(0.75 * theta) + torch.exp(0.5 * x) * torch.sin(y)


def mixed():
    """Its values all around, but the slope of the smooth part across the last side."""
    nx, ny = -math.sqrt(3) / 2, -0.5

    def slope(x, y):
        e = torch.exp(0.5 * x)
        return nx * 0.5 * e * torch.sin(y) + ny * e * torch.cos(y)

    return Problem(
        SLANTED,
        lambda u, x, y: laplacian(u) + 0.75 * torch.exp(0.5 * x) * torch.sin(y),
        [Dirichlet(u=singular, on=("edge1", "edge2", "edge3")), Neumann(u=slope, on="edge4")],
        exact={"u": singular},
    )


def ended(problem, tolerance, **settings):
    method = adaptive(problem, Settings(tolerance, **settings))
    progress = method.begin()
    while not progress.finished:
        progress = method.advance(progress)
    return method, progress


@pytest.fixture(scope="module")
def solved():
    return ended(LSHAPE, 1e-6)


def test_derivatives_are_those_of_the_functions_and_solve_laplaces_equation():
    generator = torch.Generator().manual_seed(0)
    points = -torch.rand(20, 2, generator=generator, dtype=torch.float64)
    columns = [column.clone().requires_grad_() for column in points.T]
    for f in corner_functions(LSHAPE):
        (u,) = (f.values(columns),)
        first = torch.autograd.grad(u.sum(), columns, create_graph=True)
        second = torch.autograd.grad(first[0].sum(), columns, retain_graph=True)
        wanted = {(0, 0): u, (1, 0): first[0], (0, 1): first[1], (2, 0): second[0]}
        wanted[1, 1] = second[1]
        for index, value in wanted.items():
            found, value = f.derivative(points.numpy(), index), value.detach().numpy()
            np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-9 * abs(value).max())
        both = f.derivative(points.numpy(), (2, 0)), f.derivative(points.numpy(), (0, 2))
        np.testing.assert_allclose(both[0], -both[1], rtol=1e-12)


def test_an_l_is_right_to_more_than_its_tolerance(solved):
    method, progress = solved
    assert isinstance(method, RefinedCorners)
    assert not progress.missed
    found = method.solution(progress)
    at, truth = torch.tensor(list(TRUTH), dtype=torch.float64), np.array(list(TRUTH.values()))
    assert np.abs(found(at)[:, 0].numpy() - truth).max() < 1e-8 * 0.0747
    assert found.parameters < 1500


def test_values_and_slopes_meet_in_a_slanted_corner():
    method, progress = ended(mixed(), 1e-6)
    assert isinstance(method, RefinedCorners)
    assert not progress.missed
    found = method.solution(progress)
    generator = torch.Generator().manual_seed(1)
    points = SLANTED.interior(torch.rand(400, 2, generator=generator, dtype=torch.float64))
    points = torch.cat([points, 1e-3 * points])
    assert float((found(points)[:, 0] - singular(*points.T)).abs().max()) < 1e-6


@pytest.mark.parametrize(
    "problem",
    [
        on(Box(x=(-1, 1), y=(-1, 1))),
        on(Polygon(x=[0, 1, 0], y=[0, 0, 1])),
        on(L, equation=lambda u, x, y: laplacian(u) + u),
        on(L, equation=lambda u, x, y: d(u, x, x) + 2 * d(u, y, y) + 1),
        on(L, Robin(u=0, on="x+"), Dirichlet(u=0, on=("x-", "y-", "y+"))),
        # the cut of a corner's functions would go through the domain
        on(Box(x=(-1, 1), y=(-1, 1)) - Box(x=(-0.2, 0.2), y=(-0.2, 0.2))),
        on(Box(x=(-1, 1), y=(-1, 1)) | Disk(x=1, y=0, radius=0.5)),
    ],
    ids=["box", "triangle", "reaction", "anisotropic", "robin", "hole", "arc"],
)
def test_other_problems_have_none(problem):
    found = corner_functions(problem)
    assert not found


def test_they_are_taken_by_default():
    found = usual(LSHAPE, choose(LSHAPE)).recipe
    assert found.network.kind == "tensor"
    assert found.or_layers


def test_a_solution_is_read_again_and_goes_elsewhere_as_it_is(solved):
    method, progress = solved
    found = method.solution(progress)
    state = found.state()
    again = restored(LSHAPE, state)
    points = torch.tensor([(-0.3, 0.2), (-1e-4, 1e-4), (0.7, 0.9)], dtype=torch.float64)
    assert isinstance(again, CorneredSolution)
    assert again.parameters == found.parameters
    torch.testing.assert_close(again(points), found(points), rtol=0, atol=0)
    scripted = values(found, list(points.T))
    torch.testing.assert_close(scripted, found(points), rtol=0, atol=1e-13)
    grid = [np.array([-0.3, 0.7]), np.array([0.2, 0.9])]
    there = found(torch.tensor([(-0.3, 0.9)], dtype=torch.float64))
    assert found.on_grid(0, grid)[0, 1] == pytest.approx(float(there), abs=1e-13)
    with pytest.raises(RunError, match="3 functions of corners do not fit problem 'corner'"):
        restored(LSHAPE, {**state, "corners": [1.0, 2.0, 3.0]})


def test_work_that_is_used_up_is_said():
    _, progress = ended(LSHAPE, 1e-12, work=1e8)
    assert progress.missed
    assert "used up" in progress.missed[0] or "beyond the work" in progress.missed[0]
