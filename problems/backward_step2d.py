"""Flow over a backward-facing step, Re = 100: the steady Navier-Stokes equations.

A case of the benchmark PINNacle (Hao et al. 2023, arXiv:2306.08827); the corner of the step is
re-entrant.
"""

from kanpde import KAN, Condition, Dirichlet, Polygon, Problem, Recipe, d, laplacian

reynolds = 100


def inflow(y):
    return 4 * y * (1 - y)


def momentum_x(u, v, p, x, y):
    return u * d(u, x) + v * d(u, y) + d(p, x) - laplacian(u) / reynolds


def momentum_y(u, v, p, x, y):
    return u * d(v, x) + v * d(v, y) + d(p, y) - laplacian(v) / reynolds


def continuity(u, v, x, y):
    """The fluid is incompressible."""
    return d(u, x) + d(v, y)


def outflow(u, v, p, x):
    """Nothing holds the fluid back where the channel ends."""
    return d(u, x) / reynolds - p, d(v, x) / reynolds


problem = Problem(
    domain=Polygon(
        x=[0, 4, 4, 2, 2, 0],
        y=[0, 0, 2, 2, 1, 1],
        names=["bottom", "outflow", "top", "step", "roof", "inflow"],
    ),
    equations=[momentum_x, momentum_y, continuity],
    conditions=[
        Dirichlet(u=inflow, v=0, on="inflow"),
        Dirichlet(u=0, v=0, on=("bottom", "top", "step", "roof")),
        Condition(outflow, on="outflow"),
    ],
)

kan = Recipe(KAN(width=(10, 10), degree=7, grid=4), points=3000, schedule="lm:100")
