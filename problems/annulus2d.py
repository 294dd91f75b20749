"""Laplace's equation on a ring, with an exact solution that varies around it.

The inner circle is at 1, the outer one at 2; on the inner one the value is given, on the outer one the normal derivative.
"""

from torch import atan2, cos, log

from kanpde import Dirichlet, Disk, Neumann, Problem, laplacian


def exact(x, y):
    """log r + r³ cos 3θ."""
    return log(x**2 + y**2) / 2 + x**3 - 3 * x * y**2


def inner(x, y):
    return cos(3 * atan2(y, x))


def outward(x, y):
    """1/r + 3 r² cos 3θ at r = 2."""
    return 0.5 + 12 * cos(3 * atan2(y, x))


def laplace(u, x, y):
    return laplacian(u)


problem = Problem(
    domain=Disk(x=0, y=0, radius=2, name="outer") - Disk(x=0, y=0, radius=1, name="inner"),
    equations=[laplace],
    conditions=[Dirichlet(u=exact, on="inner"), Neumann(u=outward, on="outer")],
    exact={"u": exact},
)
