"""Advection u_t + a u_x + b u_y = 0 of a smooth bump across a doubly periodic square."""

from math import pi

from torch import cos, exp

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d

a = 1
b = 0.5


def start(x, y):
    return exp(cos(2 * pi * x) + cos(2 * pi * y) - 2)


def exact(x, y, t):
    return start(x - a * t, y - b * t)


def advection(u, x, y, t):
    """u_t + a u_x + b u_y = 0."""
    return d(u, t) + a * d(u, x) + b * d(u, y)


problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
    equations=[advection],
    conditions=[Periodic("x", "y"), Initial(u=start)],
    exact={"u": exact},
)

recipe = Recipe(
    KAN(width=(6, 6), degree=7, grid=3), points=3000, schedule="lm:100,extend:6,lm:120", restarts=3
)
