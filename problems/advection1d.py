"""Advection u_t + c u_x = 0 of a smooth wave around a ring, once around."""

from math import pi

from torch import exp, sin

from kanpde import Box, Initial, Periodic, Problem, Time, d

c = 1


def start(x):
    return exp(sin(2 * pi * x))


def exact(x, t):
    return start(x - c * t)


def advection(u, x, t):
    """u_t + c u_x = 0."""
    return d(u, t) + c * d(u, x)


problem = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[advection],
    conditions=[Periodic("x"), Initial(u=start)],
    exact={"u": exact},
)
