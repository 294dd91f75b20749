"""Cycles of unknown period, where Newton's method from elsewhere falls to rest."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from torch import cos, pi

from kanpde import Box, Condition, Parameter, Periodic, Problem, d, mean
from kanpde.problem.cycles import cycle
from kanpde.products.adaptive import adaptive
from kanpde.products.progress import Settings
from kanpde.reference.solution import reference

CAPACITY, COIL, SLOPE, SWING = 1e-8, 1e-2, 3e-4, 2.0


def period(rates, start, time):
    """The last of many between two zeros of the first state from below, by SciPy."""

    def rising(t, y):
        return y[0]

    rising.direction = 1
    found = solve_ivp(rates, (0, time), start, "DOP853", rtol=1e-12, atol=1e-13, events=rising)
    return float(np.diff(found.t_events[0])[-1])


def oscillator():
    """Van der Pol's, by its period."""
    return Problem(
        Box(s=(0, 1)),
        [lambda u, T, s: d(u, s, s) / T**2 - (1 - u**2) * d(u, s) / T + u],
        [Periodic("s"), Condition(lambda u, s: u(s=0 * s))],
        parameters=[Parameter("T", initial=6, positive=True)],
    ), period(lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], [2, 0], 80)


def loss(voltage):
    """The current through the conductance."""
    return SLOPE * (voltage**3 / SWING**2 - voltage)


def circuit():
    """One of a capacitor, a coil and a conductance that is negative for low voltages, in SI units
    with a current in mA: by its angular frequency."""
    problem = Problem(
        Box(s=(0, 2 * np.pi)),
        [
            lambda V, J, w, s: CAPACITY * w * d(V, s) + loss(V) + 1e-3 * J,
            lambda V, J, w, s: COIL * 1e-3 * w * d(J, s) - V,
        ],
        [Periodic("s"), Condition(lambda V, s: V(s=0 * s))],
        unknowns=["V", "J"],
        parameters=[Parameter("w", initial=1e5, positive=True)],
    )
    us = 1e-6  # time is in µs for SciPy

    def rates(t, y):
        voltage, current = y
        return [-us * (loss(voltage) + 1e-3 * current) / CAPACITY, us * voltage / (COIL * 1e-3)]

    return problem, 2 * np.pi / (us * period(rates, [1, 0], 3000))


@pytest.mark.parametrize("make", [oscillator, circuit])
def test_references_find_cycles(make):
    problem, truth = make()
    found = reference(problem)
    ((name, value),) = found.numbers.items()
    assert value == pytest.approx(truth, rel=1e-10)
    assert found.estimated_errors[name] < 1e-11
    assert np.ptp(found.values[problem.unknowns[0]]) > 2


def test_products_find_a_cycle():
    problem, truth = oscillator()
    refined = adaptive(problem, Settings(1e-8))
    progress = refined.begin()
    while not progress.finished:
        progress = refined.advance(progress)
    assert not progress.missed
    assert refined.solution(progress).numbers()["T"] == pytest.approx(truth, rel=1e-9)


def damped(u, T, s):
    """It comes to rest."""
    return d(u, s, s) / T**2 + d(u, s) / T + u + u**3


def forced(u, T, s):
    """Its phase is that of the force."""
    return d(u, s, s) / T - u + T * (1 + cos(2 * pi * s))


@pytest.mark.parametrize("equation", [damped, forced])
def test_other_problems_have_no_cycle(equation):
    conditions = [Periodic("s"), Condition(lambda u: mean(u) - 3)]
    number = Parameter("T", initial=10, positive=True)
    assert cycle(Problem(Box(s=(0, 1)), [equation], conditions, parameters=[number])) is None


def test_references_find_a_number_in_what_is_forced_to_be_periodic():
    conditions = [Periodic("s"), Condition(lambda u: mean(u) - 3)]
    found = reference(Problem(Box(s=(0, 1)), [forced], conditions, parameters=[Parameter("T")]))
    assert found.numbers["T"] == pytest.approx(3, rel=1e-12)
