"""A semilinear equation Δu = u³ + f on the square, with u = sin πx cos(πy/2): the defocusing
Allen-Cahn nonlinearity."""

from math import pi

from torch import cos, sin

from kanpde import Box, Dirichlet, Problem, laplacian


def exact(x, y):
    return sin(pi * x) * cos(pi * y / 2)


def semilinear(u, x, y):
    """Δu = u³ + f, with f chosen so that `exact` solves it."""
    f = -5 / 4 * pi**2 * exact(x, y) - exact(x, y) ** 3
    return laplacian(u) - u**3 - f


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)),
    equations=[semilinear],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
)
