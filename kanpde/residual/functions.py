"""Functions that users write: which arguments they take, what they return, and what messages call
them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from kanpde.errors import KanpdeError, ProblemError, first_line, listed, nearest
from kanpde.residual.calculus import Leaves, Values
from kanpde.residual.cures import cure, derivative_in


def call(
    function: Callable[..., object],
    arguments: Values,
    name: str,
    coordinates: Sequence[str] = (),
) -> Any:
    """Call a user's function by the names of its arguments.

    Args:
        function: What the user wrote.
        arguments: Its arguments by name, [points] each.
        name: What messages call the function.
        coordinates: Names of the coordinates that there are, its arguments or not.

    Raises:
        ProblemError: For whatever the function raises; the message names the function.
    """
    try:
        return function(**arguments)
    except KanpdeError:
        raise
    # The user's own code: anything can come out of it. It is named, never swallowed.
    except Exception as error:
        instead = cure(error, tuple(arguments), coordinates)
        raise ProblemError(f"{name}: {first_line(error)}{instead}") from error


def argument_names(function: Callable[..., object], what: str) -> tuple[str, ...]:
    """Names of a function's arguments. Those with a default are constants and are left out.

    Args:
        function: What the user wrote.
        what: What messages call it.

    Raises:
        ProblemError: Where it is no function, or an argument has no name to match by.
    """
    if not callable(function):
        raise ProblemError(f"{what}: got {type(function).__name__}; expected a function")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ProblemError(
            f"{what}: {function!r} has no readable signature; wrap it in a def or lambda with named"
            " arguments"
        ) from None
    stars: dict[object, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY):
            raise ProblemError(
                f"{what}: argument '{stars.get(p.kind, '')}{p.name}' has no name to match; expected"
                " unknowns and coordinates by name"
            )
    return tuple(p.name for p in parameters if p.default is p.empty)


def check_arguments(
    arguments: Sequence[str], known: Mapping[str, Sequence[str]], what: str, hint: str = ""
) -> None:
    """Check that every argument is among the known names.

    Args:
        arguments: Names of a function's arguments.
        known: The names that there are, by kind ("unknown", "coordinate").
        what: What messages call the function.
        hint: Ends the message where no known name is near.

    Raises:
        ProblemError: For the first argument that is not known.
    """
    names = [name for group in known.values() for name in group]
    for argument in arguments:
        if argument not in names:
            kinds = " nor ".join(
                f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} ({listed(group)})"
                for kind, group in known.items()
            )
            either = "neither " if len(known) > 1 else "not "
            meant = derivative_in(argument, known) or nearest(argument, names) or hint
            raise ProblemError(f"{what}: argument {argument!r} is {either}{kinds}{meant}")


def rows_of(
    function: Callable[..., object],
    name: str,
    arguments: Sequence[str],
    unknowns: Sequence[str],
    leaves: Leaves,
) -> list[Tensor]:
    """Call the user's function on the leaves and check what it returns.

    Args:
        function: What the user wrote.
        name: What messages call it.
        arguments: The names of its arguments.
        unknowns: Which names are unknowns; the other arguments are coordinates.
        leaves: Supplies coordinates and derivatives.

    Returns:
        One tensor [points] an equation.

    Raises:
        ProblemError: Where the function fails, or returns anything else.
    """
    like = next(iter(leaves.coordinates.values()))

    def called(leaves: Leaves) -> object:
        values = {a: leaves.value(a) if a in unknowns else leaves.coordinates[a] for a in arguments}
        with leaves.active():
            return call(function, values, name, tuple(leaves.coordinates))

    # Integrals of expressions call it once more, with leaves at their nodes.
    leaves.again = called
    returned = called(leaves)
    rows: list[Tensor] = list(returned) if isinstance(returned, tuple | list) else [returned]  # type: ignore[list-item]
    if not rows:
        raise ProblemError(f"{name}: returned nothing; expected a tensor of one value a point")
    for row in rows:
        if not isinstance(row, Tensor) or not row.is_floating_point():
            came = f"a tensor of {row.dtype}" if isinstance(row, Tensor) else type(row).__name__
            raise ProblemError(
                f"{name}: returned {came}; expected a tensor of one real number a"
                f" point{forgotten(row)}"
            )
        if row.shape != like.shape:
            raise ProblemError(
                f"{name}: returned shape {list(row.shape)} for {len(like)} points; expected one"
                f" value a point, [{len(like)}]"
            )
    return [row.to(like.dtype) for row in rows]


def function_name(function: object) -> str:
    """How a message calls a function: "poisson()"."""
    return f"{getattr(function, '__name__', type(function).__name__)}()"


def forgotten(returned: object) -> str:
    """A hint for what a function without `return` returns."""
    return " (is a `return` missing?)" if returned is None else ""


def at_point(values: Values, i: int) -> str:
    """Point i in words: "x=0.5, y=0"."""
    return ", ".join(f"{name}={float(v[i]):.6g}" for name, v in values.items())
