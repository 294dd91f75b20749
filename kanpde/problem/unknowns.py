"""Which arguments of the equations are unknowns."""

from __future__ import annotations

from collections.abc import Sequence

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain
from kanpde.problem.conditions import Condition
from kanpde.problem.execution import blamed
from kanpde.problem.families import check_family
from kanpde.problem.statement import Equation, Statement
from kanpde.residual.functions import argument_names, function_name


def unknowns_of(stated: Statement, equations: Sequence[Equation]) -> tuple[str, ...]:
    """The unknowns of a statement, in the order in which the equations mention them.

    They are those that the user gives, else those that conditions, data and exact solution name,
    else all arguments of the equations that are neither coordinates nor parameters.

    Args:
        stated: What the user gave.
        equations: Those that are looked at.

    Raises:
        ProblemError: For names that are no unknown of the equations, parameters that nothing
            mentions, and where there is no unknown.
    """
    domain, free = stated.whole, [p.name for p in stated.parameters]
    check_family(stated, equations)
    for number, condition in enumerate(stated.conditions):
        with blamed(argument="conditions", element=number):
            condition.names(domain, arguments_of(equations))
    used = arguments_of(equations)
    _check_mentioned(stated, free, used)
    candidates = [a for a in used if a not in domain.coordinates and a not in free]
    given = stated.unknowns
    if given is None:
        given = _named(stated, free, used, candidates) or tuple(candidates)
    return checked(given, domain, free, used, candidates)


def arguments_of(equations: Sequence[Equation]) -> list[str]:
    """All arguments of the equations, each once."""
    return list(dict.fromkeys(a for f in equations for a in argument_names(f, function_name(f))))


def _check_mentioned(stated: Statement, free: Sequence[str], used: Sequence[str]) -> None:
    """Raise ProblemError for a parameter that neither an equation nor a condition mentions."""
    in_conditions = {a for c in stated.conditions if isinstance(c, Condition) for a in c.arguments}
    for name in free:
        if name not in used and name not in in_conditions:
            raise ProblemError(
                f"parameter {name!r}: no equation mentions it; expected it among their arguments,"
                f" {listed(used)}{nearest(name, used)}"
            )


def _named(
    stated: Statement, free: Sequence[str], used: Sequence[str], candidates: Sequence[str]
) -> tuple[str, ...]:
    """What exact solution, conditions and data name besides parameters."""
    named = [*stated.exact, *(n for c in stated.conditions for n in c.names(stated.whole, used))]
    named += [name for d in stated.data for name in d.names() if name in candidates]
    return tuple(name for name in dict.fromkeys(named) if name not in free)


def checked(
    given: Sequence[str],
    domain: Domain,
    free: Sequence[str],
    used: Sequence[str],
    candidates: Sequence[str],
) -> tuple[str, ...]:
    """Names of unknowns, in the order in which the equations mention them.

    Args:
        given: The names.
        domain: Has the coordinates, which are none.
        free: Names of parameters, which are none.
        used: All arguments of the equations.
        candidates: Those that could be unknowns.

    Raises:
        ProblemError: For names that are no unknown of the equations, and for none.
    """
    for name in given:
        if name in free:
            raise ProblemError(
                f"unknown {name!r}: that is a parameter as well; expected one of them"
            )
        if name in domain.coordinates:
            raise ProblemError(f"unknown {name!r}: that is a coordinate of {domain!r}")
        if name not in used:
            raise ProblemError(
                f"unknown {name!r}: no equation mentions it; the equations' unknowns are"
                f" {listed(candidates)}{nearest(str(name), candidates)}"
            )
    if not given:
        raise ProblemError(
            "Problem(…): no unknown; an equation must take one as an argument, such as def"
            " poisson(u, x, y)"
        )
    return tuple(sorted(given, key=used.index))
