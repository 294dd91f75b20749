"""What a statement comes to on a domain in one piece: equations and conditions as residuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain
from kanpde.problem.conditions import Condition
from kanpde.problem.constraints import BoundaryCondition, Constraint
from kanpde.problem.data import Measurement
from kanpde.problem.discontinuities import refuse
from kanpde.problem.execution import blamed, line_of_function
from kanpde.problem.faces import by_name, two_points
from kanpde.problem.parameters import Field, Parameter
from kanpde.problem.prescribed import Value, prescribed_value
from kanpde.problem.statement import Equation, Statement
from kanpde.problem.unknowns import unknowns_of
from kanpde.residual.calculus import Values
from kanpde.residual.functions import argument_names, check_arguments, function_name
from kanpde.residual.probe import Probe
from kanpde.residual.recording import record
from kanpde.residual.residual import Residual

Known = Callable[[Values], Tensor]
"""A function of all coordinates of points, by name, that returns [points]."""


@dataclass(frozen=True)
class Recorded:
    """A statement after the dry run of all its functions.

    Attributes:
        unknowns: As the user writes them.
        copies: The unknowns by piece; elsewhere the unknowns themselves.
        groups: Every region with the equations that hold in it.
        constraints: The conditions, each on one face.
        exact: What is known of the solution, by unknown.
        exact_copies: The same by copy.
        truth: True values of parameters that are numbers, as far as they are known.
        data: Measured values.
    """

    unknowns: tuple[str, ...]
    copies: tuple[str, ...]
    groups: tuple[tuple[Domain, tuple[Residual, ...]], ...]
    constraints: tuple[Constraint, ...]
    exact: Mapping[str, Known]
    exact_copies: Mapping[str, Known]
    truth: Mapping[str, float] = field(default_factory=dict)
    data: tuple[Measurement, ...] = ()


def recorded(stated: Statement) -> Recorded:
    """The dry run of a statement on a domain in one piece.

    Raises:
        ProblemError: For functions, faces and names that do not fit the domain or each other.
    """
    domain, parameters = stated.whole, stated.parameters
    assert isinstance(stated.equations, tuple)
    unknowns = unknowns_of(stated, stated.equations)
    functions = (*unknowns, *(p.name for p in parameters if isinstance(p, Field)))
    outputs = (*unknowns, *(p.name for p in parameters))
    numbers = [p.name for p in parameters if not isinstance(p, Field)]
    equations = tuple(equation(f, outputs, domain, numbers) for f in stated.equations)
    constraints = tuple(
        c
        for number, condition in enumerate(stated.conditions)
        for c in _constraints(condition, number, domain, _nameable(condition, unknowns, outputs))
    )
    truth = {
        p.name: _true_value(stated.exact[p.name], p)
        for p in parameters
        if p.name in stated.exact and p.name not in functions
    }
    exact = _exact(stated.exact, functions, domain, truth)
    return Recorded(
        unknowns=unknowns,
        copies=unknowns,
        groups=((domain, equations),),
        constraints=constraints,
        exact=exact,
        exact_copies=exact,
        truth=truth,
        data=tuple(each.bound(domain, functions) for each in stated.data),
    )


def _constraints(
    condition: BoundaryCondition, number: int, domain: Domain, unknowns: Sequence[str]
) -> list[Constraint]:
    """The residuals of a condition, which know its number, as errors do that it raises."""
    with blamed(argument="conditions", element=number):
        return [replace(c, number=number) for c in condition.constraints(domain, unknowns)]


def _nameable(
    condition: BoundaryCondition, unknowns: tuple[str, ...], outputs: tuple[str, ...]
) -> tuple[str, ...]:
    """What a condition may name: one that is any function, parameters too."""
    return outputs if isinstance(condition, Condition) else unknowns


def equation(
    function: Equation,
    unknowns: tuple[str, ...],
    domain: Domain,
    numbers: Sequence[str] = (),
) -> Residual:
    """A user's equation as a residual.

    Args:
        function: Takes unknowns and coordinates by name.
        unknowns: What it may take besides coordinates.
        domain: Where it holds.
        numbers: Names of unknowns that are the same everywhere.

    Raises:
        ProblemError: For arguments that are neither, for what differentiates a jump, and as
            `record` does.
    """
    with blamed(line_of_function(function)):
        return _recorded_equation(function, unknowns, domain, numbers)


def _recorded_equation(
    function: Equation, unknowns: tuple[str, ...], domain: Domain, numbers: Sequence[str]
) -> Residual:
    name = function_name(function)
    arguments = argument_names(function, name)
    every = dict.fromkeys([*unknowns, *(a for a in arguments if a not in domain.coordinates)])
    hint = f"; name an unknown without conditions in unknowns={list(every)}"
    known = {"unknown": unknowns, "coordinate": domain.coordinates}
    check_arguments(arguments, known, name, hint)
    at = by_name(two_points(domain), domain.coordinates)
    extent = domain.bounds if domain.is_box else None
    names, space = domain.coordinates, domain.space
    probe = Probe(function, name, arguments, unknowns, names, space, extent=extent)
    refuse(probe, domain, numbers)
    return record(function, name, arguments, unknowns, at, domain.space, extent=extent)


def _true_value(value: object, parameter: Parameter) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProblemError(
            f"Problem(exact={{{parameter.name!r}: …}}): got {type(value).__name__}; expected the"
            " parameter's true value, a number"
        )
    return float(value)


def _exact(
    given: Mapping[str, Value], unknowns: Sequence[str], domain: Domain, truth: Mapping[str, float]
) -> dict[str, Known]:
    """The exact solution, tried at two points; true values of numbers left out."""
    for name in given:
        if name not in unknowns and name not in truth:
            raise ProblemError(
                f"Problem(exact={{{name!r}: …}}): no such unknown; they are"
                f" {listed(unknowns)}{nearest(str(name), unknowns)}"
            )
    found = {
        u: prescribed_value(given[u], domain.coordinates, f"exact[{u!r}]", finite=False)
        for u in unknowns
        if u in given
    }
    for function in found.values():
        function(by_name(two_points(domain), domain.coordinates))
    return found
