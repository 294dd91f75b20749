"""A heat source q(x) and a conductivity κ from temperatures of a rod, u_t = κ u_xx + q: Cannon
1968, with 1 % noise."""

from math import pi

import numpy
import torch
from torch import exp, sin

from kanpde import KAN, Box, Data, Dirichlet, Field, Initial, Parameter, Problem, Recipe, Time, d

kappa = 0.2
noise = 0.01  # of the standard deviation of u
drawn = 0  # which of many sets of data
modes = {1: 1.0, 2: 0.6, 3: -0.3}


def source(x):
    """Σ qₙ sin nπx."""
    return sum(q * sin(n * pi * x) for n, q in modes.items())


def exact(x, t):
    """Every mode rises towards its steady state."""
    return sum(
        q * sin(n * pi * x) * (1 - exp(-kappa * (n * pi) ** 2 * t)) / (kappa * (n * pi) ** 2)
        for n, q in modes.items()
    )


def measured(count=1000):
    """Points drawn evenly, and what an instrument with errors of that size reads there."""
    random = numpy.random.default_rng(drawn)
    x, t = random.uniform(0, 1, count), random.uniform(0, 1, count)
    u = exact(torch.from_numpy(x), torch.from_numpy(t)).numpy()
    return Data(x=x, t=t, u=u + noise * u.std() * random.standard_normal(count))


def heat(u, q, κ, x, t):
    """u_t = κ u_xx + q."""
    return d(u, t) - κ * d(u, x, x) - q


problem = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[heat],
    conditions=[Dirichlet(u=0), Initial(u=0)],
    parameters=[Field("q", of="x", initial=0), Parameter("κ", initial=1, positive=True)],
    data=measured(),
    exact={"u": exact, "q": source, "κ": kappa},
)

kan = Recipe(
    KAN(width=(5,), degree=7, grid=4),
    points=1000,
    schedule="lm:60,extend:8,lm:40",
    fields={"q": KAN((3,), degree=5, grid=4)},
)
