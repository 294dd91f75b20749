"""Training with the compiled kernels goes the way of the plain ones, with which others train."""

import pytest
from trained import train

from kanpde import KAN, Recipe


@pytest.mark.parametrize("schedule", ["lm:6", "lbfgs:6"])
def test_training_goes_the_way_of_the_plain_kernels(poisson, schedule, monkeypatch):
    found = {}
    for kernels in ("plain", "cpu"):
        monkeypatch.setenv("KANPDE_KERNELS", kernels)
        solution, history = train(poisson, Recipe(KAN((5,), 3, 5), 200, schedule))
        found[kernels] = [*history.column("loss"), *solution.network.theta.tolist()]
    assert found["cpu"] == pytest.approx(found["plain"], rel=1e-7, abs=1e-9)
