"""In singular corners rows of the objective count by the distance."""

import numpy as np
import torch

from kanpde import Box, Condition, Dirichlet, Problem, d, laplacian
from kanpde.networks.kan import KAN
from kanpde.networks.trial_space import trial_space
from kanpde.problem.corner_pencils import POWER
from kanpde.training.points import Collocation

SLANTED = Problem(
    Box(x=(0, 1), y=(0, 1)),
    [lambda u, x, y: laplacian(u) + x],
    [
        Dirichlet(u=0, on=("x-", "x+", "y+")),
        # r^½ sin(π/4 - θ/2) has this slanted slope on y-
        Condition(lambda u, x, y: d(u, y) + d(u, x), on="y-"),
    ],
)


def objective(corners):
    space = trial_space(SLANTED, KAN((2,), 4, 3), corners=corners)
    network = space.initial(torch.Generator().manual_seed(0))
    return space, Collocation(SLANTED, space.solution(network), 40, 0).objective()


def test_rows_are_those_of_before_times_a_power_of_the_distance():
    space, tempered = objective(True)
    plain_space, plain = objective(False)
    (found,) = space.singular
    assert found.corner.at == (0.0, 0.0)
    assert abs(found.exponent - 0.5) < 1e-9
    assert not plain_space.singular
    for after, before, power in zip(tempered.terms, plain.terms, (POWER, POWER - 0.5), strict=True):
        near = np.hypot(*after.frame.points.numpy().T) / np.sqrt(2)
        rows, others = after.rows(tempered.network), before.rows(plain.network)
        assert np.allclose(rows, near**power * others.numpy(), rtol=1e-12, atol=1e-15)
        part = after.part(slice(3, 9), tempered.network)
        assert np.allclose(part.rows(tempered.network), rows[:, 3:9], rtol=1e-12, atol=1e-15)
        J, K = (
            t.jacobian(o.network)[1][0].dense() for t, o in ((after, tempered), (before, plain))
        )
        assert np.allclose(J, near[:, None] ** power * K.numpy(), rtol=1e-12, atol=1e-14)
