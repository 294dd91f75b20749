"""The nonlinear Schrödinger equation i h_t + h_xx/2 + |h|² h = 0 with h = u + iv: Raissi et al.
2019.

From 2 sech x two solitons breathe (Satsuma and Yajima 1974). Raissi et al. close the interval
periodically, which puts a kink of 0.05 into the start, and with it ripples everywhere; here the
ends carry the values of the whole line.
"""

from math import pi

from torch import cos, cosh, sin

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d


def amplitude(x, t):
    return 4 / (cosh(4 * x) + 4 * cosh(2 * x) + 3 * cos(4 * t))


def real(x, t):
    return amplitude(x, t) * (cosh(3 * x) * cos(t / 2) + 3 * cosh(x) * cos(9 * t / 2))


def imaginary(x, t):
    return amplitude(x, t) * (cosh(3 * x) * sin(t / 2) + 3 * cosh(x) * sin(9 * t / 2))


def schrodinger(u, v, x, t):
    """The real part, then the imaginary one, of i h_t + h_xx/2 + |h|² h."""
    square = u**2 + v**2
    return d(u, x, x) / 2 - d(v, t) + square * u, d(v, x, x) / 2 + d(u, t) + square * v


problem = Problem(
    domain=Box(x=(-5, 5)) * Time(t=(0, pi / 2)),
    equations=[schrodinger],
    conditions=[Dirichlet(u=real, v=imaginary), Initial(u=lambda x: 2 / cosh(x), v=0)],
    exact={"u": real, "v": imaginary},
)

kan = Recipe(KAN(width=(8, 8), degree=7, grid=4), points=2000, schedule="lm:80,extend:8,lm:60")
kan_record = Recipe(
    KAN(width=(8, 8), degree=7, grid=5), points=3000, schedule="lm:80,extend:10,lm:150"
)
