"""Vortices in a wind, u_t + λ₁ (u·∇)u + ∇p = λ₂ Δu: λ₁ and λ₂ from noisy velocities, after Raissi
et al. 2019."""

from math import pi

import numpy
import torch
from torch import cos, exp, sin

from kanpde import KAN, Box, Data, Dirichlet, Parameter, Problem, Recipe, Time, d, laplacian

nu, wind = 0.05, (0.6, 0.3)
noise = 0.01  # of the standard deviation of each velocity
drawn = 0  # which of many sets of data


def vortex(x, y, t, power):
    """Taylor and Green's vortices carried along by the wind: where they are, and how far they have
    decayed."""
    return pi * (x - wind[0] * t), pi * (y - wind[1] * t), exp(-2 * power * pi**2 * nu * t)


def velocity(x, y, t):
    a, b, decay = vortex(x, y, t, 1)
    return wind[0] + sin(a) * cos(b) * decay, wind[1] - cos(a) * sin(b) * decay


def pressure(x, y, t):
    a, b, decay = vortex(x, y, t, 2)
    return (cos(2 * a) + cos(2 * b)) / 4 * decay


def measured(count=2000):
    random = numpy.random.default_rng(drawn)
    x, y, t = random.uniform(0, 1, (3, count))
    u, v = (
        w.numpy() + noise * float(w.std()) * random.standard_normal(count)
        for w in velocity(*map(torch.from_numpy, (x, y, t)))
    )
    return Data(x=x, y=y, t=t, u=u, v=v)


def navier_stokes(u, v, p, λ1, λ2, x, y, t):
    along_x = d(u, t) + λ1 * (u * d(u, x) + v * d(u, y)) + d(p, x) - λ2 * laplacian(u)
    along_y = d(v, t) + λ1 * (u * d(v, x) + v * d(v, y)) + d(p, y) - λ2 * laplacian(v)
    return along_x, along_y, d(u, x) + d(v, y)


known = {
    "u": lambda x, y, t: velocity(x, y, t)[0],
    "v": lambda x, y, t: velocity(x, y, t)[1],
    "p": pressure,
    "λ1": 1.0,
    "λ2": nu,
}
numbers = [Parameter("λ1", initial=0.5), Parameter("λ2", initial=0.2, positive=True)]
problem = Problem(
    Box(x=(0, 1), y=(0, 1)) * Time(t=(0, 1)),
    [navier_stokes],
    [Dirichlet(p=pressure, on="x-")],
    exact=known,
    parameters=numbers,
    data=measured(),
)

kan = Recipe(
    KAN(width=(8,), degree=7, grid=4), points=3000, schedule="lm:80,extend:8,lm:80", data=10
)
