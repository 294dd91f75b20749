"""Laplace's equation on a ring, with an exact solution that varies around it.

The inner circle is at 1, the outer one at 2; on the inner one the value is given, on the outer one
the normal derivative.
"""

from torch import atan2, cos, log

from kanpde import Dirichlet, Disk, Neumann, Problem, laplacian


def exact(x, y):
    """log r + r³ cos 3θ."""
    return log(x**2 + y**2) / 2 + x**3 - 3 * x * y**2


def rim(x, y):
    """The same at r = 1."""
    return cos(3 * atan2(y, x))


def outflow(x, y):
    """Its derivative by r at r = 2."""
    return 1 / 2 + 12 * cos(3 * atan2(y, x))


def laplace(u, x, y):
    return laplacian(u)


problem = Problem(
    domain=Disk(x=0, y=0, radius=2, name="outer") - Disk(x=0, y=0, radius=1, name="inner"),
    equations=[laplace],
    conditions=[Dirichlet(u=rim, on="inner"), Neumann(u=outflow, on="outer")],
    exact={"u": exact},
)
