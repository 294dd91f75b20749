"""Convection u_t + β u_x = 0 of a sine around a ring, β = 30: nearly five times around
(Krishnapriyan et al. 2021).

arXiv:2109.01050. `solve convection1d beta=40` is the faster one of later papers.
"""

from math import pi

from torch import sin

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d

beta = 30


def start(x):
    return sin(x)


def exact(x, t):
    return start(x - beta * t)


def convection(u, x, t):
    """u_t + β u_x = 0."""
    return d(u, t) + beta * d(u, x)


problem = Problem(
    domain=Box(x=(0, 2 * pi)) * Time(t=(0, 1)),
    equations=[convection],
    conditions=[Periodic("x"), Initial(u=start)],
    exact={"u": exact},
)

kan = Recipe(
    KAN(width=(6, 6), degree=7, grid=4), points=1500, schedule="lm:60,extend:8,lm:30", slabs=5
)
kan_record = Recipe(
    KAN(width=(6, 6), degree=7, grid=4),
    points=2000,
    schedule="lm:60,extend:8,lm:60,extend:12,lm:100",
    slabs=6,
)
