"""Whole spline networks on jets: against the chain of the plain layers and against autograd through
it, on every path."""

from itertools import pairwise

import pytest
import torch

from kanpde.kernels import (
    network,
    network_jet,
    network_jet_adjoint,
    network_jet_jacobian,
    network_jet_squares,
    runs,
    uniform_knots,
)
from kanpde.kernels.taylor import channels


@pytest.fixture(autouse=True, params=["plain", "cpu"])
def _path(request, monkeypatch):
    monkeypatch.setenv("KANPDE_KERNELS", request.param)


def operands(widths, points, counts, degree=3, grid=5, dtype=torch.float64):
    """Input jet, adjoint of the output, and what the operators take of a network."""
    X, L = (
        torch.randn(points, channels(counts), units, dtype=dtype)
        for units in (widths[0], widths[-1])
    )
    X[:, 0] = 2 * torch.rand(points, widths[0], dtype=dtype) - 1
    C = [torch.randn(p, grid + degree, q, dtype=dtype) / (2 * p**0.5) for p, q in pairwise(widths)]
    knots = [uniform_knots(p, -1.0, 1.0, grid, degree, dtype) for p in widths[:-1]]
    centers = [torch.linspace(-0.1, 0.2, units, dtype=dtype) for units in widths[1:-1]]
    scales = [torch.linspace(0.8, 1.3, units, dtype=dtype) for units in widths[1:-1]]
    return X, L, (C, knots, centers, scales, counts)


WIDTHS = [(2, 5, 1), (2, 10, 4, 3), (1, 3, 1), (3, 1), (1, 17, 2, 1), (5, 6, 6, 6, 1)]


@pytest.mark.parametrize("counts", [(), (2, 2), (3, 1, 1, 1)])
@pytest.mark.parametrize("points", [0, 1, 127, 3001])
@pytest.mark.parametrize("widths", WIDTHS)
def test_jet_gradient_and_rows_are_those_of_the_chained_layers(widths, points, counts):
    X, L, given = operands(widths, points, counts)
    C = given[0]
    wanted = network.forward(X, *given)
    size = float(wanted.abs().max()) if points else 1.0
    torch.testing.assert_close(network_jet(X, *given), wanted, rtol=1e-12, atol=1e-12 * size)
    wanted = network.adjoint(L, X, *given)
    torch.testing.assert_close(
        network_jet_adjoint(L, X, *given),
        wanted,
        rtol=1e-11,
        atol=1e-11 * float(wanted.abs().max()),
    )
    values, starts = network_jet_jacobian(L, X, *given)
    columns = sum(c.numel() for c in C)
    found = runs.dense(values, starts, network.lengths(C, given[1]), columns)
    rows = runs.dense(*network.pullback(L, X, *given), network.lengths(C, given[1]), columns)
    torch.testing.assert_close(
        found, rows, rtol=1e-11, atol=1e-11 * (float(rows.abs().max()) if points else 1.0)
    )
    torch.testing.assert_close(
        found.sum(0),
        wanted,
        rtol=1e-10,
        atol=1e-11 * float(rows.abs().sum(0).max()) if points else 1.0,
    )


def affine(points, equations, counts, outputs, dtype=torch.float64):
    return torch.randn(equations, points, channels(counts), outputs, dtype=dtype), torch.randn(
        equations, points, dtype=dtype
    )


@pytest.mark.parametrize("equations", [1, 3])
@pytest.mark.parametrize("points", [0, 1, 127, 3001])
@pytest.mark.parametrize("widths", WIDTHS)
def test_squares_of_affine_rows_are_those_of_jet_and_adjoint(widths, points, equations):
    X, _, given = operands(widths, points, (2, 2))
    W, b = affine(points, equations, (2, 2), widths[-1])
    r, gradient = network_jet_squares(X, *given[:4], W, b, (2, 2))
    rows, wanted = network.squares(X, *given[:4], W, b, (2, 2))
    torch.testing.assert_close(
        r, rows, rtol=1e-12, atol=1e-12 * (float(rows.abs().max()) if points else 1.0)
    )
    torch.testing.assert_close(gradient, wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max()))


@pytest.mark.parametrize(
    ("argument", "error", "change"),
    [
        ("W", ValueError, lambda W, b: (W[:, :, :2], b)),
        ("b", ValueError, lambda W, b: (W, b[0])),
        ("W, b", TypeError, lambda W, b: (W, b.float())),
    ],
)
def test_bad_affine_functions_are_named(argument, error, change):
    X, _, given = operands((2, 5, 1), 4, (2, 1))
    W, b = affine(4, 2, (2, 1), 1)
    with pytest.raises(error, match=f"^{argument}: got .*expected"):
        network_jet_squares(X, *given[:4], *change(W, b), (2, 1))


def test_the_gradient_is_that_of_autograd():
    X, L, (C, *rest) = operands((2, 5, 4, 2), 40, (3, 1, 1, 1))
    C = [c.requires_grad_() for c in C]
    wanted = torch.autograd.grad((network.forward(X, C, *rest) * L).sum(), C)
    C = [c.detach() for c in C]
    found = network_jet_adjoint(L, X, C, *rest)
    wanted = torch.cat([g.reshape(-1) for g in wanted])
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-11 * float(wanted.abs().max()))


def test_bits_do_not_depend_on_the_number_of_threads():
    X, L, given = operands((2, 10, 1), 5000, (2, 2))
    W, b = affine(5000, 2, (2, 2), 1)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            found.append(
                (
                    network_jet(X, *given),
                    network_jet_adjoint(L, X, *given),
                    *network_jet_jacobian(L, X, *given),
                    *network_jet_squares(X, *given[:4], W, b, (2, 2)),
                )
            )
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_operators_are_registered_soundly():
    X, L, given = operands((2, 5, 1), 6, (2, 2))
    torch.library.opcheck(network_jet, (X, *given))
    torch.library.opcheck(network_jet_adjoint, (L, X, *given))
    torch.library.opcheck(network_jet_jacobian, (L, X, *given))
    torch.library.opcheck(network_jet_squares, (X, *given[:4], *affine(6, 2, (2, 2), 1), (2, 2)))


def test_single_precision_stays_single_and_nan_stays_in_its_point():
    # The counts are those of other tests in single precision: every combination is compiled.
    X, L, given = operands((2, 5, 1), 300, (2, 2), dtype=torch.float32)
    clean = network_jet(X, *given)
    X[7, 0, 1] = torch.nan
    Y, gradient, (values, _) = (
        network_jet(X, *given),
        network_jet_adjoint(L, X, *given),
        network_jet_jacobian(L, X, *given),
    )
    r, _ = network_jet_squares(X, *given[:4], *affine(300, 1, (2, 2), 1, torch.float32), (2, 2))
    assert r.isnan().nonzero().tolist() == [[0, 7]]
    assert Y.dtype == gradient.dtype == values.dtype == r.dtype == torch.float32
    assert Y[7].isnan().all()
    assert values.isnan().any(1).nonzero().tolist() == [[7]]
    Y[7] = clean[7]
    assert torch.equal(Y, clean)


@pytest.mark.parametrize(
    ("argument", "error", "change"),
    [
        ("C, knots, centers, scales", ValueError, lambda X, C, k, m, s, c: (X, C, k, m, [], c)),
        ("C", ValueError, lambda X, C, k, m, s, c: (X, [C[0], C[1][:3]], k, m, s, c)),
        ("center", ValueError, lambda X, C, k, m, s, c: (X, C, k, [m[0][:2]], s, c)),
        ("X, scale", TypeError, lambda X, C, k, m, s, c: (X, C, k, m, [s[0].float()], c)),
        ("X, C, knots", TypeError, lambda X, C, k, m, s, c: (X, [C[0], C[1].float()], k, m, s, c)),
        ("counts", ValueError, lambda X, C, k, m, s, c: (X, C, k, m, s, (1, 2))),
        ("knots", ValueError, lambda X, C, k, m, s, c: (X, C, [k[0], k[1].flip(1)], m, s, c)),
    ],
)
def test_bad_arguments_are_named(argument, error, change):
    X, _, given = operands((2, 5, 1), 4, (2, 1))
    with pytest.raises(error, match=f"^{argument}: got .*expected"):
        network_jet(*change(X, *given))
