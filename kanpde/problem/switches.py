"""Places of one coordinate at which equations or data switch, wherever the others are: a heater
that is turned on, a load that is taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.problem.kinks import kinks
from kanpde.problem.problem import Problem
from kanpde.residual.calculus import d
from kanpde.residual.jumps import Probe, breaks
from kanpde.residual.residual import Residual

LINES_OF_SWITCHES = 3
"""Lines along the coordinate that are looked at."""

SAME_SWITCH = 1e-9
"""Distance of two places that are one, over the length of the domain."""


def switches(problem: Problem, x: str) -> tuple[float, ...]:
    """Where equations jump along a coordinate, or the data of conditions jump or bend.

    Args:
        problem: On a box.
        x: The coordinate.

    Returns:
        The places inside the domain, increasing; what is not at the same place on every line is no
        such place.
    """
    domain, names = problem.domain, problem.coordinates
    axis, (low, high) = names.index(x), domain.bounds[x]
    generator = torch.Generator().manual_seed(0)
    unit = torch.rand(LINES_OF_SWITCHES, len(names), generator=generator, dtype=torch.float64)
    points, ends = domain.interior(unit), torch.tensor(list(domain.bounds.values())).double()
    places = []
    for equation in problem.equations:
        arguments = tuple(dict.fromkeys((*equation.arguments, x)))
        slope, name = _slope_of(equation, x), equation.name
        probe = Probe(slope, name, arguments, equation.unknowns, names, domain.space)
        try:
            found = breaks(probe, axis, points, ends, domain.inside)
        except ProblemError:
            continue  # not finite for values that no solution has: nothing is known of it
        places += [one.place for one in found or ()]
    for constraint in problem.constraints:
        bent = kinks(domain, constraint) or ()
        places += [kink.place for kink in bent if kink.coordinate == x]
    apart, inside = SAME_SWITCH * (high - low), list[float]()
    for place in sorted(places):
        if low + apart < place < high - apart and (not inside or place - inside[-1] > apart):
            inside.append(place)
    return tuple(inside)


def _slope_of(equation: Residual, x: str) -> Callable[..., tuple[Tensor, ...]]:
    """The slope of an equation along a coordinate, for which all of it is differentiated."""

    def slope(**given: Any) -> tuple[Tensor, ...]:
        found = equation.function(**{name: given[name] for name in equation.arguments})
        rows = found if isinstance(found, tuple | list) else (found,)
        return tuple(d(row, given[x]) for row in rows)

    return slope
