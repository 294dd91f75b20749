"""The heat equation u_t = κ u_xx on a rod with cold ends: two decaying modes (Fourier 1822)."""

from math import pi

from torch import exp, sin

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d

kappa = 0.1


def start(x):
    return sin(pi * x) + sin(3 * pi * x) / 2


def exact(x, t):
    return exp(-kappa * pi**2 * t) * sin(pi * x) + exp(-9 * kappa * pi**2 * t) * sin(3 * pi * x) / 2


def heat(u, x, t):
    """u_t = κ u_xx."""
    return d(u, t) - kappa * d(u, x, x)


problem = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[heat],
    conditions=[Dirichlet(u=0), Initial(u=start)],
    exact={"u": exact},
)

kan = Recipe(
    KAN(width=(5,), degree=7, grid=3),
    points=1600,
    schedule="lm:60,extend:8,lm:80,extend:16,lm:80",
    restarts=3,
)
