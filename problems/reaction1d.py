"""Fisher's reaction u_t = ρ u (1 - u) alone, ρ = 5: a Gaussian grows into a plateau (Krishnapriyan
et al. 2021)."""

from math import pi

from torch import exp

from kanpde import KAN, Box, Initial, Problem, Recipe, Time, d

rho = 5


def start(x):
    return exp(-8 * (x / pi - 1) ** 2)


def exact(x, t):
    grown = start(x) * exp(rho * t)
    return grown / (grown + 1 - start(x))


def reaction(u, x, t):
    """u_t = ρ u (1 - u)."""
    return d(u, t) - rho * u * (1 - u)


problem = Problem(
    domain=Box(x=(0, 2 * pi)) * Time(t=(0, 1)),
    equations=[reaction],
    conditions=[Initial(u=start)],
    exact={"u": exact},
)

kan = Recipe(KAN(width=(6, 6), degree=7, grid=4), points=1600, schedule="lm:150,extend:12,lm:150")
kan_record = Recipe(
    KAN(width=(6, 6), degree=7, grid=4), points=2500, schedule="lm:150,extend:12,lm:250"
)
