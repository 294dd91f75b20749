"""Inputs that enlarge holes: which faces have them, their derivatives, and the solution that comes
back from a checkpoint."""

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
    Polygon,
    Problem,
    Recipe,
    Time,
    d,
    laplacian,
    solve,
)
from kanpde.errors import RecipeError, RunError
from kanpde.exports.function import as_graph
from kanpde.geometry import holes
from kanpde.geometry.sampling import inside_points
from kanpde.networks.restore import restore
from kanpde.networks.trial_space import trial_space

plate = (
    Box(x=(0, 8), y=(0, 3))
    - Disk(x=2, y=1, radius=0.25, name="small")
    - Ellipse(x=6, y=2, radii=(0.5, 0.2), name="flat")
)
ring = Disk(x=0, y=0, radius=2, name="outer") - Disk(x=0.5, y=0, radius=0.5, name="inner")
shell = Ball(x=0, y=0, z=0, radius=2, name="outer") - Ball(x=0, y=0, z=1, radius=0.5, name="inner")


def flow(u, v, x, y):
    return laplacian(u) - u * d(v, x), d(v, x, y) + laplacian(v) + u


def heat(u, x, y, t):
    return d(u, t) - laplacian(u)


def solid(u, x, y, z):
    return laplacian(u) + 1


PROBLEMS = {
    "two holes": Problem(plate, [flow], [Dirichlet(u=0, v=lambda y: y)]),
    "in time": Problem(ring * Time(t=(0, 1)), [heat], [Dirichlet(u=0), Initial(u=0)]),
    "a shell": Problem(shell, [solid], [Dirichlet(u=1)]),
}


def solution_of(problem):
    space = trial_space(problem, KAN((3,), 5, 4), lenses=True)
    return space.solution(space.initial(torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("domain", "faces"),
    [
        (plate, {"small": ((2, 1), 0.25), "flat": ((6, 2), 0.5)}),
        (ring, {"inner": ((0.5, 0), 0.5)}),
        (ring * Time(t=(0, 1)), {"inner": ((0.5, 0), 0.5)}),
        (shell, {"inner": ((0, 0, 1), 0.5)}),
        (Box(x=(0, 1), y=(0, 1)), {}),
        (Polygon(x=[0, 2, 2, 1, 1, 0], y=[0, 0, 2, 2, 1, 1]), {}),
        (Box(x=(0, 4), y=(0, 2)) - Disk(x=0, y=1, radius=0.5, name="bite"), {}),
    ],
)
def test_holes_are_closed_faces_inside(domain, faces):
    found = {hole.face: (hole.center, hole.radius) for hole in holes(domain)}
    assert list(found) == list(faces)
    for face, (center, radius) in faces.items():
        assert found[face][0] == pytest.approx(center, abs=1e-3)
        assert found[face][1] == pytest.approx(radius, rel=2e-3)


@pytest.mark.parametrize("name", PROBLEMS)
def test_derivatives_are_those_of_nested_autograd(name):
    problem = PROBLEMS[name]
    solution = solution_of(problem)
    points = inside_points(problem.domain, 12, 2)
    needs = list(dict.fromkeys(leaf for r in problem.equations for leaf in r.needs))
    frame = solution.frame(points, needs)
    found = frame.derivatives(solution.network.forward(frame.X, frame.counts)[-1])
    values = solution_values(solution)
    functions = {u: lambda *at, u=u: values(torch.stack(at, 1), u) for u in problem.unknowns}
    wanted = leaves(functions, dict(zip(problem.coordinates, points.T, strict=True)), needs)
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-8 * float(wanted.abs().max()))


def test_their_inputs_fill_the_interval_of_the_splines():
    """The hole reaches over almost half of it, and no point of the domain lies outside."""
    solution = solution_of(PROBLEMS["two holes"])
    X = solution.frame(inside_points(plate, 500, 1), [("u", (0, 0))]).X[:, 0]
    assert X.shape == (500, 6)
    assert X.abs().max() <= 1
    edge = solution.frame(
        plate.boundary("small", torch.linspace(0, 1, 64, dtype=torch.float64)[:, None]),
        [("u", (0, 0))],
    ).X[:, 0, 2:4]
    torch.testing.assert_close(
        edge.norm(dim=1), torch.full((64,), 5**-0.5, dtype=torch.float64), rtol=3e-3, atol=0
    )
    assert solution.input_names == (
        "x",
        "y",
        "x near small",
        "y near small",
        "x near flat",
        "y near flat",
    )


def test_a_checkpoint_brings_them_back():
    problem = PROBLEMS["two holes"]
    solution = solution_of(problem)
    points = inside_points(problem.domain, 20, 3)
    assert torch.equal(restore(problem, solution.state())(points), solution(points))
    with pytest.raises(RunError, match="does not fit problem"):
        restore(PROBLEMS["a shell"], solution.state())


def test_the_exported_function_has_them():
    problem = PROBLEMS["two holes"]
    solution = solution_of(problem)
    points = inside_points(problem.domain, 30, 4)
    found = torch.stack(
        as_graph(problem, solution)(*(column.contiguous() for column in points.T)), 1
    )
    torch.testing.assert_close(found, solution(points), rtol=1e-12, atol=1e-12)


def test_solve_trains_with_them():
    recipe = Recipe(KAN((3,), 5, 3), points=200, schedule="lm:5", lenses=True, crowding=0.5)
    result = solve(
        Problem(
            ring,
            [lambda u, x, y: laplacian(u)],
            [Dirichlet(u=1, on="outer"), Dirichlet(u=0, on="inner")],
        ),
        recipe=recipe,
        reference=False,
    )
    assert result.solution.network.widths[0] == 4


def test_a_domain_without_holes_has_none_to_look_at():
    disk = Problem(Disk(x=0, y=0, radius=1), [lambda u, x, y: laplacian(u) + 1], [Dirichlet(u=0)])
    with pytest.raises(
        RecipeError, match=r"^lenses: got True, but the domain has no hole; leave lenses out$"
    ):
        solve(
            disk,
            recipe=Recipe(KAN((3,), 5, 3), points=100, schedule="lm:2", lenses=True),
            reference=False,
        )
