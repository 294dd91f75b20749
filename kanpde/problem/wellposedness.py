"""Whether equations and conditions fit together: enough of them, not too many, none against
another."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from kanpde.errors import ProblemError, ProblemWarning, listed
from kanpde.geometry import Pieces, SpaceTime
from kanpde.problem.conditions import Constraint, space_faces
from kanpde.problem.corners import contradictions
from kanpde.residual.calculus import Leaf

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem

MAX_ORDER = 4
"""Highest order of differentiation that networks and grids supply."""


def check(problem: Problem) -> None:
    """Raise ProblemError for what has no or no unique solution; warn (ProblemWarning) of what
    probably has none."""
    _check_orders(problem)
    _check_counts(problem)
    _check_periodic(problem)
    _check_repeated(problem)
    _check_determined(problem)
    _check_overdetermined(problem)
    _warn_missing(problem)
    for line in contradictions(problem):
        _warn(line)


def _check_orders(problem: Problem) -> None:
    for residual in [*problem.equations, *(c.residual for c in problem.constraints)]:
        if residual.order > MAX_ORDER:
            raise ProblemError(
                f"{residual.name}: asks for a derivative of order {residual.order}; expected at"
                f" most {MAX_ORDER} (introduce an unknown for an inner derivative)"
            )


def _check_counts(problem: Problem) -> None:
    for unknown in problem.copies:
        if not any(name == unknown for e in problem.equations for name, _ in e.needs):
            raise ProblemError(
                f"unknown {unknown!r}: no equation depends on it, although one takes it as an"
                " argument"
            )
    equations = sum(e.equations for e in problem.equations)
    if equations != len(problem.copies):
        message = (
            f"Problem(…): {_counted(equations, 'equation')} for"
            f" {_counted(len(problem.copies), 'unknown')} ({listed(problem.copies)}); expected as"
            " many of each"
        )
        if equations < len(problem.copies):
            raise ProblemError(message)
        _warn(message)


def _boundary_faces(problem: Problem) -> list[str]:
    """The faces of space that are a boundary: not those at the ends of a periodic coordinate."""
    return [
        face
        for face in space_faces(problem.domain)
        if problem.domain.faces[face].coordinate not in problem.periodic
    ]


def _check_periodic(problem: Problem) -> None:
    free = _boundary_faces(problem)
    for periodic in problem.periodic if not problem.domain.is_box else ():
        _check_opposite(problem, periodic)
    for c in problem.constraints:
        x = problem.domain.faces[c.face].coordinate
        if x in problem.periodic:
            hint = f"put the condition on={tuple(free)!r}" if free else "leave one of them out"
            raise ProblemError(
                f"Periodic({x!r}) contradicts {c.label}: a periodic coordinate has no boundary;"
                f" {hint}"
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
        unit = torch.rand(
            256,
            len(domain.space) - 1,
            generator=torch.Generator().manual_seed(0),
            dtype=torch.float64,
        )
        moved = region.boundary(ends[-1].name, unit)
        moved[:, domain.space.index(x)] = domain.bounds[x][1]
        fits = bool(
            (region.depth(moved).abs() <= 1e-6 * (domain.bounds[x][1] - domain.bounds[x][0])).all()
        )
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
                    " holds (on=…)"
                )


def _value_of(problem: Problem, unknown: str) -> Leaf:
    return unknown, (0,) * len(problem.coordinates)


def _check_determined(problem: Problem) -> None:
    """An unknown that enters only through derivatives is free up to a constant."""
    domain = problem.domain
    for unknown in problem.copies:
        if any(unknown in measured.unknowns for measured in problem.data):
            continue
        if any(
            _value_of(problem, unknown) in r.needs
            for r in [*problem.equations, *(c.residual for c in problem.constraints)]
        ):
            continue
        free = _boundary_faces(problem)
        if domain.time and problem.order(unknown, domain.time):
            hint = f"add Initial({unknown}=…)"
        elif free:
            piece = "" if len(domain.coordinates) == 1 else ", where=…"
            hint = f"pin its value, such as Dirichlet({unknown}=0, on={free[0]!r}{piece})"
        else:
            hint = f"add a term in {unknown} itself"
        raise ProblemError(
            f"unknown {unknown!r}: enters only through its derivatives, so it is determined up to a"
            f" constant; {hint}"
        )


def _directions(problem: Problem) -> list[str]:
    """The coordinates with a beginning and an end: of a domain that is no box, time alone."""
    return [x for x in problem.coordinates if problem.domain.is_box or x == problem.domain.time]


def _along(problem: Problem, coordinate: str) -> list[Constraint]:
    """The constraints at the ends of a coordinate."""
    return [c for c in problem.constraints if problem.domain.faces[c.face].coordinate == coordinate]


def _check_overdetermined(problem: Problem) -> None:
    """Along a coordinate there can be as many conditions as the system has orders there, and one
    that pins a free constant."""
    pins = 0
    for unknown in problem.copies:
        value = _value_of(problem, unknown)
        if not any(value in e.needs for e in problem.equations):
            pins += sum(value in c.residual.needs for c in problem.constraints) == 1
    if not problem.domain.is_box:
        _check_overdetermined_faces(problem)
    for x in _directions(problem):
        whole = [c for c in _along(problem, x) if c.where is None]
        order = sum(problem.order(u, x) for u in problem.copies)
        count = sum(c.residual.equations for c in whole)
        if count > order + pins:
            given = listed(c.label for c in whole)
            raise ProblemError(
                f"Problem(…): {_counted(count, 'condition')} along {x!r} ({given}), but the"
                f" equations are only of order {order} along it; leave some out"
            )


def _space_order(problem: Problem, unknown: str) -> int:
    """Highest order along any of the space coordinates."""
    return max(problem.order(unknown, x) for x in problem.domain.space)


def _check_overdetermined_faces(problem: Problem) -> None:
    """A domain that is no box takes half as many conditions as the system has orders in space,
    counted over all faces."""
    faces = _boundary_faces(problem)
    orders = {face: sum(_space_order(problem, u) for u in problem.at(face)) for face in faces}
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
            f"Problem(…): {_counted(counts[face], 'condition')} on {face!r} ({given}), but the"
            f" equations are only of order {order} in space, which takes {order / 2:g} on every"
            " face; leave some out"
        )


def _warn_missing_faces(problem: Problem) -> None:
    """Name the faces of a domain that is no box that have too few conditions."""
    faces = _boundary_faces(problem)
    given = {face: [c for c in problem.constraints if c.face == face] for face in faces}
    if all(
        2 * sum(c.residual.equations for c in found)
        >= sum(_space_order(problem, u) for u in problem.at(face))
        for face, found in given.items()
    ):
        return
    contacts = set(problem.domain.contacts) if isinstance(problem.domain, Pieces) else set()
    for unknown in problem.copies:
        order = _space_order(problem, unknown)
        counts = {
            face: sum(
                c.residual.equations
                for c in found
                if any(name == unknown for name, _ in c.residual.needs)
            )
            for face, found in given.items()
        }
        for count in sorted(
            {
                counts[face]
                for face in faces
                if unknown in problem.at(face) and counts[face] < order // 2
            }
        ):
            have = f"only {_counted(count, 'condition')} is" if count else "no condition is"
            short = [
                face for face in faces if unknown in problem.at(face) and counts[face] == count
            ]
            kinds = "Interface" if set(short) <= contacts else "Dirichlet, Neumann or Robin"
            _warn(
                f"unknown {unknown!r} is of order {order} in space, but {have} given on"
                f" {listed(short)}; add {kinds}"
            )


def _warn_missing(problem: Problem) -> None:
    """Name the directions along which an equation is of an order for which too few conditions are
    given."""
    domain = problem.domain
    if problem.data:  # they may say what conditions would
        return
    if problem.parameters:
        _warn(
            f"parameter {problem.parameters[0].name!r} is unknown, but there are no data to find it"
            " from; add data=[Data(…)]"
        )
    if not domain.is_box:
        _warn_missing_faces(problem)
    for x in _directions(problem):
        if x in problem.periodic:
            continue
        given = _along(problem, x)
        if isinstance(domain, SpaceTime) and x == domain.time:
            for unknown in problem.copies:
                _warn_missing_initial(problem, unknown, given)
        elif sum(c.residual.equations for c in given) < sum(
            problem.order(u, x) for u in problem.copies
        ):
            for unknown in problem.copies:
                order = problem.order(unknown, x)
                count = sum(
                    c.residual.equations
                    for c in given
                    if any(name == unknown for name, _ in c.residual.needs)
                )
                if order >= 2 and count < order:
                    have = (
                        f"only {_counted(count, 'condition')} is"
                        if count == 1
                        else f"only {count} conditions are"
                        if count
                        else "no condition is"
                    )
                    _warn(
                        f"unknown {unknown!r} is of order {order} along {x!r}, but {have} given on"
                        f" {x}- or {x}+; add Dirichlet, Neumann, Robin or Periodic({x!r})"
                    )


def _warn_missing_initial(problem: Problem, unknown: str, given: Sequence[Constraint]) -> None:
    time = problem.coordinates[-1]
    order = problem.order(unknown, time)
    for n in range(order):
        if not any(
            (unknown, (*(0,) * len(problem.domain.space), n)) in c.residual.needs for c in given
        ):
            missing, name = (("initial value", unknown), ("initial velocity", f"{unknown}_{time}"))[
                min(n, 1)
            ]
            hint = f"Initial({name}=…)" if n < 2 else f'Condition(…, on="{time}-")'
            _warn(
                f"unknown {unknown!r} is of order {order} in time, but no {missing} is given; add"
                f" {hint}"
            )
            return


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _warn(message: str) -> None:
    """Warn at the first line outside of these files: where the problem is built."""
    ours = {__file__, str(Path(__file__).with_name("problem.py"))}
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_code.co_filename in ours:
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, ProblemWarning, stacklevel=level)
