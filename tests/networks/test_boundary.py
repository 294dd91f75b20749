"""Conditions that hold exactly, whatever the network does, and those that stay soft."""

import numpy as np
import pytest
import torch
from plain import solution_values

from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.geometry.sampling import unit_points
from kanpde.networks.boundary import hermite
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.trial_space import trial_space
from kanpde.problem.faces import points_on


def random_solution(problem, seed=0, spec=None):
    network = (spec or KAN((3,), 5, 4)).build(
        trial_space(problem, corners=False).inputs,
        len(problem.unknowns),
        torch.Generator().manual_seed(seed),
    )
    return trial_space(problem, corners=False).solution(network)


def defect(problem, solution, constraint, count=40):
    """Largest violation of a condition at points of its face, ends and corners included."""
    dims = len(problem.coordinates) - 1
    unit = (
        torch.cat(
            [
                unit_points(count, dims, 3),
                torch.cartesian_prod(
                    *[torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)] * dims
                ).view(-1, dims),
            ]
        )
        if dims
        else unit_points(1, 0, 0)
    )
    at, normal = points_on(problem.domain, constraint.face, unit)
    frame = solution.frame(torch.stack(list(at.values()), 1), constraint.residual.needs)
    leaves = frame.derivatives(solution.network.forward(frame.X, frame.counts)[-1])
    return float(constraint.residual(at, leaves, normal, False)[0].abs().max())


def second(u, x, y):
    return laplacian(u)


def heat(u, x, t):
    return d(u, t) - d(u, x, x)


def string(u, x, t):
    return d(u, t, t) - d(u, x, x)


def beam(u, x):
    return d(u, x, x, x, x)


def plate(u, x, y):
    return laplacian(laplacian(u))


def U(x, y):
    return torch.exp(x / 2) * torch.cos(y) + x**2 * y


def U_n(face):
    slope = {
        "x": lambda x, y: torch.exp(x / 2) * torch.cos(y) / 2 + 2 * x * y,
        "y": lambda x, y: -torch.exp(x / 2) * torch.sin(y) + x**2,
    }[face[0]]
    sign = 1 if face[1] == "+" else -1
    return lambda x, y: sign * slope(x, y)


square, faces = Box(x=(-1, 2), y=(0, 3)), ("x-", "x+", "y-", "y+")
EXACT = {
    "zero on all faces": Problem(domain=square, equations=[second], conditions=[Dirichlet(u=0)]),
    "compatible data on all faces": Problem(
        domain=square, equations=[second], conditions=[Dirichlet(u=U)]
    ),
    "clamped plate": Problem(
        domain=square,
        equations=[plate],
        conditions=[Dirichlet(u=U), *(Neumann(u=U_n(f), on=f) for f in faces)],
    ),
    "clamped at one end": Problem(
        domain=Box(x=(0, 2)),
        equations=[beam],
        conditions=[Dirichlet(u=1.5), Neumann(u=-2, on="x-"), Neumann(u=0.5, on="x+")],
    ),
    "cantilever": Problem(
        domain=Box(x=(0, 2)),
        equations=[beam],
        conditions=[
            Dirichlet(u=1, on="x-"),
            Neumann(u=3, on="x-"),
            Dirichlet(u=2, on="x+"),
            Neumann(u=4, on="x+"),
        ],
    ),
    "heat": Problem(
        domain=Box(x=(0, 1)) * Time(t=(1, 3)),
        equations=[heat],
        conditions=[Dirichlet(u=lambda x, t: x + t - 1), Initial(u=lambda x: x + x * (1 - x))],
    ),
    "string": Problem(
        domain=Box(x=(0, 2)) * Time(t=(0, 3)),
        equations=[string],
        conditions=[
            Dirichlet(u=lambda x, t: torch.cos(x) * torch.exp(t)),
            Initial(u=lambda x: torch.cos(x), u_t=lambda x: torch.cos(x)),
        ],
    ),
    "ring": Problem(
        domain=Box(x=(0, 2)) * Time(t=(0, 1)),
        equations=[heat],
        conditions=[Periodic("x"), Initial(u=lambda x: torch.sin(torch.pi * x))],
    ),
}


@pytest.mark.parametrize("spec", [KAN((3,), 5, 4), MLP((4,))], ids=["kan", "mlp"])
@pytest.mark.parametrize("problem", EXACT.values(), ids=EXACT)
def test_exact_conditions_hold_to_rounding(problem, spec):
    solution = random_solution(problem, spec=spec)
    assert solution.space.soft == ()
    for constraint in problem.constraints:
        assert defect(problem, solution, constraint) < 1e-12, constraint.label


@pytest.mark.parametrize("problem", EXACT.values(), ids=EXACT)
def test_the_network_is_free_inside(problem):
    """Two networks differ inside, so the factor has not swallowed them; it is at most 1 and
    positive there."""
    points = problem.domain.interior(unit_points(50, len(problem.coordinates), 1))
    assert (
        float(
            (random_solution(problem, 0)(points) - random_solution(problem, 1)(points)).abs().max()
        )
        > 0.1
    )
    factor = random_solution(problem).space.boundaries["u"].factor(points.T)
    assert (factor > 0).all()
    assert float(factor.max()) <= 1 + 1e-12


def test_periodic_values_and_derivatives_agree_at_both_ends():
    problem = EXACT["ring"]
    solution = random_solution(problem)
    assert solution.input_names == ("cos x", "sin x", "t")
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    ends = [torch.stack([torch.full_like(t, x), t], 1) for x in (0.0, 2.0)]
    needs = [("u", (n, 0)) for n in range(4)] + [("u", (1, 1))]
    frames = [solution.frame(end, needs) for end in ends]
    left, right = (f.derivatives(solution.network.forward(f.X, f.counts)[-1]) for f in frames)
    torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-11)
    shifted = random_solution(problem)(ends[0] + torch.tensor([0.7, 0.0]))
    assert float((shifted - random_solution(problem)(ends[0])).abs().max()) > 1e-2


def test_each_unknown_has_its_own_boundary():
    def pair(u, v, x, y):
        return laplacian(u) - v, laplacian(v) + u

    problem = Problem(
        domain=square,
        equations=[pair],
        conditions=[Dirichlet(u=U), Dirichlet(v=1, on=("x-", "x+")), Neumann(v=0, on=("y-", "y+"))],
    )
    solution = random_solution(problem)
    assert set(solution.space.boundaries["u"].ends) == {"x", "y"}
    assert set(solution.space.boundaries["v"].ends) == {"x"}
    assert [c.label for c in solution.space.soft] == ["Neumann(v=0) on y-", "Neumann(v=0) on y+"]
    for c in problem.constraints:
        found = defect(problem, solution, c)
        assert found > 1e-2 if c in solution.space.soft else found < 1e-12, c.label


def test_what_stays_soft():
    left, right = Dirichlet(u=0, on="x-"), Dirichlet(u=0, on="x+")
    cases = {
        "Robin": (
            [left, Robin(u=1, on="x+"), Dirichlet(u=0, on=("y-", "y+"))],
            ["Robin(u=1) on x+"],
        ),
        "Neumann alone": (
            [left, Neumann(u=1, on="x+"), Dirichlet(u=0, on=("y-", "y+"))],
            ["Neumann(u=1) on x+"],
        ),
        "any condition": (
            [left, right, Condition(lambda u, y: u**3 - u, on=("y-", "y+"))],
            ["Condition(", "Condition("],
        ),
        "a piece of a face": (
            [left, right, Dirichlet(u=0, on=("y-", "y+"), where=lambda x: x < 0.5)],
            ["Dirichlet(u=0) on y-", "Dirichlet(u=0) on y+"],
        ),
    }
    for name, (conditions, wanted) in cases.items():
        solution = random_solution(
            Problem(domain=square, equations=[second], conditions=conditions)
        )
        assert len(solution.space.soft) == len(wanted), name
        for c, start in zip(solution.space.soft, wanted, strict=True):
            assert c.label.startswith(start), name


def test_the_lift_alone_carries_the_data():
    solution = random_solution(EXACT["compatible data on all faces"])
    boundary = solution.space.boundaries["u"]
    points = torch.tensor(
        [[-1.0, 1.0], [2.0, 0.5], [0.3, 0.0], [0.3, 3.0], [-1.0, 0.0], [2.0, 3.0]],
        dtype=torch.float64,
    )
    torch.testing.assert_close(boundary.lift(points.T), U(*points.T), rtol=1e-13, atol=1e-13)
    assert not boundary.factor(points.T).any()
    torch.testing.assert_close(
        solution(points)[:, 0], solution_values(solution)(points, "u"), rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize(("low", "high"), [(1, 0), (0, 1), (1, 1), (2, 0), (2, 1), (2, 2)])
def test_hermite_polynomials_have_one_unit_datum_each(low, high):
    rows = hermite(low, high)
    data = []
    for row in rows:
        p = np.polynomial.Polynomial(row)
        data.append(
            [p.deriv(k)(0.0) if k else p(0.0) for k in range(low)]
            + [p.deriv(k)(1.0) if k else p(1.0) for k in range(high)]
        )
    np.testing.assert_allclose(data, np.eye(low + high), atol=1e-13)
