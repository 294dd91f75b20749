"""Weights are exact on polynomials; every row of every matrix has the order it declares."""

import numpy as np
import pytest

from kanpde.errors import ReferenceUnavailable
from kanpde.reference.stencils import half_width, matrix, weights

CASES = [(m, p) for m in (1, 2, 3, 4) for p in (2, 4)]


def test_known_weights():
    assert weights(np.array([-1.0, 0.0, 1.0]), 2) == pytest.approx([1, -2, 1])
    assert weights(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), 1) == pytest.approx([1 / 12, -2 / 3, 0, 2 / 3, -1 / 12])
    assert weights(np.array([0.0, 1.0, 2.0]), 1) == pytest.approx([-1.5, 2, -0.5])


@pytest.mark.parametrize(("m", "p"), CASES)
def test_exact_on_polynomials(m, p):
    """Up to degree m + p - 1 at every node, the ends among them."""
    nodes, h = 24, 1 / 23
    x = np.linspace(0, 1, nodes)
    D = matrix(nodes, h, m, p)
    for degree in range(m + p):
        polynomial = np.polynomial.Polynomial.basis(degree)
        assert D @ polynomial(x) == pytest.approx(polynomial.deriv(m)(x), abs=1e-13 / h**m)


@pytest.mark.parametrize(("m", "p"), CASES)
@pytest.mark.parametrize("where", ["ends", "interior", "periodic"])
def test_observed_order(m, p, where):
    assert observed(m, p, where, matrix) == pytest.approx(p, abs=0.1)


@pytest.mark.parametrize(("m", "p"), CASES)
@pytest.mark.parametrize("where", ["ends", "interior", "periodic"])
def test_a_lower_order_is_seen(m, p, where):
    """The measurement above notices an error of one order less, so that it means something when it passes."""

    def wrong(nodes, step, m, p, periodic=False):
        return matrix(nodes, step, m, p, periodic) * (1 + step ** (p - 1))

    assert observed(m, p, where, wrong) < p - 0.5


def observed(m, p, where, build):
    """Slope of the largest error at the chosen nodes; steps are short enough for the order, long enough for rounding.

    The phase makes the derivative in the leading term largest at the ends, and the next one vanish there.
    """
    phase = 0.0 if m % 2 else np.pi / 2
    errors = []
    cells = {1: (256, 512), 2: (128, 256), 3: (96, 192), 4: (64, 128)}[m] if p == 4 else {1: (512, 1024), 2: (256, 512), 3: (192, 384), 4: (128, 256)}[m]
    for n in cells:
        periodic, h = where == "periodic", 2 * np.pi / n
        x = h * np.arange(n if periodic else n + 1)
        edge = half_width(m, p)
        keep = {"ends": np.r_[:edge, n + 1 - edge : n + 1], "interior": slice(edge, n + 1 - edge), "periodic": slice(None)}[where]
        errors.append(np.abs(build(len(x), h, m, p, periodic) @ np.sin(x + phase) - np.sin(x + phase + m * np.pi / 2))[keep].max())
    return np.log2(errors[0] / errors[1])


@pytest.mark.parametrize(("nodes", "m", "p"), [(3, 2, 2), (7, 4, 4)])
def test_too_few_nodes(nodes, m, p):
    with pytest.raises(ReferenceUnavailable, match=f"{nodes} nodes"):
        matrix(nodes, 0.1, m, p)


def test_odd_accuracy():
    with pytest.raises(ReferenceUnavailable, match="order 3"):
        matrix(9, 0.1, 1, 3)
