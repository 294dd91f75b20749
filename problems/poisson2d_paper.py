"""Poisson's equation with u = sin πx sin πy²: the figure of Liu et al. 2024, section 3.4."""

from math import pi

from torch import cos, sin

from kanpde import Box, Dirichlet, Problem, laplacian


def exact(x, y):
    return sin(pi * x) * sin(pi * y**2)


def source(x, y):
    """Δ of `exact`, by hand."""
    return sin(pi * x) * (2 * pi * cos(pi * y**2) - pi**2 * (1 + 4 * y**2) * sin(pi * y**2))


def poisson(u, x, y):
    """Δu = f."""
    return laplacian(u) - source(x, y)


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)),
    equations=[poisson],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
)
