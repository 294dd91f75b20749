"""The spline layer on jets: against SciPy, nested autograd, torch.autograd of the plain path, and
what it refuses."""

import math

import numpy as np
import pytest
import torch
from plain import jet_along, spline_layer
from scipy.interpolate import BSpline
from torch._subclasses.fake_tensor import FakeTensorMode

from kanpde.kernels import plain, spline_jet, spline_jet_adjoint, spline_jet_jacobian
from kanpde.kernels.taylor import channels

LOW, HIGH = -1.0, 1.5


def knots_of(inputs, grid, degree, uneven=True, dtype=torch.float64):
    """Knots with the grid on [LOW, HIGH]: equally spaced, or the same pulled to one side, to
    another one for every input."""
    s = torch.arange(-degree, grid + degree + 1, dtype=torch.float64) / grid
    pulls = (
        torch.linspace(-0.5, 0.7, inputs, dtype=torch.float64)[:, None]
        if uneven
        else torch.zeros(inputs, 1)
    )
    return (LOW + (HIGH - LOW) * (s + pulls / (2 * torch.pi) * torch.sin(2 * torch.pi * s))).to(
        dtype
    )


@pytest.fixture(autouse=True, params=["plain", "cpu"])
def _path(request, monkeypatch):
    """Every test on every path that runs on a CPU."""
    monkeypatch.setenv("KANPDE_KERNELS", request.param)


# Every combination of degree, counts and precision is compiled for itself, for seconds: the tests
# share a few of them.
SIZES = [(0, 2, 2), (1, 1, 1), (1, 3, 17), (3, 17, 1), (127, 3, 3), (1023, 1, 3)]
"""Points, inputs, outputs."""


def layer(points, inputs, outputs, degree, counts, grid=5, spread=(LOW, HIGH), dtype=torch.float64):
    """A random input jet, coefficients, an adjoint of the output, and the layer's other arguments
    (uneven knots)."""
    X = torch.randn(points, channels(counts), inputs, dtype=dtype)
    X[:, 0] = spread[0] + (spread[1] - spread[0]) * torch.rand(points, inputs, dtype=dtype)
    C = torch.randn(inputs, grid + degree, outputs, dtype=dtype)
    L = torch.randn(points, channels(counts), outputs, dtype=dtype)
    return X, C, L, (knots_of(inputs, grid, degree, dtype=dtype), counts)


def scipy_derivatives(x, c, degree, order, uneven=False):
    """Derivatives 0 … order of Σ_j c_j B_j at x, the end polynomials continued."""
    spline = BSpline(
        knots_of(1, len(c) - degree, degree, uneven)[0].numpy(), c, degree, extrapolate=True
    )
    return np.stack(
        [spline(x, nu) if nu <= degree else np.zeros_like(x) for nu in range(order + 1)]
    )


def line_derivatives(x, c, degree, order=4, uneven=False):
    """The same from the layer: one input, one output, the jet of x(s) = x + s."""
    counts = (1,) * order
    X = torch.zeros(len(x), 1 + order, 1, dtype=torch.float64)
    X[:, 0, 0], X[:, 1] = torch.from_numpy(x), 1
    Y = spline_jet(
        X,
        torch.from_numpy(c)[None, :, None].contiguous(),
        knots_of(1, len(c) - degree, degree, uneven),
        counts,
    )[:, :, 0].numpy()
    return np.stack([math.factorial(nu) * Y[:, nu] for nu in range(order + 1)])


def rows_of(L, X, C, knots, counts):
    """Adjoint of the input jet, and the whole rows of the Jacobian [points, coefficients]."""
    inward, cell, block = spline_jet_jacobian(L, X, C, knots, counts)
    rows = torch.zeros(len(X), *C.shape, dtype=C.dtype)
    index = cell[..., None] + torch.arange(block.shape[2])
    return inward, rows.scatter_(2, index[..., None].expand_as(block), block).flatten(1)


def close(found, wanted, relative=1e-12):
    """Row by row, relative to the largest entry of the row."""
    for nu, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert np.abs(a - b).max() <= relative * max(np.abs(b).max(), 1e-30), (
            f"derivative {nu}: off by {np.abs(a - b).max():.1e} of {np.abs(b).max():.1e}"
        )


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("grid", [1, 2, 5, 24])
@pytest.mark.parametrize("degree", range(1, 10))
def test_values_and_derivatives_are_those_of_scipy(degree, grid, uneven):
    rng = np.random.default_rng(degree)
    x, c = rng.uniform(LOW, HIGH, 501), rng.standard_normal(grid + degree)
    close(line_derivatives(x, c, degree, uneven=uneven), scipy_derivatives(x, c, degree, 4, uneven))


@pytest.mark.parametrize("degree", range(1, 10))
def test_on_knots_and_at_both_ends(degree):
    grid = 10  # knots at -1, -0.75, …: they and the step are exact in binary
    x, c = np.linspace(LOW, HIGH, grid + 1), np.random.default_rng(0).standard_normal(grid + degree)
    found, wanted = line_derivatives(x, c, degree), scipy_derivatives(x, c, degree, 4)
    close(found, wanted)
    inner = slice(0, min(degree, 5))  # continuous across a knot
    close(found[inner], line_derivatives(x - 1e-15, c, degree)[inner], 1e-10)


@pytest.mark.parametrize("degree", range(1, 10))
def test_outside_of_the_grid_the_end_polynomial_continues(degree):
    grid = 4
    c = np.random.default_rng(1).standard_normal(grid + degree)
    x = np.concatenate([np.linspace(LOW - 0.5, LOW, 20), np.linspace(HIGH, HIGH + 0.5, 20)])
    close(
        line_derivatives(x, c, degree), scipy_derivatives(x, c, degree, 4), 1e-11
    )  # values up to 1e5 cancel there
    for end, side in ((LOW, -1), (HIGH, 1)):
        near = np.array([end - 1e-9, end + 1e-9])
        inner = line_derivatives(near, c, degree)[: min(degree, 4) + 1]
        assert (np.abs(inner[:, 0] - inner[:, 1]) <= 1e-5 * (1 + np.abs(inner).max())).all(), (
            f"a jump at the {'upper' if side > 0 else 'lower'} end"
        )


@pytest.mark.parametrize(
    ("degree", "counts"),
    [
        (1, (3, 2)),
        (3, ()),
        (3, (2, 1)),
        (5, ()),
        (5, (2,)),
        (5, (2, 1)),
        (5, (3, 2, 2, 1)),
        (7, (2, 2, 1)),
        (7, (3, 2, 2, 1)),
        (9, (3, 2, 2, 1)),
    ],
)
def test_the_whole_jet_is_that_of_nested_autograd(degree, counts):
    X, C, _, layout = layer(6, 3, 2, degree, counts)
    wanted = jet_along(lambda x: spline_layer(x, C, layout[0], degree), X, counts)
    torch.testing.assert_close(
        spline_jet(X, C, *layout), wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max())
    )


@pytest.mark.parametrize("counts", [(), (2, 1), (3, 2, 2, 1)])
@pytest.mark.parametrize("size", SIZES)
def test_adjoint_is_that_of_torch_autograd(size, counts):
    X, C, L, layout = layer(*size, 5, counts, spread=(LOW - 0.2, HIGH + 0.2))
    X.requires_grad_(), C.requires_grad_()
    wanted = torch.autograd.grad(plain.forward(X, C, *layout), (X, C), L)
    found = spline_jet_adjoint(L, X.detach(), C.detach(), *layout)
    through = torch.autograd.grad(spline_jet(X, C, *layout), (X, C), L)
    for a, b, w in zip(found, through, wanted, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(
            a, w, rtol=1e-11, atol=1e-12 * max(1.0, float(w.abs().max()) if w.numel() else 1.0)
        )


@pytest.mark.parametrize("degree", [1, 4, 9])
@pytest.mark.parametrize("size", SIZES)
def test_jacobian_rows_are_gradients_of_single_points(size, degree):
    counts = (3, 2, 1)
    X, C, L, layout = layer(*size, degree, counts, spread=(LOW - 0.2, HIGH + 0.2))
    inward, rows = rows_of(L, X, C, *layout)
    both, gradient = spline_jet_adjoint(L, X, C, *layout)
    assert torch.equal(inward, both)
    torch.testing.assert_close(
        rows.sum(0), gradient.flatten(), rtol=1e-11, atol=1e-11 * (1 + float(gradient.abs().max()))
    )
    for n in range(min(len(X), 3)):
        c = C.clone().requires_grad_()
        (wanted,) = torch.autograd.grad(
            (plain.forward(X[n : n + 1], c, *layout) * L[n : n + 1]).sum(), c
        )
        torch.testing.assert_close(
            rows[n], wanted.flatten(), rtol=1e-11, atol=1e-12 * (1 + float(wanted.abs().max()))
        )


def test_without_back_only_the_adjoint_of_the_input_is_left_out():
    X, C, L, layout = layer(37, 3, 2, 5, (2, 1))
    for op in (spline_jet_adjoint, spline_jet_jacobian):
        nothing, *short = op(L, X, C, *layout, back=False)
        inward, *full = op(L, X, C, *layout)
        assert nothing.numel() == 0
        assert inward.shape == X.shape
        for a, b in zip(short, full, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)


def test_gradcheck():
    for counts in ((), (2, 1), (3, 2, 2, 1)):
        X, C, _, layout = layer(2, 2, 1, 5, counts, grid=2)
        assert torch.autograd.gradcheck(
            lambda X, C, layout=layout: spline_jet(X, C, *layout),
            (X.requires_grad_(), C.requires_grad_()),
            raise_exception=True,
        )


def test_double_backward_refuses():
    X, C, _, layout = layer(4, 2, 2, 5, (2, 1))
    for wrt in (X.requires_grad_(), C.requires_grad_()):
        (once,) = torch.autograd.grad(
            spline_jet(X, C, *layout).square().sum(), wrt, create_graph=True
        )
        with pytest.raises(RuntimeError, match=r"kanpde.spline_jet_adjoint.*no autograd formula"):
            once.sum().backward()


def test_operators_are_registered_soundly():
    X, C, L, layout = layer(5, 2, 3, 3, (2, 1))
    torch.library.opcheck(spline_jet, (X, C, *layout))
    torch.library.opcheck(
        spline_jet, (X.clone().requires_grad_(), C.clone().requires_grad_(), *layout)
    )
    for op in (spline_jet_adjoint, spline_jet_jacobian):
        for back in (True, False):
            torch.library.opcheck(op, (L, X, C, *layout, back))


def test_fakes_have_the_shapes_of_the_real():
    X, C, L, layout = layer(5, 2, 3, 3, (2, 1), dtype=torch.float32)
    calls = [(spline_jet, (X, C, *layout))] + [
        (op, (L, X, C, *layout, back))
        for op in (spline_jet_adjoint, spline_jet_jacobian)
        for back in (True, False)
    ]
    for op, arguments in calls:
        with FakeTensorMode() as mode:
            fakes = op(
                *[mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in arguments]
            )
        real = op(*arguments)
        for fake, value in zip(
            [fakes] if isinstance(real, torch.Tensor) else fakes,
            [real] if isinstance(real, torch.Tensor) else real,
            strict=True,
        ):
            assert (fake.shape, fake.dtype) == (value.shape, value.dtype)
    with FakeTensorMode() as mode, pytest.raises(ValueError, match=r"^counts"):
        spline_jet(*map(mode.from_tensor, (X, C, layout[0])), (1, 2))


def test_the_same_input_gives_the_same_bits():
    X, C, L, layout = layer(1023, 3, 3, 5, (2, 1), spread=(LOW - 0.1, HIGH + 0.1))
    first = [
        spline_jet(X, C, *layout),
        *spline_jet_adjoint(L, X, C, *layout),
        *spline_jet_jacobian(L, X, C, *layout),
    ]
    for _ in range(3):
        again = [
            spline_jet(X, C, *layout),
            *spline_jet_adjoint(L, X, C, *layout),
            *spline_jet_jacobian(L, X, C, *layout),
        ]
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_float32_stays_float32():
    X, C, L, layout = layer(64, 3, 2, 3, (2, 1))
    double = [
        spline_jet(X, C, *layout),
        *spline_jet_adjoint(L, X, C, *layout),
        *spline_jet_jacobian(L, X, C, *layout),
    ]
    X, C, L, layout = X.float(), C.float(), L.float(), (layout[0].float(), layout[1])
    single = [
        spline_jet(X, C, *layout),
        *spline_jet_adjoint(L, X, C, *layout),
        *spline_jet_jacobian(L, X, C, *layout),
    ]
    for a, b in zip(single, double, strict=True):
        assert a.dtype == (torch.float32 if b.is_floating_point() else torch.int64)
        torch.testing.assert_close(a.to(b.dtype), b, rtol=0, atol=1e-5 * float(b.abs().max()))


def test_a_value_that_is_not_finite_stays_in_its_point():
    X, C, L, layout = layer(5, 2, 2, 3, (2, 1))
    clean = spline_jet(X, C, *layout)
    for n, bad in enumerate((math.nan, math.inf, -math.inf)):
        X[n, 0, 1] = bad
    Y = spline_jet(X, C, *layout)
    assert not Y[:3, 0].isfinite().any()
    torch.testing.assert_close(Y[3:], clean[3:])
    _, rows = rows_of(L, X, C, *layout)
    assert not rows[:3].isfinite().all(1).any()
    assert rows[3:].isfinite().all()


def test_coefficients_of_a_straight_line_give_it():
    """Marsden's identity: Σ_j ξ_j B_j(x) = x for Greville's abscissae, inside and outside of the
    grid."""
    for degree in range(1, 8):
        grid = 6
        step = (HIGH - LOW) / grid
        greville = LOW + step * (np.arange(grid + degree) - (degree - 1) / 2)
        x = np.linspace(LOW - 0.3, HIGH + 0.3, 50)
        found = line_derivatives(x, greville, degree)
        np.testing.assert_allclose(found[:2], [x, np.ones_like(x)], rtol=0, atol=1e-12)
        np.testing.assert_allclose(found[2:], 0, atol=1e-9)


BAD = [
    ("knots", ValueError, {"knots": knots_of(2, 7, 0)}),
    ("knots", ValueError, {"knots": knots_of(2, 1, 9)}),
    ("knots", ValueError, {"knots": knots_of(3, 5, 3)}),
    ("knots", ValueError, {"knots": knots_of(2, 5, 3).flip(1)}),
    ("knots", ValueError, {"knots": knots_of(2, 5, 3).round()}),
    ("knots", ValueError, {"knots": torch.full((2, 12), torch.nan, dtype=torch.float64)}),
    ("counts", ValueError, {"counts": (1, 2)}),
    ("counts", ValueError, {"counts": (2, 0)}),
    ("counts", ValueError, {"counts": (1, 1, 1, 1, 1)}),
    ("X", ValueError, {"X": torch.zeros(4, 3, 2, dtype=torch.float64)}),
    ("X", ValueError, {"X": torch.zeros(4, 4, dtype=torch.float64)}),
    ("C", ValueError, {"C": torch.zeros(3, 8, 2, dtype=torch.float64)}),
    ("knots", ValueError, {"C": torch.zeros(2, 1, 2, dtype=torch.float64)}),
    ("C", ValueError, {"C": torch.zeros(2, 3, 2, dtype=torch.float64), "knots": knots_of(2, 0, 3)}),
    ("C", ValueError, {"C": torch.zeros(2, 8, dtype=torch.float64)}),
    ("X, C, knots", TypeError, {"C": torch.zeros(2, 8, 2)}),
    ("X, C, knots", TypeError, {"knots": knots_of(2, 5, 3, dtype=torch.float32)}),
    (
        "X, C, knots",
        TypeError,
        {"X": torch.zeros(4, 4, 2, dtype=torch.long), "C": torch.zeros(2, 8, 2, dtype=torch.long)},
    ),
]


@pytest.mark.parametrize(("argument", "error", "change"), BAD)
def test_bad_arguments_are_named(argument, error, change):
    given = {
        "X": torch.zeros(4, 4, 2, dtype=torch.float64),
        "C": torch.zeros(2, 8, 2, dtype=torch.float64),
        "knots": knots_of(2, 5, 3),
        "counts": (2, 1),
    }
    spline_jet(**given)
    for op in (spline_jet, spline_jet_adjoint, spline_jet_jacobian):
        extra = {} if op is spline_jet else {"L": torch.zeros(4, 4, 2, dtype=torch.float64)}
        with pytest.raises(error, match=f"^{argument}: got .*expected"):
            op(**extra, **{**given, **change})


@pytest.mark.parametrize(
    "L",
    [
        torch.zeros(4, 4, 3, dtype=torch.float64),
        torch.zeros(3, 4, 2, dtype=torch.float64),
        torch.zeros(4, 4, 2),
    ],
)
def test_a_bad_adjoint_is_named(L):
    X, C, _, layout = layer(4, 2, 2, 3, (2, 1))
    for op in (spline_jet_adjoint, spline_jet_jacobian):
        with pytest.raises((ValueError, TypeError), match=r"^L: got .*expected"):
            op(L, X, C, *layout)
