"""Functions of one coordinate against SciPy's splines and NumPy's series of Legendre."""

import numpy as np
import pytest
from numpy.polynomial import legendre
from scipy.interpolate import BSpline

from kanpde.products.axes import Modes, SplineAxis
from kanpde.products.held import fit

X = np.random.default_rng(0).uniform(0, 3, 40)


def breaks(cells):
    """Cells of unequal lengths."""
    return 3 * np.linspace(0, 1, cells + 1) ** 1.3


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("wraps", [False, True], ids=["clamped", "periodic"])
@pytest.mark.parametrize("degree", [4, 7, 9])
def test_splines_are_those_of_scipy(degree, wraps, order):
    axis = SplineAxis(breaks(degree + 3), degree, wraps)
    splines = BSpline(axis.knots, np.eye(axis.cells + degree), degree)
    wide = (splines.derivative(order) if order else splines)(X)
    expected = np.zeros((len(X), axis.size))
    np.add.at(expected.T, np.arange(wide.shape[1]) % axis.size, wide.T)
    np.testing.assert_allclose(
        axis.matrix(X, order).toarray(), expected, rtol=0, atol=1e-12 * np.abs(expected).max()
    )


@pytest.mark.parametrize("order", [1, 2])
def test_modes_carry_what_a_span_begins_with(order):
    axis = Modes(np.array([1.0, 2.5]), 8, order)
    start = np.array([1.0])
    for k in range(order):
        expected = np.eye(9)[k] / axis.half**k
        np.testing.assert_allclose(axis.matrix(start, k).toarray()[0], expected, atol=1e-13)
    # The derivatives that the equation takes are orthonormal in s.
    s, w = legendre.leggauss(12)
    D = axis.matrix(1.75 + 0.75 * s, order).toarray()[:, order:] * axis.half**order
    np.testing.assert_allclose(D.T @ (w[:, None] * D), 2 * np.eye(9 - order), atol=1e-11)


def test_modes_are_series_of_legendre():
    axis = Modes(np.array([-1.0, 1.0]), 6, 2)
    C = np.random.default_rng(1).normal(size=(3, 7))
    s = np.linspace(-1, 1, 9)
    expected = C @ axis.matrix(s).toarray().T
    np.testing.assert_allclose(legendre.legval(s, axis.legendre(C).T), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
def test_values_are_fitted_by_least_squares_without_losing_digits(periodic):
    axis = SplineAxis(np.r_[0.0, np.geomspace(1e-6, 1, 40)], 11, periodic)
    noise = np.random.default_rng(0).standard_normal
    given = {}

    def values(places):
        (given["x"],) = places
        given["values"] = noise(len(given["x"]))
        return given["values"]

    found, (x, wanted) = fit([axis], values), given.values()
    residual = axis.matrix(x) @ found - wanted
    if not periodic:
        assert residual[0] == residual[-1] == 0
        x, residual = x[1:-1], residual[1:-1]
    free = axis.matrix(x)[:, slice(None) if periodic else slice(1, -1)].toarray()
    _, w = axis.gauss(axis.degree + 3)
    # Nothing that is left over can be represented.
    root = np.sqrt(w.ravel())
    slopes = np.linalg.lstsq(free * root[:, None], residual * root, rcond=None)[0]
    assert np.abs(slopes).max() < 1e-13 * np.abs(found).max()
