"""The wave equation u_tt = c² u_xx with two scales: standing waves 1 and 4, c = 2 (Wang, Yu and
Perdikaris 2022).

arXiv:2007.14527.
"""

from math import pi

from torch import cos, sin

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d

c = 2


def start(x):
    return sin(pi * x) + sin(4 * pi * x) / 2


def exact(x, t):
    return sin(pi * x) * cos(c * pi * t) + sin(4 * pi * x) * cos(4 * c * pi * t) / 2


def wave(u, x, t):
    """u_tt = c² u_xx."""
    return d(u, t, t) - c**2 * d(u, x, x)


problem = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[wave],
    conditions=[Dirichlet(u=0), Initial(u=start, u_t=0)],
    exact={"u": exact},
)

kan = Recipe(
    KAN(width=(8,), degree=7, grid=4), points=2000, schedule="lm:60,extend:12,lm:60", slabs=4
)
kan_record = Recipe(
    KAN(width=(8,), degree=7, grid=4),
    points=2000,
    schedule="lm:80,extend:12,lm:60,extend:24,lm:120",
    slabs=4,
)
