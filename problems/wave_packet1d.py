"""Schrödinger equation i ψ_t = -ψ_xx/2 + x² ψ/2 of a wave packet that swings in a harmonic well.

Schrödinger's coherent state (Naturwissenschaften 14, 1926, 664-666): a Gaussian that keeps its
shape, about a centre that moves as a classical particle does. It is written as one complex unknown,
and solved as two real ones.
"""

from math import pi

from torch import cos, exp, sin

from kanpde import Box, Complex, Dirichlet, Initial, Problem, Time, d

displacement = 1


def exact(x, t):
    phase = t / 2 + displacement * x * sin(t) - displacement**2 * sin(2 * t) / 4
    return pi**-0.25 * exp(-((x - displacement * cos(t)) ** 2) / 2 - 1j * phase)


def start(x):
    return pi**-0.25 * exp(-((x - displacement) ** 2) / 2 + 0j * x)


def particle(psi, x, t):
    """Of mass and frequency one, with Planck's constant one."""
    return 1j * d(psi, t) + d(psi, x, x) / 2 - x**2 / 2 * psi


problem = Problem(
    domain=Box(x=(-9, 9)) * Time(t=(0, 2)),
    equations=[particle],
    conditions=[Dirichlet(psi=0), Initial(psi=start)],
    unknowns=[Complex("psi")],
    exact={"psi": exact},
)
