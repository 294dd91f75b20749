"""The Kuramoto-Sivashinsky equation u_t + α u u_x + β u_xx + γ u_xxxx = 0 on its way into chaos.

Parameters, start and span of Wang, Sankaran and Perdikaris 2024 (arXiv:2203.07404): α = 100/16, β =
100/16², γ = 100/16⁴.
"""

from math import pi

from torch import cos, sin

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d

alpha = 100 / 16
beta = 100 / 16**2
gamma = 100 / 16**4


def start(x):
    return cos(x) * (1 + sin(x))


def kuramoto_sivashinsky(u, x, t):
    """u_t + α u u_x + β u_xx + γ u_xxxx = 0."""
    return d(u, t) + alpha * u * d(u, x) + beta * d(u, x, x) + gamma * d(u, x, x, x, x)


problem = Problem(
    domain=Box(x=(0, 2 * pi)) * Time(t=(0, 1)),
    equations=[kuramoto_sivashinsky],
    conditions=[Periodic("x"), Initial(u=start)],
)

kan = Recipe(
    KAN(width=(8, 8), degree=7, grid=4), points=2000, schedule="lm:60,extend:8,lm:40", slabs=8
)
kan_record = Recipe(
    KAN(width=(8, 8), degree=7, grid=4), points=2500, schedule="lm:60,extend:8,lm:80", slabs=12
)
