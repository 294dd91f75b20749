"""Waves: strings, cavities, lines, and what only moves on."""

from __future__ import annotations

import numpy as np
from torch import cos, exp, pi, sin

from benchmarks.judged.posed import SI, Posed, Units
from benchmarks.judged.truths import IndependentTruth, midpoints
from kanpde import Box, Condition, Dirichlet, Initial, Periodic, Problem, Time, d


def string(units: Units = SI) -> Posed:
    """The G string of a guitar, 0.65 m, plucked by 3 mm, over one period of 1/196 s."""
    long, speed, pluck = 0.65, 2 * 0.65 * 196.0, 3e-3
    length, high = long * units.length, pluck * units.value
    square = (speed * units.length / units.time) ** 2

    def motion(u, x, t):
        return d(u, t, t) - square * d(u, x, x)

    def start(x):
        return units.offset + high * (sin(pi * x / length) + 0.3 * sin(3 * pi * x / length))

    problem = Problem(
        Box(x=(0, length)) * Time(t=(0, units.time / 196)),
        [motion],
        [Dirichlet(u=units.offset), Initial(u=start, u_t=0)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long), t=(0.0, 1 / 196))
        u = np.zeros_like(points["x"])
        for n, part in ((1, 1.0), (3, 0.3)):
            wave = n * np.pi / long
            u += pluck * part * np.sin(wave * points["x"]) * np.cos(wave * speed * points["t"])
        shown = {"x": points["x"] * units.length, "t": points["t"] * units.time}
        return IndependentTruth(shown, {"u": units.shown_all(u)})

    return Posed(problem, truth)


def cavity() -> Posed:
    """Light between two mirrors 1 m apart, in SI units: two equations of first order."""
    mu, epsilon = 4e-7 * np.pi, 8.8541878128e-12
    omega = np.pi / (mu * epsilon) ** 0.5
    end = 2 * np.pi / omega

    def maxwell(E, H, x, t):
        return mu * d(H, t) + d(E, x), epsilon * d(E, t) + d(H, x)

    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, end)),
        [maxwell],
        [Dirichlet(E=0), Initial(E=lambda x: sin(pi * x), H=0)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, 1.0), t=(0.0, end))
        x, angle = np.pi * points["x"], omega * points["t"]
        H = -np.pi / (mu * omega) * np.cos(x) * np.sin(angle)
        return IndependentTruth(points, {"E": np.sin(x) * np.cos(angle), "H": H})

    return Posed(problem, truth)


def line() -> Posed:
    """A cable of 100 m, short at both ends, with 100 V along it that oscillate and fade."""
    long, L, C, R, volt, end = 100.0, 2.5e-7, 1e-10, 0.3, 100.0, 1.5e-6
    half = R / (2 * L)
    omega = ((np.pi / long) ** 2 / (L * C) - half**2) ** 0.5

    def telegraph(u, i, x, t):
        return L * d(i, t) + d(u, x) + R * i, C * d(u, t) + d(i, x)

    problem = Problem(
        Box(x=(0, long)) * Time(t=(0, end)),
        [telegraph],
        [Dirichlet(u=0), Initial(u=lambda x: volt * sin(pi * x / long), i=0)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long), t=(0.0, end))
        x, t = np.pi * points["x"] / long, points["t"]
        fade = volt * np.exp(-half * t)
        u = fade * (np.cos(omega * t) + half / omega * np.sin(omega * t)) * np.sin(x)
        slope = -fade * (omega + half**2 / omega) * np.sin(omega * t)
        return IndependentTruth(points, {"u": u, "i": C * slope * long / np.pi * np.cos(x)})

    return Posed(problem, truth)


def ringing_beam() -> Posed:
    """A bar of steel on two supports that rings: of second order in time, of fourth in space."""
    square, long = 25.0, 1.0
    omega = np.pi**2 * square**0.5
    end = 2 * np.pi / omega

    def motion(w, x, t):
        return d(w, t, t) + square * d(w, x, x, x, x)

    problem = Problem(
        Box(x=(0, long)) * Time(t=(0, end)),
        [motion],
        [
            Dirichlet(w=0),
            Condition(lambda w, x: d(w, x, x)),
            Initial(w=lambda x: 1e-3 * sin(pi * x), w_t=0),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long), t=(0.0, end))
        w = 1e-3 * np.sin(np.pi * points["x"]) * np.cos(omega * points["t"])
        return IndependentTruth(points, {"w": w})

    return Posed(problem, truth)


def pulse() -> Posed:
    """A pulse of pollution that a river carries along at 0.5 m/s, over a kilometre."""
    speed, long, wide, end = 0.5, 1000.0, 100.0, 1000.0

    def carried(c, x, t):
        return d(c, t) + speed * d(c, x)

    def start(x):
        return 3 * exp(-(((x - 250) / wide) ** 2))

    problem = Problem(
        Box(x=(0, long)) * Time(t=(0, end)),
        [carried],
        [Dirichlet(c=lambda t: start(-speed * t), on="x-"), Initial(c=start)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long), t=(0.0, end))
        foot = points["x"] - speed * points["t"]
        return IndependentTruth(points, {"c": 3 * np.exp(-(((foot - 250) / wide) ** 2))})

    return Posed(problem, truth)


def shock() -> Posed:
    """u_t + u u_x = 0 from -sin(πx): the wave breaks at t = 1/π, and a shock stands after that."""
    end = 0.6

    def motion(u, x, t):
        return d(u, t) + u * d(u, x)

    problem = Problem(
        Box(x=(-1, 1)) * Time(t=(0, end)),
        [motion],
        [Periodic("x"), Initial(u=lambda x: -sin(pi * x))],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(-1.0, 1.0), t=(0.0, end))
        x, t = -np.abs(points["x"]), points["t"]
        # the foot of the characteristic, to the left of the place where they cross
        steep = np.maximum(np.pi * t, 1.0)
        low, high = np.full_like(x, -1.0), -np.arccos(1 / steep) / np.pi
        for _ in range(60):
            middle = (low + high) / 2
            before = middle - t * np.sin(np.pi * middle) < x
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        u = -np.sin(np.pi * low) * np.where(points["x"] < 0, 1, -1)
        return IndependentTruth(points, {"u": u}, "characteristics")

    return Posed(problem, truth)


def packet() -> Posed:
    """A free particle between walls, i ψ_t = -ψ_xx/2, by real and imaginary part."""
    end = 1.0

    def schroedinger(a, b, x, t):
        return d(a, t) + d(b, x, x) / 2, d(b, t) - d(a, x, x) / 2

    problem = Problem(
        Box(x=(0, pi)) * Time(t=(0, end)),
        [schroedinger],
        [Dirichlet(a=0, b=0), Initial(a=lambda x: sin(x) * (1 + cos(x)), b=0)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, np.pi), t=(0.0, end))
        x, t = points["x"], points["t"]
        psi = np.sin(x) * np.exp(-0.5j * t) + np.sin(2 * x) / 2 * np.exp(-2j * t)
        return IndependentTruth(points, {"a": psi.real, "b": psi.imag})

    return Posed(problem, truth)


PROBLEMS = (string, cavity, line, ringing_beam, pulse, shock, packet)

SCALED = {string: Units(length=1 / 0.65, time=196, value=1 / 3e-3)}
