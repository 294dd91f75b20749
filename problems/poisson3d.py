"""Poisson's equation on the cube, with u = sin πx sin πy sin πz."""

from math import pi

from torch import sin

from kanpde import Box, Dirichlet, Problem, laplacian


def exact(x, y, z):
    return sin(pi * x) * sin(pi * y) * sin(pi * z)


def poisson(u, x, y, z):
    """Δu = f, with f chosen so that `exact` solves it."""
    return laplacian(u) + 3 * pi**2 * exact(x, y, z)


problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1), z=(0, 1)),
    equations=[poisson],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
)
