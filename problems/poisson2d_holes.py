"""Laplace's equation on a square with four holes: 1 outside, 0 on the holes.

A case of the benchmark PINNacle (Hao et al. 2023, arXiv:2306.08827), whose best network comes to a
relative error of 1.2e-2.
"""

from kanpde import KAN, Box, Dirichlet, Disk, Problem, Recipe, laplacian

half, radius = 0.5, 0.1


def laplace(u, x, y):
    return laplacian(u)


domain = Box(x=(-half, half), y=(-half, half))
for k, (x, y) in enumerate([(0.3, 0.3), (-0.3, 0.3), (-0.3, -0.3), (0.3, -0.3)]):
    domain = domain - Disk(x=x, y=y, radius=radius, name=f"hole{k + 1}")

problem = Problem(
    domain=domain,
    equations=[laplace],
    conditions=[
        Dirichlet(u=1, on=("x-", "x+", "y-", "y+")),
        Dirichlet(u=0, on=("hole1", "hole2", "hole3", "hole4")),
    ],
)

kan = Recipe(KAN(width=(8, 8), degree=7, grid=3), points=2000, schedule="lm:60,extend:6,lm:60")
