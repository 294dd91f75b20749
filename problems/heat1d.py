"""The heat equation u_t = κ u_xx on a rod with cold ends: two decaying modes (Fourier 1822)."""

from math import pi

from torch import exp, sin

from kanpde import Box, Dirichlet, Initial, Problem, Time, d

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
