"""Problems in two coordinates and time that exact normal equations end at: fronts, waves, long
times and holes, each with a truth that shares nothing with kanpde."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, cos, exp, sin

from benchmarks import independent
from kanpde import (
    Box,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Periodic,
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
    """A problem, and its truth where time ends.

    Attributes:
        problem: What is solved.
        tolerance: What is asked for.
        wanted: The error that is wanted.
        truth: Of all unknowns at points that `middles` says; None for the exact solution.
        middles: Whether the points are the middles of cells, or where these begin.
    """

    problem: Problem
    tolerance: float
    wanted: float
    truth: Truth | None = None
    middles: bool = False


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

    return Hard(load("gray_scott2d")[0], 1e-8, 1e-8, truth)


def burgers(nu: float, tolerance: float, wanted: float, size: tuple[int, int]) -> Hard:
    """Burgers' equations, doubly periodic, of several waves.

    Args:
        nu: The viscosity.
        tolerance: What is asked for.
        wanted: The error that is wanted.
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

    return Hard(problem, tolerance, wanted, truth)


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

    return Hard(problem, 1e-4, 1e-4, truth, middles=True)


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
    return Hard(problem, 1e-8, 1e-5)


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
    return Hard(problem, 1e-8, 1e-5)


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
    return Hard(problem, 1e-5, 1e-5)


ROWS: dict[str, Callable[[], Hard]] = {
    "gray_scott2d": gray_scott,
    "burgers2d": lambda: burgers(0.004, 1e-4, 1e-4, (384, 900)),
    "burgers2d_thin": lambda: burgers(0.001, 1e-2, 1e-2, (1024, 2400)),
    "pulse2d": pulse,
    "membrane2d": membrane,
    "forced_heat2d": forced_heat,
    "heat2d_disk": lambda: Hard(load("heat2d_disk")[0], 1e-8, 1e-8),
    "plate2d": plate,
}
"""By name, in the order of the table."""
