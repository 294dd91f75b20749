"""A clamped beam under a sinusoidal load, u'''' = f: Euler and Bernoulli's equation, with u = sin²
πx."""

from math import pi

from torch import cos, sin

from kanpde import Box, Dirichlet, Neumann, Problem, d


def exact(x):
    return sin(pi * x) ** 2


def beam(u, x):
    """u'''' = f, with f chosen so that `exact` solves it."""
    return d(u, x, x, x, x) + 8 * pi**4 * cos(2 * pi * x)


problem = Problem(
    domain=Box(x=(0, 1)),
    equations=[beam],
    conditions=[Dirichlet(u=0), Neumann(u=0)],
    exact={"u": exact},
)
