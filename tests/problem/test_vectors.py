"""Vectors of coordinates: what functions get, and what is refused in one line."""

import pytest
import torch

from kanpde import (
    Ball,
    Box,
    Dirichlet,
    Disk,
    Initial,
    Problem,
    ProblemError,
    Time,
    Vector,
    d,
    div,
    grad,
    laplacian,
    normal,
)
from kanpde.errors import listed
from kanpde.problem.conditions import Condition
from kanpde.problem.vectors import PointsByComponent

MANY = Box(x=Vector(8, (0, 2)))


def problem(equation, domain=MANY, **given):
    return Problem(domain=domain, equations=[equation], **{"conditions": [Dirichlet(u=0)], **given})


def test_a_vector_is_its_components():
    columns = [torch.rand(4, dtype=torch.float64) for _ in range(5)]
    x = PointsByComponent.of("x", columns)
    assert x.shape == (4, 5)
    assert len(x) == 5
    assert x[3] is columns[3]
    assert x[..., 3] is columns[3]
    assert x[:, -1] is columns[4]
    assert list(x)[2] is columns[2]
    torch.testing.assert_close(x[1:3].sum(-1), columns[1] + columns[2])
    torch.testing.assert_close((x**2).sum(-1), sum(c**2 for c in columns))
    assert type(x * 2) is torch.Tensor


def test_operators_know_components():
    def equation(u, x):
        rest = d(u, x[2], x[2]) + d(u, "x5") + div(grad(u)) - laplacian(u)
        return rest + laplacian(u) - x[..., 1] * d(u, x[0], x[1])

    found = problem(equation).equations[0]
    units = [tuple(int(i == k) for i in range(8)) for k in range(8)]
    twice = {("u", tuple(2 * n for n in e)) for e in units}
    mixed = ("u", tuple(a + b for a, b in zip(units[0], units[1], strict=True)))
    assert {*found.needs} == twice | {("u", units[5]), mixed}
    assert found.affine


def test_few_components_are_ordinary_coordinates():
    few = problem(lambda u, x: laplacian(u) - x[1], Box(x=Vector(2, (0, 1)), y=(0, 1)))
    plain = Problem(
        domain=Box(x0=(0, 1), x1=(0, 1), y=(0, 1)),
        equations=[lambda u, x1: laplacian(u) - x1],
        conditions=[Dirichlet(u=0)],
    )
    assert few.coordinates == plain.coordinates
    assert few.domain.is_box
    assert {*few.domain.faces} == {*plain.domain.faces}
    at = {x: torch.rand(3, dtype=torch.float64) for x in few.coordinates}
    u = torch.rand(3, 3, dtype=torch.float64)
    torch.testing.assert_close(few.equations[0](at, u)[0], plain.equations[0](at, u)[0])


def test_conditions_data_and_exact_solutions_take_vectors():
    found = problem(
        lambda u, x, t: d(u, t) - laplacian(u),
        MANY * Time(t=(0, 1)),
        conditions=[
            Dirichlet(u=lambda x, t: x.sum(-1) * t, on="x-"),
            Condition(lambda u, x: normal(x[0]) * u + d(u, x[3]), on="x+"),
            Initial(u=lambda x: 0 * x[0]),
        ],
        exact={"u": lambda x, t: x[7] * t},
    )
    points = torch.rand(6, 9, dtype=torch.float64)
    torch.testing.assert_close(found.exact_values(points)["u"], points[:, 7] * points[:, 8])
    given = found.constraints[0].prescribed.data(
        dict(zip(found.coordinates, points.T, strict=True))
    )
    torch.testing.assert_close(given, points[:, :8].sum(1) * points[:, 8])
    again = found.replace(name="again")
    assert again.coordinates == found.coordinates
    assert again.domain.vectors == {"x": tuple(f"x{i}" for i in range(8))}


def test_a_box_without_a_ball_takes_vectors():
    region = Box(x=Vector(3, (-1, 1))) - Ball(x=Vector(3), radius=0.5)
    assert problem(lambda u, x: laplacian(u) - x[0], region).coordinates == ("x0", "x1", "x2")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Vector(0), "Vector(0): expected how many"),
        (lambda: Vector(101, (0, 1)), "a whole number from 1 to 100"),
        (lambda: Vector(2.5), "Vector(2.5): expected how many"),
        (lambda: Box(x=Vector(3)), "expected an interval as well, such as Vector(3, (0, 1))"),
        (lambda: Box(x=Vector(3, (1, 0))), "expected low < high"),
        (lambda: Box(x=Vector(3, (0, 1)), x1=(0, 1)), "'x1' is a component of a vector and"),
        (lambda: Time(t=Vector(2, (0, 1))), "takes no vector; time is one coordinate"),
        (lambda: Disk(x=Vector(2), y=0), "expected a finite number"),
        (lambda: Ball(x=Vector(2)), "got 2 coordinates (x0, x1); expected 3"),
        (lambda: MANY * Time(x=(0, 1)), "'x' is a space coordinate already"),
        (lambda: MANY - Ball(x=Vector(8)), "set operations take domains of two or three"),
        (
            lambda: Box(**dict.fromkeys("abcdef", (0, 1))),
            "more are a vector, Box(x=Vector(6, (0, 1)))",
        ),
        (lambda: problem(lambda u, x: laplacian(u) - x[8]), "x has 8 components, x[0] to x[7]"),
        (lambda: problem(lambda u, x: laplacian(u) - x["a"]), "expected the number of a component"),
        (lambda: problem(lambda u, x: laplacian(u) - x[9:].sum(-1)), "holds none of 8 components"),
        (lambda: problem(lambda u, x: d(u, x)), "a component of x is x[0], and all of them take"),
        (lambda: problem(lambda u, x: d(u, "x9")), "differentiates with respect to 'x9'"),
        (lambda: problem(lambda u, y: laplacian(u) - y), "'y' is neither an unknown"),
        (lambda: problem(lambda u, x: laplacian(u) - x.sum()), "depends on another point"),
        (
            lambda: problem(laplacian_of_u, conditions=[Dirichlet(u=0, on="x3-")]),
            "this domain has no face 'x3-'; its faces are x-, x+",
        ),
        (
            lambda: problem(lambda u, x, k: laplacian(u) - k, family={"k": (0, 1)}),
            "expected Box(…), Box(…) * Time(…)",
        ),
    ],
)
def test_misuse_is_one_line(make, words):
    with pytest.raises(ProblemError) as error:
        make()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def laplacian_of_u(u, x):
    return laplacian(u)


def test_very_many_names_are_listed_briefly():
    assert listed(f"x{i}" for i in range(100)) == "x0, x1, x2, …, x99"
