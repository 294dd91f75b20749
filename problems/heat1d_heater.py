"""Heat equation ρ c T_t = k T_xx + p sin πx/L of a heater whose power p the mean in the end tells.

Steel in SI units, whose ends are kept at 293 K. With w = k π²/(ρ c L²) the solution is
T = 293 + p L²/(k π²) (1 - exp(-w t)) sin πx/L, and the mean of a half wave is 2/π.
"""

import math
from math import pi

from torch import exp, sin

from kanpde import Box, Condition, Dirichlet, Initial, Parameter, Problem, Time, d, integral

length = 0.5
conductivity = 40.0
capacity = 3.6e6  # ρ c, in J/m³K
cold = 293.0
warm = 350.0  # mean at the end
end = 3600.0

rate = conductivity * pi**2 / (capacity * length**2)
swing = (warm - cold) * pi / 2  # of the middle, at the end
power = swing * conductivity * (pi / length) ** 2 / (1 - math.exp(-rate * end))


def exact(x, t):
    """The wave of the heater rises towards its steady state."""
    risen = (1 - exp(-rate * t)) / (1 - math.exp(-rate * end))
    return cold + swing * risen * sin(pi * x / length)


def heat(T, p, x, t):
    """Conduction, and the heater."""
    return capacity * d(T, t) - conductivity * d(T, x, x) - p * sin(pi * x / length)


def warmed(T):
    """The mean at the end, which determines p."""
    return integral(lambda s: T(x=s, t=end), s=(0, length)) / length - warm


problem = Problem(
    domain=Box(x=(0, length)) * Time(t=(0, end)),
    equations=[heat],
    conditions=[Dirichlet(T=cold), Initial(T=cold), Condition(warmed)],
    parameters=[Parameter("p", initial=1e4)],
    exact={"T": exact, "p": power},
)
