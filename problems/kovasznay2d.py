"""Steady flow behind a grid of bodies, Re = 40: Kovasznay 1948, an exact solution of the
Navier-Stokes equations.

On the rectangle of Jin, Cai, Li and Karniadakis 2021 (arXiv:2003.06496). The pressure is given at
the outflow.
"""

from math import pi, sqrt

from torch import cos, exp, sin

from kanpde import KAN, Box, Dirichlet, Problem, Recipe, d, laplacian

reynolds = 40
decay = reynolds / 2 - sqrt(reynolds**2 / 4 + 4 * pi**2)


def exact_u(x, y):
    return 1 - exp(decay * x) * cos(2 * pi * y)


def exact_v(x, y):
    return decay / (2 * pi) * exp(decay * x) * sin(2 * pi * y)


def exact_p(x):
    return (1 - exp(2 * decay * x)) / 2


def navier_stokes(u, v, p, x, y):
    """Momentum along x and y, then continuity."""
    along_x = u * d(u, x) + v * d(u, y) + d(p, x) - laplacian(u) / reynolds
    along_y = u * d(v, x) + v * d(v, y) + d(p, y) - laplacian(v) / reynolds
    return along_x, along_y, d(u, x) + d(v, y)


problem = Problem(
    domain=Box(x=(-0.5, 1), y=(-0.5, 1.5)),
    equations=[navier_stokes],
    conditions=[Dirichlet(u=exact_u, v=exact_v), Dirichlet(p=exact_p, on="x+")],
    exact={"u": exact_u, "v": exact_v, "p": exact_p},
)

kan = Recipe(KAN(width=(8,), degree=7, grid=4), points=2000, schedule="lm:60,extend:10,lm:60")
