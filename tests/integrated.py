"""Ordinary differential equations of the gallery, by SciPy's integrator of order 8."""

import numpy as np
from scipy.integrate import solve_ivp


def _lorenz(constants):
    def rates(t, y):
        return [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]]

    return rates, [1, 1, 1]


def _van_der_pol(constants):
    mu = constants["mu"]
    return lambda t, y: [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]], [2, 0]


OF_GALLERY = {"lorenz": _lorenz, "van_der_pol": _van_der_pol}
"""Rates of states and where they begin, given other constants of the file."""


def integrated(name, times, constants):
    """The states at times, the first of which is the start, [states, times]."""
    rates, start = OF_GALLERY[name](constants)
    ends = float(np.min(times)), float(np.max(times))
    found = solve_ivp(rates, ends, start, "DOP853", times, rtol=1e-13, atol=1e-14)
    assert found.success
    return found.y
