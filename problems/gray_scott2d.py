"""The Gray-Scott equations on a doubly periodic square: a spot of v feeds on u and begins to open
into a ring.

Parameters of Pearson's rolls (Science 261, 1993) as Wang, Li, Chen and Perdikaris 2024
(arXiv:2402.00326) have them, to t = 20 where they run to 2000, and their Gaussians made periodic:
exp(-10 s²) becomes exp(20 (cos πs - 1) / π²).
"""

from math import pi

from torch import cos, exp

from kanpde import KAN, Box, Initial, Periodic, Problem, Recipe, Time, d, laplacian

spread_u = 2e-4
spread_v = 1e-4
feed = 0.04
decay = 0.1


def spot(x, y):
    return exp(20 / pi**2 * (cos(pi * x) + cos(pi * y) - 2))


def gray_scott(u, v, x, y, t):
    """u_t = ε Δu + b (1 - u) - u v², then v_t = δ Δv - d v + u v²."""
    reaction = u * v**2
    return (
        d(u, t) - spread_u * laplacian(u) - feed * (1 - u) + reaction,
        d(v, t) - spread_v * laplacian(v) + decay * v - reaction,
    )


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)) * Time(t=(0, 20)),
    equations=[gray_scott],
    conditions=[
        Periodic("x", "y"),
        Initial(
            u=lambda x, y: 1 - spot(x + 0.05, y + 0.02), v=lambda x, y: spot(x - 0.05, y - 0.02)
        ),
    ],
)

recipe = Recipe(KAN(width=(8, 8), degree=7, grid=4), points=3000, schedule="lm:60,extend:7,lm:40")
