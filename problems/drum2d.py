"""A square drum, Δu + λ u = 0 with its rim held: the first three tones, of which two are equal.

The eigenvalues are π² (m² + n²). `solve` finds them with their functions: nothing of the sizes and
signs of these is given, and the second and third may be mixed.
"""

import torch

from kanpde import Box, Dirichlet, Eigenvalue, Problem, laplacian

pi = torch.pi


def drum(u, x, y, lam):
    """Δu + λ u = 0."""
    return laplacian(u) + lam * u


def tone(m, n):
    """The function of m and n arches."""
    return lambda x, y: torch.sin(m * pi * x) * torch.sin(n * pi * y)


problem = Problem(
    domain=Box(x=(0, 1), y=(0, 1)),
    equations=[drum],
    conditions=[Dirichlet(u=0)],
    parameters=[Eigenvalue("lam", which=(1, 2, 3))],
    exact={
        "u_1": tone(1, 1),
        "u_2": tone(1, 2),
        "u_3": tone(2, 1),
        "lam_1": 2 * pi**2,
        "lam_2": 5 * pi**2,
        "lam_3": 5 * pi**2,
    },
)
