"""Heat that leaves a disk through its cold rim: u_t = Δu with u = J₀(jr) exp(-j²t).

j is the first zero of the Bessel function J₀, which is written as its power series.
"""

from math import factorial

from torch import exp

from kanpde import Dirichlet, Disk, Initial, Problem, Time, d, laplacian

j = 2.404825557695773


def bessel(squared):
    """J₀ at the root of its argument, to rounding up to 3²."""
    return sum((-squared / 4) ** k / float(factorial(k)) ** 2 for k in range(16))


def start(x, y):
    return bessel(j**2 * (x**2 + y**2))


def exact(x, y, t):
    return start(x, y) * exp(-(j**2) * t)


def heat(u, x, y, t):
    return d(u, t) - laplacian(u)


problem = Problem(
    domain=Disk(x=0, y=0, radius=1) * Time(t=(0, 0.5)),
    equations=[heat],
    conditions=[Dirichlet(u=0), Initial(u=start)],
    exact={"u": exact},
)
