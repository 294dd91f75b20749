"""Families of problems: parameters that are coordinates as well, and the problem at one value of
each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.problem.conditions import Condition
from kanpde.problem.constraints import BoundaryCondition, Constraint
from kanpde.problem.formulation import Formulation
from kanpde.problem.prescribed import is_number
from kanpde.problem.statement import Equation, Statement
from kanpde.problem.variants import with_numbers
from kanpde.residual.calculus import Leaf, Values
from kanpde.residual.functions import argument_names, function_name
from kanpde.residual.residual import Residual

if TYPE_CHECKING:
    from kanpde.problem.problem import Problem


def member(problem: Problem, values: Mapping[str, float]) -> Problem:
    """See `Problem.member`."""
    family = problem.family
    for name, value in values.items():
        if name not in family:
            known = f"they are {listed(family)}{nearest(name, family)}" if family else "it has none"
            raise ProblemError(f"member({name}=…): no such parameter of the family; {known}")
        low, high = family[name]
        if not is_number(value) or not low <= value <= high:
            raise ProblemError(
                f"member({name}=…): got {value!r}; expected a number between {low:g} and {high:g}"
            )
    if missing := [name for name in family if name not in values]:
        raise ProblemError(f"member(…): {missing[0]!r} is missing; expected a number for it")
    stated = problem.stated
    assert isinstance(stated.equations, tuple)
    numbers = {name: float(value) for name, value in values.items()}
    return problem.replace(
        equations=[with_numbers(f, numbers) for f in stated.equations],
        conditions=[_at(c, numbers) for c in stated.conditions],
        exact={u: _value_at(f, numbers) for u, f in stated.exact.items()},
        unknowns=problem.unknowns,
        units={name: unit for name, unit in problem.units.items() if name not in numbers},
        family=None,
    )


def pinned(problem: Problem, values: Mapping[str, float]) -> Formulation:
    """The same as `member` without the dry run of all functions: what was recorded of the family,
    with numbers for its parameters.

    Args:
        problem: The family.
        values: A number for each of its parameters.
    """
    count = len(values)

    def at(coordinates: Values) -> dict[str, Tensor]:
        like = next(iter(coordinates.values()))
        return {**{k: torch.full_like(like, v) for k, v in values.items()}, **coordinates}

    def constraint(c: Constraint) -> Constraint:
        prescribed, where = c.prescribed, c.where
        if prescribed is not None:
            data = prescribed.data
            prescribed = replace(prescribed, data=lambda known: data(at(known)))
        residual = _pinned_residual(c.residual, values)
        known_where = None if where is None else (lambda known: where(at(known)))
        return replace(c, residual=residual, prescribed=prescribed, where=known_where)

    domain = problem.stated.domain
    equations = tuple(_pinned_residual(e, values) for e in problem.equations)
    assert problem.coordinates[count:] == domain.coordinates
    return Formulation(
        domain=domain,
        unknowns=problem.unknowns,
        copies=problem.copies,
        groups=((domain, equations),),
        constraints=tuple(constraint(c) for c in problem.constraints),
        periodic=problem.periodic,
        parameters=(),
    )


def _pinned_residual(residual: Residual, values: Mapping[str, float]) -> Residual:
    count, taken = len(values), [a for a in residual.arguments if a in values]

    def function(**given: Tensor) -> Tensor | Sequence[Tensor]:
        like = next(iter(given.values()))
        return residual.function(**given, **{a: torch.full_like(like, values[a]) for a in taken})

    def without(leaves: Sequence[Leaf]) -> tuple[Leaf, ...]:
        return tuple((unknown, index[count:]) for unknown, index in leaves)

    return replace(
        residual,
        function=function,
        arguments=tuple(a for a in residual.arguments if a not in values),
        coordinates=residual.coordinates[count:],
        needs=without(residual.needs),
        unused=without(residual.unused),
    )


def said(values: Mapping[str, float]) -> str:
    """Values of parameters in words, such as "nu = 0.05".

    Args:
        values: By name.
    """
    return ", ".join(f"{name} = {value:.4g}" for name, value in values.items())


def _at(condition: BoundaryCondition, values: Mapping[str, float]) -> BoundaryCondition:
    """A condition at values of the parameters."""
    found: Any = copy.copy(condition)
    if isinstance(found, Condition):
        found.function = with_numbers(found.function, values)
        found.arguments = tuple(a for a in found.arguments if a not in values)
    given = getattr(found, "values", None)
    if isinstance(given, Mapping):
        found.values = {u: _value_at(v, values) for u, v in given.items()}
    where = getattr(found, "where", None)
    if where is not None:
        found.where = with_numbers(where, values)
    return found


def _value_at(value: Any, values: Mapping[str, float]) -> Any:
    """A number or a function of coordinates, at values of the parameters."""
    if not callable(value):
        return value
    arguments = argument_names(value, function_name(value))
    if arguments and all(a in values for a in arguments):
        at = {a: torch.tensor([values[a]], dtype=torch.float64) for a in arguments}
        return float(value(**at))
    return with_numbers(value, values) if arguments else value


def check_family(stated: Statement, equations: Sequence[Equation]) -> None:
    """Refuse parameters of a family that are unknowns as well, or that nothing mentions.

    Args:
        stated: What the user gave.
        equations: Those that are looked at.

    Raises:
        ProblemError: In one line that says what to write.
    """
    mentioned = {a for function in _functions(stated, equations) for a in _arguments(function)}
    for name in stated.family:
        named = {*(stated.unknowns or ()), *stated.exact}
        for condition in stated.conditions:
            named |= set(getattr(condition, "values", ()))
        if name in named:
            raise ProblemError(
                f"Problem(family={{{name!r}: …}}): {name!r} is an unknown; expected another name",
                argument="family",
            )
        if name in mentioned:
            continue
        for function in equations:
            if is_number(getattr(function, "__globals__", {}).get(name)):
                arguments = ", ".join((*_arguments(function), name))
                raise ProblemError(
                    f"Problem(family={{{name!r}: …}}): {name!r} is a constant of the file; take it"
                    f" as an argument, {function_name(function)[:-2]}({arguments}), and leave the"
                    " constant out",
                    argument="family",
                )
        raise ProblemError(
            f"Problem(family={{{name!r}: …}}): no equation or condition mentions {name!r}; expected"
            f" it among their arguments, {listed(sorted(mentioned))}{nearest(name, mentioned)}",
            argument="family",
        )


def check_constants(constants: Mapping[str, float], family: Mapping[str, object]) -> None:
    """Refuse a constant whose name is that of a parameter of a family.

    Args:
        constants: Values of constants by name.
        family: The parameters by name.

    Raises:
        ProblemError: For such a constant.
    """
    for name in constants:
        if name in family:
            raise ProblemError(
                f"{name}={constants[name]:g}: {name!r} is a parameter of the family, which is"
                f" solved for all of its values; ask the result for {name}={constants[name]:g}"
            )


def check_pointwise(problem: Problem) -> None:
    """Refuse a family whose equations hold integrals or values at other places.

    Args:
        problem: Any.

    Raises:
        ProblemError: For such an equation or condition.
    """
    if not problem.family:
        return
    for residual in [*problem.equations, *(c.residual for c in problem.constraints)]:
        if residual.afar:
            raise ProblemError(
                f"{residual.name}: holds an integral or a value at another place, which a family"
                " does not take; expected a constant in the place of its parameter",
                argument="family",
            )


def _functions(stated: Statement, equations: Sequence[Equation]) -> list[Callable[..., Any]]:
    """All functions of equations and conditions."""
    found: list[Any] = list(equations)
    for condition in stated.conditions:
        found += [getattr(condition, "function", None), getattr(condition, "where", None)]
        found += list(getattr(condition, "values", {}).values())
    return [function for function in found if callable(function)]


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(argument_names(function, function_name(function)))
