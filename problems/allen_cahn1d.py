"""The Allen-Cahn equation u_t = D u_xx + 5 (u - u³) on a ring, D = 1e-4 (Raissi, Perdikaris and
Karniadakis 2019).

The literature's start x² cos πx has a kink where the ring closes: its slope jumps from -2 to 2 at x
= ±1. Diffusion rounds it off over √(Dt), a layer that no smooth network and no high order of
differences sees well; for digits beyond 1e-4 take `allen_cahn1d_smooth`.
"""

from math import pi

from torch import cos

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d

diffusion = 1e-4
rate = 5


def start(x):
    return x**2 * cos(pi * x)


def allen_cahn(u, x, t):
    """u_t = D u_xx + 5 (u - u³)."""
    return d(u, t) - diffusion * d(u, x, x) - rate * (u - u**3)


problem = Problem(
    domain=Box(x=(-1, 1)) * Time(t=(0, 1)),
    equations=[allen_cahn],
    conditions=[Periodic("x"), Initial(u=start)],
)

kan = Recipe(KAN(width=(6, 6), degree=5, grid=5), points=3000, schedule="lm:100,extend:10,lm:150")
