"""`python -m benchmarks.invariance`: the same problems in SI units, in scaled units, and from 300.

Each line is a problem with default settings: in each system of units the root mean square error
over the standard deviation of the solution, the worst of its unknowns. The solutions are closed
forms. What comes below FLOOR is rounding, where a factor means nothing.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, cos, exp, sin

from kanpde import (
    Box,
    Condition,
    Dirichlet,
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
from kanpde.errors import ProblemWarning
from kanpde.geometry.sampling import inside_points
from kanpde.solver import solve

FLOOR = 1e-7
"""Errors below it count as it."""


@dataclass(frozen=True)
class Units:
    """What a user counts in.

    Attributes:
        metre: The unit of length, in metres.
        second: The unit of time, in seconds.
        value: The unit of the unknown, in that of SI.
        base: The unknown where the user's is `zero`, in SI.
        zero: See there.
        rows: What equations are divided by.
    """

    metre: float = 1.0
    second: float = 1.0
    value: float = 1.0
    base: float = 0.0
    zero: float = 0.0
    rows: float = 1.0

    def shown(self, value: Tensor | float) -> Tensor | float:
        """A value in SI as the user writes it."""
        return (value - self.base) / self.value + self.zero

    def physical(self, u: Tensor) -> Tensor:
        """A value of the user's in SI."""
        return (u - self.zero) * self.value + self.base


Truth = Mapping[str, Callable[..., Tensor]]
SI = Units()


def wall(units: Units) -> tuple[Problem, Truth]:
    """A heated wall, insulated on one side."""
    k, width, made, loss, air = 0.8, 0.3, 900.0, 9.0, 293.15
    m, K = units.metre, units.value

    def heat(T: Tensor, x: Tensor) -> Tensor:
        return (k * d(T, x, x) * K / m**2 + made) / units.rows

    def truth(x: Tensor) -> Tensor:
        return air + made * width / loss + made / (2 * k) * (width**2 - (m * x) ** 2)

    out = Robin(T=loss * float(units.shown(air)), a=loss, b=k / m, on="x+")
    return Problem(Box(x=(0, width / m)), heat, [Neumann(T=0, on="x-"), out]), {"T": truth}


def rod(units: Units) -> tuple[Problem, Truth]:
    """A steel rod that cools."""
    capacity, k, length, end, ends, rise = 7800 * 460.0, 50.0, 0.1, 200.0, 293.0, 50.0
    m, s, w = units.metre, units.second, math.pi / length

    def heat(T: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return (capacity * d(T, t) / s - k * d(T, x, x) / m**2) * units.value / units.rows

    def truth(x: Tensor, t: Tensor) -> Tensor:
        return ends + rise * sin(w * m * x) * exp(-k / capacity * w**2 * s * t)

    cold = Dirichlet(T=float(units.shown(ends)))
    start = Initial(T=lambda x: units.shown(ends + rise * sin(w * m * x)))
    domain = Box(x=(0, length / m)) * Time(t=(0, end / s))
    return Problem(domain, heat, [cold, start]), {"T": truth}


def cantilever(units: Units) -> tuple[Problem, Truth]:
    """A beam with one end clamped under its weight."""
    stiffness, length, load = 1680.0, 2.0, 50.0
    m, scale = units.metre, stiffness * units.value / units.metre**4 / units.rows

    def beam(u: Tensor, x: Tensor) -> Tensor:
        return scale * d(u, x, x, x, x) - load / units.rows

    def truth(x: Tensor) -> Tensor:
        x = m * x
        return load * x**2 / (24 * stiffness) * (6 * length**2 - 4 * length * x + x**2)

    sides = [
        Dirichlet(u=float(units.shown(0.0)), on="x-"),
        Neumann(u=0, on="x-"),
        Condition(lambda u, x: scale * d(u, x, x), on="x+"),
        Condition(lambda u, x: scale * d(u, x, x, x), on="x+"),
    ]
    return Problem(Box(x=(0, length / m)), beam, sides), {"u": truth}


def string(units: Units) -> tuple[Problem, Truth]:
    """A string of a guitar, half a period."""
    mass, tension, length, a = 6e-4, 60.0, 0.65, 2e-3
    speed, w = math.sqrt(tension / mass), math.pi / length
    m, s, domain = units.metre, units.second, Box(x=(0, length / units.metre))

    def wave(u: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return (mass * d(u, t, t) / s**2 - tension * d(u, x, x) / m**2) * units.value / units.rows

    def truth(x: Tensor, t: Tensor) -> Tensor:
        first = sin(w * m * x) * cos(w * speed * s * t)
        return a * (first + 0.3 * sin(2 * w * m * x) * cos(2 * w * speed * s * t))

    start = Initial(u=lambda x: units.shown(truth(x, 0 * x)), u_t=0)
    sides = [Dirichlet(u=float(units.shown(0.0))), start]
    return Problem(domain * Time(t=(0, length / speed / s)), wave, sides), {"u": truth}


def charge(units: Units) -> tuple[Problem, Truth]:
    """The potential of charges in a box of a centimetre."""
    epsilon, side, volts = 8.854e-12, 0.01, 100.0
    m, w = units.metre, math.pi / side

    def truth(x: Tensor, y: Tensor) -> Tensor:
        x, y = m * x, m * y
        return volts * (sin(w * x) * sin(w * y) + 0.5 * sin(2 * w * x) * y / side)

    def gauss(u: Tensor, x: Tensor, y: Tensor) -> Tensor:
        X, Y = m * x, m * y
        density = 2 * sin(w * X) * sin(w * Y) + 2 * sin(2 * w * X) * Y / side
        bent = laplacian(u) * units.value / m**2
        return epsilon * (bent + volts * w**2 * density) / units.rows

    box = Box(x=(0, side / m), y=(0, side / m))
    return Problem(box, gauss, Dirichlet(u=lambda x, y: units.shown(truth(x, y)))), {"u": truth}


def slabs(units: Units) -> tuple[Problem, Truth]:
    """Two slabs with very different conductivities."""
    low, high, flux, left = 1.38, 400.0, 200.0, 293.15
    m, unit = units.metre, units.value / units.rows

    def truth(y: Tensor) -> Tensor:
        y = m * y
        return left + torch.where(y < 1, flux / low * y, flux / low + flux / high * (y - 1))

    sides = [
        Dirichlet(T=float(units.shown(left)), on="y-"),
        Neumann(T=flux / high * m / units.value, on="y+"),
        Interface(T=0, flux={"lower": low * unit, "upper": high * unit}),
    ]
    domain = Pieces(lower=Box(y=(0, 1 / m)), upper=Box(y=(1 / m, 2 / m)))
    return Problem(domain, lambda T, y: unit * d(T, y, y), sides), {"T": truth}


CASES = {
    wall: Units(metre=0.3, value=112.5, base=293.15, rows=900.0),
    rod: Units(metre=0.1, second=717.6, value=50.0, base=293.0, rows=250000.0),
    cantilever: Units(metre=2.0, value=50 * 2.0**4 / 1680, rows=50.0),
    string: Units(metre=0.65, second=0.65 / math.sqrt(1e5), value=2e-3, rows=0.284),
    charge: Units(metre=0.01, value=100.0, rows=8.854e-6),
    slabs: Units(value=200 / 1.38, base=293.15, rows=200.0),
}
"""The problems, and the units in which they are of order 1."""


def error(case: Callable[[Units], tuple[Problem, Truth]], units: Units, seed: int = 0) -> float:
    """Root mean square error over the standard deviation, the worst of the unknowns.

    Args:
        case: The problem.
        units: What it is written in.
        seed: Of the training.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProblemWarning)
        problem, truth = case(units)
        result = solve(problem, seed=seed, reference=False)
    points = inside_points(problem.domain, 2000, 5)
    assert result.solution is not None
    found = units.physical(result.solution(points).detach())
    wanted = torch.stack([truth[u](*points.T) for u in problem.unknowns], 1)
    return float(((found - wanted).square().mean(0).sqrt() / wanted.std(0)).max())


def main() -> None:
    """Solve all, or those that are named on the command line."""
    chosen = {case: units for case, units in CASES.items() if case.__name__ in sys.argv[1:]}
    for case, scaled in (chosen or CASES).items():
        began = time.perf_counter()
        found = [error(case, units) for units in (SI, scaled, replace(scaled, zero=300.0))]
        counted = [max(each, FLOOR) for each in found]
        errors = "  ".join(f"{each:.1e}" for each in found)
        factor, seconds = max(counted) / min(counted), time.perf_counter() - began
        print(f"{case.__name__:12s} {errors}  factor {factor:.1f}  {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
