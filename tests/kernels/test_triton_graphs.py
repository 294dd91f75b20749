"""A step as a CUDA graph, of the Triton kernels where there is a GPU; a plain call elsewhere."""

import pytest
import torch

from kanpde.kernels import spline_jet, spline_jet_adjoint, uniform_knots
from kanpde.kernels.graphs import Captured

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def step(C, X):
    """Loss and gradient of one layer."""
    knots = uniform_knots(2, -1.0, 1.0, 5, 3, X.dtype, X.device)
    Y = spline_jet(X, C, knots, (2, 2))
    return Y.square().sum(), spline_jet_adjoint(2 * Y, X, C, knots, (2, 2), False)[1]


def test_replays_give_what_calls_give():
    given = [
        (
            torch.randn(2, 8, 3, dtype=torch.float64, device=DEVICE),
            torch.rand(40, 5, 2, dtype=torch.float64, device=DEVICE),
        )
        for _ in range(3)
    ]
    captured = Captured(step, *given[0])
    for inputs in given:
        for found, wanted in zip(captured(*inputs), step(*inputs), strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    "inputs",
    [
        (torch.zeros(3),),
        (torch.zeros(3), torch.zeros(4), torch.zeros(3)),
        (torch.zeros(3), torch.zeros(5)),
        (torch.zeros(3), torch.zeros(4).double()),
    ],
)
def test_other_inputs_are_refused(inputs):
    captured = Captured(lambda a, b: a.sum() + b.sum(), torch.zeros(3), torch.ones(4))
    assert captured(torch.zeros(3), torch.ones(4)) == 4
    with pytest.raises(ValueError, match=r"^inputs.*: got .*expected"):
        captured(*inputs)
