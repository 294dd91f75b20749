"""Functions of a vector of coordinates as functions of its components, which is all that the rest
of the package sees."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.problem.constraints import BoundaryCondition
from kanpde.residual.functions import argument_names, function_name

Parts = Mapping[str, Sequence[str]]
"""The components of vectors, by name."""


class PointsByComponent(Tensor):
    """Points by the components of a vector, [points, components]: `x[3]` and `x[..., 3]` are a
    component, [points], by which `d` differentiates; `x[2:]` are the components from the third on.
    What is computed from it is a plain tensor, such as `(x**2).sum(-1)`."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    _name: str
    _columns: tuple[Tensor, ...]

    @classmethod
    def of(cls, name: str, columns: Sequence[Tensor]) -> PointsByComponent:
        """Components as one tensor.

        Args:
            name: Of the vector.
            columns: The components, [points] each.
        """
        found = torch.stack(tuple(columns), -1).as_subclass(cls)
        found._name, found._columns = name, tuple(columns)
        return found

    def __len__(self) -> int:
        return len(self._columns)

    def __iter__(self) -> Iterator[Tensor]:  # type: ignore[override]
        return iter(self._columns)

    def __getitem__(self, key: Any) -> Tensor:
        which = key
        if isinstance(key, tuple) and len(key) == 2 and key[0] in (Ellipsis, slice(None)):
            which = key[1]
        count, x = len(self._columns), self._name
        if isinstance(which, slice):
            if chosen := self._columns[which]:
                return PointsByComponent.of(x, chosen)
            raise ProblemError(f"{x}[{which.start}:{which.stop}]: holds none of {count} components")
        if not isinstance(which, int) or isinstance(which, bool):
            raise ProblemError(
                f"{x}[…]: got {key!r:.40}; expected the number of a component, such as {x}[0], or a"
                f" range of them, such as {x}[1:]"
            )
        if not -count <= which < count:
            raise ProblemError(
                f"{x}[{which}]: {x} has {count} components, {x}[0] to {x}[{count - 1}]"
            )
        return self._columns[which]


PointsByComponent.__name__ = "Tensor"  # as messages call it


def of_components(function: Any, vectors: Parts) -> Any:
    """A function that takes vectors as one that takes their components.

    Args:
        function: What the user wrote; what is no function, or takes no vector, stays as it is.
        vectors: The components of vectors, by name.
    """
    if not vectors or not callable(function):
        return function
    label = function_name(function)
    arguments = argument_names(function, label)
    taken = [name for name in vectors if name in arguments]
    if not taken:
        return function

    def apart(**given: Any) -> Any:
        whole = {n: PointsByComponent.of(n, [given[x] for x in vectors[n]]) for n in taken}
        return function(**{a: whole[a] if a in whole else given[a] for a in arguments})

    apart.__name__ = label.removesuffix("()")
    apart.__doc__ = function.__doc__
    if hasattr(function, "__code__"):
        # Messages name the line of the user's own function.
        apart.__wrapped__ = function  # type: ignore[attr-defined]
    every = dict.fromkeys(
        name for argument in arguments for name in vectors.get(argument, (argument,))
    )
    apart.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in every]
    )
    return apart


def values_of_components(values: Mapping[str, Any], vectors: Parts) -> dict[str, Any]:
    """Numbers and functions by unknown, these as functions of components.

    Args:
        values: What the user gave.
        vectors: The components of vectors, by name.
    """
    return {name: of_components(value, vectors) for name, value in values.items()}


def condition_of_components(condition: BoundaryCondition, vectors: Parts) -> BoundaryCondition:
    """A condition whose functions take components.

    Args:
        condition: What the user gave.
        vectors: The components of vectors, by name.
    """
    if not vectors:
        return condition
    found: Any = copy.copy(condition)
    if getattr(found, "where", None) is not None:
        found.where = of_components(found.where, vectors)
    if hasattr(found, "values"):
        found.values = values_of_components(found.values, vectors)
    if hasattr(found, "function"):
        found.function = of_components(found.function, vectors)
        found.arguments = argument_names(found.function, found.label)
    return found
