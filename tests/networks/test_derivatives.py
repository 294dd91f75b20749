"""Derivatives of a solution, and their adjoints, against nested autograd and finite differences."""

import pytest
import torch
from plain import network_values, solution_values

from kanpde import Box, Dirichlet, Initial, Neumann, Periodic, Problem, Time, d, laplacian
from kanpde.geometry.sampling import unit_points
from kanpde.networks.activation import Activation
from kanpde.networks.jets import nested_derivatives
from kanpde.networks.kan import KAN
from kanpde.networks.mlp import MLP
from kanpde.networks.trial_space import trial_space
from kanpde.training.objective import Objective, term

SPECS = [KAN((3,), 5, 4), KAN((3, 2), 7, 3), KAN((), 5, 6), MLP((4, 3)), MLP((5,), "sin")]
NAMES = ["kan", "deep kan", "one-layer kan", "tanh mlp", "sin mlp"]


def plate(u, x, y):
    return d(u, x, x, x, x) + 2 * d(u, x, x, y, y) + d(u, y, y, y, y) + u * d(u, x, y) - d(u, x)


def wave(u, x, t):
    return d(u, t, t) - 2 * d(u, x, x) + u * d(u, t)


def flow(u, v, x, t):
    return d(u, t) + u * d(u, x) - d(u, x, x) - v, d(v, t) - d(v, x, x) + d(u, x, t) * v


def solid(u, x, y, z):
    return laplacian(u) + d(u, x, y) * d(u, z) + d(u, x, y, z)


PROBLEMS = {
    "clamped plate": Problem(
        domain=Box(x=(0, 2), y=(-1, 2)),
        equations=[plate],
        conditions=[Dirichlet(u=lambda x, y: torch.sin(x) * y), Neumann(u=0)],
    ),
    "wave": Problem(
        domain=Box(x=(0, 3)) * Time(t=(1, 3)),
        equations=[wave],
        conditions=[Dirichlet(u=0), Initial(u=lambda x: x * (3 - x), u_t=1)],
    ),
    "two unknowns": Problem(
        domain=Box(x=(-1, 1)) * Time(t=(0, 0.5)),
        equations=[flow],
        conditions=[
            Dirichlet(u=0, v=lambda t: 1 + t),
            Initial(u=lambda x: torch.cos(torch.pi / 2 * x), v=1),
        ],
    ),
    "ring": Problem(
        domain=Box(x=(0, 2)) * Time(t=(0, 1)),
        equations=[wave],
        conditions=[Periodic("x"), Initial(u=lambda x: torch.sin(torch.pi * x), u_t=0)],
    ),
    "solid": Problem(
        domain=Box(x=(0, 1), y=(0, 2), z=(-1, 1)),
        equations=[solid],
        conditions=[
            Dirichlet(u=lambda x, y, z: x * y * z, on=("x-", "y+", "z-", "z+")),
            Neumann(u=1, on=("x+", "y-")),
        ],
    ),
}


@pytest.fixture(params=SPECS[1:], ids=NAMES[1:])
def spec(request):
    return request.param


@pytest.fixture(params=PROBLEMS.values(), ids=PROBLEMS)
def solution_of(request, spec):
    problem = request.param
    network = spec.build(
        trial_space(problem, corners=False).inputs,
        len(problem.unknowns),
        torch.Generator().manual_seed(1),
    )
    return problem, trial_space(problem, corners=False).solution(network)


def leaves_of(problem):
    return list(dict.fromkeys(leaf for r in problem.equations for leaf in r.needs))


def objective_of(problem, solution, points=12):
    at = problem.domain.interior(unit_points(points, len(problem.coordinates), 5))
    return Objective(solution.network, [term(solution, problem.equations, at, None, 0.7)])


def test_derivatives_are_those_of_nested_autograd(solution_of):
    problem, solution = solution_of
    needs = leaves_of(problem)
    points = problem.domain.interior(unit_points(9, len(problem.coordinates), 2))
    frame = solution.frame(points, needs)
    found = frame.derivatives(solution.network.forward(frame.X, frame.counts)[-1])
    value = solution_values(solution)
    for a, (unknown, index) in enumerate(needs):
        wanted = nested_derivatives(
            lambda p, u=unknown: value(torch.stack(list(p), 1), u), points, [index]
        )[index]
        torch.testing.assert_close(
            found[:, a], wanted, rtol=1e-9, atol=1e-10 * (1 + float(wanted.abs().max()))
        )


def test_values_are_those_of_the_call(solution_of):
    problem, solution = solution_of
    points = problem.domain.interior(unit_points(9, len(problem.coordinates), 2))
    value = solution_values(solution)
    wanted = torch.stack([value(points, u) for u in problem.unknowns], 1)
    torch.testing.assert_close(solution(points), wanted, rtol=1e-12, atol=1e-12)


def test_jacobian_and_gradient_are_those_of_finite_differences(solution_of):
    problem, solution = solution_of
    objective, network = objective_of(problem, solution), solution.network
    r, rows = objective.jacobian()
    J = rows.dense()
    torch.testing.assert_close(
        r, objective.residuals(), rtol=1e-13, atol=1e-13 * float(r.abs().max())
    )
    loss, gradient = objective.gradient()
    assert loss == pytest.approx(float(r @ r), rel=1e-13)
    torch.testing.assert_close(
        gradient, 2 * J.T @ r, rtol=1e-10, atol=1e-11 * float(gradient.abs().max())
    )
    start, h = network.theta, 2e-3
    v = torch.randn(
        network.parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    v, at = v / v.norm(), {}
    for k in (-2, -1, 1, 2):
        network.theta = start + k * h * v
        at[k] = objective.residuals()
    slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    torch.testing.assert_close(J @ v, slope, rtol=0, atol=1e-6 * float(slope.abs().max()))


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
def test_jacobian_rows_are_gradients_of_single_points(spec):
    problem = PROBLEMS["two unknowns"]
    network = spec.build(2, 2, torch.Generator().manual_seed(2))
    solution = trial_space(problem, corners=False).solution(network)
    objective = objective_of(problem, solution, points=8)
    J = objective.jacobian()[1].dense()
    (t,) = objective.terms
    jets, _, g = t.evaluate(network, True)
    for row, (e, n) in enumerate((e, n) for e in range(t.equations) for n in range(8)):
        alone = torch.zeros_like(g[:, e])
        alone[n] = g[n, e]
        torch.testing.assert_close(
            J[row],
            network.gradient(jets, t.frame.adjoint(alone, 2), t.frame.counts),
            rtol=1e-12,
            atol=1e-12 * float(J.abs().max()),
        )


def test_a_rescaled_activation_has_the_adjoint_of_its_jet():
    for name in ("tanh", "sin"):
        activation = (
            Activation(name)
            .rescaled(torch.tensor([0.2, -0.1]), torch.tensor([0.5, 2.0]))
            .rescaled(torch.tensor([0.1, 0.3]), torch.tensor([3.0, 0.7]))
        )
        counts = (3, 2, 2, 1)
        X = torch.randn(5, 9, 2, dtype=torch.float64, requires_grad=True)
        L = torch.randn(5, 9, 2, dtype=torch.float64)
        Y = activation.forward(torch.empty(0), X, counts)
        (wanted,) = torch.autograd.grad((Y * L).sum(), X)
        found, none = activation.adjoint(torch.empty(0), L, X.detach(), counts)
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
        assert none.numel() == 0
        inward, rows = activation.jacobian(torch.empty(0), L, X.detach(), counts)
        assert torch.equal(inward, found)
        assert rows.dense().shape == (5, 0)


def test_rescaling_twice_composes():
    x = torch.randn(6, 1, 2, dtype=torch.float64)
    plain, once = (
        Activation("tanh"),
        Activation("tanh").rescaled(torch.tensor([0.2, -0.1]), torch.tensor([0.5, 2.0])),
    )
    twice = once.rescaled(torch.tensor([0.1, 0.3]), torch.tensor([3.0, 0.7]))
    y = [a.forward(torch.empty(0), x, ()) for a in (plain, once, twice)]
    torch.testing.assert_close(y[0], torch.tensor([0.2, -0.1]) + torch.tensor([0.5, 2.0]) * y[1])
    torch.testing.assert_close(y[1], torch.tensor([0.1, 0.3]) + torch.tensor([3.0, 0.7]) * y[2])


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
def test_parameters_are_counted_and_seeded(spec):
    network = spec.build(3, 2, torch.Generator().manual_seed(4))
    assert network.parameters == spec.count(3, 2) == sum(layer.size for layer in network.layers)
    assert network.widths == (3, *spec.width, 2)
    assert torch.equal(network.theta, spec.build(3, 2, torch.Generator().manual_seed(4)).theta)
    assert not torch.equal(network.theta, spec.build(3, 2, torch.Generator().manual_seed(5)).theta)
    assert network.describe().startswith(spec.kind.upper() + " 3-")
    single = network.to("cpu", torch.float32)
    X = torch.rand(4, 1, 3)
    assert single.forward(X, ())[-1].dtype == torch.float32
    torch.testing.assert_close(
        single.forward(X, ())[-1].double(), network.forward(X.double(), ())[-1], rtol=0, atol=1e-4
    )


def test_network_values_are_the_plain_ones(spec):
    network = spec.build(2, 3, torch.Generator().manual_seed(0))
    x = 2 * torch.rand(20, 2, dtype=torch.float64) - 1
    torch.testing.assert_close(
        network.forward(x[:, None], ())[-1][:, 0],
        network_values(network, x),
        rtol=1e-12,
        atol=1e-12,
    )


def test_edge_functions_add_up_to_the_layer():
    network = KAN((3,), 5, 4).build(2, 1, torch.Generator().manual_seed(0))
    first, second = network.edges(21)
    assert first.inputs.shape == (2, 21)
    assert first.outputs.shape == (2, 3, 21)
    assert second.outputs.shape == (3, 1, 21)
    X = torch.from_numpy(first.inputs.T.copy())[:, None]
    wanted = network.layers[0].forward(network.theta[: network.layers[0].size], X, ())[:, 0]
    torch.testing.assert_close(
        torch.from_numpy(first.outputs.sum(0).T.copy()), wanted, rtol=1e-13, atol=1e-13
    )
    assert MLP((3,)).build(2, 1, torch.Generator()).edges(21) == []
