"""Heat in the ball of five dimensions, with its flux given: Hao et al. 2023, "PINNacle".

arXiv:2306.08827, where the best of the methods compared has an error of 1.2e-4.
"""

from torch import exp

from kanpde import Ball, Initial, Neumann, Problem, Time, Vector, d, laplacian

size = 5


def square(x):
    return (x**2).sum(-1)


def exact(x, t):
    return exp(square(x) / 2 + t)


def heat(u, x, t):
    """u_t = Δu / size + f, with f chosen so that `exact` solves it."""
    return d(u, t) - laplacian(u) / size + square(x) / size * exact(x, t)


problem = Problem(
    domain=Ball(x=Vector(size), radius=1) * Time(t=(0, 1)),
    equations=[heat],
    conditions=[Neumann(u=exact), Initial(u=lambda x: exp(square(x) / 2))],
    exact={"u": exact},
)
