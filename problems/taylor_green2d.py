"""A decaying vortex in a box with slippery walls: Taylor and Green 1937, the unsteady Navier-Stokes
equations, exactly."""

from math import pi

from torch import cos, exp, sin

from kanpde import KAN, Box, Dirichlet, Initial, Neumann, Problem, Recipe, Time, d, laplacian

nu = 0.02


def exact_u(x, y, t):
    return sin(pi * x) * cos(pi * y) * exp(-2 * pi**2 * nu * t)


def exact_v(x, y, t):
    return -cos(pi * x) * sin(pi * y) * exp(-2 * pi**2 * nu * t)


def exact_p(x, y, t):
    return (cos(2 * pi * x) + cos(2 * pi * y)) / 4 * exp(-4 * pi**2 * nu * t)


def navier_stokes(u, v, p, x, y, t):
    """Momentum along x and y, then continuity."""
    along_x = d(u, t) + u * d(u, x) + v * d(u, y) + d(p, x) - nu * laplacian(u)
    along_y = d(v, t) + u * d(v, x) + v * d(v, y) + d(p, y) - nu * laplacian(v)
    return along_x, along_y, d(u, x) + d(v, y)


sides, ends = ("x-", "x+"), ("y-", "y+")
problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
    equations=[navier_stokes],
    conditions=[
        Dirichlet(u=0, on=sides),
        Neumann(v=0, on=sides),
        Dirichlet(v=0, on=ends),
        Neumann(u=0, on=ends),
        Dirichlet(p=exact_p, on="x-"),
        Initial(
            u=lambda x, y: sin(pi * x) * cos(pi * y), v=lambda x, y: -cos(pi * x) * sin(pi * y)
        ),
    ],
    exact={"u": exact_u, "v": exact_v, "p": exact_p},
)

recipe = Recipe(KAN(width=(8,), degree=7, grid=4), points=1500, schedule="lm:60,extend:7,lm:30")
