"""The conductivity a(x, y) in -∇·(a ∇u) = f from values of u with 1 % noise: PInv of the benchmark
of Hao et al. 2023."""

from math import pi

import numpy
import torch
from torch import cos, sin

from kanpde import KAN, Box, Data, Dirichlet, Field, Problem, Recipe, div, grad

noise = 0.01  # of the standard deviation of u
drawn = 0


def conductivity(x, y):
    return 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)


def exact(x, y):
    return sin(pi * x) * sin(pi * y)


def load(x, y):  # f = -a Δu - ∇a·∇u
    a = conductivity(x, y)
    slopes = (4 * x - 2) * cos(pi * x) * sin(pi * y) + (4 * y - 2) * sin(pi * x) * cos(pi * y)
    return 2 * pi**2 * a * exact(x, y) + pi * a**2 * slopes


def measured(count=2500):
    random = numpy.random.default_rng(drawn)
    x, y = random.uniform(0, 1, (2, count))
    u = exact(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    return Data(x=x, y=y, u=u + noise * u.std() * random.standard_normal(count))


def poisson(u, a, x, y):
    return div([a * slope for slope in grad(u)]) + load(x, y)


problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1)),
    equations=[poisson],
    conditions=[Dirichlet(u=0)],
    parameters=[Field("a", of=("x", "y"), initial=0.5, positive=True)],
    data=measured(),
    exact={"u": exact, "a": conductivity},
)

kan = Recipe(
    KAN(width=(4,), degree=7, grid=4),
    points=800,
    schedule="lm:40",
    fields={"a": KAN((2,), degree=3, grid=3)},
)
