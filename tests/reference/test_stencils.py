"""Weights are exact on polynomials; every row of every matrix has the order it declares."""

import numpy as np
import pytest

from kanpde.errors import ReferenceUnavailable
from kanpde.reference.stencils import graded, half_width, interpolation, matrix, weights

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


CELLS = {
    "interior": {
        2: (512, 256, 192, 128),
        4: (256, 128, 96, 64),
        6: (24, 24, 24, 24),
        8: (24, 24, 24, 20),
    },
    "ends": {2: (512, 256, 192, 128), 4: (256, 128, 96, 64), 6: (96, 64), 8: (64,)},
}
"""By where and order, for m = 1, 2, …: the coarser of two grids with steps short enough for the
order and long enough for rounding. At the ends of the higher orders there are none for higher m."""
OBSERVED = [
    (where, m, p)
    for where in ("ends", "interior", "periodic")
    for m, p in CASES
    if m <= len(CELLS["ends" if where == "ends" else "interior"][p])
]


@pytest.mark.parametrize(("where", "m", "p"), OBSERVED)
def test_observed_order(m, p, where):
    assert observed(m, p, where, matrix) == pytest.approx(p, abs=0.1)


@pytest.mark.parametrize(("where", "m", "p"), OBSERVED)
def test_a_lower_order_is_seen(m, p, where):
    """The measurement above notices an error of one order less, so that it means something when it
    passes."""

    def wrong(x, m, p, period=None):
        return matrix(x, m, p, period) * (1 + (x[1] - x[0]) ** (p - 1))

    assert observed(m, p, where, wrong) < p - 0.5


def observed(m, p, where, build):
    """Slope of the largest error at the chosen nodes.

    The phase makes the derivative in the leading term largest at the ends, and the next one vanish
    there.
    """
    phase = 0.0 if m % 2 else np.pi / 2
    errors = []
    coarse = CELLS["ends" if where == "ends" else "interior"][p][m - 1]
    for n in (coarse, 2 * coarse):
        periodic, h = where == "periodic", 2 * np.pi / n
        x = h * np.arange(n if periodic else n + 1)
        edge = half_width(m, p)
        keep = {
            "ends": np.r_[:edge, n + 1 - edge : n + 1],
            "interior": slice(edge, n + 1 - edge),
            "periodic": slice(None),
        }[where]
        found = build(x, m, p, 2 * np.pi if periodic else None) @ np.sin(x + phase)
        errors.append(np.abs(found - np.sin(x + phase + m * np.pi / 2))[keep].max())
    return np.log2(errors[0] / errors[1])


@pytest.mark.parametrize("degree", [3, 5, 7])
def test_interpolation_is_exact_on_polynomials(degree):
    x, to = graded(12), np.linspace(0, 1, 57)
    polynomial = np.polynomial.Polynomial(np.random.default_rng(0).standard_normal(degree + 1))
    assert interpolation(x, to, degree) @ polynomial(x) == pytest.approx(polynomial(to), abs=1e-13)
    assert np.abs(interpolation(x, to, degree - 1) @ polynomial(x) - polynomial(to)).max() > 1e-9


@pytest.mark.parametrize(("nodes", "m", "p"), [(3, 2, 2), (7, 4, 4)])
def test_too_few_nodes(nodes, m, p):
    with pytest.raises(ReferenceUnavailable, match=f"{nodes} nodes"):
        matrix(0.1 * np.arange(nodes), m, p)


def test_odd_accuracy():
    with pytest.raises(ReferenceUnavailable, match="order 3"):
        matrix(0.1 * np.arange(9), 1, 3)
