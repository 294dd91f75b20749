"""The heat equation u_t = κ Δu on a plate with cold edges: two decaying modes (Fourier 1822)."""

from math import pi

from torch import exp, sin

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d, laplacian

kappa = 0.05


def start(x, y):
    return sin(pi * x) * sin(pi * y) + sin(2 * pi * x) * sin(pi * y) / 2


def exact(x, y, t):
    slow, fast = exp(-2 * kappa * pi**2 * t), exp(-5 * kappa * pi**2 * t)
    return slow * sin(pi * x) * sin(pi * y) + fast * sin(2 * pi * x) * sin(pi * y) / 2


def heat(u, x, y, t):
    """u_t = κ Δu."""
    return d(u, t) - kappa * laplacian(u)


problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
    equations=[heat],
    conditions=[Dirichlet(u=0), Initial(u=start)],
    exact={"u": exact},
)

kan = Recipe(
    KAN(width=(6,), degree=7, grid=3), points=2500, schedule="lm:60,extend:6,lm:80,extend:12,lm:80"
)
