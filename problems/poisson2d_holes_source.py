"""A source on a square with four holes of different sizes: −Δu + 64u = f, 0.2 outside, 1 on the
holes.

A case of the benchmark PINNacle (Hao et al. 2023, arXiv:2306.08827, there Poisson-Boltzmann), whose
best network comes to a relative error of 1.4e-2.
"""

from math import pi

from torch import sin

from kanpde import KAN, Box, Dirichlet, Disk, Problem, Recipe, laplacian

screening = 8


def source(x, y):
    return 10 * (17 + x**2 + y**2) * sin(pi * x) * sin(4 * pi * y)


def screened(u, x, y):
    return -laplacian(u) + screening**2 * u - source(x, y)


domain = Box(x=(-1, 1), y=(-1, 1))
for k, (x, y, radius) in enumerate(
    [(0.5, 0.5, 0.2), (0.4, -0.4, 0.4), (-0.2, -0.7, 0.1), (-0.6, 0.5, 0.3)]
):
    domain = domain - Disk(x=x, y=y, radius=radius, name=f"hole{k + 1}")

problem = Problem(
    domain=domain,
    equations=[screened],
    conditions=[
        Dirichlet(u=0.2, on=("x-", "x+", "y-", "y+")),
        Dirichlet(u=1, on=("hole1", "hole2", "hole3", "hole4")),
    ],
)

kan = Recipe(KAN(width=(10, 10), degree=7, grid=5), points=5000, schedule="lm:80,extend:8,lm:80")
