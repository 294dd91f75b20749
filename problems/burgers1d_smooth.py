"""Burgers' equation u_t + u u_x = ν u_xx with a milder front, ν = 0.01 (Webb, Jerad and Cartis
2026).

arXiv:2607.02194. The same start, equation and exact solution as `burgers1d`.
"""

from math import pi

import numpy
import torch
from torch import cos, log, sin, softmax, sqrt

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d

nu = 0.01
nodes, weights = (torch.from_numpy(a) for a in numpy.polynomial.hermite.hermgauss(100))


def start(x):
    return -sin(pi * x)


def exact(x, t):
    """Cole and Hopf's solution: the mean of -sin πη over η = x - √(4νt) z, weighted by exp(-z² -
    cos(πη) / 2πν).

    Gauss-Hermite quadrature in z. Its derivatives need t > 0.
    """
    eta = x[..., None] - sqrt(4 * nu * t)[..., None] * nodes.to(x)
    density = softmax(log(weights.to(x)) - cos(pi * eta) / (2 * pi * nu), -1)
    return -(density * sin(pi * eta)).sum(-1)


def burgers(u, x, t):
    """u_t + u u_x = ν u_xx."""
    return d(u, t) + u * d(u, x) - nu * d(u, x, x)


problem = Problem(
    domain=Box(x=(-1, 1)) * Time(t=(0, 1)),
    equations=[burgers],
    conditions=[Dirichlet(u=0), Initial(u=start)],
    exact={"u": exact},
)

kan = Recipe(KAN(width=(6, 6), degree=7, grid=5), points=2500, schedule="lm:100,extend:10,lm:100")
kan_record = Recipe(
    KAN(width=(8, 8), degree=7, grid=5), points=3500, schedule="lm:100,extend:12,lm:300"
)
