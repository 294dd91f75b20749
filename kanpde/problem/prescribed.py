"""What a user prescribes: a number, or a function of the coordinates by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from numbers import Real

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from kanpde.errors import ProblemError, listed
from kanpde.residual.calculus import Values
from kanpde.residual.functions import (
    argument_names,
    at_point,
    call,
    check_arguments,
    forgotten,
    function_name,
)

Value = float | Callable[..., Tensor]
"""A number, or a torch function of some of the coordinates by name."""


class Smooth(ABC):
    """A function to prescribe that is known to have neither jumps nor kinks: nobody looks for any,
    which would cost a call at thousands of points."""

    @abstractmethod
    def __call__(self, **at: Tensor) -> Tensor:
        """The values, [points].

        Args:
            **at: The coordinates of the points by name, [points] each.
        """


def prescribed_value(
    value: Value, coordinates: Sequence[str], what: str, finite: bool = True
) -> Callable[[Values], Tensor]:
    """A number or a function of some coordinates as a function of all of them.

    Args:
        value: What the user gave.
        coordinates: Names of all coordinates.
        what: What messages call it.
        finite: Whether values that are not finite are an error.

    Returns:
        A function of the coordinates of points by name that returns [points].

    Raises:
        ProblemError: For anything that is not one number a point, here or when it is called.
    """
    if not callable(value):
        if not is_number(value):
            raise ProblemError(
                f"{what}: got {value!r}; expected a finite number or a function of"
                f" {listed(coordinates)}"
            )
        return lambda at: torch.full_like(next(iter(at.values())), float(value))
    arguments = argument_names(value, what)
    check_arguments(arguments, {"coordinate": coordinates}, what)

    def evaluate(at: Values) -> Tensor:
        found = _one_a_point(call(value, {a: at[a] for a in arguments}, what), at, what)
        # isfinite takes absolute values, which are no kinks of the data.
        with _disable_current_modes():
            known = not finite or bool(found.isfinite().all())
        if not known:
            i = int((~found.isfinite()).nonzero()[0])
            raise ProblemError(
                f"{what}: returned {float(found[i].detach())} at {at_point(at, i)}; expected a"
                " finite number"
            )
        return found

    return evaluate


def _one_a_point(found: object, at: Values, what: str) -> Tensor:
    """What a function returned, as one number a point. Raises ProblemError."""
    like = next(iter(at.values()))
    if is_number(found):
        return torch.full_like(like, float(found))  # type: ignore[arg-type]
    if not isinstance(found, Tensor):
        raise ProblemError(
            f"{what}: returned {type(found).__name__}; expected a tensor of one value a"
            f" point{forgotten(found)}"
        )
    if found.ndim and found.shape != like.shape:
        raise ProblemError(
            f"{what}: returned shape {list(found.shape)} for {len(like)} points; expected one"
            f" value a point, [{len(like)}]"
        )
    return found.to(like).expand_as(like)


def is_number(value: object) -> bool:
    """Whether it is a finite number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def written(value: object) -> str:
    """A value as code writes it, a function by its name."""
    if callable(value):
        return function_name(value)[:-2]
    return f"{value:g}" if isinstance(value, float) else repr(value)


def listed_values(values: Mapping[str, Value]) -> str:
    """Keywords and values as code writes them."""
    return ", ".join(f"{name}={written(value)}" for name, value in values.items())
