"""Poisson's equation in 100 coordinates, with a wave along a direction and a hill about a point.

The solution is a function of one sum of all coordinates plus a function of another. Fewer
coordinates are had by poisson100d size=20.
"""

import torch
from torch import cos, exp, sin

from kanpde import Box, Dirichlet, Problem, Vector, laplacian

size = 100

wave = 1.5 * cos(3.7 * torch.arange(size)) / size**0.5
"""Wave numbers along the coordinates."""

middle, width = 0.4, 1 / 3
"""Of the hill: every coordinate of its top, and how fast it falls with the mean square of the
distance."""


def phase(x):
    return (wave.to(x.dtype) * x).sum(-1)


def away(x):
    return ((x - middle) ** 2).mean(-1) / width


def exact(x):
    return sin(phase(x)) + exp(-away(x))


def poisson(u, x):
    """Δu = f, with f chosen so that `exact` solves it."""
    slopes = (wave.to(x.dtype) ** 2).sum()
    hill = (4 * away(x) / (width * size) - 2 / width) * exp(-away(x))
    return laplacian(u) + slopes * sin(phase(x)) - hill


problem = Problem(
    domain=Box(x=Vector(size, (0, 1))),
    equations=[poisson],
    conditions=[Dirichlet(u=exact)],
    exact={"u": exact},
)
