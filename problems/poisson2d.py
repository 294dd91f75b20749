"""Poisson's equation on the square with u = sin πx sin πy."""

from math import pi

from torch import sin

from kanpde import Box, Dirichlet, Problem, laplacian


def exact(x, y):
    return sin(pi * x) * sin(pi * y)


def poisson(u, x, y):
    """Δu = f, with f chosen so that `exact` solves it."""
    return laplacian(u) + 2 * pi**2 * exact(x, y)


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)),
    equations=[poisson],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
)
