"""Van der Pol's oscillator y'' = μ(1 - y²) y' - y with μ = 1000, over one period: rests and jumps.

Its period is about (3 - 2 ln 2) μ, in which it creeps along for all but some 1/μ twice (Hairer and
Wanner 1996, section IV.1). A stiff equation: products of splines take spans of time from 1e-3 to
250.
"""

from kanpde import Initial, Problem, Time, d

mu = 1000
end = 1615


def oscillator(y, t):
    """y'' = μ(1 - y²) y' - y."""
    return d(y, t, t) - mu * (1 - y**2) * d(y, t) + y


problem = Problem(
    domain=Time(t=(0, end)),
    equations=[oscillator],
    conditions=[Initial(y=2, y_t=0)],
)
