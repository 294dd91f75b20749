"""The Korteweg-de Vries equation u_t + u u_x + δ² u_xxx = 0, δ = 0.022: a cosine breaks into
solitons.

Zabusky and Kruskal 1965; to t = 1 as in Raissi, Perdikaris and Karniadakis 2019.
"""

from math import pi

from torch import cos

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d

delta = 0.022


def start(x):
    return cos(pi * x)


def kdv(u, x, t):
    """u_t + u u_x + δ² u_xxx = 0."""
    return d(u, t) + u * d(u, x) + delta**2 * d(u, x, x, x)


problem = Problem(
    domain=Box(x=(-1, 1)) * Time(t=(0, 1)),
    equations=[kdv],
    conditions=[Periodic("x"), Initial(u=start)],
)

kan = Recipe(
    KAN(width=(8, 8), degree=7, grid=4), points=2000, schedule="lm:50,extend:8,lm:40", slabs=8
)
kan_record = Recipe(
    KAN(width=(8, 8), degree=7, grid=4), points=2000, schedule="lm:60,extend:8,lm:80", slabs=10
)
