"""The Klein-Gordon equation u_tt = u_xx - u³ + f with a cubic force (Wang, Teng and Perdikaris
2021)."""

from math import pi

from torch import cos

from kanpde import KAN, Box, Dirichlet, Initial, Problem, Recipe, Time, d

omega = 5


def exact(x, t):
    return x * cos(omega * pi * t) + (x * t) ** 3


def force(x, t):
    return (
        -((omega * pi) ** 2) * x * cos(omega * pi * t)
        + 6 * x**3 * t
        - 6 * x * t**3
        + exact(x, t) ** 3
    )


def klein_gordon(u, x, t):
    """u_tt - u_xx + u³ = f."""
    return d(u, t, t) - d(u, x, x) + u**3 - force(x, t)


problem = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[klein_gordon],
    conditions=[Dirichlet(u=exact), Initial(u=lambda x: x, u_t=0)],
    exact={"u": exact},
)

kan = Recipe(
    KAN(width=(6,), degree=7, grid=6), points=1600, schedule="lm:80,extend:12,lm:80,extend:24,lm:80"
)
kan_record = Recipe(
    KAN(width=(6,), degree=7, grid=6),
    points=2000,
    schedule="lm:80,extend:12,lm:80,extend:24,lm:200",
)
