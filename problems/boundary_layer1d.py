"""Steady convection and diffusion u' = ε u'' + 1 with ε = 1e-3: a boundary layer at x = 1 (Prandtl
1905)."""

from torch import exp

from kanpde import KAN, Box, Dirichlet, Problem, Recipe, d

epsilon = 1e-3


def exact(x):
    layer = exp((x - 1) / epsilon)
    end = exp(-1 / (epsilon + 0 * x))
    return x - (layer - end) / (1 - end)


def convection_diffusion(u, x):
    """u' = ε u'' + 1."""
    return d(u, x) - epsilon * d(u, x, x) - 1


problem = Problem(
    domain=Box(x=(0, 1)),
    equations=[convection_diffusion],
    conditions=[Dirichlet(u=0)],
    exact={"u": exact},
)

kan = Recipe(
    KAN(width=(4,), degree=7, grid=8),
    points=800,
    schedule="lm:40,extend:24,lm:60,extend:48,lm:60",
    continuation={"epsilon": (0.3, 0.1, 0.03, 0.01, 0.003)},
)
