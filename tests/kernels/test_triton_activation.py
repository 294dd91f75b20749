"""Activations on jets in Triton against the plain ones: compiled where there is a GPU, in Triton's
interpreter elsewhere."""

import numpy as np
import pytest
import torch
from compiled_or_interpreted import DEVICE

from kanpde.kernels import activation, triton_activation
from kanpde.kernels.taylor import channels


def jets(points, units, counts, dtype=torch.float64):
    X, L = (torch.randn(points, channels(counts), units, dtype=torch.float64) for _ in range(2))
    return (
        t.to(DEVICE, dtype)
        for t in (X, L, torch.linspace(-0.2, 0.3, units), torch.linspace(0.5, 1.5, units))
    )


@pytest.mark.parametrize("counts", [(), (2,), (2, 2, 1), (3, 2, 2, 1)])
@pytest.mark.parametrize("size", [(0, 2), (1, 1), (3, 17), (1023, 2)])
@pytest.mark.parametrize("kind", ["tanh", "sin"])
def test_jet_and_adjoint_are_those_of_the_plain_path(kind, size, counts):
    X, L, center, scale = jets(*size, counts)
    close = {"rtol": 1e-12, "atol": 1e-13}
    torch.testing.assert_close(
        triton_activation.forward(kind, X, center, scale, counts),
        activation.forward(kind, X, center, scale, counts),
        **close,
    )
    torch.testing.assert_close(
        triton_activation.adjoint(kind, L, X, scale, counts),
        activation.adjoint(kind, L, X, scale, counts),
        **close,
    )


@pytest.mark.parametrize("kind", ["tanh", "sin"])
def test_float32_stays_float32(kind):
    X, L, center, scale = jets(40, 3, (2, 1), torch.float32)
    Y, inward = (
        triton_activation.forward(kind, X, center, scale, (2, 1)),
        triton_activation.adjoint(kind, L, X, scale, (2, 1)),
    )
    assert Y.dtype == inward.dtype == torch.float32
    torch.testing.assert_close(
        Y, activation.forward(kind, X, center, scale, (2, 1)), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        inward, activation.adjoint(kind, L, X, scale, (2, 1)), rtol=1e-5, atol=1e-5
    )


def test_tanh_near_zero_far_out_and_where_its_two_formulas_meet():
    x = torch.tensor(
        [0.0, 1e-300, 1e-9, 0.1, 0.49999999, 0.5, 0.6, 3.0, 20.0, 1000.0],
        dtype=torch.float64,
        device=DEVICE,
    )
    X = torch.cat([x, -x, torch.tensor([torch.inf, -torch.inf, torch.nan], device=DEVICE)])[
        :, None, None
    ]
    zero, one = (
        torch.zeros(1, dtype=torch.float64, device=DEVICE),
        torch.ones(1, dtype=torch.float64, device=DEVICE),
    )
    with np.errstate(all="ignore"):
        found = triton_activation.forward("tanh", X, zero, one, ())
    torch.testing.assert_close(found, torch.tanh(X), rtol=5e-16, atol=0, equal_nan=True)


def test_tensors_need_not_be_contiguous():
    X, L, center, scale = jets(9, 4, (2, 1))
    strided = X.transpose(0, 2).contiguous().transpose(0, 2)
    wanted = triton_activation.adjoint("tanh", L, X, scale, (2, 1))
    assert torch.equal(triton_activation.adjoint("tanh", L, strided, scale, (2, 1)), wanted)
    assert torch.equal(
        triton_activation.forward("tanh", strided, center, scale, (2, 1)),
        triton_activation.forward("tanh", X, center, scale, (2, 1)),
    )
