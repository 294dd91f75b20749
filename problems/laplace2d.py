"""Laplace's equation on the square: the harmonic polynomial Re (x + i y)⁴."""

from kanpde import Box, Dirichlet, Problem, laplacian


def exact(x, y):
    return x**4 - 6 * x**2 * y**2 + y**4


def laplace(u):
    """Δu = 0."""
    return laplacian(u)


problem = Problem(
    domain=Box(x=(-1, 1), y=(-1, 1)),
    equations=[laplace],
    conditions=[Dirichlet(u=exact)],
    exact={"u": exact},
)
