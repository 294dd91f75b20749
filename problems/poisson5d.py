"""Poisson's equation -Δu = f in five dimensions with u = Σ cos πxᵢ: Webb, Jerad and Cartis 2026.

arXiv:2607.02194.
"""

from math import pi

from torch import cos

from kanpde import KAN, Box, Dirichlet, Problem, Recipe, laplacian


def exact(a, b, c, e, f):
    return cos(pi * a) + cos(pi * b) + cos(pi * c) + cos(pi * e) + cos(pi * f)


def poisson(u, a, b, c, e, f):
    """-Δu = π² Σ cos πxᵢ."""
    return -laplacian(u) - pi**2 * exact(a, b, c, e, f)


problem = Problem(
    domain=Box(a=(0, 1), b=(0, 1), c=(0, 1), e=(0, 1), f=(0, 1)),
    equations=[poisson],
    conditions=[Dirichlet(u=exact)],
    exact={"u": exact},
)

kan = Recipe(KAN(width=(5,), degree=7, grid=4), points=1000, schedule="lm:40")
kan_record = Recipe(KAN(width=(5,), degree=7, grid=4), points=2000, schedule="lm:80")
