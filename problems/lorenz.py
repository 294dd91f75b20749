"""Lorenz's convection x' = σ(y - x), y' = x(ρ - z) - y, z' = xy - βz, to t = 2: chaos.

Lorenz 1963, with σ = 10, ρ = 28 and β = 8/3. Whatever is off by ε at the start is off by about
e^(0.9 t) ε later on.
"""

from kanpde import Initial, Problem, Time, d

sigma = 10
rho = 28
beta = 8 / 3


def convection(x, y, z, t):
    """The three rates."""
    return (
        d(x, t) - sigma * (y - x),
        d(y, t) - x * (rho - z) + y,
        d(z, t) - x * y + beta * z,
    )


problem = Problem(
    domain=Time(t=(0, 2)),
    equations=[convection],
    conditions=[Initial(x=1, y=1, z=1)],
)
