"""What is legal in a problem, but probably not what was meant: conditions that are missing, or that
contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kanpde.errors import listed
from kanpde.geometry import Pieces, SpaceTime
from kanpde.problem.backwards import backwards
from kanpde.problem.constraints import Constraint
from kanpde.problem.corners import contradictions
from kanpde.problem.degenerate import degenerates
from kanpde.problem.determined import surplus
from kanpde.problem.initial import is_line_of_time
from kanpde.problem.wellposedness import (
    along,
    boundary_faces,
    counted,
    counts_differ,
    directions,
    equations_of,
    space_order,
)

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem


def suspicions(problem: Problem) -> Iterator[str]:
    """A line for everything that a problem should be warned of."""
    if equations_of(problem) > len(problem.copies):
        yield counts_differ(problem)
    # Data may say what conditions would.
    if not problem.data:
        yield from missing(problem)
    yield from contradictions(problem)
    yield from backwards(problem)


def missing(problem: Problem) -> Iterator[str]:
    """Where an equation is of an order for which too few conditions are given."""
    unseen = not problem.data and not problem.domain.is_box and problem.pencil is None
    if problem.parameters and unseen and not surplus(problem):
        yield (
            f"parameter {problem.parameters[0].name!r} is unknown, but there are no data to find it"
            " from; add data=[Data(…)]"
        )
    if not problem.domain.is_box:
        yield from _missing_on_faces(problem)
    for x in directions(problem):
        if x in problem.periodic:
            continue
        if isinstance(problem.domain, SpaceTime) and x == problem.domain.time:
            yield from _missing_initial(problem, along(problem, x))
        elif is_line_of_time(problem.domain):
            yield from _missing_in_time(problem, x, along(problem, x))
        else:
            yield from _missing_at_ends(problem, x, along(problem, x))


def _missing_on_faces(problem: Problem) -> Iterator[str]:
    """The faces of a domain that is no box that have too few conditions."""
    faces = boundary_faces(problem)
    given = {face: [c for c in problem.constraints if c.face == face] for face in faces}
    enough = all(
        2 * sum(c.residual.equations for c in found)
        >= sum(space_order(problem, u) for u in problem.at(face))
        for face, found in given.items()
    )
    if enough:
        return
    contacts = set(problem.domain.contacts) if isinstance(problem.domain, Pieces) else set()
    for unknown in problem.copies:
        order = space_order(problem, unknown)
        here = [face for face in faces if unknown in problem.at(face)]
        counts = {face: _count(given[face], unknown) for face in here}
        whole = {face: _count([c for c in given[face] if not c.where], unknown) for face in here}
        missed = [face for face in here if _too_few(problem, unknown, face, counts, whole)]
        for count in sorted({counts[face] for face in missed}):
            have = f"only {counted(count, 'condition')} is" if count else "no condition is"
            short = [face for face in missed if counts[face] == count]
            kinds = "Interface" if set(short) <= contacts else "Dirichlet, Neumann or Robin"
            yield (
                f"unknown {unknown!r} is of order {order} in space, but {have} given on"
                f" {listed(short)}; add {kinds}"
            )


def _too_few(
    problem: Problem, unknown: str, face: str, counts: Mapping[str, int], whole: Mapping[str, int]
) -> bool:
    """Whether a face has fewer conditions about an unknown than half of its order.

    Faces at the two ends of a coordinate may share them otherwise, as the start and the end of a
    time do, where they hold on whole faces.
    """
    faces = problem.domain.faces
    x = faces[face].coordinate
    if x is None:
        return counts[face] < space_order(problem, unknown) // 2
    order = problem.order(unknown, x)
    together = sum(count for other, count in whole.items() if faces[other].coordinate == x)
    return counts[face] < order // 2 and together < order


def _missing_at_ends(
    problem: Problem, coordinate: str, given: Sequence[Constraint]
) -> Iterator[str]:
    """The unknowns that have too few conditions at the two ends of a coordinate."""
    x, orders = coordinate, {u: problem.order(u, coordinate) for u in problem.copies}
    if sum(c.residual.equations for c in given) >= sum(orders.values()):
        return
    held = {constraint.face for constraint in given}
    bare = [side for side, sign in enumerate("-+") if f"{x}{sign}" not in held]
    needless = sum(degenerates(problem, x, side) for side in bare)
    for unknown, order in orders.items():
        count = _count(given, unknown)
        if order >= 2 and count + needless * (order // 2) < order:
            yield (
                f"unknown {unknown!r} is of order {order} along {x!r}, but {_have(count)} given on"
                f" {x}- or {x}+; add Dirichlet, Neumann, Robin or Periodic({x!r})"
            )


def _missing_in_time(problem: Problem, time: str, given: Sequence[Constraint]) -> Iterator[str]:
    """The unknowns of ordinary equations that have too few conditions, at either end of time."""
    orders = {u: problem.order(u, time) for u in problem.copies}
    if sum(c.residual.equations for c in given) >= sum(orders.values()):
        return
    for unknown, order in orders.items():
        if (count := _count(given, unknown)) < order:
            name = f"{unknown}_{time * count}" if count else unknown
            yield (
                f"unknown {unknown!r} is of order {order} in time, but {_have(count)} given; add"
                f" Initial({name}=…), or a condition on {time}+"
            )


def _have(count: int) -> str:
    """How many conditions there are, in words that "given" follows."""
    if not count:
        return "no condition is"
    return f"only {counted(count, 'condition')} {'is' if count == 1 else 'are'}"


def _count(given: Sequence[Constraint], unknown: str) -> int:
    """How many of the conditions are about an unknown."""
    about = [c.residual for c in given if any(name == unknown for name, _ in c.residual.needs)]
    return sum(residual.equations for residual in about)


def _missing_initial(problem: Problem, given: Sequence[Constraint]) -> Iterator[str]:
    """The first initial value or velocity of each unknown that is missing."""
    time, space = problem.coordinates[-1], (0,) * (len(problem.coordinates) - 1)
    known = {leaf for c in given for leaf in c.residual.needs}
    for unknown in problem.copies:
        order = problem.order(unknown, time)
        absent = [n for n in range(order) if (unknown, (*space, n)) not in known]
        if absent:
            missing, name = "initial velocity", f"{unknown}_{time}"
            if absent[0] == 0:
                missing, name = "initial value", unknown
            hint = f"Initial({name}=…)" if absent[0] < 2 else f'Condition(…, on="{time}-")'
            yield (
                f"unknown {unknown!r} is of order {order} in time, but no {missing} is given; add"
                f" {hint}"
            )
