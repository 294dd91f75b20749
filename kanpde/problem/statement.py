"""What a user writes, argument by argument: each is checked for its kind, none against another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Domain, Pieces
from kanpde.geometry.domain import Interval
from kanpde.geometry.family import checked_family, with_family
from kanpde.problem.complex_unknowns import (
    Complex,
    condition_in_real,
    function_in_real,
    names_in_real,
    values_in_real,
)
from kanpde.problem.constraints import BoundaryCondition
from kanpde.problem.data import Data, check_data
from kanpde.problem.parameters import Parameter, check_parameters
from kanpde.problem.prescribed import Value
from kanpde.problem.vectors import (
    condition_of_components,
    of_components,
    values_of_components,
)

Equation = Callable[..., Tensor | Sequence[Tensor]]
"""A function of unknowns and coordinates, by name, that vanishes."""


@dataclass(frozen=True)
class Statement:
    """The arguments of a Problem that say what is solved.

    Attributes:
        domain: Where.
        equations: Functions that vanish, or these by piece.
        conditions: On the faces.
        exact: The solution by unknown, and true values by parameter; functions may come by piece.
        unknowns: Their names, where the user gave them.
        parameters: What else is unknown, fields first.
        data: From which parameters are found.
        family: Ranges of the parameters that are coordinates as well.
    """

    domain: Domain
    equations: tuple[Equation, ...] | Mapping[str, Any]
    conditions: tuple[BoundaryCondition, ...]
    exact: Mapping[str, Any]
    unknowns: tuple[str, ...] | None
    parameters: tuple[Parameter, ...]
    data: tuple[Data, ...]
    family: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def whole(self) -> Domain:
        """The domain with the parameters of a family among its coordinates."""
        return with_family(self.domain, self.family)


def stated(
    domain: object,
    equations: object,
    conditions: object,
    exact: object,
    unknowns: object,
    parameters: object,
    data: object,
    family: object = None,
) -> Statement:
    """The arguments of a Problem as a Statement.

    Args:
        domain: As all of these, what the docstring of Problem says, or anything else.
        equations: See there.
        conditions: See there.
        exact: See there.
        unknowns: See there.
        parameters: See there.
        data: See there.
        family: See there.

    Raises:
        ProblemError: For an argument of another kind than expected.
    """
    found, solution = _checked_conditions(conditions), _checked_exact(exact)
    if not isinstance(domain, Domain):
        raise ProblemError(
            f"Problem(domain=…): got {type(domain).__name__}; expected a domain such as"
            " Box(x=(0, 1))",
            argument="domain",
        )
    if isinstance(domain, Pieces) and (parameters or data):
        raise ProblemError(
            "Problem(parameters=…, data=…): a domain in pieces takes neither; expected a domain in"
            " one piece"
        )
    ranges = checked_family(family, domain.coordinates)
    if ranges and (parameters or data):
        raise ProblemError(
            "Problem(family=…): takes neither parameters=… nor data=…; find values from data with"
            " the result of the family, without training it again",
            argument="family",
        )
    by_piece = isinstance(domain, Pieces) and isinstance(equations, Mapping)
    functions = equations if by_piece else checked_equations(equations)
    if vectors := domain.vectors:
        functions = tuple(of_components(f, vectors) for f in checked_equations(equations))
        found = tuple(condition_of_components(c, vectors) for c in found)
        solution = values_of_components(solution, vectors)
    named = _checked_unknowns(unknowns)
    if names := [one.name for one in named or () if isinstance(one, Complex)]:
        if isinstance(domain, Pieces):
            raise ProblemError(
                f"Complex({names[0]!r}): a domain in pieces takes none; write its two real parts as"
                " unknowns",
                argument="unknowns",
            )
        functions = tuple(function_in_real(f, names) for f in checked_equations(functions))
        found = tuple(condition_in_real(c, names) for c in found)
        solution = values_in_real(solution, names)
    return Statement(
        domain=domain,
        equations=functions,  # type: ignore[arg-type]
        conditions=found,
        exact=solution,
        unknowns=None if named is None else names_in_real(named),
        parameters=check_parameters(parameters, domain.coordinates),
        data=check_data(data),
        family=ranges,
    )


def checked_equations(equations: object) -> tuple[Equation, ...]:
    """The equations as a tuple of functions.

    Raises:
        ProblemError: For none, and for anything that is no function.
    """
    functions = tuple(equations) if isinstance(equations, list | tuple) else (equations,)
    if not functions:
        raise ProblemError("Problem(equations=…): got none; expected at least one function")
    for function in functions:
        if not callable(function):
            raise ProblemError(
                f"Problem(equations=…): got {type(function).__name__}; expected functions that"
                " vanish, such as [poisson]",
                argument="equations",
            )
    return functions  # type: ignore[return-value]


def _checked_conditions(conditions: object) -> tuple[BoundaryCondition, ...]:
    found = tuple(conditions) if isinstance(conditions, list | tuple) else (conditions,)
    for condition in found:
        if not isinstance(condition, BoundaryCondition):
            came = type(condition).__name__
            if isinstance(condition, type):
                came = f"the class {condition.__name__}"
            raise ProblemError(
                f"Problem(conditions=…): got {came}; expected Dirichlet(…), Neumann(…), Robin(…),"
                " Periodic(…), Initial(…) or Condition(…)",
                argument="conditions",
            )
    return found


def _checked_exact(exact: object) -> Mapping[str, Value]:
    if exact is not None and not isinstance(exact, Mapping):
        raise ProblemError(
            f"Problem(exact=…): got {type(exact).__name__}; expected functions by unknown, such as"
            " exact={'u': exact}",
            argument="exact",
        )
    return exact or {}


def _checked_unknowns(unknowns: object) -> tuple[str | Complex, ...] | None:
    if isinstance(unknowns, Complex):
        return (unknowns,)
    if isinstance(unknowns, str):
        raise ProblemError(
            f"Problem(unknowns={unknowns!r}): got a string; expected a list of names, such as"
            f" [{unknowns!r}]",
            argument="unknowns",
        )
    return None if unknowns is None else tuple(unknowns)  # type: ignore[arg-type]


def checked_units(units: object, known: Sequence[str]) -> Mapping[str, str]:
    """Units as texts by unknown and coordinate.

    Args:
        units: What the user gave.
        known: Names of unknowns and coordinates.

    Raises:
        ProblemError: For anything else, and for names that are not known.
    """
    if units is None:
        return {}
    if not isinstance(units, Mapping) or not all(
        isinstance(text, str) and text.strip() for text in units.values()
    ):
        raise ProblemError(
            f"Problem(units=…): got {units!r}; expected texts by unknown and coordinate, such as"
            " {'x': 'm'}",
            argument="units",
        )
    for name in units:
        if name not in known:
            raise ProblemError(
                f"Problem(units={{{name!r}: …}}): no such unknown or coordinate; they are"
                f" {listed(known)}{nearest(str(name), known)}",
                argument="units",
            )
    return dict(units)
