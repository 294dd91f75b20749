"""Flow in a square cavity under a lid that moves with 4x(1-x), Re = 100: the Navier-Stokes
equations.

The lid's speed vanishes in the corners, so that the data are continuous (PINNacle: Hao et al. 2023,
arXiv:2306.08827). Only the pressure's gradient matters; it is pinned where the fluid is at rest, in
the corner at the origin.
"""

from kanpde import KAN, Box, Dirichlet, Problem, Recipe, d, laplacian

reynolds = 100


def lid(x):
    return 4 * x * (1 - x)


def momentum_x(u, v, p, x, y):
    return u * d(u, x) + v * d(u, y) + d(p, x) - laplacian(u) / reynolds


def momentum_y(u, v, p, x, y):
    return u * d(v, x) + v * d(v, y) + d(p, y) - laplacian(v) / reynolds


def continuity(u, v, x, y):
    """The fluid is incompressible."""
    return d(u, x) + d(v, y)


problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1)),
    equations=[momentum_x, momentum_y, continuity],
    conditions=[
        Dirichlet(u=0, v=0, on=("x-", "x+", "y-")),
        Dirichlet(u=lid, v=0, on="y+"),
        Dirichlet(p=0, on="y-", where=lambda x: x < 0.01),
    ],
)

recipe = Recipe(KAN(width=(8, 8), degree=7, grid=4), points=1500, schedule="lm:60,extend:7,lm:40")
record = Recipe(KAN(width=(8, 8), degree=7, grid=4), points=2000, schedule="lm:80,extend:8,lm:120")
