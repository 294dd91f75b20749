"""Whether equations and conditions fit together: enough of them, not too many, none against
another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from kanpde.errors import ProblemError, listed
from kanpde.geometry import SpaceTime
from kanpde.problem.constraints import Constraint
from kanpde.problem.degenerate import degenerates
from kanpde.problem.determined import determined_by_conditions, determined_on_a_line, surplus
from kanpde.problem.execution import line_of_function
from kanpde.problem.faces import space_faces
from kanpde.problem.initial import is_line_of_time
from kanpde.residual.calculus import Leaf

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

MAX_ORDER = 4
"""Highest order of differentiation that networks and grids supply."""

POINTS_OF_AN_END = 256
"""Points at which the two ends of a periodic coordinate are compared."""


def check(problem: Problem) -> None:
    """Refuse what has no solution, or no unique one.

    Raises:
        ProblemError: In one line that says what to leave out or to add.
    """
    _check_orders(problem)
    _check_counts(problem)
    _check_periodic(problem)
    _check_repeated(problem)
    _check_determined(problem)
    _check_overdetermined(problem)
    _check_pairs(problem)
    _check_parameters(problem)


def _check_orders(problem: Problem) -> None:
    for residual in [*problem.equations, *(c.residual for c in problem.constraints)]:
        if residual.order > MAX_ORDER:
            raise ProblemError(
                f"{residual.name}: asks for a derivative of order {residual.order}; expected at"
                f" most {MAX_ORDER} (introduce an unknown for an inner derivative)",
                line_of_function(residual.function),
            )


def _check_counts(problem: Problem) -> None:
    for unknown in problem.copies:
        if not any(name == unknown for e in problem.equations for name, _ in e.everywhere):
            raise ProblemError(
                f"unknown {unknown!r}: no equation depends on it, although one takes it as an"
                " argument"
            )
    if equations_of(problem) < len(problem.copies):
        raise ProblemError(counts_differ(problem), argument="equations")


def equations_of(problem: Problem) -> int:
    """How many equations there are, of all pieces together."""
    return sum(e.equations for e in problem.equations)


def counts_differ(problem: Problem) -> str:
    """Says how many equations and unknowns there are, and that they should be as many."""
    unknowns = problem.copies
    return (
        f"Problem(…): {counted(equations_of(problem), 'equation')} for"
        f" {counted(len(unknowns), 'unknown')} ({listed(unknowns)}); expected as many of each"
    )


def counted(count: int, noun: str) -> str:
    """A number and its noun: "1 equation", "2 equations"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def boundary_faces(problem: Problem) -> list[str]:
    """The faces of space that are a boundary: not those at the ends of a periodic coordinate."""
    return [
        face
        for face in space_faces(problem.domain)
        if problem.domain.faces[face].coordinate not in problem.periodic
    ]


def _check_periodic(problem: Problem) -> None:
    free = boundary_faces(problem)
    for periodic in problem.periodic if not problem.domain.is_box else ():
        _check_opposite(problem, periodic)
    for c in problem.constraints:
        x = problem.domain.faces[c.face].coordinate
        # What asks for nothing at the points of a face, such as a mean, needs none.
        if x in problem.periodic and (c.residual.needs or not c.residual.afar):
            hint = f"put the condition on={tuple(free)!r}" if free else "leave one of them out"
            raise ProblemError(
                f"Periodic({x!r}) contradicts {c.label}: a periodic coordinate has no boundary;"
                f" {hint}",
                argument="conditions",
                element=c.number,
            )


def _check_opposite(problem: Problem, x: str) -> None:
    """A periodic coordinate ends in two flat faces, of which one is the other moved along it."""
    domain = problem.domain
    ends = {face.side: face for face in domain.faces.values() if face.coordinate == x}
    fits = (
        set(ends) == {-1, 1} and abs(ends[-1].measure - ends[1].measure) <= 1e-3 * ends[1].measure
    )
    if fits:
        region = domain.region if isinstance(domain, SpaceTime) else domain
        generator = torch.Generator().manual_seed(0)
        dims = len(domain.space) - 1
        unit = torch.rand(POINTS_OF_AN_END, dims, generator=generator, dtype=torch.float64)
        moved = region.boundary(ends[-1].name, unit)
        moved[:, domain.space.index(x)] = domain.bounds[x][1]
        slack = 1e-6 * (domain.bounds[x][1] - domain.bounds[x][0])
        fits = bool((region.depth(moved).abs() <= slack).all())
    if not fits:
        raise ProblemError(
            f"Periodic({x!r}): {domain!r} does not end in two equal flat faces along {x!r};"
            " expected a domain that fits together there"
        )


def _check_repeated(problem: Problem) -> None:
    seen: dict[tuple[str, int, str], Constraint] = {}
    for c in problem.constraints:
        if c.prescribed is not None and c.where is None:
            first = seen.setdefault((c.prescribed.unknown, c.prescribed.derivative, c.face), c)
            if first is not c:
                what = "repeats" if first.label == c.label else "contradicts"
                raise ProblemError(
                    f"{c.label} {what} {first.label}; keep one, and put each on the faces where it"
                    " holds (on=…)",
                    argument="conditions",
                    element=c.number,
                )


def _value_of(problem: Problem, unknown: str) -> Leaf:
    return unknown, (0,) * len(problem.coordinates)


def _check_determined(problem: Problem) -> None:
    """An unknown that enters only through derivatives is free up to a constant."""
    residuals = [*problem.equations, *(c.residual for c in problem.constraints)]
    for unknown in problem.copies:
        measured = any(unknown in m.unknowns for m in problem.data)
        if not measured and not any(_value_of(problem, unknown) in r.everywhere for r in residuals):
            raise ProblemError(
                f"unknown {unknown!r}: enters only through its derivatives, so it is determined up"
                f" to a constant; {_how_to_pin(problem, unknown)}",
                argument="conditions",
            )


def _how_to_pin(problem: Problem, unknown: str) -> str:
    """What to add, so that an unknown is determined."""
    domain, free = problem.domain, boundary_faces(problem)
    if is_line_of_time(domain) or (domain.time and problem.order(unknown, domain.time)):
        return f"add Initial({unknown}=…)"
    if free:
        piece = "" if len(domain.own) == 1 else ", where=…"
        return f"pin its value, such as Dirichlet({unknown}=0, on={free[0]!r}{piece})"
    return f"add a term in {unknown} itself"


def directions(problem: Problem) -> list[str]:
    """The coordinates with a beginning and an end: of a domain that is no box, time alone."""
    return [x for x in problem.coordinates if problem.domain.is_box or x == problem.domain.time]


def along(problem: Problem, coordinate: str) -> list[Constraint]:
    """The constraints at the ends of a coordinate."""
    return [c for c in problem.constraints if problem.domain.faces[c.face].coordinate == coordinate]


def _check_overdetermined(problem: Problem) -> None:
    """Along a coordinate there can be as many conditions as the system has orders there, and one
    that pins a free constant."""
    pins = 0
    for unknown in problem.copies:
        value = _value_of(problem, unknown)
        if not any(value in e.everywhere for e in problem.equations):
            pins += sum(value in c.residual.everywhere for c in problem.constraints) == 1
    if not problem.domain.is_box:
        _check_overdetermined_faces(problem)
    for x in directions(problem):
        whole = [c for c in along(problem, x) if c.where is None]
        order = sum(problem.order(u, x) for u in problem.copies)
        count = sum(c.residual.equations for c in whole)
        found = len(problem.parameters) if determined_by_conditions(problem) else 0
        if count > order + pins + found:
            given = listed(c.label for c in whole)
            start = f"; at the start alone it is Initial({problem.copies[0]}=…)"
            raise ProblemError(
                f"Problem(…): {counted(count, 'condition')} along {x!r} ({given}), but the"
                f" equations are only of order {order} along it; leave some out"
                f"{start if is_line_of_time(problem.domain) else ''}",
                argument="conditions",
                element=whole[-1].number,
            )


def space_order(problem: Problem, unknown: str) -> int:
    """Highest order along any of the space coordinates."""
    return max(problem.order(unknown, x) for x in problem.domain.space)


def _check_overdetermined_faces(problem: Problem) -> None:
    """A domain that is no box takes half as many conditions as the system has orders in space,
    counted over all faces."""
    faces = boundary_faces(problem)
    orders = {face: sum(space_order(problem, u) for u in problem.at(face)) for face in faces}
    whole = {
        face: [c for c in problem.constraints if c.face == face and c.where is None]
        for face in faces
    }
    counts = {face: sum(c.residual.equations for c in found) for face, found in whole.items()}
    if 2 * sum(counts.values()) > sum(orders.values()):
        face = max(faces, key=lambda name: 2 * counts[name] - orders[name])
        order = orders[face]
        given = listed(c.label for c in whole[face])
        raise ProblemError(
            f"Problem(…): {counted(counts[face], 'condition')} on {face!r} ({given}), but the"
            f" equations are only of order {order} in space, which takes {order / 2:g} on every"
            " face; leave some out",
            argument="conditions",
            element=whole[face][-1].number,
        )


def _check_pairs(problem: Problem) -> None:
    """Refuse unknowns all of which are of even order along a coordinate of a box, and of which
    nothing is given at either end: then they are not determined.

    Where the factor of the highest derivative vanishes at an end, as at a pole of a sphere, it may
    be; and data say what conditions would.
    """
    if not problem.domain.is_box or problem.data or problem.parameters:
        return
    for x in problem.coordinates:
        orders = [problem.order(u, x) for u in problem.copies]
        order, in_time = orders[0], is_line_of_time(problem.domain)
        even = order > 0 if in_time else all(m > 0 and m % 2 == 0 for m in orders)
        if not even or x in problem.periodic or x == problem.domain.time or along(problem, x):
            continue
        if any(degenerates(problem, x, side) for side in (0, 1)):
            continue
        u = problem.copies[0]
        if in_time:
            rates = "".join(f", {u}_{x * k}=…" for k in range(1, order))
            cure = f"add Initial({u}=…{rates}), or Periodic({x!r})"
        else:
            cure = f"add Dirichlet, Neumann or Robin there, or Periodic({x!r})"
        raise ProblemError(
            f"unknown {u!r}: is of order {order} along {x!r}, but no condition is given on {x}- or"
            f" {x}+, so that it is not determined; {cure}",
            argument="conditions",
        )


def _check_parameters(problem: Problem) -> None:
    """Refuse parameters that neither data nor conditions determine: each takes one condition more
    than the equations do; in several coordinates one that holds once will do."""
    if not determined_by_conditions(problem) or not problem.domain.is_box:
        return
    count, wanted = len(surplus(problem)), len(problem.parameters)
    given, for_what = counted(count, "condition"), counted(wanted, "parameter")
    if determined_on_a_line(problem):
        (x,) = problem.coordinates
        order = sum(problem.order(u, x) for u in problem.copies)
        count, wanted = sum(c.residual.equations for c in problem.constraints), order + wanted
        given = counted(count, "condition")
        for_what = f"equations of order {order} and {for_what}"
        if x in problem.periodic:
            return
    elif equations_of(problem) > len(problem.copies) or any(c.where for c in problem.constraints):
        return
    else:
        given += " more than the equations take"
    if count < wanted:
        name = problem.parameters[-1].name
        raise ProblemError(
            f"parameter {name!r}: nothing determines it: {given} for {for_what}; add"
            f" {counted(wanted - count, 'condition')}, or data=[Data(…)]",
            argument="conditions",
        )
