"""Heat equation u_t = κ u_xx + β ū of a rod whose source follows its mean temperature ū.

Its ends are insulated. The mean grows like exp(β t) and the wave on it decays, as if there were no
source: u = exp(β t) + exp(-κ π² t) cos πx.
"""

from math import pi

from torch import cos, exp

from kanpde import Box, Initial, Neumann, Problem, Time, d, mean

kappa = 0.2
beta = 1


def start(x):
    return 1 + cos(pi * x)


def exact(x, t):
    return exp(beta * t) + exp(-kappa * pi**2 * t) * cos(pi * x)


def heat(u, x, t):
    """Conduction, and a source that is the same everywhere."""
    return d(u, t) - kappa * d(u, x, x) - beta * mean(u)


problem = Problem(
    domain=Box(x=(0, 1)) * Time(t=(0, 1)),
    equations=[heat],
    conditions=[Neumann(u=0), Initial(u=start)],
    exact={"u": exact},
)
