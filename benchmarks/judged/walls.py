"""What is steady along one line: walls of layers, fins, rods that glow, a grain of catalyst."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_bvp

from benchmarks.judged.posed import SI, Posed, Units
from benchmarks.judged.truths import IndependentTruth, apart, midpoints
from kanpde import Box, Condition, Dirichlet, Interface, Neumann, Pieces, Problem, Robin, d


def slabs(units: Units = SI) -> Posed:
    """Glass below and copper above, each 1 m: 293.15 K below, 200 W/m² from above."""
    glass, copper, cold, heat = 1.38, 400.0, 293.15, 200.0
    length, factor = units.length, units.power / (units.length * units.value)
    flux = heat * units.power / length**2

    def conduction(T, y):
        return d(T, y, y)

    problem = Problem(
        Pieces(glass=Box(y=(0, length)), copper=Box(y=(length, 2 * length))),
        conduction,
        [
            Dirichlet(T=units.shown(cold), on="y-"),
            Condition(lambda T, y: copper * factor * d(T, y) - flux, on="y+"),
            Interface(T=0, flux={"glass": glass * factor, "copper": copper * factor}),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(y=(0.0, 2.0))
        y = points["y"]
        T = cold + heat * (np.minimum(y, 1) / glass + np.maximum(y - 1, 0) / copper)
        return IndependentTruth({"y": y * length}, {"T": units.shown_all(T)})

    return Posed(problem, truth)


def two_conductivities() -> Posed:
    """(k u')' = 0 where k jumps from 1 to 10 in the middle, written by torch.where."""

    def conduction(u, x):
        k = torch.where(x < 0.5, 1.0, 10.0)
        return d(k * d(u, x), x)

    problem = Problem(
        Box(x=(0, 1)), [conduction], [Dirichlet(u=0, on="x-"), Dirichlet(u=1, on="x+")]
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, 1.0))
        x = points["x"]
        return IndependentTruth(points, {"u": np.where(x < 0.5, 20 * x, 9 + 2 * x) / 11})

    return Posed(problem, truth)


def house_wall() -> Posed:
    """Brick, mineral wool and plaster between warm air and frost, with heat transfer at both sides,
    in metres and kelvin."""
    thick = {"plaster": 0.015, "brick": 0.2, "wool": 0.1}
    k = {"plaster": 0.5, "brick": 0.7, "wool": 0.04}
    inside, outside, warm, cold = 8.0, 25.0, 293.15, 268.15
    ends = np.cumsum([0.0, *thick.values()])
    boxes = {name: Box(x=(ends[i], ends[i + 1])) for i, name in enumerate(thick)}

    def conduction(T, x):
        return d(T, x, x)

    problem = Problem(
        Pieces(**boxes),
        conduction,
        [
            Robin(T=inside * warm, a=inside, b=k["plaster"], on="x-"),
            Robin(T=outside * cold, a=outside, b=k["wool"], on="x+"),
            Interface(T=0, flux=k),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, float(ends[-1])))
        steps = np.cumsum([1 / inside, *(thick[name] / k[name] for name in thick)])
        flux = (warm - cold) / (steps[-1] + 1 / outside)
        return IndependentTruth(points, {"T": warm - flux * np.interp(points["x"], ends, steps)})

    return Posed(problem, truth)


def heated_wall(units: Units = SI) -> Posed:
    """A concrete wall of 0.1 m that makes 20 kW/m³, insulated at one side, in air at the other."""
    thick, k, source, transfer, air = 0.1, 1.5, 2e4, 20.0, 293.15
    length = thick * units.length
    conductivity = k * units.power / (units.length * units.value)
    made = source * units.power / units.length**3
    h = transfer * units.power / (units.length**2 * units.value)

    def conduction(T, x):
        return conductivity * d(T, x, x) + made

    problem = Problem(
        Box(x=(0, length)),
        [conduction],
        [Neumann(T=0, on="x-"), Robin(T=h * units.shown(air), a=h, b=conductivity, on="x+")],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, thick))
        x = points["x"]
        T = air + source * thick / transfer + source * (thick**2 - x**2) / (2 * k)
        return IndependentTruth({"x": x * units.length}, {"T": units.shown_all(T)})

    return Posed(problem, truth)


def fin(units: Units = SI) -> Posed:
    """A fin of aluminium, 0.1 m long and 2 mm thick, at 400 K on an engine and in air of 300 K."""
    k, transfer, around, tall, base, air = 200.0, 30.0, 1000.0, 0.1, 400.0, 300.0
    conductivity = k * units.power / (units.length * units.value)
    h = transfer * units.power / (units.length**2 * units.value)
    edge, cold = around / units.length, units.shown(air)

    def balance(T, x):
        return conductivity * d(T, x, x) - h * edge * (T - cold)

    problem = Problem(
        Box(x=(0, tall * units.length)),
        [balance],
        [
            Dirichlet(T=units.shown(base), on="x-"),
            Robin(T=h * cold, a=h, b=conductivity, on="x+"),
        ],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, tall))
        m = (transfer * around / k) ** 0.5
        left, part = m * (tall - points["x"]), transfer / (m * k)
        above = (np.cosh(left) + part * np.sinh(left)) / (
            np.cosh(m * tall) + part * np.sinh(m * tall)
        )
        T = air + (base - air) * above
        return IndependentTruth({"x": points["x"] * units.length}, {"T": units.shown_all(T)})

    return Posed(problem, truth)


def steel_plate(units: Units = SI) -> Posed:
    """A current heats a plate of steel whose conductivity grows with its temperature, between 300 K
    and 600 K."""
    k, growth, source, thick, cold, hot = 15.0, 2e-3, 1e7, 0.02, 300.0, 600.0
    factor = units.power / (units.length * units.value)
    made, base = source * units.power / units.length**3, units.shown(cold)

    def conduction(T, x):
        conductivity = k * factor * (1 + growth * (T - base) / units.value)
        return d(conductivity * d(T, x), x) + made

    problem = Problem(
        Box(x=(0, thick * units.length)),
        [conduction],
        [Dirichlet(T=base, on="x-"), Dirichlet(T=units.shown(hot), on="x+")],
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, thick))
        x = points["x"]
        # Kirchhoff: s + growth s²/2 of the rise s is a parabola
        end = hot - cold + growth * (hot - cold) ** 2 / 2
        whole = end * x / thick + source / (2 * k) * x * (thick - x)
        rise = 2 * whole / (1 + np.sqrt(1 + 2 * growth * whole))
        return IndependentTruth({"x": x * units.length}, {"T": units.shown_all(cold + rise)})

    return Posed(problem, truth)


def glowing_rod() -> Posed:
    """A rod of 4 mm between 1000 K and 400 K that loses heat by radiation alone."""
    k, around, long, loss = 20.0, 1000.0, 0.1, 0.8 * 5.670374e-8

    def balance(T, x):
        return k * d(T, x, x) - loss * around * (T**4 - 300.0**4)

    problem = Problem(
        Box(x=(0, long)), [balance], [Dirichlet(T=1000, on="x-"), Dirichlet(T=400, on="x+")]
    )

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, long))

        def slopes(x, y):
            return np.stack([y[1], long**2 * loss * around / k * (y[0] ** 4 - 300.0**4)])

        def solved(many: int) -> dict[str, NDArray[np.float64]]:
            nodes = np.linspace(0, 1, many)
            first = np.stack([1000 - 600 * nodes, np.full_like(nodes, -600.0)])
            ends = lambda a, b: np.array([a[0] - 1000, b[0] - 400])
            found = solve_bvp(slopes, ends, nodes, first, tol=1e-10, max_nodes=100_000)
            return {"T": found.sol(points["x"] / long)[0]}

        coarse, fine = solved(1001), solved(2001)
        return IndependentTruth(points, fine, "solve_bvp", apart(coarse, fine))

    return Posed(problem, truth)


def catalyst(units: Units = SI) -> Posed:
    """A grain of catalyst, 2 mm in radius, that uses up what diffuses in (Thiele's modulus 5)."""
    diffusion, rate, radius, outside = 1e-9, 6.25e-3, 2e-3, 40.0
    D = diffusion * units.length**2 * units.power
    use = rate * units.power

    def balance(c, r):
        return D * (r * d(c, r, r) + 2 * d(c, r)) - use * r * (c - units.offset)

    problem = Problem(
        Box(r=(0, radius * units.length)),
        [balance],
        [Neumann(c=0, on="r-"), Dirichlet(c=units.shown(outside), on="r+")],
    )

    def truth() -> IndependentTruth:
        points = midpoints(r=(0.0, radius))
        part, modulus = points["r"] / radius, radius * (rate / diffusion) ** 0.5
        c = outside * np.sinh(modulus * part) / (part * np.sinh(modulus))
        return IndependentTruth({"r": points["r"] * units.length}, {"c": units.shown_all(c)})

    return Posed(problem, truth)


def heating_strip() -> Posed:
    """A floor of 0.1 m with a heated strip in its middle, a source that jumps, between 290 K."""
    k, source, thick, low, high = 1.2, 5e4, 0.1, 0.04, 0.06

    def conduction(T, x):
        return k * d(T, x, x) + torch.where((x > low) & (x < high), source, 0.0)

    problem = Problem(Box(x=(0, thick)), [conduction], [Dirichlet(T=290)])

    def truth() -> IndependentTruth:
        points = midpoints(x=(0.0, thick))
        x = np.minimum(points["x"], thick - points["x"])
        flux = source * (high - low) / 2
        rise = (flux * x - source * np.maximum(x - low, 0) ** 2 / 2) / k
        return IndependentTruth(points, {"T": 290 + rise})

    return Posed(problem, truth)


PROBLEMS = (
    slabs,
    two_conductivities,
    house_wall,
    heated_wall,
    fin,
    steel_plate,
    glowing_rod,
    catalyst,
    heating_strip,
)

SCALED = {
    slabs: Units(value=1.38 / 200, zero=293.15, power=1 / 200),
    heated_wall: Units(length=10, value=0.01, zero=293.15, power=1 / 15),
    fin: Units(length=10, value=0.01, zero=300, power=10 * 0.01 / 200),
    steel_plate: Units(length=50, value=1 / 300, zero=300, power=50 / 300 / 15),
    catalyst: Units(length=500, value=1 / 40, power=1 / (1e-9 * 500**2)),
}
