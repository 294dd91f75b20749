"""What spreads in time or over a plane: heat, ions, bacteria."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from torch import exp, pi, sin

from benchmarks.judged.posed import SI, Posed, Units
from benchmarks.judged.truths import IndependentTruth, Points, apart, midpoints
from kanpde import (
    Box,
    Condition,
    Dirichlet,
    Disk,
    Initial,
    Interface,
    Neumann,
    Pieces,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)


def _diffusion(u, x, t):
    return d(u, t) - d(u, x, x)


def tent() -> Posed:
    """Heat that begins as a tent, 1 - |x|, between ends at zero."""
    problem = Problem(
        Box(x=(-1, 1)) * Time(t=(0, 0.3)),
        [_diffusion],
        [Dirichlet(u=0), Initial(u=lambda x: 1 - x.abs())],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(-1.0, 1.0), t=(0.0, 0.3))
        u = np.zeros_like(points["x"])
        for n in np.arange(1, 400, 2):
            wave = n * np.pi / 2
            u += 2 / wave**2 * np.cos(wave * points["x"]) * np.exp(-(wave**2) * points["t"])
        return IndependentTruth(points, {"u": u}, "cosine series")

    return Posed(problem, truth)


def touched_rod() -> Posed:
    """The textbook's rod: cold at the start, and one at its left end from then on."""
    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.3)),
        [_diffusion],
        [Dirichlet(u=1, on="x-"), Dirichlet(u=0, on="x+"), Initial(u=0)],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, 1.0), t=(0.0, 0.3))
        u = 1 - points["x"]
        for n in range(1, 200):
            decayed = np.exp(-((n * np.pi) ** 2) * points["t"])
            u -= 2 / (n * np.pi) * np.sin(n * np.pi * points["x"]) * decayed
        return IndependentTruth(points, {"u": u}, "sine series")

    return Posed(problem, truth)


def insulated_rod() -> Posed:
    """Nothing happens: one everywhere in an insulated rod."""
    problem = Problem(Box(x=(0, 1)) * Time(t=(0, 1)), [_diffusion], [Neumann(u=0), Initial(u=1)])

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, 1.0), t=(0.0, 1.0))
        return IndependentTruth(points, {"u": np.ones_like(points["x"])})

    return Posed(problem, truth)


def quenched_slab(units: Units = SI) -> Posed:
    """Half of a steel slab of 40 mm, at 900 K, in oil of 300 K."""
    half, k, heat, transfer, hot, oil, end = 0.02, 15.0, 4e6, 1000.0, 900.0, 300.0, 200.0
    conductivity = k * units.power / (units.length * units.value)
    h = transfer * units.power / (units.length**2 * units.value)
    capacity = heat * units.power * units.time / (units.length**3 * units.value)

    def conduction(T, x, t):
        return capacity * d(T, t) - conductivity * d(T, x, x)

    problem = Problem(
        Box(x=(0, half * units.length)) * Time(t=(0, end * units.time)),
        [conduction],
        [
            Neumann(T=0, on="x-"),
            Robin(T=h * units.shown(oil), a=h, b=conductivity, on="x+"),
            Initial(T=units.shown(hot)),
        ],
        warn=False,
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, half), t=(0.0, end))
        biot, fourier = transfer * half / k, k / heat * points["t"] / half**2
        left = np.zeros_like(fourier)
        for n in range(60):
            low, high = n * np.pi + 1e-12, (n + 0.5) * np.pi - 1e-12
            z = brentq(lambda z: z * np.sin(z) - biot * np.cos(z), low, high, xtol=1e-15)
            share = 4 * np.sin(z) / (2 * z + np.sin(2 * z))
            left += share * np.exp(-(z**2) * fourier) * np.cos(z * points["x"] / half)
        shown = {"x": points["x"] * units.length, "t": points["t"] * units.time}
        T = units.shown_all(oil + (hot - oil) * left)
        return IndependentTruth(shown, {"T": T}, "eigenfunction series")

    return Posed(problem, truth)


def glowing_slab() -> Posed:
    """A slab of fireclay at 1000 K, 0.1 m thick, that glows into a room of 300 K at one side."""
    thick, k, capacity, loss, end = 0.1, 2.0, 1e6, 0.9 * 5.670374e-8, 3600.0

    def conduction(T, x, t):
        return capacity * d(T, t) - k * d(T, x, x)

    problem = Problem(
        Box(x=(0, thick)) * Time(t=(0, end)),
        [conduction],
        [
            Neumann(T=0, on="x-"),
            Condition(lambda T, x: k * d(T, x) + loss * (T**4 - 300.0**4), on="x+"),
            Initial(T=1000),
        ],
        warn=False,
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, thick), t=(0.0, end))

        def rates(cells: int) -> dict[str, NDArray[np.float64]]:
            return {"T": _glowed(cells, points, (thick, k, capacity, loss))}

        # finite volumes, fine at the face, and Richardson's extrapolation of the order 2
        one, two, four = rates(200)["T"], rates(400)["T"], rates(800)["T"]
        better = {"T": two + (two - one) / 3}
        best = {"T": four + (four - two) / 3}
        return IndependentTruth(points, best, "finite volumes", apart(better, best))

    return Posed(problem, truth)


def _glowed(
    cells: int, points: Points, constants: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Finite volumes whose cells are the finer the nearer to the face that glows."""
    thick, k, capacity, loss = constants
    faces = thick * np.tanh(2.5 * np.linspace(0, 1, cells + 1)) / np.tanh(2.5)
    width, middle = np.diff(faces), (faces[1:] + faces[:-1]) / 2
    apart_, last = np.diff(middle), (thick - middle[-1]) / k

    def rates(t: float, T: NDArray[np.float64]) -> NDArray[np.float64]:
        face = T[-1]
        for _ in range(4):
            wrong = face - T[-1] + last * loss * (face**4 - 300.0**4)
            face = face - wrong / (1 + 4 * last * loss * face**3)
        flux = np.concatenate([[0.0], -k * np.diff(T) / apart_, [loss * (face**4 - 300.0**4)]])
        return -np.diff(flux) / (width * capacity)

    moments = np.unique(points["t"])
    found = solve_ivp(
        rates,
        (0.0, float(points["t"].max())),
        np.full(cells, 1000.0),
        "LSODA",
        moments,
        rtol=1e-10,
        atol=1e-8,
        lband=1,
        uband=1,
    ).y
    places = np.unique(points["x"])
    return np.array([_cubic(middle, T, places) for T in found.T]).T.ravel()


def _cubic(nodes: NDArray, values: NDArray, places: NDArray) -> NDArray:
    """Values between nodes, by polynomials of degree 3 through the four nearest."""
    first = np.clip(np.searchsorted(nodes, places) - 2, 0, len(nodes) - 4)
    found = np.zeros_like(places)
    for i in range(4):
        weight = np.ones_like(places)
        for j in range(4):
            if j != i:
                weight *= (places - nodes[first + j]) / (nodes[first + i] - nodes[first + j])
        found += weight * values[first + i]
    return found


def hot_plate(units: Units = SI) -> Posed:
    """A plate of 0.2 m by 0.1 m at 300 K whose upper side is up to 80 K warmer."""
    wide, high, cold, more = 0.2, 0.1, 300.0, 80.0
    width, rise = wide * units.length, more * units.value

    def conduction(T, x, y):
        return laplacian(T)

    problem = Problem(
        Box(x=(0, width), y=(0, high * units.length)),
        [conduction],
        [
            Dirichlet(T=units.shown(cold), on=("x-", "x+", "y-")),
            Dirichlet(T=lambda x: units.shown(cold) + rise * sin(pi * x / width), on="y+"),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, wide), y=(0.0, high))
        wave = np.pi / wide
        T = cold + more * np.sin(wave * points["x"]) * np.sinh(wave * points["y"]) / np.sinh(
            wave * high
        )
        return IndependentTruth(
            {x: v * units.length for x, v in points.items()}, {"T": units.shown_all(T)}
        )

    return Posed(problem, truth)


def disc_in_plate() -> Posed:
    """A disc in a plate at 300 K that conducts a tenth of it, with 1 K across."""
    radius, contrast = 0.4, 9 / 11
    disc = Disk(x=0, y=0, radius=radius, name="rim")

    def conduction(T, x, y):
        return laplacian(T)

    problem = Problem(
        Pieces(disc=disc, plate=Box(x=(-1, 1), y=(-1, 1)) - disc),
        conduction,
        [
            Dirichlet(T=lambda x, y: 300 + x * (1 - contrast * radius**2 / (x**2 + y**2))),
            Interface(T=0, flux={"disc": 10.0, "plate": 1.0}),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(-1.0, 1.0), y=(-1.0, 1.0))
        x, square = points["x"], points["x"] ** 2 + points["y"] ** 2
        T = 300 + x * (1 - contrast * np.minimum(1, radius**2 / square))
        return IndependentTruth(points, {"T": T})

    return Posed(problem, truth)


def lithium() -> Posed:
    """A grain of 8.5 µm in a battery that is charged for an hour, in mol/m³."""
    radius, diffusion, flux, first, end = 8.5e-6, 4e-15, 5e-6, 20000.0, 3600.0

    def spreading(c, r, t):
        return r * d(c, t) - diffusion * (r * d(c, r, r) + 2 * d(c, r))

    problem = Problem(
        Box(r=(0, radius)) * Time(t=(0, end)),
        [spreading],
        [
            Neumann(c=0, on="r-"),
            Condition(lambda c, r: diffusion * d(c, r) - flux, on="r+"),
            Initial(c=first),
        ],
        warn=False,
    )

    def truth() -> IndependentTruth:
        points = midpoints(r=(0.0, radius), t=(0.0, end))
        part, moment = points["r"] / radius, diffusion * points["t"] / radius**2
        c = 3 * moment + part**2 / 2 - 0.3
        for n in range(1, 120):
            z = brentq(
                lambda z: np.sin(z) - z * np.cos(z), n * np.pi, (n + 0.5) * np.pi, xtol=1e-15
            )
            c -= 2 * np.sin(z * part) / (z**2 * part * np.sin(z)) * np.exp(-(z**2) * moment)
        return IndependentTruth(
            points, {"c": first + flux * radius / diffusion * c}, "eigenfunction series"
        )

    return Posed(problem, truth)


def front() -> Posed:
    """Bacteria that spread as a front: Fisher's equation (Ablowitz and Zeppetella)."""

    def spreading(u, x, t):
        return d(u, t) - d(u, x, x) - u * (1 - u)

    def wave(x, t, e: Callable = exp):
        return (1 + e((x - 5 * t / 6**0.5) / 6**0.5)) ** -2

    problem = Problem(
        Box(x=(-10, 20)) * Time(t=(0, 4)),
        [spreading],
        [Dirichlet(u=lambda x, t: wave(x, t)), Initial(u=lambda x: wave(x, 0.0))],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(-10.0, 20.0), t=(0.0, 4.0))
        return IndependentTruth(points, {"u": wave(points["x"], points["t"], np.exp)})

    return Posed(problem, truth)


def explosion() -> Posed:
    """u_t = u_xx + 10 u² from 5 sin(πx) blows up long before t = 0.2: there is no solution."""

    def growth(u, x, t):
        return d(u, t) - d(u, x, x) - 10 * u**2

    problem = Problem(
        Box(x=(0, 1)) * Time(t=(0, 0.2)),
        [growth],
        [Dirichlet(u=0), Initial(u=lambda x: 5 * sin(pi * x))],
    )
    return Posed(problem, None)


def ignition() -> Posed:
    """u'' + 4.5 exp(u) = 0 between zeros (Bratu): above 3.51 there is no solution."""

    def balance(u, x):
        return d(u, x, x) + 4.5 * exp(u)

    return Posed(Problem(Box(x=(0, 1)), [balance], [Dirichlet(u=0)]), None)


PROBLEMS = (
    tent,
    touched_rod,
    insulated_rod,
    quenched_slab,
    glowing_slab,
    hot_plate,
    disc_in_plate,
    lithium,
    front,
    explosion,
    ignition,
)

SCALED = {
    quenched_slab: Units(length=50, time=1 / 100, value=1 / 600, zero=300, power=50 / 600 / 15),
    hot_plate: Units(length=10, value=1 / 80, zero=300),
}
