"""Parameters that conditions determine: on a line, unknown functions whose derivative vanishes.

So a two-point problem with an unknown number is one without it, of one order more (the device of
COLSYS: Ascher, Christiansen and Russell 1981), and whatever solves those solves it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry import Pieces
from kanpde.problem import variants
from kanpde.problem.constraints import BoundaryCondition, FaceCondition
from kanpde.problem.eigenvalues import Eigenvalue
from kanpde.problem.parameters import Field
from kanpde.residual.calculus import d

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem
    from kanpde.problem.statement import Equation


def determined_by_conditions(problem: Problem) -> bool:
    """Whether parameters are numbers, on a line, that conditions determine: there are no data.

    Args:
        problem: Any.
    """
    line = len(problem.coordinates) == 1 and not isinstance(problem.domain, Pieces)
    numbers = not any(isinstance(p, Field | Eigenvalue) for p in problem.parameters)
    return line and numbers and bool(problem.parameters) and not problem.data


def found_without_data(problem: Problem) -> bool:
    """Whether parameters are numbers that conditions determine, or eigenvalues.

    Args:
        problem: Any.
    """
    return determined_by_conditions(problem) or problem.pencil is not None


def determined(problem: Problem) -> Problem:
    """The same problem with functions whose derivative vanishes for such parameters; others as they
    are.

    Args:
        problem: Any.
    """
    if not determined_by_conditions(problem):
        return problem
    names = [p.name for p in problem.parameters]
    (x,) = problem.coordinates
    assert isinstance(problem.stated.equations, tuple)
    truth = {p: problem.truth[p] for p in names if p in problem.truth}
    exact = {u: f for u, f in problem.stated.exact.items() if u in problem.unknowns}
    numbers = {p.name: p.initial for p in problem.parameters}
    return problem.replace(
        equations=(*problem.stated.equations, *(_constant(p, x) for p in names)),
        unknowns=(*problem.unknowns, *names),
        exact={**exact, **truth} if exact else None,
        parameters=(),
        easier=_easier(problem, numbers),
        numbers=numbers,
    )


def _easier(problem: Problem, numbers: Mapping[str, float]) -> Problem | None:
    """The problem with numbers for its parameters, less as many of its last conditions; None where
    that is none."""
    kept: list[BoundaryCondition | None] = list(problem.conditions)
    given = [(c.number, c.face) for c in problem.constraints if c.number is not None]
    given = [(k, face) for k, face in given if isinstance(kept[k], FaceCondition)]
    for k, face in given[-len(numbers) :]:
        condition = kept[k]
        if not isinstance(condition, FaceCondition):  # it went with the face before
            continue
        left = [other for other in condition.faces(problem.domain) if other != face]
        kept[k] = condition.only_on(left) if left else None
    try:
        return variants.settled(problem, numbers, [c for c in kept if c is not None])
    except ProblemError:
        return None


def _constant(name: str, x: str) -> Equation:
    """The equation of a parameter: that its derivative vanishes."""

    def constant(**given: Tensor) -> Tensor:
        return d(given[name], given[x])

    constant.__name__ = f"{name} is constant"
    constant.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(a, inspect.Parameter.KEYWORD_ONLY) for a in (name, x)]
    )
    return constant
