"""Weights are exact on polynomials; every row of every matrix has the order it declares."""

import numpy as np
import pytest
from orders import holds, observed
from scipy.special import factorial

from kanpde.errors import ReferenceUnavailable
from kanpde.reference.stencils import graded, half_width, interpolation, matrix, scaled, weights

CASES = [(m, p) for m in (1, 2, 3, 4) for p in (2, 4, 6, 8)]


def test_known_weights():
    assert weights(np.array([-1.0, 0.0, 1.0]), 2) == pytest.approx([1, -2, 1])
    assert weights(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), 1) == pytest.approx(
        [1 / 12, -2 / 3, 0, 2 / 3, -1 / 12]
    )
    assert weights(np.array([0.0, 1.0, 2.0]), 1) == pytest.approx([-1.5, 2, -0.5])


def test_weights_of_many_stencils_are_those_of_each():
    offsets = np.sort(np.random.default_rng(0).uniform(-1, 1, (3, 7)), axis=1)
    assert weights(offsets, 2) == pytest.approx(np.stack([weights(row, 2) for row in offsets]))


@pytest.mark.parametrize("nodes", ["equidistant", "graded"])
@pytest.mark.parametrize(("m", "p"), CASES)
def test_exact_on_polynomials(m, p, nodes):
    """Up to degree m + p - 1 at every node, the ends among them; on graded nodes the symmetry of
    even m adds no degree, only an order."""
    x = graded(23) if nodes == "graded" else np.linspace(0, 1, 24)
    D = matrix(x, m, p)
    for degree in range(m + p - (nodes == "graded" and m % 2 == 0)):
        polynomial = np.polynomial.Polynomial.basis(degree)
        assert D @ polynomial(x) == pytest.approx(polynomial.deriv(m)(x), abs=2e-13 * abs(D).max())


@pytest.mark.parametrize(("m", "p"), CASES)
def test_constants_vanish_exactly(m, p):
    """Not to rounding, which would act as a term ε u / h^m."""
    assert not (matrix(np.linspace(0, 1, 65)[:-1], m, p, 1.0) @ np.ones(64)).any()
    assert not (matrix(graded(64), m, p) @ np.ones(65)).any()


def test_graded_nodes_are_those_of_chebyshev():
    assert graded(7) == pytest.approx((1 - np.cos(np.pi * np.arange(8) / 7)) / 2, abs=1e-15)


def test_the_derivative_of_order_0_is_the_function():
    for period in (None, 1.0):
        assert (matrix(graded(9), 0, 4, period) != np.eye(10)).sum() == 0


CELLS = {
    2: (512, 256, 192, 128),
    4: (256, 128, 96, 64),
    6: (24, 24, 24, 24),
    8: (24, 24, 24, 20),
}
"""By order, for m = 1, 2, …: the coarser of two grids of a circle, with steps short enough for the
order and long enough for rounding."""


@pytest.mark.parametrize("where", ["ends", "interior", "periodic"])
@pytest.mark.parametrize(("m", "p"), CASES)
def test_observed_order(m, p, where):
    holds(measured(m, p, where, matrix), p)


@pytest.mark.parametrize("where", ["interior", "periodic"])
@pytest.mark.parametrize(("m", "p"), CASES)
def test_a_lower_order_is_seen(m, p, where):
    """The measurement above notices an error of one order less, so that it means something when it
    passes."""

    def wrong(x, m, p, period=None):
        return matrix(x, m, p, period) * (1 + (x[1] - x[0]) ** (p - 1))

    assert measured(m, p, where, wrong) < p - 0.5


@pytest.mark.parametrize("end", ["lower", "upper"])
@pytest.mark.parametrize(("m", "p"), CASES)
def test_a_closure_short_of_a_point_is_seen(m, p, end):
    """On m + p - 1 points a one-sided stencil is one order short."""

    def short(x, m, p):
        found, nodes = matrix(x, m, p).tolil(), np.arange(len(x))
        if end == "lower":
            rows, used = nodes[: half_width(m, p)], nodes[: m + p - 1]
        else:
            rows, used = nodes[-half_width(m, p) :], nodes[-(m + p - 1) :]
        for i in rows:
            found[i] = 0
            found[i, used] = scaled(x[used] - x[i], m)
        return found.tocsr()

    assert measured(m, p, "ends", short) < p - 0.5


def measured(m, p, where, build):
    """Slope of the largest error at the chosen nodes, over two steps."""
    found = at_an_end if where == "ends" else around
    coarse = 40 if where == "ends" else CELLS[p][m - 1] / (2 * np.pi)
    steps = 1 / (coarse * np.array([1, 1.5]))
    errors, rounding = np.array([found(m, p, h, where, build) for h in steps]).T
    return observed(errors, steps, rounding.max())


def at_an_end(m, p, h, where, build):
    """The largest error at the nodes with one-sided stencils, and the rounding there.

    The function has no derivatives below m + p - 1 at the end in question, so that rounding is
    small. That of order m + p - 1, which a stencil with a point less would not get right, is one
    there, as is that of order m + p in the leading term of the error; the next is zero.
    """
    x, edge = h * np.arange(4 * (m + p)), half_width(m, p)
    D, first = build(x, m, p), m + p - 1
    orders = np.arange(first, first + 24)
    size = np.array([1, 1, 0, -1, -1, 0] * 4)

    def derivative(x, k):
        return (size * x[:, None] ** (orders - k) / factorial(orders - k)).sum(1)

    errors, rounding = [], []
    for side, nodes in ((1, slice(edge)), (-1, slice(len(x) - edge, None))):
        s = x if side > 0 else x[::-1]
        values = derivative(s, 0)
        errors.append(np.abs(D @ values - side**m * derivative(s, m))[nodes].max())
        rounding.append((np.finfo(float).eps * abs(D) @ np.abs(values))[nodes].max())
    return max(errors), max(rounding)


def around(m, p, h, where, build):
    """The largest error of a sine at the nodes with centred stencils, and the rounding there."""
    n = round(2 * np.pi / h)
    x = h * np.arange(n if where == "periodic" else n + 1)
    D = build(x, m, p, 2 * np.pi) if where == "periodic" else build(x, m, p)
    nodes = slice(None) if where == "periodic" else slice(half_width(m, p), -half_width(m, p))
    phase = 0.0 if m % 2 else np.pi / 2
    values = np.sin(x + phase)
    error = np.abs(D @ values - np.sin(x + phase + m * np.pi / 2))[nodes].max()
    return error, (np.finfo(float).eps * abs(D) @ np.abs(values))[nodes].max()


@pytest.mark.parametrize("degree", [3, 5, 7])
def test_interpolation_is_exact_on_polynomials(degree):
    x, to = graded(12), np.linspace(0, 1, 57)
    polynomial = np.polynomial.Polynomial(np.random.default_rng(0).standard_normal(degree + 1))
    assert interpolation(x, to, degree) @ polynomial(x) == pytest.approx(polynomial(to), abs=1e-13)
    assert np.abs(interpolation(x, to, degree - 1) @ polynomial(x) - polynomial(to)).max() > 1e-9


@pytest.mark.parametrize(("nodes", "m", "p"), [(3, 2, 2), (7, 4, 4)])
def test_too_few_nodes(nodes, m, p):
    with pytest.raises(ReferenceUnavailable, match=f"^{nodes} nodes .* at least {m + p}$"):
        matrix(0.1 * np.arange(nodes), m, p)


def test_odd_accuracy():
    with pytest.raises(ReferenceUnavailable, match="order 3"):
        matrix(0.1 * np.arange(9), 1, 3)


@pytest.mark.parametrize("degree", [1, 3, 5])
def test_interpolation_takes_the_nodes_around_a_point(degree):
    """As many on either side, but for the ends, where the outermost ones serve."""
    x, half = graded(12), (degree + 1) // 2
    to = (x[1:] + x[:-1]) / 2
    rows = interpolation(x, to, degree)
    for cell in range(12):
        first = min(max(cell + 1 - half, 0), 13 - 2 * half)
        assert rows[cell].indices.tolist() == list(range(first, first + 2 * half))
