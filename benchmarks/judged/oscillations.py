"""Oscillators, nerves and circuits."""

from __future__ import annotations

import numpy as np
import torch
from torch import sin

from benchmarks.judged.posed import SI, Posed, Units
from benchmarks.judged.truths import IndependentTruth, marched, midpoints
from kanpde import Box, Dirichlet, Neumann, Problem, d


def spring() -> Posed:
    """y'' + 2y = 0 from y = 1 at rest."""

    def motion(y, t):
        return d(y, t, t) + 2 * y

    problem = Problem(Box(t=(0, 8)), [motion], [Dirichlet(y=1, on="t-"), Neumann(y=0, on="t-")])

    def truth() -> IndependentTruth:
        points = midpoints(t=(0, 8))
        return IndependentTruth(points, {"y": np.cos(2**0.5 * points["t"])})

    return Posed(problem, truth)


def pendulum(units: Units = SI) -> Posed:
    """A pendulum of 0.25 m that falls from 1 rad, an equation of second order, over two periods."""
    square, end = 9.81 / 0.25, 2.2
    pull = square / units.time**2

    def motion(angle, t):
        return d(angle, t, t) + pull * units.value * sin((angle - units.offset) / units.value)

    problem = Problem(
        Box(t=(0, end * units.time)),
        [motion],
        [Dirichlet(angle=units.shown(1.0), on="t-"), Neumann(angle=0, on="t-")],
    )

    def truth() -> IndependentTruth:
        found = marched(lambda t, y: (y[1], -square * np.sin(y[0])), {"angle": 1.0, "w": 0.0}, end)
        return IndependentTruth(
            {"t": found.points["t"] * units.time},
            {"angle": units.shown_all(found.values["angle"])},
            found.kind,
            {"angle": found.errors["angle"]},
        )

    return Posed(problem, truth)


def van_der_pol() -> Posed:
    """Van der Pol's oscillator with μ = 3, written as two equations of first order."""
    end = 12.0

    def motion(x, v, t):
        return d(x, t) - v, d(v, t) - 3 * (1 - x**2) * v + x

    start = {"x": 2.0, "v": 0.0}
    problem = Problem(Box(t=(0, end)), [motion], [Dirichlet(**start, on="t-")])
    return Posed(
        problem, lambda: marched(lambda t, y: (y[1], 3 * (1 - y[0] ** 2) * y[1] - y[0]), start, end)
    )


def nerve() -> Posed:
    """A nerve that fires: FitzHugh and Nagumo, with a current of 0.5, to t = 60."""
    end = 60.0

    def nerve_(v, w, t):
        return d(v, t) - v + v**3 / 3 + w - 0.5, d(w, t) - 0.08 * (v + 0.7 - 0.8 * w)

    start = {"v": -1.0, "w": -0.5}
    problem = Problem(Box(t=(0, end)), [nerve_], [Dirichlet(**start, on="t-")])

    def rates(t, y):
        return y[0] - y[0] ** 3 / 3 - y[1] + 0.5, 0.08 * (y[0] + 0.7 - 0.8 * y[1])

    return Posed(problem, lambda: marched(rates, start, end))


def switched_coil() -> Posed:
    """A coil of 10 mH and 2 Ω to which 12 V are switched after 5 ms, in seconds and amperes."""
    henry, ohm, volt, on, end = 0.01, 2.0, 12.0, 5e-3, 0.03

    def circuit(i, t):
        return henry * d(i, t) + ohm * i - torch.where(t < on, 0.0, volt)

    problem = Problem(Box(t=(0, end)), [circuit], [Dirichlet(i=0, on="t-")])

    def truth() -> IndependentTruth:
        points = midpoints(t=(0, end))
        late = np.maximum(points["t"] - on, 0.0)
        return IndependentTruth(points, {"i": volt / ohm * -np.expm1(-ohm / henry * late)})

    return Posed(problem, truth)


def circling() -> Posed:
    """A planet on an ellipse of eccentricity 0.3, one turn, four equations of first order."""
    end = 2 * np.pi

    def motion(x, y, p, q, t):
        cube = (x**2 + y**2) ** 1.5
        return d(x, t) - p, d(y, t) - q, d(p, t) + x / cube, d(q, t) + y / cube

    start = {"x": 0.7, "y": 0.0, "p": 0.0, "q": (1.3 / 0.7) ** 0.5}
    problem = Problem(Box(t=(0, end)), [motion], [Dirichlet(**start, on="t-")])

    def rates(t, y):
        cube = (y[0] ** 2 + y[1] ** 2) ** 1.5
        return y[2], y[3], -y[0] / cube, -y[1] / cube

    return Posed(problem, lambda: marched(rates, start, end, sizes=(1, 1, 1, 1)))


PROBLEMS = (spring, pendulum, van_der_pol, nerve, switched_coil, circling)

SCALED = {pendulum: Units(time=(9.81 / 0.25) ** 0.5)}
