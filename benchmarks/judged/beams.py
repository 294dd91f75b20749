"""Beams, by equations of the second and of the fourth order, and by systems."""

from __future__ import annotations

import numpy as np
from torch import exp, pi

from benchmarks.judged.posed import SI, Posed, Units
from benchmarks.judged.truths import IndependentTruth, midpoints
from kanpde import Box, Condition, Dirichlet, Neumann, Problem, d


def cantilever(units: Units = SI) -> Posed:
    """A beam of steel (IPE 140), 2 m long, clamped at one end, under 5 kN/m."""
    stiffness, load, long = 210e9 * 5.41e-6, 5000.0, 2.0
    EI = stiffness * units.length**4 / units.value * units.power
    q = load * units.power

    def bending(w, x):
        return EI * d(w, x, x, x, x) - q

    problem = Problem(
        Box(x=(0, long * units.length)),
        [bending],
        [
            Dirichlet(w=units.offset, on="x-"),
            Neumann(w=0, on="x-"),
            Condition(lambda w, x: EI * d(w, x, x), on="x+"),
            Condition(lambda w, x: EI * d(w, x, x, x), on="x+"),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long))
        x = points["x"]
        w = load * x**2 * (6 * long**2 - 4 * long * x + x**2) / (24 * stiffness)
        return IndependentTruth({"x": x * units.length}, {"w": units.shown_all(w)})

    return Posed(problem, truth)


def smeared_load() -> Posed:
    """A beam on two supports under a load that is smeared to 1 % of its length."""
    width, place = 0.01, 0.4

    def bending(w, x):
        return d(w, x, x, x, x) - exp(-(((x - place) / width) ** 2)) / (width * pi**0.5)

    problem = Problem(
        Box(x=(0, 1)), [bending], [Dirichlet(w=0), Condition(lambda w, x: d(w, x, x))]
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, 1.0))
        x = points["x"][:, None]
        nodes, weights = np.polynomial.legendre.leggauss(60)
        low, high = place - 8 * width, place + 8 * width
        cut = np.clip(x, low, high)
        w = np.zeros(len(x))
        for a, b in ((low, cut), (cut, high)):
            s = a + (b - a) * (nodes + 1) / 2
            near, far = np.minimum(x, s), np.maximum(x, s)
            green = near * (1 - far) * (2 * far - far**2 - near**2) / 6
            load = np.exp(-(((s - place) / width) ** 2)) / (width * np.pi**0.5)
            w += ((b - a) / 2 * weights * green * load).sum(1)
        return IndependentTruth(points, {"w": w}, "Green's function")

    return Posed(problem, truth)


def rail() -> Posed:
    """A rail of 6 m on ballast under a wheel of 10 t: EI w'''' + k w = q, in newtons and metres."""
    EI, k, long, wheel, width = 6.4e6, 3e7, 6.0, 1e5, 0.2

    def bending(w, x):
        load = wheel / (width * pi**0.5) * exp(-(((x - long / 2) / width) ** 2))
        return EI * d(w, x, x, x, x) + k * w - load

    problem = Problem(
        Box(x=(0, long)), [bending], [Dirichlet(w=0), Condition(lambda w, x: EI * d(w, x, x))]
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long))
        n = np.arange(1, 400)
        wave = n * np.pi / long
        load = 2 * wheel / long * np.sin(n * np.pi / 2) * np.exp(-((wave * width) ** 2) / 4)
        w = np.sin(points["x"][:, None] * wave) @ (load / (EI * wave**4 + k))
        return IndependentTruth(points, {"w": w}, "sine series")

    return Posed(problem, truth)


def thick_beam() -> Posed:
    """Timoshenko's beam, clamped at one end: deflection in metres and rotation, a system."""
    EI, shear, load, long = 210e9 * 4e-5, 0.83 * 80e9 * 5e-3, 2e4, 1.0

    def bending(w, a, x):
        return (
            shear * (d(w, x, x) - d(a, x)) + load,
            EI * d(a, x, x) + shear * (d(w, x) - a),
        )

    problem = Problem(
        Box(x=(0, long)),
        [bending],
        [
            Dirichlet(w=0, a=0, on="x-"),
            Condition(lambda w, a, x: shear * (d(w, x) - a), on="x+"),
            Condition(lambda a, x: EI * d(a, x), on="x+"),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long))
        x = points["x"]
        a = load / (6 * EI) * (long**3 - (long - x) ** 3)
        bent = load / (6 * EI) * (long**3 * x - (long**4 - (long - x) ** 4) / 4)
        return IndependentTruth(points, {"w": bent + load / shear * (long * x - x**2 / 2), "a": a})

    return Posed(problem, truth)


def column() -> Posed:
    """A column of timber, 3 m, pressed by 60 kN and blown at from the side."""
    EI, press, wind, long = 1.1e10 * 1.2e-5, 6e4, 800.0, 3.0

    def bending(w, x):
        return EI * d(w, x, x) + press * w + wind / 2 * x * (long - x)

    problem = Problem(Box(x=(0, long)), [bending], [Dirichlet(w=0)])

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long))
        x, wave = points["x"], (press / EI) ** 0.5
        a = -wind / (2 * press)
        b = 2 * a / wave**2
        sine = -b * (1 - np.cos(wave * long)) / np.sin(wave * long)
        w = a * x * (long - x) + b * (1 - np.cos(wave * x)) + sine * np.sin(wave * x)
        return IndependentTruth(points, {"w": w})

    return Posed(problem, truth)


PROBLEMS = (cantilever, smeared_load, rail, thick_beam, column)

SCALED = {cantilever: Units(length=0.5, value=100, power=1 / 5000)}
