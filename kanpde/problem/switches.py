"""Places of one coordinate at which equations or data switch: a heater that is turned on, a load
that is taken away, the edge of a heated part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from kanpde.errors import ProblemError
from kanpde.geometry import Face
from kanpde.problem.formulation import Formulation
from kanpde.problem.interpolated import tables_asked
from kanpde.problem.kinks import kinks
from kanpde.residual.calculus import d
from kanpde.residual.jumps import breaks
from kanpde.residual.probe import Probe
from kanpde.residual.residual import Residual

LINES_OF_SWITCHES = 3
"""Lines along the coordinate that are looked at."""

LINES_ACROSS_CREASES = 24
"""Lines along the coordinate: parts of the domain where none of them passes are not seen."""

SAME_SWITCH = 1e-9
"""Distance of two places that are one, over the length of the domain."""


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()
"""What was found for problems that are still there, by coordinate: every grid of a reference asks
again."""


def switches(problem: Formulation, x: str) -> tuple[float, ...]:
    """Where equations jump along a coordinate, or the data of conditions jump or bend.

    Args:
        problem: On a box.
        x: The coordinate.

    Returns:
        The places inside the domain, increasing; what is not at the same place on every line is no
        such place. The nodes of tables that depend on the coordinate linearly are among them.
    """
    found = _known.setdefault(problem, {})
    if x not in found:
        found[x] = _switches(problem, x)
    return found[x]


def _switches(problem: Formulation, x: str) -> tuple[float, ...]:
    domain = problem.domain
    places = _jumps(problem, problem.equations, x, LINES_OF_SWITCHES)
    for constraint in problem.constraints:
        face = domain.faces[constraint.face]
        if constraint.prescribed:
            bent = kinks(domain, constraint) or ()
            places += [kink.place for kink in bent if kink.coordinate == x]
        elif face.coordinate and face.coordinate != x:
            places += _jumps(problem, [constraint.residual], x, LINES_OF_SWITCHES, None, face)
    return _inside(problem, x, [*places, *_of_tables(problem, x)])


def creases(problem: Formulation, x: str) -> tuple[float, ...]:
    """Where equations jump along a coordinate for a range of the other ones: there the highest
    derivatives of solutions jump.

    Args:
        problem: On a box.
        x: The coordinate.

    Returns:
        The places inside the domain, increasing. Edges that are curved or oblique have none.
    """
    return _inside(problem, x, _jumps(problem, problem.equations, x, LINES_ACROSS_CREASES, 2))


def _jumps(
    problem: Formulation,
    residuals: Sequence[Residual],
    x: str,
    lines: int,
    least: int | None = None,
    face: Face | None = None,
) -> list[float]:
    """Where residuals jump along a coordinate on at least some lines, or on all; face: a flat one
    that these lines are on."""
    domain, names = problem.domain, problem.coordinates
    axis, generator = names.index(x), torch.Generator().manual_seed(0)
    unit = torch.rand(lines, len(names), generator=generator, dtype=torch.float64)
    points, ends = domain.interior(unit), torch.tensor(list(domain.bounds.values())).double()
    normal = None
    if face is not None and face.coordinate:
        points[:, names.index(face.coordinate)] = domain.bounds[face.coordinate][face.side > 0]
        normal = {name: float(face.side * (name == face.coordinate)) for name in domain.space}
    places = list[float]()
    for equation in residuals:
        arguments = tuple(dict.fromkeys((*equation.arguments, x)))
        slope, name = _slope_of(equation, x), equation.name
        unknowns, extent = equation.unknowns, equation.extent
        probe = Probe(slope, name, arguments, unknowns, names, domain.space, normal, extent)
        try:
            found = breaks(probe, axis, points, ends, domain.inside, least)
        except ProblemError:
            continue  # not finite for values that no solution has: nothing is known of it
        places += [one.place for one in found or ()]
    return places


def _of_tables(problem: Formulation, x: str) -> list[float]:
    """The nodes of tables that equations and data ask for what is linear in a coordinate."""
    domain = problem.domain
    low, high = domain.bounds[x]
    at = {y: torch.full((3,), sum(ends) / 2).double() for y, ends in domain.bounds.items()}
    at[x] = torch.tensor([low, (low + high) / 2, high], dtype=torch.float64)
    residuals = [*problem.equations, *(c.residual for c in problem.constraints)]
    with tables_asked() as asked:
        for residual in residuals:
            leaves = torch.full((3, len(residual.needs)), 0.5, dtype=torch.float64)
            with suppress(ProblemError):  # not finite there: nothing is known of it
                residual.near(at, leaves, {y: torch.ones(3).double() for y in domain.space}, False)
        for constraint in problem.constraints:
            if constraint.prescribed:
                with suppress(ProblemError):
                    constraint.prescribed.data(at)
    places = list[float]()
    for table, points in asked:
        for i, values in enumerate(points.unbind(1)):
            begin, middle, end = values.tolist()
            rate = (end - begin) / (high - low)
            if rate and abs(middle - (begin + end) / 2) <= SAME_SWITCH * abs(end - begin):
                nodes = table.nodes_between(i, *sorted((begin, end)))
                places += (low + (nodes - begin) / rate).tolist()
    return places


def _inside(problem: Formulation, x: str, places: Sequence[float]) -> tuple[float, ...]:
    """Places in order, each once, and none at the ends of the domain."""
    low, high = problem.domain.bounds[x]
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
