"""Complex unknowns: written as one, solved as two real ones, ψ_re and ψ_im."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.problem.conditions import Condition, Dirichlet, Neumann, Robin
from kanpde.problem.constraints import BoundaryCondition
from kanpde.problem.initial import Initial
from kanpde.residual.complex_values import ComplexValue, parts_of
from kanpde.residual.functions import argument_names, function_name

REAL_AND_IMAGINARY = ("re", "im")
"""How the two real unknowns are called after the complex one."""


@dataclass(frozen=True)
class Complex:
    """An unknown that is complex: `Problem(…, unknowns=[Complex("psi")])`.

    Equations and conditions take `psi` and may use 1j, `psi.conj()`, `psi.re`, `psi.im` and
    `psi.abs2`, which is |ψ|²; what they return is complex. Its values are numbers, or functions
    that return complex tensors. Results, errors and pictures have `psi_re` and `psi_im`.

    Attributes:
        name: Of the unknown.

    Raises:
        ProblemError: The name is no word.
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ProblemError(f'Complex({self.name!r}): expected a name, such as Complex("psi")')

    @property
    def parts(self) -> tuple[str, str]:
        """The names of its real and its imaginary part."""
        return f"{self.name}_re", f"{self.name}_im"


def names_in_real(unknowns: Sequence[str | Complex]) -> tuple[str, ...]:
    """Names of unknowns, of complex ones those of their parts.

    Args:
        unknowns: What the user gave.
    """
    found: list[str] = []
    for one in unknowns:
        found += one.parts if isinstance(one, Complex) else [one]
    return tuple(found)


def function_in_real(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """A function of complex unknowns as one of their parts, which returns real values alone.

    Args:
        function: An equation, or what vanishes on a face.
        names: Of the complex unknowns.
    """
    label = function_name(function)
    arguments = argument_names(function, label)
    taken = [name for name in names if name in arguments]
    if not taken:
        return function

    def real(**given: Any) -> Any:
        whole = {
            n: ComplexValue(*(given.pop(f"{n}_{part}") for part in REAL_AND_IMAGINARY))
            for n in taken
        }
        returned = function(**given, **whole)
        rows = returned if isinstance(returned, tuple | list) else [returned]
        found: list[Any] = []
        for row in rows:
            complex_ = isinstance(row, ComplexValue) or _is_complex(row)
            found += parts_of(row) if complex_ else [row]
        return found if isinstance(returned, tuple | list) or len(found) > 1 else found[0]

    real.__name__ = label.removesuffix("()")
    real.__doc__ = function.__doc__
    if hasattr(function, "__code__"):
        # Messages name the line of the user's own function.
        real.__wrapped__ = function  # type: ignore[attr-defined]
    every = [
        name
        for argument in arguments
        for name in (
            [f"{argument}_{p}" for p in REAL_AND_IMAGINARY] if argument in taken else [argument]
        )
    ]
    real.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in every]
    )
    return real


def values_in_real(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Values by unknown, or by its derivative as psi_t, with those of complex ones in parts.

    Args:
        values: What the user gave.
        names: Of the complex unknowns.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        stem, _, rate = name.rpartition("_")
        if name in names:
            stem, rate = name, ""
        if stem not in names:
            found[name] = value
            continue
        for i, part in enumerate(REAL_AND_IMAGINARY):
            found[f"{stem}_{part}" + (f"_{rate}" if rate else "")] = _part(value, i)
    return found


def condition_in_real(condition: BoundaryCondition, names: Sequence[str]) -> BoundaryCondition:
    """A condition on complex unknowns as one on their parts.

    Args:
        condition: What the user gave.
        names: Of the complex unknowns.
    """
    if isinstance(condition, Condition):
        function = function_in_real(condition.function, names)
        where, weight = condition.where, condition.weight
        return Condition(function, on=condition.on, where=where, weight=weight)
    if not isinstance(condition, Dirichlet | Neumann | Robin | Initial):
        return condition
    found = copy.copy(condition)
    found.values = values_in_real(condition.values, names)
    return found


def _part(value: Any, i: int) -> Any:
    """The real or the imaginary part of a number, or of a function of coordinates."""
    if not callable(value):
        return parts_of(value)[i] if isinstance(value, int | float | complex) else value

    def part(**at: Tensor) -> Any:
        found = parts_of(value(**at))[i]
        if isinstance(found, float):
            return torch.full_like(next(iter(at.values())), found)
        return found

    label = function_name(value)
    part.__name__ = f"{label.removesuffix('()')}.{REAL_AND_IMAGINARY[i]}"
    arguments = argument_names(value, label)
    part.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(a, inspect.Parameter.KEYWORD_ONLY) for a in arguments]
    )
    return part


def _is_complex(row: object) -> bool:
    return isinstance(row, complex) or (isinstance(row, Tensor) and row.is_complex())
