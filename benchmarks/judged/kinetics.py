"""Rates of reactions, of epidemics and of populations."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm
from torch import exp

from benchmarks.judged.posed import SI, Posed, Units
from benchmarks.judged.truths import IndependentTruth, marched, midpoints
from kanpde import Box, Dirichlet, Problem, d


def sir_percent() -> Posed:
    """An epidemic in per cent that begins with one in a million."""
    beta, gamma, first, end = 0.5, 0.33, 1e-4, 150.0

    def epidemic(s, i, r, t):
        caught = beta * s * i / 100
        return d(s, t) + caught, d(i, t) - caught + gamma * i, d(r, t) - gamma * i

    problem = Problem(
        Box(t=(0, end)), [epidemic], [Dirichlet(s=100 - first, i=first, r=0, on="t-")]
    )

    def rates(t, y):
        caught = beta * y[0] * y[1] / 100
        return -caught, caught - gamma * y[1], gamma * y[1]

    start = {"s": 100 - first, "i": first, "r": 0.0}
    return Posed(problem, lambda: marched(rates, start, end, sizes=(1, 1e-4, 1e-4)))


def seir_people() -> Posed:
    """An epidemic with a latent time among 7.9 million people, in days."""
    people, beta, sigma, gamma, end = 7.9e6, 0.6, 0.25, 0.2, 120.0

    def epidemic(s, e, i, r, t):
        caught = beta * s * i / people
        return (
            d(s, t) + caught,
            d(e, t) - caught + sigma * e,
            d(i, t) - sigma * e + gamma * i,
            d(r, t) - gamma * i,
        )

    start = {"s": people - 1000.0, "e": 0.0, "i": 1000.0, "r": 0.0}
    problem = Problem(Box(t=(0, end)), [epidemic], [Dirichlet(**start, on="t-")])

    def rates(t, y):
        caught = beta * y[0] * y[2] / people
        return -caught, caught - sigma * y[1], sigma * y[1] - gamma * y[2], gamma * y[2]

    return Posed(problem, lambda: marched(rates, start, end, sizes=(1e6, 1e3, 1e3, 1e3)))


def robertson() -> Posed:
    """Robertson's stiff reaction (1966), to t = 40."""
    end = 40.0

    def reaction(a, b, c, t):
        first, second, third = 0.04 * a, 1e4 * b * c, 3e7 * b**2
        return d(a, t) + first - second, d(b, t) - first + second + third, d(c, t) - third

    start = {"a": 1.0, "b": 0.0, "c": 0.0}
    problem = Problem(Box(t=(0, end)), [reaction], [Dirichlet(**start, on="t-")])

    def rates(t, y):
        first, second, third = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return -first + second, first - second - third, third

    return Posed(problem, lambda: marched(rates, start, end, sizes=(1, 1e-5, 1)))


def enzyme() -> Posed:
    """An enzyme at work, in mol/m³: substrate, enzyme, complex, product (Michaelis)."""
    bind, leave, make, end = 1e3, 10.0, 50.0, 60.0

    def action(S, E, C, P, t):
        there, back, on = bind * S * E, leave * C, make * C
        return (
            d(S, t) + there - back,
            d(E, t) + there - back - on,
            d(C, t) - there + back + on,
            d(P, t) - on,
        )

    start = {"S": 1.0, "E": 1e-3, "C": 0.0, "P": 0.0}
    problem = Problem(Box(t=(0, end)), [action], [Dirichlet(**start, on="t-")])

    def rates(t, y):
        there, back, on = bind * y[0] * y[1], leave * y[2], make * y[2]
        return back - there, back - there + on, there - back - on, on

    return Posed(problem, lambda: marched(rates, start, end, sizes=(1, 1e-3, 1e-3, 1)))


def two_sizes() -> Posed:
    """A temperature that rises by one a second from 1e5, and a population beside it."""
    end = 30.0

    def both(T, v, t):
        return d(T, t) - 1, d(v, t) - v * (1 - v)

    problem = Problem(Box(t=(0, end)), [both], [Dirichlet(T=1e5, v=0.01, on="t-")])

    def truth() -> IndependentTruth:
        points = midpoints(t=(0, end))
        t = points["t"]
        return IndependentTruth(points, {"T": 1e5 + t, "v": 1 / (1 + 99 * np.exp(-t))})

    return Posed(problem, truth)


def tank() -> Posed:
    """A stirred tank with Arrhenius' rate and a cooling jacket, in minutes, mol/L and kelvin."""
    flow, feed, warm, jacket, end = 1.0, 1.0, 350.0, 300.0, 10.0
    factor, activation, heating, cooling = 7.2e10, 8750.0, 209.0, 2.09

    def balance(c, T, t):
        rate = factor * exp(-activation / T) * c
        return (
            d(c, t) - flow * (feed - c) + rate,
            d(T, t) - flow * (warm - T) - heating * rate + cooling * (T - jacket),
        )

    start = {"c": 1.0, "T": 350.0}
    problem = Problem(Box(t=(0, end)), [balance], [Dirichlet(**start, on="t-")])

    def rates(t, y):
        rate = factor * np.exp(-activation / y[1]) * y[0]
        return (
            flow * (feed - y[0]) - rate,
            flow * (warm - y[1]) + heating * rate - cooling * (y[1] - jacket),
        )

    return Posed(problem, lambda: marched(rates, start, end))


def torricelli() -> Posed:
    """A tank that empties, h' = -0.4 √h, to one fifth of the time that is left before it is dry."""
    end = 4.0

    def emptying(h, t):
        return d(h, t) + 0.4 * h**0.5

    problem = Problem(Box(t=(0, end)), [emptying], [Dirichlet(h=1, on="t-")])

    def truth() -> IndependentTruth:
        points = midpoints(t=(0, end))
        return IndependentTruth(points, {"h": (1 - 0.2 * points["t"]) ** 2})

    return Posed(problem, truth)


def consecutive(units: Units = SI) -> Posed:
    """A → B → C in mol/m³, the first step twenty times as fast as the second."""
    fast, slow, first, end = 2e-3, 1e-4, 500.0, 4e3
    k, rest = fast / units.time, slow / units.time

    def reaction(A, B, C, t):
        a, b = A - units.offset, B - units.offset
        return d(A, t) + k * a, d(B, t) - k * a + rest * b, d(C, t) - rest * b

    nothing = units.shown(0.0)
    problem = Problem(
        Box(t=(0, end * units.time)),
        [reaction],
        [Dirichlet(A=units.shown(first), B=nothing, C=nothing, on="t-")],
    )

    def truth() -> IndependentTruth:
        points = midpoints(t=(0, end))
        t = points["t"]
        a = first * np.exp(-fast * t)
        b = first * fast / (fast - slow) * (np.exp(-slow * t) - np.exp(-fast * t))
        shown = {u: units.shown_all(v) for u, v in {"A": a, "B": b, "C": first - a - b}.items()}
        return IndependentTruth({"t": t * units.time}, shown)

    return Posed(problem, truth)


def logistic(units: Units = SI) -> Posed:
    """Cells in a flask: N' = r N (1 - N/K), from 1e7 to 1e9, r one in four hours, over two days."""
    r, most, first, end = 1 / 14400, 1e9, 1e7, 172800.0
    rate, capacity = r / units.time, most * units.value

    def growth(N, t):
        n = N - units.offset
        return d(N, t) - rate * n * (1 - n / capacity)

    problem = Problem(
        Box(t=(0, end * units.time)), [growth], [Dirichlet(N=units.shown(first), on="t-")]
    )

    def truth() -> IndependentTruth:
        points = midpoints(t=(0, end))
        t = points["t"]
        n = most / (1 + (most / first - 1) * np.exp(-r * t))
        return IndependentTruth({"t": t * units.time}, {"N": units.shown_all(n)})

    return Posed(problem, truth)


def predator_prey() -> Posed:
    """Hares and lynxes in thousands, over twenty years (Lotka and Volterra)."""
    end = 20.0

    def animals(hares, lynxes, t):
        return (
            d(hares, t) - 0.55 * hares + 0.028 * hares * lynxes,
            d(lynxes, t) + 0.84 * lynxes - 0.026 * hares * lynxes,
        )

    start = {"hares": 30.0, "lynxes": 4.0}
    problem = Problem(Box(t=(0, end)), [animals], [Dirichlet(**start, on="t-")])

    def rates(t, y):
        return 0.55 * y[0] - 0.028 * y[0] * y[1], -0.84 * y[1] + 0.026 * y[0] * y[1]

    return Posed(problem, lambda: marched(rates, start, end))


def tablet() -> Posed:
    """500 mg swallowed: gut, blood and tissue, in milligrams and hours."""
    into, out, there, back, end = 1.5, 0.2, 0.4, 0.1, 24.0
    matrix = np.array([[-into, 0, 0], [into, -out - there, back], [0, there, -back]])

    def amounts(gut, blood, tissue, t):
        return (
            d(gut, t) + into * gut,
            d(blood, t) - into * gut + (out + there) * blood - back * tissue,
            d(tissue, t) - there * blood + back * tissue,
        )

    problem = Problem(Box(t=(0, end)), [amounts], [Dirichlet(gut=500, blood=0, tissue=0, on="t-")])

    def truth() -> IndependentTruth:
        points = midpoints(200, t=(0, end))
        found = np.array([expm(matrix * t)[:, 0] * 500 for t in points["t"]])
        return IndependentTruth(
            points, dict(zip(("gut", "blood", "tissue"), found.T, strict=True)), "expm"
        )

    return Posed(problem, truth)


def glowing() -> Posed:
    """A steel ball that cools by radiation alone, from 1200 K in a room of 300 K, in seconds."""
    radius, density, capacity, emissivity, sigma, end = 0.01, 7850.0, 490.0, 0.8, 5.670374e-8, 600.0
    factor = 3 * emissivity * sigma / (radius * density * capacity)

    def cooling(T, t):
        return d(T, t) + factor * (T**4 - 300.0**4)

    problem = Problem(Box(t=(0, end)), [cooling], [Dirichlet(T=1200, on="t-")])
    return Posed(
        problem,
        lambda: marched(lambda t, y: [-factor * (y[0] ** 4 - 300.0**4)], {"T": 1200.0}, end),
    )


PROBLEMS = (
    sir_percent,
    seir_people,
    robertson,
    enzyme,
    two_sizes,
    tank,
    torricelli,
    consecutive,
    logistic,
    predator_prey,
    tablet,
    glowing,
)

SCALED = {
    consecutive: Units(time=1e-3, value=2e-3),
    logistic: Units(time=1 / 14400, value=1e-9),
}
