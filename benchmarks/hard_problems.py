"""Problems in two coordinates and time that exact normal equations end at: fronts, waves, long
times, holes and materials in cells, each with a truth that shares nothing with kanpde."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, cos, exp, sin

from benchmarks import independent, materials
from benchmarks.materials import Elements
from kanpde import (
    Box,
    Dirichlet,
    Disk,
    Initial,
    Interface,
    Neumann,
    Periodic,
    Pieces,
    Problem,
    Robin,
    Time,
    d,
    laplacian,
)
from kanpde.geometry import Domain
from kanpde.problem.constraints import FaceCondition
from kanpde.problem.file import load

Truth = Callable[[bool], Float[np.ndarray, "unknowns x y"]]
"""Values at the end of the time, finer or coarser."""


@dataclass(frozen=True)
class Hard:
    """A problem, and its truth, where time ends if there is any.

    Attributes:
        problem: What is solved.
        truth: Of all unknowns at points that `middles` says; None for the exact solution.
        middles: Whether the points are the middles of cells, or where these begin.
    """

    problem: Problem
    truth: Truth | None = None
    middles: bool = False


@dataclass(frozen=True)
class Asked:
    """A row of the table.

    Attributes:
        tolerance: What is asked for.
        wanted: The error that is wanted.
        made: The problem, which may be refused when it is made.
    """

    tolerance: float
    wanted: float
    made: Callable[[], Hard]


def gray_scott() -> Hard:
    """That of the gallery."""

    def start(x, y):
        def spot(x, y):
            return np.exp(20 / pi**2 * (np.cos(pi * x) + np.cos(pi * y) - 2))

        return np.stack([1 - spot(x + 0.05, y + 0.02), spot(x - 0.05, y - 0.02)])

    def rest(w, space):
        u, v = space.values(w)
        reaction = space.waves(u * v**2)
        found = np.stack([-reaction, reaction])
        found[0, 0, 0] += 0.04 * space.n**2
        return found

    def linear(square):
        return np.stack([-2e-4 * square - 0.04, -1e-4 * square - 0.1])

    def truth(fine):
        size = (192, 2000) if fine else (128, 1000)
        return independent.periodic(start, linear, rest, (-1, 1), 20, size)

    return Hard(load("gray_scott2d")[0], truth)


def burgers(nu: float, size: tuple[int, int]) -> Hard:
    """Burgers' equations, doubly periodic, of several waves.

    Args:
        nu: The viscosity.
        size: Points and steps of the truth.
    """

    def waves(x, y, sin, cos):
        u = sin(pi * x) * cos(pi * y) + 0.5 * sin(2 * pi * y + 0.3) + 0.3 * cos(pi * (2 * x + y))
        v = cos(pi * x) * sin(pi * y) - 0.4 * cos(2 * pi * x) + 0.3 * sin(pi * (x - 2 * y) + 0.5)
        return u, v

    def equations(u, v, x, y, t):
        return (
            d(u, t) + u * d(u, x) + v * d(u, y) - nu * laplacian(u),
            d(v, t) + u * d(v, x) + v * d(v, y) - nu * laplacian(v),
        )

    problem = Problem(
        name=f"burgers2d_{nu:g}",
        domain=Box(x=(0, 2), y=(0, 2)) * Time(t=(0, 1)),
        equations=[equations],
        conditions=[
            Periodic("x", "y"),
            Initial(
                u=lambda x, y: waves(x, y, sin, cos)[0], v=lambda x, y: waves(x, y, sin, cos)[1]
            ),
        ],
    )

    def rest(w, space):
        u, v = space.values(w)
        along = space.values(1j * space.kx * w), space.values(1j * space.ky * w)
        return -space.waves(u * along[0] + v * along[1])

    def linear(square):
        return np.stack([-nu * square] * 2)

    def start(x, y):
        return np.stack(waves(x, y, np.sin, np.cos))

    def truth(fine):
        n, steps = size if fine else (2 * size[0] // 3, 2 * size[1] // 3)
        return independent.periodic(start, linear, rest, (0, 2), 1, (n, steps))

    return Hard(problem, truth)


def pulse() -> Hard:
    """A wave of speed 1 to 3 in an insulated box, reflected several times."""

    def speed(x, y, cos):
        return 2 - cos(pi * x) * cos(pi * y / 2) ** 2

    def start(x, y, exp):
        return exp(-50 * ((x - 0.8) ** 2 + (y - 1.1) ** 2))

    def wave(u, x, y, t):
        return d(u, t, t) - speed(x, y, cos) ** 2 * laplacian(u)

    problem = Problem(
        name="pulse2d",
        domain=Box(x=(0, 2), y=(0, 2)) * Time(t=(0, 4)),
        equations=[wave],
        conditions=[Neumann(u=0), Initial(u=lambda x, y: start(x, y, exp), u_t=0)],
    )

    def truth(fine):
        return independent.insulated_wave(
            lambda x, y: start(x, y, np.exp),
            lambda x, y: speed(x, y, np.cos),
            2,
            4,
            (128, 1e-9) if fine else (96, 1e-7),
        )[None]

    return Hard(problem, truth, middles=True)


def membrane() -> Hard:
    """Two modes of a rectangle for a hundred periods of the slower one."""
    slow, fast = pi * 1.25**0.5, pi * 6.25**0.5

    def exact(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        first = sin(pi * x) * sin(pi * y / 2) * cos(slow * t)
        return first + sin(2 * pi * x) * sin(1.5 * pi * y) * cos(fast * t) / 2

    def wave(u, x, y, t):
        return d(u, t, t) - laplacian(u)

    problem = Problem(
        name="membrane2d",
        domain=Box(x=(0, 1), y=(0, 2)) * Time(t=(0, 200 * pi / slow)),
        equations=[wave],
        conditions=[Dirichlet(u=0), Initial(u=lambda x, y: exact(x, y, 0 * x), u_t=0)],
        exact={"u": exact},
    )
    return Hard(problem)


def forced_heat() -> Hard:
    """Heat that burns by its cube and is forced for a hundred time constants, with all kinds of
    sides."""
    kappa = 0.05

    def exact(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        return sin(pi * x) * (1 + torch.cos(1.5 * t + y**2) / 2)

    def source(x, y, t):
        u, turn = exact(x, y, t), 1.5 * t + y**2
        u_t = -0.75 * sin(pi * x) * sin(turn)
        u_yy = sin(pi * x) * (-sin(turn) - 2 * y**2 * cos(turn))
        return u_t - kappa * (u_yy - pi**2 * u) + u**3 / 5

    def heat(u, x, y, t):
        return d(u, t) - kappa * laplacian(u) + u**3 / 5 - source(x, y, t)

    def at_end(x, t):
        u_y = -sin(pi * x) * sin(1.5 * t + 1)
        return sin(pi * x) * (1 + cos(1.5 * t + 1) / 2) + u_y / 2

    problem = Problem(
        name="forced_heat2d",
        domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 100)),
        equations=[heat],
        conditions=[
            Dirichlet(u=0, on=("x-", "x+")),
            Neumann(u=0, on="y-"),
            Robin(u=at_end, a=1, b=0.5, on="y+"),
            Initial(u=lambda x, y: exact(x, y, 0 * x)),
        ],
        exact={"u": exact},
    )
    return Hard(problem)


CENTRES = {
    0.2: ((0.5, 0.4), (1.2, 1.5), (1.9, 0.5), (2.6, 1.45), (3.2, 0.5), (0.45, 1.5)),
    0.08: ((1.15, 0.75), (1.9, 1.25), (2.55, 0.6), (3.2, 1.3), (0.85, 1.0), (3.0, 1.0)),
}
"""Of the holes in a plate, by their radius."""

STRENGTHS = (1.0, -0.7, 0.4, 0.9, -0.5, 0.6, 0.3, -0.2, 0.25, -0.3, 0.2, -0.15)
"""Of the sources of heat in their middles."""


def plate() -> Hard:
    """Heat at 300 in a plate with a dozen round holes of two sizes: films on these, fluxes outside.

    t log r + r² (log r - 1) / 4 solves the heat equation about each hole.
    """
    sources = [(x, y, radius) for radius, each in CENTRES.items() for x, y in each]

    def state(x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fading = exp(-5 * t)
        u, slope = 300 + fading * sin(2 * x + y), fading * cos(2 * x + y)
        u_x, u_y = 2 * slope, slope
        for strength, (a, b, _) in zip(STRENGTHS, sources, strict=True):
            square = (x - a) ** 2 + (y - b) ** 2
            log = torch.log(square) / 2
            u = u + strength * (t * log + square * (log - 1) / 4)
            along = strength * (t / square + (log - 1) / 2 + 0.25)
            u_x, u_y = u_x + along * (x - a), u_y + along * (y - b)
        return u, u_x, u_y

    def exact(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        return state(x, y, t)[0]

    def film(hole: tuple[float, float, float]) -> Callable[..., Tensor]:
        a, b, radius = hole

        def given(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
            u, u_x, u_y = state(x, y, t)
            return 2 * u - (u_x * (x - a) + u_y * (y - b)) / radius

        return given

    def flux(number: int, sign: float) -> Callable[..., Tensor]:
        return lambda x, y, t: sign * state(x, y, t)[number]

    domain: Domain = Box(x=(0, 3.6), y=(0, 2))
    conditions: list[FaceCondition | Initial] = [Initial(u=lambda x, y: exact(x, y, 0 * x))]
    for k, hole in enumerate(sources):
        domain = domain - Disk(x=hole[0], y=hole[1], radius=hole[2], name=f"hole{k}")
        conditions.append(Robin(u=film(hole), a=2, b=1, on=f"hole{k}"))
    for face, number, sign in (("x-", 1, -1), ("x+", 1, 1), ("y-", 2, -1), ("y+", 2, 1)):
        conditions.append(Neumann(u=flux(number, sign), on=face))
    problem = Problem(
        name="plate2d",
        domain=domain * Time(t=(0, 0.5)),
        equations=[lambda u, x, y, t: d(u, t) - laplacian(u)],
        conditions=conditions,
        exact={"u": exact},
    )
    return Hard(problem)


CELLS_OF_MATERIALS = 16
"""Along each side of a plate."""


def conductivities(contrast: float, count: int, seed: int) -> Float[np.ndarray, "x y"]:
    """Between 1 and the contrast, evenly by their logarithms.

    Args:
        contrast: The largest over the least.
        count: Along each side.
        seed: Of the draw.
    """
    drawn = np.random.default_rng(seed).uniform(0, np.log10(contrast), (count, count))
    return np.asarray(10.0**drawn)


def heated_cells(contrast: float, conserved: bool) -> Hard:
    """Heat in a plate of materials in the cells of a grid, warmed by a source that comes and goes.

    Args:
        contrast: The largest of their conductivities a over the least.
        conserved: Whether it is ∇·(a ∇u) that warms, or a Δu.
    """
    count = CELLS_OF_MATERIALS
    a = conductivities(contrast, count, 1)
    table = torch.from_numpy(a)

    def conductivity(x: Tensor, y: Tensor) -> Tensor:
        i, j = ((count * z).floor().long().clamp(0, count - 1) for z in (x, y))
        return table[i, j]

    def source(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        return 20 * sin(pi * x) * sin(3 * pi * y) * sin(pi * t)

    def flowing(u, x, y, t):
        k = conductivity(x, y)
        return d(u, t) - d(k * d(u, x), x) - d(k * d(u, y), y) - source(x, y, t)

    def spreading(u, x, y, t):
        return d(u, t) - conductivity(x, y) * laplacian(u) - source(x, y, t)

    problem = Problem(
        name="heat2d_cells",
        domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 0.5)),
        equations=[flowing if conserved else spreading],
        conditions=[Dirichlet(u=0), Initial(u=0)],
    )

    def truth(fine: bool) -> Float[np.ndarray, "unknowns x y"]:
        ones, lines = np.ones_like(a), np.linspace(0, 1, count + 1)
        elements = Elements(lines, *((2, 0.15, 4) if fine else (2, 0.2, 3)))
        at = (np.arange(4 * count) + 0.5) / (4 * count)
        mass, stiff = (ones, a) if conserved else (1 / a, ones)
        waves = (lambda x: np.sin(pi * x), lambda y: 20 * np.sin(3 * pi * y))
        found = materials.heated(mass, stiff, waves, lambda t: np.sin(pi * t), 0.5, elements, at)
        return found[None]

    return Hard(problem, truth, middles=True)


def squares() -> Hard:
    """Diffusion in 5 by 5 materials of contrast 100, each with a source of its own."""
    count = 5
    k = conductivities(100, count, 5) / 10
    q = np.random.default_rng(6).uniform(-1, 2, (count, count))
    names = {(i, j): f"m{i}{j}" for i in range(count) for j in range(count)}

    def cell(i: int) -> tuple[float, float]:
        return i / count, (i + 1) / count

    def diffusion(factor: float, source: float) -> Callable[..., Tensor]:
        return lambda u, x, y: factor * laplacian(u) + source

    domain = Pieces(**{name: Box(x=cell(i), y=cell(j)) for (i, j), name in names.items()})
    outer = {
        name: tuple(
            face for face in domain.faces if face.startswith(f"{name}.") and "|" not in face
        )
        for name in names.values()
    }
    problem = Problem(
        name="materials2d",
        domain=domain,
        equations={name: diffusion(float(k[at]), float(q[at])) for at, name in names.items()},
        conditions=[
            Interface(u=0, flux={name: float(k[at]) for at, name in names.items()}),
            *(
                Robin(u=0, a=1, b=float(k[at]), on=outer[name])
                for at, name in names.items()
                if outer[name]
            ),
        ],
    )

    def truth(fine: bool) -> Float[np.ndarray, "unknowns x y"]:
        elements = Elements(np.linspace(0, 1, count + 1), *((6, 0.15, 8) if fine else (6, 0.15, 6)))
        at = (np.arange(10 * count) + 0.5) / (10 * count)
        return materials.conduction(k, q, elements, at)[None]

    return Hard(problem, truth, middles=True)


ROWS = {
    "gray_scott2d": Asked(1e-8, 1e-8, gray_scott),
    "burgers2d": Asked(1e-4, 1e-4, lambda: burgers(0.004, (384, 900))),
    "burgers2d_thin": Asked(1e-2, 1e-2, lambda: burgers(0.001, (1024, 2400))),
    "pulse2d": Asked(1e-4, 1e-4, pulse),
    "membrane2d": Asked(1e-8, 1e-5, membrane),
    "forced_heat2d": Asked(1e-8, 1e-5, forced_heat),
    "heat2d_disk": Asked(1e-8, 1e-8, lambda: Hard(load("heat2d_disk")[0])),
    "plate2d": Asked(1e-5, 1e-5, plate),
    "cells2d": Asked(1e-4, 1e-4, lambda: heated_cells(2, False)),
    "cells2d_contrast": Asked(1e-4, 1e-4, lambda: heated_cells(100, False)),
    "fluxes2d": Asked(1e-4, 1e-4, lambda: heated_cells(2, True)),
    "fluxes2d_contrast": Asked(1e-4, 1e-4, lambda: heated_cells(100, True)),
    "materials2d": Asked(1e-4, 1e-4, squares),
}
"""By name, in the order of the table."""
