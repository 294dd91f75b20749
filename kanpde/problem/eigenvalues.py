"""Eigenvalue problems: linear equations without sources that have a solution beside zero for some
numbers alone.

Where several are asked for, everything is stated once for each: unknowns u_1, u_2, … with their
eigenvalues lam_1, lam_2, ….
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kanpde.errors import ProblemError, listed
from kanpde.problem.conditions import Condition, Dirichlet, Neumann, Robin
from kanpde.problem.constraints import BoundaryCondition
from kanpde.problem.parameters import Parameter
from kanpde.problem.prescribed import is_number
from kanpde.problem.statement import Equation, Statement
from kanpde.problem.unknowns import unknowns_of
from kanpde.residual.functions import argument_names, function_name


class Eigenvalue(Parameter):
    """A number for which the equations have a solution beside zero: `Eigenvalue("lam")`.

    Equations take it as an argument of its name; they and all conditions are linear in the
    unknowns, have no sources, and depend on it by a multiple. The solution is normalised: the
    integral of its square over the domain is 1. Of a multiple eigenvalue all functions have to be
    asked for together.

    Args:
        name: Of the argument.
        which: The first, second, …, counted from the end where there are finitely many: the
            smallest where they grow to infinity, the largest where they fall to minus infinity,
            else the nearest to zero. Several, such as (1, 2, 3), give unknowns u_1, u_2, u_3 with
            lam_1, lam_2, lam_3.
        near: The one nearest to this number, in the place of `which`.

    Attributes:
        which: Which are asked for; () where the nearest to a number is.
        near: That number; None where there is none.
        belonging: The unknowns that belong to it; () before a Problem is built.

    Raises:
        ProblemError: For a name that no argument can have, and counts below 1.
    """

    which: tuple[int, ...]
    near: float | None
    belonging: tuple[str, ...]

    def __init__(
        self, name: str, which: int | Sequence[int] | None = None, near: float | None = None
    ):
        super().__init__(name, 0.0)
        if near is not None and (which is not None or not is_number(near)):
            raise ProblemError(
                f"{self.what}: got which={which!r}, near={near!r}; expected which=1, which=(1, 2)"
                " or near=10"
            )
        asked = (1,) if which is None else which
        several = tuple(asked) if isinstance(asked, list | tuple | range) else (asked,)
        plain = all(isinstance(k, int) and not isinstance(k, bool) and k > 0 for k in several)
        if not several or not plain or len(set(several)) < len(several):
            raise ProblemError(
                f"{self.what}: got which={which!r}; expected 1 for the first, or several, such as"
                " which=(1, 2, 3)"
            )
        self.which = () if near is not None else tuple(sorted(several))
        self.near = None if near is None else float(near)
        self.belonging = ()

    def __repr__(self) -> str:
        if self.near is not None:
            return f"{self.name}, the eigenvalue nearest to {self.near:g}"
        return f"{self.name}, eigenvalue {listed(map(str, self.which))}"


@dataclass(frozen=True)
class Mode:
    """One of the solutions that are asked for.

    Attributes:
        eigenvalue: Name of its eigenvalue.
        unknowns: Names of its unknowns.
        which: The how manyth; None for the nearest to a number.
        near: That number.
    """

    eigenvalue: str
    unknowns: tuple[str, ...]
    which: int | None
    near: float | None


def modes_of(parameters: Sequence[Parameter]) -> tuple[Mode, ...]:
    """The solutions that are asked for; () where no parameter is an eigenvalue.

    Args:
        parameters: Of a statement that `by_mode` has gone over.
    """
    return tuple(
        Mode(p.name, p.belonging, p.which[0] if p.which else None, p.near)
        for p in parameters
        if isinstance(p, Eigenvalue)
    )


def by_mode(stated: Statement) -> Statement:
    """A statement with everything once for each eigenvalue that is asked for.

    Args:
        stated: What the user gave.

    Raises:
        ProblemError: For what an eigenvalue problem cannot have.
    """
    found = [p for p in stated.parameters if isinstance(p, Eigenvalue)]
    if not found or any(p.belonging for p in found):
        return stated
    _check(stated, found)
    (asked,) = found
    assert isinstance(stated.equations, tuple)
    known = {name.rpartition("_")[0] or name: value for name, value in stated.exact.items()}
    unknowns = unknowns_of(replace(stated, exact=known), stated.equations)
    if len(asked.which) < 2:
        return replace(stated, parameters=(_one(asked, asked.name, asked.which, unknowns),))
    equations: list[Equation] = []
    conditions = [c for c in stated.conditions if not _renamable(c)]
    parameters: list[Parameter] = []
    every: list[str] = []
    for k in asked.which:
        names = {u: f"{u}_{k}" for u in (*unknowns, asked.name)}
        own = tuple(names[u] for u in unknowns)
        equations += [_renamed(f, names, k) for f in stated.equations]
        conditions += [_on_mode(c, names, k) for c in stated.conditions if _renamable(c)]
        parameters.append(_one(asked, names[asked.name], (k,), own))
        every += own
    return replace(
        stated,
        equations=tuple(equations),
        conditions=tuple(conditions),
        unknowns=tuple(every),
        parameters=tuple(parameters),
    )


def _check(stated: Statement, found: Sequence[Eigenvalue]) -> None:
    """Raise ProblemError for what an eigenvalue problem cannot have."""
    what, domain = found[0].what, stated.domain
    if len(stated.parameters) > 1:
        others = listed(p.name for p in stated.parameters if p is not found[0])
        raise ProblemError(
            f"{what}: there is another parameter beside it, {others}; several eigenvalues are"
            f" Eigenvalue({found[0].name!r}, which=(1, 2, 3))"
        )
    if not isinstance(stated.equations, tuple):
        raise ProblemError(f"{what}: a domain in pieces has none; expected a domain in one piece")
    if stated.data:
        raise ProblemError(f"{what}: there are data beside it; expected none, or a Parameter")
    if stated.family:
        raise ProblemError(f"{what}: a family has none; expected constants, one after another")
    if domain.time is not None:
        raise ProblemError(
            f"{what}: the domain has a time; expected space alone, with"
            f" {found[0].name} * u in the place of derivatives in {domain.time}"
        )


def _one(
    asked: Eigenvalue, name: str, which: tuple[int, ...], unknowns: tuple[str, ...]
) -> Eigenvalue:
    """The eigenvalue of one of the solutions."""
    one = copy.copy(asked)
    one.name, one.which, one.belonging = name, which, unknowns
    one.what = f"Eigenvalue({name!r})"
    return one


def _renamable(condition: BoundaryCondition) -> bool:
    return isinstance(condition, Condition | Dirichlet | Neumann | Robin)


def _on_mode(condition: BoundaryCondition, names: Mapping[str, str], k: int) -> BoundaryCondition:
    """A condition on the unknowns of one of the solutions."""
    if isinstance(condition, Condition):
        function = _renamed(condition.function, names, k)
        where, weight = condition.where, condition.weight
        return Condition(function, on=condition.on, where=where, weight=weight)
    assert isinstance(condition, Dirichlet | Neumann | Robin)
    found = copy.copy(condition)
    found.values = {names.get(u, u): value for u, value in condition.values.items()}
    return found


def _renamed(function: Callable[..., Any], names: Mapping[str, str], k: int) -> Callable[..., Any]:
    """A user's function of the unknowns of one of the solutions."""
    label = function_name(function)
    arguments = argument_names(function, label)
    back = {names.get(a, a): a for a in arguments}

    def of_mode(**given: Any) -> Any:
        return function(**{back[name]: value for name, value in given.items()})

    of_mode.__name__ = f"{label.removesuffix('()')}, mode {k}"
    of_mode.__doc__ = function.__doc__
    if hasattr(function, "__code__"):
        # Messages name the line of the user's own function.
        of_mode.__wrapped__ = function  # type: ignore[attr-defined]
    of_mode.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in back]
    )
    return of_mode
