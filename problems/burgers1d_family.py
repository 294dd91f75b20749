"""Burgers' equation u_t + u u_x = ν u_xx as a family, one solution for all ν from 0.005 to 0.05."""

from math import pi

import numpy
import torch
from torch import cos, log, sin, softmax, sqrt

from kanpde import Box, Dirichlet, Initial, Problem, Time, d

nodes, weights = (torch.from_numpy(a) for a in numpy.polynomial.hermite.hermgauss(100))


def start(x):
    return -sin(pi * x)


def exact(x, t, nu):
    """Cole and Hopf's solution, as in burgers1d, which has one ν."""
    eta = x[..., None] - sqrt(4 * nu * t)[..., None] * nodes.to(x)
    density = softmax(log(weights.to(x)) - cos(pi * eta) / (2 * pi * nu[..., None]), -1)
    return -(density * sin(pi * eta)).sum(-1)


def burgers(u, x, t, nu):
    """u_t + u u_x = ν u_xx."""
    return d(u, t) + u * d(u, x) - nu * d(u, x, x)


problem = Problem(
    domain=Box(x=(-1, 1)) * Time(t=(0, 1)),
    equations=[burgers],
    conditions=[Dirichlet(u=0), Initial(u=start)],
    exact={"u": exact},
    family={"nu": (0.005, 0.05)},
)
