"""Parameters that conditions determine; on a line, unknown functions whose derivative vanishes.

There a two-point problem with an unknown number is one without it, of one order more (the device of
COLSYS: Ascher, Christiansen and Russell 1981), and whatever solves those solves it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Domain, Pieces
from kanpde.problem import variants
from kanpde.problem.constraints import BoundaryCondition, Constraint, FaceCondition
from kanpde.problem.cycles import cycle
from kanpde.problem.eigenvalues import Eigenvalue
from kanpde.problem.parameters import Field
from kanpde.residual.calculus import d

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem
    from kanpde.problem.statement import Equation


def determined_by_conditions(problem: Problem) -> bool:
    """Whether conditions determine parameters: there are no data.

    Args:
        problem: Any.
    """
    found = not any(isinstance(p, Eigenvalue) for p in problem.parameters)
    return found and bool(problem.parameters) and not problem.data


def determined_on_a_line(problem: Problem) -> bool:
    """Whether they determine numbers, where there is one coordinate alone.

    Args:
        problem: Any.
    """
    line = len(problem.coordinates) == 1 and not isinstance(problem.domain, Pieces)
    numbers = not any(isinstance(p, Field) for p in problem.parameters)
    return line and numbers and determined_by_conditions(problem)


def found_without_data(problem: Problem) -> bool:
    """Whether conditions determine parameters, or these are eigenvalues.

    Args:
        problem: Any.
    """
    return determined_by_conditions(problem) or problem.pencil is not None


@lru_cache(maxsize=4)
def determined(problem: Problem) -> Problem:
    """The same problem on a line with functions whose derivative vanishes for such parameters;
    others as they are.

    Args:
        problem: Any.
    """
    if not determined_on_a_line(problem):
        return problem
    names = [p.name for p in problem.parameters]
    (x,) = problem.coordinates
    assert isinstance(problem.stated.equations, tuple)
    truth = {p: problem.truth[p] for p in names if p in problem.truth}
    exact = {u: f for u, f in problem.stated.exact.items() if u in problem.unknowns}
    numbers = {p.name: p.initial for p in problem.parameters}
    around = cycle(problem)
    return problem.replace(
        equations=(*problem.stated.equations, *(_constant(p, x) for p in names)),
        unknowns=(*problem.unknowns, *names),
        exact={**exact, **truth} if exact else None,
        parameters=(),
        easier=None if around else forward(problem, numbers)[0],
        numbers=around.numbers if around else numbers,
        begun=around.functions if around else None,
    )


def holds_once(constraint: Constraint, domain: Domain) -> bool:
    """Whether a condition says one thing and no more: it asks for nothing at the points of its
    face, and for what is elsewhere along all of it.

    Args:
        constraint: The condition.
        domain: Has the face.
    """
    across, residual = domain.faces[constraint.face].coordinate, constraint.residual
    along = {x for x in domain.coordinates if x != across}
    named = {leaf[0] for leaf in residual.needs}
    moved = all(along <= set(one.moved) for one in residual.afar)
    return bool(residual.afar) and moved and not named & set(residual.unknowns)


def surplus(problem: Problem) -> list[Constraint]:
    """The conditions that may determine parameters: those that hold once, after those along
    coordinates that have more than the equations take; on a line all.

    Args:
        problem: Any, on a box or a box and time.
    """
    domain = problem.domain
    if len(problem.coordinates) == 1:
        return list(problem.constraints)
    once = [c for c in problem.constraints if holds_once(c, domain)]
    others, found = [c for c in problem.constraints if c not in once], []
    for x in problem.coordinates:
        here = [c for c in others if domain.faces[c.face].coordinate == x]
        order = sum(problem.order(u, x) for u in problem.copies)
        if sum(c.residual.equations for c in here) > order:
            found += here
    return found + once


def forward(
    problem: Problem, numbers: Mapping[str, float]
) -> tuple[Problem | None, list[Constraint]]:
    """The problem with numbers for its parameters, less as many of its last conditions that may
    determine them; None in its place where that is none; and these conditions.

    Args:
        problem: Any whose parameters conditions determine.
        numbers: For all of them.
    """
    kept: list[BoundaryCondition | None] = list(problem.conditions)
    given = [c for c in surplus(problem) if c.number is not None]
    given = [c for c in given if isinstance(kept[c.number or 0], FaceCondition)]
    left_out = given[-len(numbers) :]
    for c in left_out:
        assert c.number is not None
        condition = kept[c.number]
        if not isinstance(condition, FaceCondition):  # it went with the face before
            continue
        left = [other for other in condition.faces(problem.domain) if other != c.face]
        whole = condition.on is None and holds_once(c, problem.domain)
        kept[c.number] = condition.only_on(left) if left and not whole else None
    try:
        found = variants.settled(problem, numbers, [c for c in kept if c is not None])
    except ProblemError:
        return None, left_out
    return found, left_out


def _constant(name: str, x: str) -> Equation:
    """The equation of a parameter: that its derivative vanishes."""

    def constant(**given: Tensor) -> Tensor:
        return d(given[name], given[x])

    constant.__name__ = f"{name} is constant"
    constant.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(a, inspect.Parameter.KEYWORD_ONLY) for a in (name, x)]
    )
    return constant
