"""The wave equation u_tt = c² u_xx on a string that is bent and struck: two standing waves
(d'Alembert 1747)."""

from math import pi

from torch import cos, sin

from kanpde import Box, Dirichlet, Initial, Problem, Time, d

c = 1


def exact(x, t):
    return sin(pi * x) * cos(c * pi * t) + sin(2 * pi * x) * sin(2 * c * pi * t) / 2


def velocity(x):
    return c * pi * sin(2 * pi * x)


def wave(u, x, t):
    """u_tt = c² u_xx."""
    return d(u, t, t) - c**2 * d(u, x, x)


problem = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[wave],
    conditions=[Dirichlet(u=0), Initial(u=lambda x: sin(pi * x), u_t=velocity)],
    exact={"u": exact},
)
