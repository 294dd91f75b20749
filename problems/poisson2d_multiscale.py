"""Poisson's equation -Δu = f on the square with four scales, w = 4, 8, 12, 16: Webb, Jerad and
Cartis 2026.

arXiv:2607.02194: u is the mean of sin wπx sin wπy over w. `scale=1` makes it w = 1, 2, 3, 4.
"""

from math import pi

from torch import sin

from kanpde import KAN, Box, Dirichlet, Problem, Recipe, laplacian

scale = 4
waves = [k * scale for k in (1, 2, 3, 4)]


def exact(x, y):
    return sum(sin(w * pi * x) * sin(w * pi * y) for w in waves) / len(waves)


def source(x, y):
    return sum(2 * (w * pi) ** 2 * sin(w * pi * x) * sin(w * pi * y) for w in waves) / len(waves)


def poisson(u, x, y):
    """-Δu = f, with f chosen so that `exact` solves it."""
    return -laplacian(u) - source(x, y)


problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1)),
    equations=[poisson],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
)

kan = Recipe(KAN(width=(16,), degree=7, grid=30), points=6000, schedule="lm:100")
kan_record = Recipe(
    KAN(width=(16,), degree=7, grid=30),
    points=10000,
    schedule="lm:150,extend:45,lm:60,extend:70,lm:80",
)
