"""Activations on jets: the compiled ones against the plain ones, which test_taylor.py holds against
nested autograd."""

import pytest
import torch

from kanpde.kernels import activation, activation_jet, activation_jet_adjoint
from kanpde.kernels.taylor import channels


@pytest.fixture(autouse=True, params=["plain", "cpu"])
def _path(request, monkeypatch):
    monkeypatch.setenv("KANPDE_KERNELS", request.param)


def jets(points, units, counts, dtype=torch.float64):
    X, L = (torch.randn(points, channels(counts), units, dtype=dtype) for _ in range(2))
    return (
        X,
        L,
        torch.linspace(-0.2, 0.3, units, dtype=dtype),
        torch.linspace(0.5, 1.5, units, dtype=dtype),
    )


@pytest.mark.parametrize("counts", [(), (2,), (3, 2), (2, 2, 1), (3, 2, 2, 1)])
@pytest.mark.parametrize("size", [(0, 2), (1, 1), (3, 17), (127, 3), (1023, 2)])
@pytest.mark.parametrize("kind", ["tanh", "sin"])
def test_jet_and_adjoint_are_those_of_the_plain_path(kind, size, counts):
    X, L, center, scale = jets(*size, counts)
    torch.testing.assert_close(
        activation_jet(kind, X, center, scale, counts),
        activation.forward(kind, X, center, scale, counts),
        rtol=1e-13,
        atol=1e-13,
    )
    torch.testing.assert_close(
        activation_jet_adjoint(kind, L, X, scale, counts),
        activation.adjoint(kind, L, X, scale, counts),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("kind", ["tanh", "sin"])
def test_the_adjoint_is_that_of_autograd(kind):
    X, L, center, scale = jets(7, 3, (2, 2, 1, 1))
    X.requires_grad_()
    (wanted,) = torch.autograd.grad(activation.forward(kind, X, center, scale, (2, 2, 1, 1)), X, L)
    (found,) = torch.autograd.grad(activation_jet(kind, X, center, scale, (2, 2, 1, 1)), X, L)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


def test_operators_are_registered_soundly():
    X, L, center, scale = jets(5, 2, (2, 1))
    torch.library.opcheck(activation_jet, ("tanh", X, center, scale, (2, 1)))
    torch.library.opcheck(
        activation_jet, ("sin", X.clone().requires_grad_(), center, scale, (2, 1))
    )
    torch.library.opcheck(activation_jet_adjoint, ("tanh", L, X, scale, (2, 1)))


def test_float32_stays_float32_and_nan_stays_in_its_point():
    X, _, center, scale = jets(70, 2, (2, 1), torch.float32)
    clean = activation_jet("tanh", X, center, scale, (2, 1))
    X[3, 0, 1] = torch.nan
    Y = activation_jet("tanh", X, center, scale, (2, 1))
    assert Y.dtype == torch.float32
    assert Y[3, :, 1].isnan().all()
    Y[3, :, 1] = clean[3, :, 1]
    assert torch.equal(Y, clean)


@pytest.mark.parametrize(
    ("argument", "error", "change"),
    [
        ("kind", ValueError, {"kind": "relu"}),
        ("counts", ValueError, {"counts": (1, 2)}),
        ("X", ValueError, {"counts": (2, 2)}),
        ("center", ValueError, {"center": torch.zeros(3, dtype=torch.float64)}),
        ("scale", ValueError, {"scale": torch.zeros(2, 1, dtype=torch.float64)}),
        ("X, scale", TypeError, {"scale": torch.ones(2)}),
    ],
)
def test_bad_arguments_are_named(argument, error, change):
    X, _, center, scale = jets(4, 2, (2, 1))
    with pytest.raises(error, match=f"^{argument}: got .*expected"):
        activation_jet(
            **{"kind": "tanh", "X": X, "center": center, "scale": scale, "counts": (2, 1), **change}
        )
