"""The Allen-Cahn equation u_t = D u_xx + 5 (u - u³), D = 1e-4, from a start that is smooth on the
ring.

The start of `allen_cahn1d` with sin²(πx/2) in place of x²: the same values and zero slope at x = 0,
the same extremes at x = ±1 and the same zeros, so that the same fronts form; and every derivative
is continuous where the ring closes.
"""

from math import pi

from torch import cos, sin

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d

diffusion = 1e-4
rate = 5


def start(x):
    return sin(pi * x / 2) ** 2 * cos(pi * x)


def allen_cahn(u, x, t):
    """u_t = D u_xx + 5 (u - u³)."""
    return d(u, t) - diffusion * d(u, x, x) - rate * (u - u**3)


problem = Problem(
    domain=Box(x=(-1, 1)) * Time(t=(0, 1)),
    equations=[allen_cahn],
    conditions=[Periodic("x"), Initial(u=start)],
)

kan = Recipe(KAN(width=(6, 6), degree=5, grid=5), points=3000, schedule="lm:100,extend:10,lm:150")
kan_record = Recipe(
    KAN(width=(6, 6), degree=5, grid=5), points=2000, schedule="lm:80,extend:10,lm:80", slabs=5
)
