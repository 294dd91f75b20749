"""Fredholm's integral equation u(x) - λ ∫ cos(x - s) u(s) ds = sin x of the second kind, 0 to π.

Of the kernel sin is an eigenfunction with the value π / 2, so that u = sin x / (1 - λ π / 2).
"""

from math import pi

from torch import cos, sin

from kanpde import Box, Problem, integral

strength = 0.25


def exact(x):
    return sin(x) / (1 - strength * pi / 2)


def fredholm(u, x):
    """The unknown is at the point and, as u(s), under the integral."""
    return u - strength * integral(lambda s: cos(x - s) * u(s), s=(0, pi)) - sin(x)


problem = Problem(domain=Box(x=(0, pi)), equations=[fredholm], exact={"u": exact})
