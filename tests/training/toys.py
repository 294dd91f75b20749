"""Small objectives, and functions in place of them, for the tests of the optimisers."""

import math

import torch

from kanpde import Box, Condition, Dirichlet, Initial, Problem, Time, d
from kanpde.networks.kan import KAN
from kanpde.networks.trial_space import trial_space
from kanpde.training.points import Collocation


def exact(x):
    return torch.sin(math.pi * x)


def linear(u, x):
    return d(u, x, x) - math.pi**2 * u + 2 * math.pi**2 * exact(x)


def cubic(u, x):
    return d(u, x, x) - u**3 + math.pi**2 * exact(x) + exact(x) ** 3


def bad(u, x):
    return d(u, x, x) + torch.where(x > -1, math.nan, 1.0) * u


def objective_of(equation=linear, spec=None, points=60, seed=0):
    problem = Problem(
        domain=Box(x=(0, 1)), equations=[equation], conditions=[Dirichlet(u=0)], exact={"u": exact}
    )
    network = (spec or KAN((3,), 5, 4)).build(1, 1, torch.Generator().manual_seed(seed))
    solution = trial_space(problem, corners=False).solution(network)
    return Collocation(problem, solution, points, seed).objective()


def wave(u, v, x, t):
    return d(u, t) - d(v, x)


def other(u, v, x, t):
    return 100 * d(v, t) - 100 * d(u, x) + u * v


def system_of(spec, points=50):
    """Two unknowns, two equations of different size, and a soft condition."""
    problem = Problem(
        domain=Box(x=(0, 1)) * Time(t=(0, 1)),
        equations=[wave, other],
        conditions=[
            Dirichlet(u=0, on="x-"),
            Condition(lambda u, v, t: u + 3 * v - t, on="x+"),
            Initial(u=exact, v=0),
        ],
    )
    network = spec.build(2, 2, torch.Generator().manual_seed(0))
    solution = trial_space(problem, corners=False).solution(network)
    objective = Collocation(problem, solution, points, 0).objective()
    assert objective.terms[0].equations == 2
    assert len(objective.terms) == 2
    return objective


def run(optimiser, objective, goal=-math.inf):
    """Losses step by step until the goal, and the reason for the end."""
    losses, steps = [], optimiser.minimise(objective)
    while not losses or losses[-1] > goal:
        try:
            losses.append(next(steps))
        except StopIteration as end:
            return losses, end.value
    return losses, "goal"


class Function:
    """A function of a few numbers in place of an objective."""

    def __init__(self, function, start):
        self.function, self.calls = function, 0
        self.network = type("Point", (), {"theta": torch.tensor(start, dtype=torch.float64)})()

    def gradient(self):
        self.calls += 1
        theta = self.network.theta.clone().requires_grad_()
        value = self.function(theta)
        (slope,) = torch.autograd.grad(value, theta)
        return float(value.detach()), slope


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def bowl(condition, size=40):
    """xᵀAx / 2 with eigenvalues from 1 to the condition number, evenly in their logarithm, and
    eigenvectors in no special place."""
    Q, _ = torch.linalg.qr(
        torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    )
    A = Q * torch.logspace(0, math.log10(condition), size, dtype=torch.float64) @ Q.T
    return lambda x: 0.5 * x @ A @ x
