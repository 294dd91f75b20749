"""Networks whose rows hold integrals and values at other places: their derivatives are those of
differences, and they train."""

import pytest
import torch
from torch import cos, exp, pi

from kanpde import KAN, Box, Condition, Neumann, Problem, d, integral, mean
from kanpde.errors import RecipeError
from kanpde.networks.trial_space import trial_space
from kanpde.solver import solve
from kanpde.training import blocks
from kanpde.training.far_terms import FarTerm
from kanpde.training.points import Collocation
from kanpde.training.tangent import Tangent


def pair(u, v, x):
    memory = integral(lambda s: exp(x - s) * u(s) ** 2 * v(s), s=(0, x))
    return d(u, x, x) + memory + u(x=0.5) * v, d(v, x) - mean(d(u, x) ** 2) * u


COUPLED = Problem(
    Box(x=(0, 1)),
    pair,
    [
        Neumann(u=0, on="x-"),
        Condition(lambda u, v: integral(u * v) - 1),
        Condition(lambda v, x: v - 1, on="x-"),
    ],
)


@pytest.fixture
def objective():
    network = KAN((4, 3), 5, 4).build(1, 2, torch.Generator().manual_seed(1))
    solution = trial_space(COUPLED, corners=False).solution(network)
    found = Collocation(COUPLED, solution, 40, 0).objective()
    assert sum(isinstance(term, FarTerm) for term in found.terms) == 2
    return found


def test_gradient_and_rows_are_those_of_differences(objective):
    network, step = objective.network, 1e-6
    loss, gradient = objective.gradient()
    r, J = objective.jacobian()
    torch.testing.assert_close(loss, float(r.square().sum()))
    torch.testing.assert_close(gradient, 2 * J.transposed_times(r))
    start = network.theta
    way = torch.randn(len(start), generator=torch.Generator().manual_seed(2), dtype=start.dtype)
    sides = []
    for sign in (-1, 1):
        network.theta = start + sign * step * way
        sides.append(objective.residuals())
    wanted = (sides[1] - sides[0]) / (2 * step)
    size = float(wanted.abs().max())
    torch.testing.assert_close(J @ way, wanted, rtol=1e-6, atol=1e-6 * size)


def test_blocks_of_points_sum_to_the_whole(objective, monkeypatch):
    r, whole = objective.jacobian()
    monkeypatch.setattr(blocks, "ROOM", 20_000)
    again, parts = blocks.linear(objective)
    assert isinstance(parts, blocks.Blocks)
    assert len(list(parts.blocks())) > 3
    torch.testing.assert_close(again, r)
    for came, wanted in zip(parts.normal(r), whole.normal(r), strict=True):
        came, wanted = (m.tril() if m.dim() == 2 else m for m in (came, wanted))
        torch.testing.assert_close(came, wanted, rtol=1e-10, atol=1e-10 * float(wanted.abs().max()))


def test_what_works_row_by_row_refuses_them(objective):
    with pytest.raises(RecipeError, match="lm, ssbroyden, lbfgs and adam take it"):
        Tangent(objective)


def balance(u, x):
    return d(u, x, x) + pi**2 * cos(pi * x)


def kernel(u, x):
    return u - integral(lambda s: cos(x - s) * u(s), s=(0, 1)) / 2 - cos(x) / (1 + x)


TRAINED = {
    "a condition on the whole": Problem(
        Box(x=(0, 1)), balance, [Neumann(u=0), Condition(lambda u: integral(u) - 1)]
    ),
    "an equation": Problem(Box(x=(0, 1)), kernel),
}


@pytest.mark.parametrize("case", TRAINED)
def test_layers_are_trained(case):
    found = solve(
        TRAINED[case], network=KAN((4,), 7, 4), schedule="lm:40", points=200, pictures=False
    )
    assert found.reference.estimated_error < 1e-10
    assert found.relative_l2 is None or found.relative_l2 < 1e-6
    assert found.verdict.status == "converged", found.verdict
