"""What the evaluation of shapes depends on: types, numbers and shapes, and nothing else of a value.

To evaluate annotations takes ten times as long as to look whether arrays of the same forms have
passed before, which is a sixth of the time that the tests take.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from types import BuiltinFunctionType, FunctionType, MethodType, NoneType
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import Parameter

ARRAYS = (np.ndarray, Tensor, Parameter)

PLAIN = {
    NoneType, bool, int, float, complex, str, np.float64, np.float32, np.int64, np.bool_,
    FunctionType, MethodType, BuiltinFunctionType,
}  # fmt: skip
"""Types that say all of what an annotation asks of a value."""


MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Of parameters that take any number of arguments."""


class NotRemembered(Exception):
    """Only the evaluation itself can say whether a value is as its annotation says."""


def form(value: Any, open_ended: bool = False) -> Hashable:
    """What the annotation of a value can depend on.

    Args:
        value: The argument, or what was returned.
        open_ended: Whether the annotation may be of tuples of any length.

    Raises:
        NotRemembered: It is of a type that is not known here; or its items differ, of which
            beartype looks at one by chance, so that it looks again every time.
    """
    kind = type(value)
    if kind in ARRAYS:
        return kind, value.dtype, tuple(value.shape)
    if kind in PLAIN:
        return kind
    if isinstance(value, tuple):
        items = tuple([form(item, open_ended) for item in value])
        if open_ended and len(set(items)) > 1:
            raise NotRemembered
        return kind, items
    if kind is list:
        return kind, one([form(item, open_ended) for item in value])
    if kind is dict:
        keys, values = [type(key) for key in value], value.values()
        return kind, one(keys), one([form(item, open_ended) for item in values])
    raise NotRemembered


def one(forms: list[Any]) -> Hashable:
    """The form that all items have."""
    if len(set(forms)) > 1:
        raise NotRemembered
    return tuple(forms[:1])


class Remembered:
    """Which forms of the arguments of a function, and of what it returned, have passed."""

    def __init__(self, target: FunctionType, hints: dict[str, str]):
        parameters = inspect.signature(target).parameters.values()
        named = [(k, p.name) for k, p in enumerate(parameters) if p.name in hints]
        self.possible = not any(p.kind in MANY for p in parameters)
        self.asked = [(k, name, "..." in hints[name]) for k, name in named]
        self.returned = "..." in hints["return"] if "return" in hints else None
        self.passed: dict[Hashable, set[Hashable]] = {}

    def arguments(self, given: tuple[Any, ...], by_name: dict[str, Any]) -> Hashable:
        """The forms of the arguments. Raises NotRemembered."""
        if not self.possible:
            raise NotRemembered
        found = []
        for k, name, open_ended in self.asked:
            if k < len(given):
                found.append(form(given[k], open_ended))
            else:
                # A default is the same in every call.
                found.append(form(by_name[name], open_ended) if name in by_name else name)
        return tuple(found)

    def result(self, value: Any) -> Hashable:
        """The form of what was returned, where that is annotated. Raises NotRemembered."""
        return None if self.returned is None else form(value, self.returned)

    def call(
        self,
        target: Callable,
        strict: Callable[[], Callable],
        again: Callable[[], Callable],
        given: tuple,
        by_name: dict,
    ) -> Any:
        """What the function returns, evaluated unless the same forms have passed.

        Args:
            target: The function.
            strict: Makes the function with its annotations evaluated.
            again: Makes what evaluates them for what was returned, given first, and the arguments.
            given: Its arguments.
            by_name: Those that are given by name.
        """
        try:
            arguments = self.arguments(given, by_name)
        except NotRemembered:
            return strict()(*given, **by_name)
        passed = self.passed.get(arguments)
        if passed is None:
            found = strict()(*given, **by_name)
            passed = self.passed.setdefault(arguments, set())
            evaluated = True
        else:
            found = target(*given, **by_name)
            evaluated = False
        try:
            result = self.result(found)
        except NotRemembered:
            return found if evaluated else again()(found, *given, **by_name)
        if result not in passed:
            if not evaluated:
                again()(found, *given, **by_name)
            passed.add(result)
        return found
