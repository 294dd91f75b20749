"""Fisher's equation u_t = ν u_xx + ρ u (1 - u) on a ring, ν = 3, ρ = 5 (Krishnapriyan et al. 2021).

arXiv:2109.01050. Their Gaussian of width π/4 has a kink of 0.003 where the ring closes; here the
Gaussians of the neighbouring periods are added, which differ from it by 0.0003 at most and make the
start smooth.
"""

from math import pi

from torch import exp

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d

nu = 3
rho = 5


def start(x):
    return sum(exp(-8 * (x / pi - 1 + 2 * period) ** 2) for period in (-2, -1, 0, 1, 2))


def reaction_diffusion(u, x, t):
    """u_t = ν u_xx + ρ u (1 - u)."""
    return d(u, t) - nu * d(u, x, x) - rho * u * (1 - u)


problem = Problem(
    domain=Box(x=(0, 2 * pi)) * Time(t=(0, 1)),
    equations=[reaction_diffusion],
    conditions=[Periodic("x"), Initial(u=start)],
)

kan = Recipe(
    KAN(width=(6, 6), degree=7, grid=3), points=2000, schedule="lm:100,extend:6,lm:120", restarts=3
)
