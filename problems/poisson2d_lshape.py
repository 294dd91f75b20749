"""Poisson's equation on an L-shaped region: Δu + 1 = 0, u = 0 on the boundary.

In the re-entrant corner the solution is like r^(2/3) sin 2θ/3, whose gradient is infinite (Grisvard
1985).
"""

from kanpde import Box, Dirichlet, Problem, laplacian


def poisson(u, x, y):
    return laplacian(u) + 1


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)) - Box(x=(0, 1), y=(-1, 0)),
    equations=[poisson],
    conditions=[Dirichlet(u=0)],
)
