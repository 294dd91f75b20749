"""Problems that end earlier."""

from kanpde.geometry import Time
from kanpde.problem.problem import Problem


def stopped(problem, end):
    """The problem up to a time."""
    if end is None:
        return problem
    time = Time(**{problem.domain.time: (problem.domain.bounds[problem.domain.time][0], end)})
    return Problem(
        problem.domain.region * time,
        [e.function for e in problem.equations],
        problem.conditions,
        unknowns=problem.unknowns,
    )
