"""Burgers' equation u_t + λ₁ u u_x = λ₂ u_xx: λ₁ and λ₂ from 2,000 scattered values, Raissi et al.
2019."""

from math import pi

import numpy
import torch
from torch import cos, log, sin, softmax, sqrt

from kanpde import KAN, Box, Data, Parameter, Problem, Recipe, Time, d

nu = 0.01 / pi
noise = 0.0  # of the standard deviation of u, such as 0.01
drawn = 0  # which of many sets of data
front = 0.0  # share of the points that are drawn within 0.02 of the front, where alone λ₂ shows
nodes, weights = (torch.from_numpy(a) for a in numpy.polynomial.hermite.hermgauss(100))


def exact(x, t):
    """Cole and Hopf's solution from -sin πx, as in burgers1d: right to 5e-15."""
    eta = x[..., None] - sqrt(4 * nu * t)[..., None] * nodes.to(x)
    density = softmax(log(weights.to(x)) - cos(pi * eta) / (2 * pi * nu), -1)
    return -(density * sin(pi * eta)).sum(-1)


def measured(count=2000):
    """Points drawn evenly but for those at the front, and what an instrument with errors of that
    size reads there."""
    random = numpy.random.default_rng(drawn)
    x, t = random.uniform(-1, 1, count), random.uniform(0, 1, count)
    x[: round(front * count)] *= 0.02
    u = exact(torch.from_numpy(x), torch.from_numpy(t)).numpy()
    return Data(x=x, t=t, u=u + noise * u.std() * random.standard_normal(count))


def burgers(u, λ1, λ2, x, t):
    """u_t + λ₁ u u_x = λ₂ u_xx."""
    return d(u, t) + λ1 * u * d(u, x) - λ2 * d(u, x, x)


problem = Problem(
    domain=Box(x=(-1, 1)) * Time(t=(0, 1)),
    equations=[burgers],
    parameters=[Parameter("λ1", initial=0.5), Parameter("λ2", initial=0.05, positive=True)],
    data=measured(),
    exact={"u": exact, "λ1": 1.0, "λ2": nu},
)

kan = Recipe(
    KAN(width=(6, 6, 6), degree=5, grid=5),
    points=3000,
    schedule="lm:160,extend:8,lm:200,extend:11,lm:200",
    data=1 if noise else 10,
)
