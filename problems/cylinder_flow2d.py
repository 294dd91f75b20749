"""Steady flow around a cylinder in a channel, Re = 20: Schäfer and Turek 1996, case 2D-1.

Lengths in diameters, speeds in the mean inflow. Drag 5.57953523384, lift 0.010618948146, pressure
between front and back of the cylinder 2.93800417 (0.11752016697 in their units): Nabh 1998, John
and Matthies 2001, http://www.featflow.de.
"""

from kanpde import KAN, Box, Condition, Dirichlet, Disk, Problem, Recipe, d, laplacian

reynolds = 20
height = 4.1


def inflow(y):
    return 6 * y * (height - y) / height**2


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
    domain=Box(x=(0, 22), y=(0, height)) - Disk(x=2, y=2, radius=0.5, name="cylinder"),
    equations=[momentum_x, momentum_y, continuity],
    conditions=[
        Dirichlet(u=inflow, v=0, on="x-"),
        Dirichlet(u=0, v=0, on=("y-", "y+", "cylinder")),
        Condition(outflow, on="x+"),
    ],
)

kan = Recipe(
    KAN(width=(8, 8), degree=5, grid=5), points=3000, schedule="lm:120", lenses=True, crowding=0.5
)
