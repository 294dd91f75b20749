"""Derivatives along many coordinates: values, leaves, gradients and rows against nested autograd
and differences, and what they cost."""

import pytest
import torch

from kanpde import KAN, Ball, Dirichlet, Initial, Neumann, Problem, Time, Vector, d, laplacian
from kanpde.geometry.sampling import inside_points
from kanpde.networks.along_axes import is_along_axes
from kanpde.networks.jets import nested_derivatives
from kanpde.networks.kinds.chebyshev import Chebyshev
from kanpde.networks.trial_space import trial_space
from kanpde.training.objective import Objective, term

DIMS = 6


def heat(conditions):
    return Problem(
        domain=Ball(x=Vector(DIMS), radius=1.5) * Time(t=(0, 2)),
        equations=[lambda u, x, t: d(u, t) - laplacian(u) + u * d(u, x[2]) - x[1]],
        conditions=[Initial(u=lambda x: x[0] * x[3]), conditions],
    )


PROBLEMS = {
    "exact": lambda: heat(Dirichlet(u=lambda x: x[0] * x[3])),
    "rows": lambda: heat(Neumann(u=0)),
}
NETWORKS = {"kan": KAN(width=(3,), degree=5, grid=2), "chebyshev": Chebyshev(width=(2, 2))}


def candidate(problem, network):
    space = trial_space(problem, network)
    return space.solution(space.initial(torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_leaves_are_those_of_nested_autograd(problem, network):
    problem = PROBLEMS[problem]()
    solution = candidate(problem, NETWORKS[network])
    points = inside_points(problem.domain, 5, 1)
    needs = problem.equations[0].needs
    frame = solution.frame(points, needs)
    assert is_along_axes(frame.X, frame.counts)
    found = solution.derivatives(points, needs)

    def plain(columns):
        unit = torch.stack(list(columns), 1)
        bounds = torch.tensor(list(problem.domain.bounds.values()), dtype=torch.float64)
        X = (2 * (unit - bounds[:, 0]) / (bounds[:, 1] - bounds[:, 0]) - 1)[:, None]
        value = of_layers(solution.network, X)
        boundary = solution.space.boundaries["u"]
        return boundary.lift(columns) + boundary.factor(columns) * value

    wanted = nested_derivatives(plain, points, [index for _, index in needs])
    for a, (_, index) in enumerate(needs):
        torch.testing.assert_close(found[:, a], wanted[index], rtol=1e-9, atol=1e-9)


def of_layers(network, X):
    """The network in plain operations, which autograd differentiates."""
    for layer, part in zip(network.layers, network.parts(), strict=True):
        if hasattr(layer, "basis"):
            C = part.view(layer.shape)
            B = Tracked.apply(X[:, 0], layer.basis, 0)
            X = torch.einsum("npj,pjq->nq", B, C)[:, None]
        else:
            center, scale = layer.affine(X, X.shape[2])
            X = (torch.tanh(X) - center) / scale
    return X[:, 0, 0]


class Tracked(torch.autograd.Function):
    """Values of a basis with their slopes, as often as they are asked for."""

    @staticmethod
    def forward(ctx, x, basis, order):
        ctx.save_for_backward(x)
        ctx.basis, ctx.order = basis, order
        factor = float(torch.lgamma(torch.tensor(order + 1.0)).exp())
        return basis.taylor(x.detach(), order)[:, :, order] * factor

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return (g * Tracked.apply(x, ctx.basis, ctx.order + 1)).sum(2), None, None


@pytest.mark.parametrize("problem", PROBLEMS)
def test_gradient_and_rows_are_slopes_of_the_residual(problem):
    problem = PROBLEMS[problem]()
    solution = candidate(problem, NETWORKS["kan"])
    points = inside_points(problem.domain, 7, 2)
    network = solution.network
    one = term(solution, problem.equations, points, None, 1.0)
    objective = Objective(network, [one])
    r, J = objective.jacobian()
    loss, gradient = objective.gradient()
    torch.testing.assert_close(loss, float(r @ r))
    torch.testing.assert_close(gradient, 2 * J.dense().T @ r)
    step = torch.randn(len(network.theta), dtype=torch.float64, generator=torch.manual_seed(0))
    start = network.theta
    ends = []
    for h in (1e-6, -1e-6):
        network.theta = start + h * step
        ends.append(objective.residuals())
    slope = (ends[0] - ends[1]) / 2e-6
    torch.testing.assert_close(J @ step, slope, rtol=1e-6, atol=1e-6)


def test_parts_of_a_term_are_the_term():
    problem = PROBLEMS["exact"]()
    solution = candidate(problem, NETWORKS["kan"])
    one = term(solution, problem.equations, inside_points(problem.domain, 9, 2), None, 1.0)
    whole = one.rows(solution.network)
    part = one.part(slice(3, 6), solution.network).rows(solution.network)
    torch.testing.assert_close(part, whole[:, 3:6])


def test_what_a_point_takes_grows_as_the_number_of_coordinates():
    sizes = []
    for dims in (20, 40):
        problem = Problem(
            domain=Ball(x=Vector(dims), radius=1),
            equations=[lambda u, x: laplacian(u) - x[0]],
            conditions=[Dirichlet(u=0)],
        )
        solution = candidate(problem, KAN(width=(2,), degree=3, grid=1))
        frame = solution.frame(inside_points(problem.domain, 4, 0), problem.equations[0].needs)
        sizes.append(sum(x.nbytes for x in (frame.X, frame.map)))
    assert sizes[1] == 2 * sizes[0]
