"""Values that hold exactly on curved and composite boundaries, and what stays soft there."""

import pytest
import torch
from nested import leaves
from plain import solution_values

from kanpde import (
    KAN,
    Ball,
    Box,
    Dirichlet,
    Disk,
    Ellipse,
    Initial,
    Neumann,
    Polygon,
    Problem,
    Time,
    d,
    laplacian,
)
from kanpde.geometry.sampling import inside_points, unit_points
from kanpde.networks.boundary import split
from kanpde.networks.curved import same, touching
from kanpde.networks.trial_space import trial_space
from kanpde.problem.faces import points_on


def poisson(u, x, y):
    return laplacian(u) + 1


def poisson3(u, x, y, z):
    return laplacian(u) + 1


def heat(u, x, y, t):
    return d(u, t) - laplacian(u)


def U(x, y):
    return torch.exp(x / 2) * torch.cos(y) + x * y


SIDES = ("x-", "x+", "y-", "y+")
square = Box(x=(-1, 1), y=(-1, 1)) - Disk(x=0.3, y=0.2, radius=0.4, name="hole")
ring = Disk(x=0, y=0, radius=2, name="outer") - Ellipse(x=0, y=0, radii=(1, 0.5), name="inner")

EXACT = {
    "a disk": (
        Problem(domain=Disk(x=1, y=0, radius=2), equations=[poisson], conditions=[Dirichlet(u=U)]),
        ["circle"],
    ),
    "two values on a ring": (
        Problem(
            domain=ring,
            equations=[poisson],
            conditions=[Dirichlet(u=1, on="outer"), Dirichlet(u=U, on="inner")],
        ),
        ["outer", "inner"],
    ),
    "one value outside": (
        Problem(
            domain=square,
            equations=[poisson],
            conditions=[Dirichlet(u=1, on=SIDES), Dirichlet(u=0, on="hole")],
        ),
        [*SIDES, "hole"],
    ),
    "a value on every side": (
        Problem(
            domain=square,
            equations=[poisson],
            conditions=[
                Dirichlet(u=lambda y: 1 - y**2, on="x-"),
                Dirichlet(u=0, on=("x+", "y-", "y+")),
                Dirichlet(u=0, on="hole"),
            ],
        ),
        [*SIDES, "hole"],
    ),
    "a triangle": (
        Problem(
            domain=Polygon(x=[0, 2, 0], y=[0, 0, 1]),
            equations=[poisson],
            conditions=[Dirichlet(u=U)],
        ),
        ["edge1", "edge2", "edge3"],
    ),
    "a ball": (
        Problem(
            domain=Ball(x=0, y=0, z=0, radius=1),
            equations=[poisson3],
            conditions=[Dirichlet(u=lambda x, z: x * z)],
        ),
        ["sphere"],
    ),
    "one side free": (
        Problem(
            domain=ring,
            equations=[poisson],
            conditions=[Neumann(u=1, on="outer"), Dirichlet(u=U, on="inner")],
        ),
        ["inner"],
    ),
    "in time": (
        Problem(
            domain=ring * Time(t=(0, 2)),
            equations=[heat],
            conditions=[
                Dirichlet(u=lambda t: torch.exp(-t), on="outer"),
                Dirichlet(u=lambda x, t: t * x, on="inner"),
                Initial(
                    u=lambda x, y: (
                        (x**2 + y**2 / 0.25 - 1) / (x**2 + y**2 / 0.25 - 1 + (4 - x**2 - y**2))
                    )
                ),
            ],
        ),
        ["outer", "inner", "t-"],
    ),
}


def solution_of(problem, seed=0):
    network = KAN((3,), 5, 4).build(
        trial_space(problem, corners=False).inputs,
        len(problem.unknowns),
        torch.Generator().manual_seed(seed),
    )
    return trial_space(problem, corners=False).solution(network)


@pytest.mark.parametrize("name", EXACT)
def test_values_hold_on_every_face(name):
    problem, faces = EXACT[name]
    solution = solution_of(problem)
    hard = [c for c in problem.constraints if c not in solution.space.soft]
    assert [c.face for c in hard] == faces
    for c in hard:
        at, _ = points_on(problem.domain, c.face, unit_points(200, len(problem.coordinates) - 1, 3))
        found = solution(torch.stack(list(at.values()), 1))[:, 0]
        torch.testing.assert_close(found, c.prescribed.data(at), rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", EXACT)
def test_the_network_is_free_inside(name):
    problem, _ = EXACT[name]
    points = inside_points(problem.domain, 200, 1)
    boundary = solution_of(problem).space.boundaries["u"]
    factor = boundary.factor(points.T)
    assert (factor > 0).all()
    assert float(factor.max()) <= 1 + 1e-12
    assert (
        float((solution_of(problem, 0)(points) - solution_of(problem, 1)(points)).abs().max())
        > 0.01
    )


@pytest.mark.parametrize("name", ["two values on a ring", "a value on every side", "in time"])
def test_derivatives_are_those_of_nested_autograd(name):
    problem, _ = EXACT[name]
    solution = solution_of(problem)
    points = inside_points(problem.domain, 20, 2)
    needs = (
        [
            ("u", index)
            for index in ((0, 0, 0), (1, 0, 0), (2, 0, 0), (1, 1, 0), (0, 2, 0), (0, 0, 1))
        ]
        if problem.domain.time
        else [("u", i) for i in ((0, 0), (1, 0), (2, 0), (1, 1), (0, 2))]
    )
    frame = solution.frame(points, needs)
    found = frame.derivatives(solution.network.forward(frame.X, frame.counts)[-1])
    values = solution_values(solution)
    wanted = leaves(
        {"u": lambda *at: values(torch.stack(at, 1), "u")},
        dict(zip(problem.coordinates, points.T, strict=True)),
        needs,
    )
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-8)


def test_where_faces_with_other_data_meet_the_smaller_group_is_soft():
    """The sides of the bounding box are one group, and what meets them at an angle is the other."""
    half = Polygon(x=[0, 3, 2, 1], y=[0, 0, 1, 1])
    problem = Problem(
        domain=half,
        equations=[poisson],
        conditions=[Dirichlet(u=1, on="edge1"), Dirichlet(u=0, on=("edge2", "edge3", "edge4"))],
    )
    _, soft = split(problem.domain, problem.constraints, problem.unknowns)
    assert [c.face for c in soft] == ["edge2", "edge4"]


def test_an_edge_whose_line_goes_on_through_the_domain_is_soft():
    dart = Polygon(x=[0, 2, 1, 2], y=[0, -1, 0, 1])
    problem = Problem(domain=dart, equations=[poisson], conditions=[Dirichlet(u=0)])
    boundaries, soft = split(problem.domain, problem.constraints, problem.unknowns)
    assert {c.face for c in soft} == {"edge2", "edge3"}
    assert boundaries["u"].curved.groups[0].faces == ("edge1", "edge4")


def test_data_that_go_on_beyond_a_side_and_fit_no_more_are_soft():
    """The inflow 4y(1-y) of a step goes on to -8 where the upper wall's line meets it, outside of
    the domain."""
    step = Polygon(x=[0, 4, 4, 2, 2, 0], y=[0, 0, 2, 2, 1, 1])
    problem = Problem(
        domain=step,
        equations=[poisson],
        conditions=[
            Dirichlet(u=lambda y: 4 * y * (1 - y), on="edge6"),
            Dirichlet(u=0, on=("edge1", "edge3")),
            Neumann(u=0, on=("edge2", "edge4", "edge5")),
        ],
    )
    solution = solution_of(problem)
    for c in problem.constraints:
        if c not in solution.space.soft:
            at, _ = points_on(problem.domain, c.face, unit_points(100, 1, 3))
            torch.testing.assert_close(
                solution(torch.stack(list(at.values()), 1))[:, 0],
                c.prescribed.data(at),
                rtol=0,
                atol=1e-12,
            )
    assert "edge6" in {c.face for c in solution.space.soft}


def test_functions_are_the_same_where_they_agree_everywhere():
    domain = Disk(x=0, y=0, radius=1)
    assert same(domain, lambda at: at[0] * 0 + 1, lambda at: torch.ones_like(at[1]))
    assert not same(domain, lambda at: at[0], lambda at: at[0] + 1e-6 * at[1])


def test_faces_touch_in_a_corner_or_along_an_edge():
    narrow = Box(x=(-1, 1), y=(-1, 1)) - Disk(x=0, y=0, radius=0.995, name="hole")
    assert touching(narrow, ["x-"], ["x+", "y-"])
    assert not touching(narrow, ["x-"], ["x+"])
    assert not touching(narrow, ["hole"], SIDES)
    hollow = Box(x=(-1, 1), y=(-1, 1), z=(-1, 1)) - Ball(radius=0.5, name="ball")
    assert touching(hollow, ["ball", "x-"], ["y+"])
    assert not touching(hollow, ["x-"], ["x+"])
    assert not touching(hollow, ["ball"], ["x-", "y+"])
