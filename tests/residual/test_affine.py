"""Which residuals are taken as affine in the derivatives, and that training finds the same for them
either way."""

from dataclasses import replace

import pytest
import torch

from kanpde import Box, Dirichlet, Problem, d, laplacian
from kanpde.geometry.sampling import unit_points
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.trial_space import trial_space
from kanpde.residual.recording import record
from kanpde.training.objective import Objective, term

AFFINE = {
    "poisson": lambda u, x, y: laplacian(u) + torch.sin(x) * u - 1,
    "divergence form": lambda u, x, y: d((1 + x**2) * d(u, x), x) + 2 - d(x * y * u, y) / 3,
    "jump": lambda u, x, y: torch.where(x < 0.5, u, 2 * d(u, y)),
    "reflected": lambda u, x, y: 1 - u,
}

NOT = {
    "advection": lambda u, x, y: u * d(u, x),
    "square": lambda u, x, y: d(u * u, x),
    "absolute value": lambda u, x, y: d(u, x) + abs(u),
    "quotient": lambda u, x, y: 1 / (2 + u),
    "detached": lambda u, x, y: laplacian(u) * u.detach(),
    "out of torch": lambda u, x, y: d(u, x) + torch.from_numpy(u.detach().numpy()),
    "threshold": lambda u, x, y: torch.where(u > 1e9, u, 2 * u),
    "comparison": lambda u, x, y: u + (u > 1e9),
    "rounded": lambda u, x, y: u + torch.floor(u),
    "rounded quotient": lambda u, x, y: u + torch.div(u, 2, rounding_mode="floor"),
    "stacked": lambda u, x, y: torch.stack([x * u, d(u, x)]).prod(0),
    "in place": lambda u, x, y: (u + 0).mul_(d(u, x)),
}


def recorded(function):
    points = {
        "x": torch.tensor([0.2, 0.7], dtype=torch.float64),
        "y": torch.tensor([0.4, 0.9], dtype=torch.float64),
    }
    return record(function, "residual", ("u", "x", "y"), ("u",), points, ("x", "y"))


@pytest.mark.parametrize("function", AFFINE.values(), ids=AFFINE)
def test_affine_residuals_are_seen(function):
    assert recorded(function).affine


@pytest.mark.parametrize("function", NOT.values(), ids=NOT)
def test_nothing_else_is_taken_for_affine(function):
    assert not recorded(function).affine


def two(u, v, x, y):
    return [laplacian(u) + x * d(v, y) - 1, laplacian(v) + torch.exp(y) * u]


@pytest.mark.parametrize(
    "spec",
    [KAN((5,), 5, 3), KAN((2,), 5, 3), KAN((6, 4), 5, 3), MLP((6,))],
    ids=lambda spec: f"{spec.kind}{spec.width}",
)
def test_loss_gradient_and_rows_are_those_of_the_general_way(spec):
    problem = Problem(Box(x=(-1, 1), y=(0, 2)), [two], [Dirichlet(u=1, v=0)])
    network = spec.build(2, 2, torch.Generator().manual_seed(0))
    solution = trial_space(problem, corners=False).solution(network)
    terms = [
        term(
            solution, problem.equations, problem.domain.interior(unit_points(701, 2, 0)), None, 2.0
        )
    ]
    objective = Objective(network, terms)

    def found():
        loss, gradient = objective.gradient()
        r, rows = objective.jacobian()
        return (
            torch.tensor(loss, dtype=torch.float64),
            gradient,
            objective.residuals(),
            r,
            rows.dense(),
        )

    assert all(r.affine for r in terms[0].residuals)
    affine = found()
    terms[0].residuals = [replace(r, affine=False) for r in terms[0].residuals]
    objective.terms[:] = [replace(terms[0])]
    for mine, wanted in zip(affine, found(), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-12, atol=1e-12 * float(wanted.abs().max()))


def test_redrawn_points_have_their_own_rows():
    problem = Problem(
        Box(x=(-1, 1), y=(0, 2)), [lambda u, x, y: laplacian(u) + x * u - y], [Dirichlet(u=0)]
    )
    network = KAN((5,), 5, 3).build(2, 1, torch.Generator().manual_seed(0))
    solution = trial_space(problem, corners=False).solution(network)
    first, second = (
        term(
            solution,
            problem.equations,
            problem.domain.interior(unit_points(64, 2, seed)),
            None,
            1.0,
        )
        for seed in (0, 1)
    )
    before, other = first.rows(network), second.rows(network)
    first.frame = second.frame
    assert not torch.equal(before, other)
    assert torch.equal(first.rows(network), other)
