"""Every function of the library is found again from its values, noise or not; numbers are named
only where they are surely meant."""

import math

import numpy as np
import pytest
import sympy

from kanpde.errors import ProblemError
from kanpde.interpret.constants import exactly, recognise
from kanpde.interpret.edges import suggest
from kanpde.interpret.library import LIBRARY, register, unregister

x = sympy.Symbol("x", real=True)
T, S = np.linspace(-1, 1, 120), np.linspace(0.2, 1.5, 120)
CURVES = {
    "exp": (S, 2 * np.exp(-3 * S) + 1),
    "sin": (T, np.sin(np.pi * T + 0.3)),
    "sinh": (T, np.sinh(2 * T)),
    "cosh": (T, np.cosh(2 * T - 0.5)),
    "tanh": (T, np.tanh(3 * T - 1)),
    "gaussian": (T, np.exp(-4 * (T - 0.2) ** 2)),
    "sech2": (T, 3 / np.cosh(4 * T + 1) ** 2),
    "atan": (T, np.arctan(5 * T)),
    "log": (S, np.log(3 * S + 1)),
    "reciprocal": (S, 1 / (S + 0.3)),
    "sqrt": (S, np.sqrt(S + 2)),
    "lorentz": (T, 1 / (1 + 25 * T**2)),
    "power": (S, S**1.7),
    "polynomial of degree 3": (T, T**3 - 3 * T + 0.5),
    "exp of sin": (T, np.exp(np.sin(np.pi * T))),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_function_of_the_library_is_found_again(name):
    t, values = CURVES[name]
    noisy = values + 1e-8 * np.abs(values).max() * np.random.default_rng(0).normal(size=len(t))
    best = suggest(t, noisy, x, 1e-8)[0]
    assert best.name == name
    again = np.broadcast_to(sympy.lambdify(x, best.form.filled, "numpy")(t), t.shape)
    assert np.abs(again - values).max() < 1e-7 * np.abs(values).max()


def test_every_function_of_the_library_is_tested():
    assert set(LIBRARY) - {"square"} <= set(CURVES)  # a square is a polynomial


def test_a_registered_function_is_found():
    register("airy", sympy.airyai)
    try:
        from scipy.special import airy

        assert suggest(T, airy(3 * T - 1)[0], x, 1e-9, 0)[0].name == "airy"
        with pytest.raises(ProblemError, match=r"'airy'.*there is such a function already"):
            register("airy", sympy.airyai)
    finally:
        unregister("airy")
    with pytest.raises(ProblemError, match="takes and returns SymPy expressions"):
        register("broken", math.sin)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (2 * sympy.pi**2, 2 * math.pi**2),
        (sympy.Rational(1, 10), 0.1),
        (1 / (100 * sympy.pi), 0.01 / math.pi),
        (sympy.sqrt(2) / 3, math.sqrt(2) / 3),
        (sympy.E, math.e),
        (20 - 2 * sympy.sqrt(100 + sympy.pi**2), 20 - math.sqrt(400 + 4 * math.pi**2)),
        (sympy.sqrt(21) / 3, math.sqrt(7 / 3)),
    ],
)
def test_numbers_are_named(name, value):
    assert sympy.simplify(exactly(value) - name) == 0
    assert sympy.simplify(recognise(value + 1e-12, 1e-11) - name) == 0


def test_random_numbers_are_not_named():
    numbers = np.random.default_rng(0).uniform(0.1, 5, 200)
    assert sum(recognise(float(v), 1e-10) is not None for v in numbers) <= 6
    assert all(float(exactly(float(v))) == v for v in numbers)
