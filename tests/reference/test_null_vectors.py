"""What is singular is named: which unknown can move, and where."""

import numpy as np
import pytest
import torch

from kanpde import Box, Dirichlet, Neumann, Periodic, Problem, d
from kanpde.errors import SolutionDoubtful
from kanpde.reference import reference
from kanpde.reference.norms import rms

LINE = Box(x=(0, 1))
SINGULAR = {
    "one end": (
        [lambda u, x: d(u, x, x) - 1],
        [Dirichlet(u=0, on="x-")],
        "u can move most of all at x = 1,",
    ),
    "insulated": (
        [lambda u, x: d(u, x, x) + 0 * u - torch.cos(torch.pi * x)],
        [Neumann(u=0)],
        "u can move by the same everywhere",
    ),
    "resonance": (
        [lambda u, v, x: d(u, x, x) + torch.pi**2 * u - 1, lambda v, x: d(v, x, x) - 1],
        [Dirichlet(u=0, v=0)],
        "u can move most of all at x = 0.5,",
    ),
}


@pytest.mark.filterwarnings("ignore::kanpde.errors.ProblemWarning")
@pytest.mark.parametrize("case", SINGULAR)
def test_what_can_move_is_named(case):
    equations, conditions, words = SINGULAR[case]
    with pytest.raises(SolutionDoubtful, match=words):
        reference(Problem(LINE, equations, conditions))


def test_a_periodic_system_of_first_order_is_not_singular():
    problem = Problem(
        Box(x=(0, 2 * np.pi)),
        [lambda u, v, x: d(u, x) - v, lambda u, v, x: d(v, x) + 5 * u - 4 * torch.cos(x)],
        [Periodic("x")],
        unknowns=["u", "v"],
    )
    found = reference(problem)
    error = rms((found.values["u"] - np.cos(found.coordinates["x"]))[None])[0] / found.scales["u"]
    assert error < 3 * found.estimated_error < 1e-10
