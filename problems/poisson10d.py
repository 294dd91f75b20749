"""Poisson's equation in 10 coordinates, whose solution is a product of functions of each."""

from math import pi

from torch import sin

from kanpde import Box, Dirichlet, Problem, Vector, laplacian

size = 10
height = 0.5


def exact(x):
    return (1 + height * sin(pi * x)).prod(-1)


def poisson(u, x):
    """Δu = f, with f chosen so that `exact` solves it."""
    bends = -(pi**2) * height * sin(pi * x) / (1 + height * sin(pi * x))
    return laplacian(u) - exact(x) * bends.sum(-1)


problem = Problem(
    domain=Box(x=Vector(size, (0, 1))),
    equations=[poisson],
    conditions=[Dirichlet(u=exact)],
    exact={"u": exact},
)
