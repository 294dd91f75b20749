"""The Helmholtz equation Δu + k²u = f with u = sin πx sin 4πy: Wang, Teng and Perdikaris 2021."""

from math import pi

from torch import sin

from kanpde import KAN, Box, Dirichlet, Problem, Recipe, laplacian

k = 1


def exact(x, y):
    return sin(pi * x) * sin(4 * pi * y)


def helmholtz(u, x, y):
    """Δu + k²u = f, with f chosen so that `exact` solves it."""
    return laplacian(u) + k**2 * u - (k**2 - 17 * pi**2) * exact(x, y)


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)),
    equations=[helmholtz],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
)

kan = Recipe(
    KAN(width=(8,), degree=7, grid=6),
    points=2400,
    schedule="lm:60,extend:12,lm:60,extend:30,lm:100",
    restarts=3,
)
kan_record = Recipe(
    KAN(width=(10,), degree=7, grid=4),
    points=4000,
    schedule="lm:80,extend:12,lm:100,extend:24,lm:150,extend:44,lm:300",
)
