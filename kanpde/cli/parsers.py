"""Texts of options read as lists, ranges, pairs and choices; typer calls these.

A parser raises ValueError with what it expected. What came, and for which option, is put before
that by `complaints.usage`, in one place for all options.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import typer

from kanpde.errors import nearest

TOO_MANY = 10**15
"""Whole numbers are smaller than this: they are kept in 64 bits, and 1,000 times a seed as well."""

TABLES = (".csv", ".tsv", ".txt", ".npz", ".h5", ".hdf5")
"""Endings of the names of files with rows."""

Number = TypeVar("Number", int, float)


class KindSetting(NamedTuple):
    """A setting of a kind of network, its value still text."""

    name: str
    value: str


class ConstantInTurn(NamedTuple):
    """A constant of a problem's file with values that it has one after another."""

    name: str
    values: tuple[float, ...]


class Constant(NamedTuple):
    """A constant of a problem's file and the value that it is to have."""

    name: str
    value: float


def bounded(value: Number | None) -> Number | None:
    """Refuse numbers that nothing can count to, infinity and nan; typer calls it as a callback.

    Args:
        value: What typer has read, or None where the option was not given.

    Returns:
        The value as it is.

    Raises:
        typer.BadParameter: The number is TOO_MANY or more, or is no number.
    """
    if value is not None and not value < TOO_MANY:
        raise typer.BadParameter(f"got {value}; expected a number below {TOO_MANY:,}")
    return value


def one_of(known: Sequence[str]) -> Callable[[str], str]:
    """Make a parser of choices.

    Args:
        known: The values that may be chosen.

    Returns:
        A parser that raises ValueError for any other value, naming those that come near it.
    """

    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected {' or '.join(known)}{nearest(text, known)}")
        return text

    return parse


def names(text: str) -> list[str]:
    """Names by commas, such as kan,mlp.

    Args:
        text: What was given.

    Returns:
        At least one name.

    Raises:
        ValueError: There is none, or nothing stands between two commas.
    """
    return _parts(text, ",", "one or more names, such as a,b")


def schedules(text: str) -> list[str]:
    """Schedules by semicolons, such as 'lm:100;adam:2000,lbfgs:500'; each is checked later.

    Args:
        text: What was given.

    Returns:
        At least one text of stages.

    Raises:
        ValueError: There is none, or nothing stands between two semicolons.
    """
    return _parts(text, ";", "one or more schedules, such as 'lm:100;adam:2000,lbfgs:500'")


def whole_numbers(example: str, least: int = 1) -> Callable[[str], tuple[int, ...]]:
    """Make a parser of whole numbers by commas.

    Args:
        example: What is named as right where something else comes, such as "5 or 8,8".
        least: The smallest number that is taken.

    Returns:
        A parser that raises ValueError where a part is no such number.
    """
    sign = "positive whole" if least == 1 else "whole"

    def parse(text: str) -> tuple[int, ...]:
        try:
            return tuple(_whole(part, least) for part in text.split(","))
        except ValueError:
            raise ValueError(f"expected {sign} numbers, such as {example}") from None

    return parse


def numbers(example: str) -> Callable[[str], tuple[float, ...]]:
    """Make a parser of numbers by commas.

    Args:
        example: What is named as right where something else comes, such as "1e-4,1e-8".

    Returns:
        A parser that raises ValueError where a part is no number.
    """

    def parse(text: str) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in text.split(","))
        except ValueError:
            raise ValueError(f"expected numbers, such as {example}") from None

    return parse


def seeds(text: str) -> Sequence[int]:
    """How many seeds, such as 3, or which, such as 0,4,7.

    Args:
        text: What was given.

    Returns:
        The seeds; a range from 0 on where only their number was given.

    Raises:
        ValueError: It is neither.
    """
    try:
        if "," in text:
            return [_whole(part, 0) for part in text.split(",")]
        return range(_whole(text, 1))
    except ValueError:
        raise ValueError("expected how many, such as 3, or which, such as 0,4,7") from None


def budgets(text: str) -> Sequence[int]:
    """Counts of parameters: a range such as 50:5000, or a list such as 50,200,800.

    Args:
        text: What was given.

    Returns:
        A tuple (low, high) for a range, a list otherwise.

    Raises:
        ValueError: It is neither, or the range is empty.
    """
    low, colon, high = text.partition(":")
    try:
        if not colon:
            return [_whole(part, 1) for part in text.split(",")]
        ends = _whole(low, 1), _whole(high, 1)
    except ValueError:
        raise ValueError("expected a range, such as 50:5000, or a list, such as 50,200") from None
    if ends[0] > ends[1]:
        raise ValueError("expected the smaller number of the range first, such as 50:5000")
    return ends


def shapes(text: str) -> Sequence[int | tuple[int, ...]]:
    """Widths of hidden layers, one network after another, such as 2,4,8 or 4x4,8x8.

    Args:
        text: What was given.

    Returns:
        By network a number, for all of its layers, or a tuple with a number a layer.

    Raises:
        ValueError: A part is neither.
    """
    found: list[int | tuple[int, ...]] = []
    for part in text.split(","):
        try:
            layers = tuple(_whole(layer, 1) for layer in part.split("x"))
        except ValueError:
            raise ValueError(
                "expected positive whole numbers, such as 2,4,8 or, layer by layer, 4x4,8x8"
            ) from None
        found.append(layers[0] if len(layers) == 1 else layers)
    return found


def edge(text: str) -> tuple[int, ...]:
    """The place of an edge of a network, such as 1,2,5, counted from 1.

    Args:
        text: What was given.

    Returns:
        Its layer, its input and its output.

    Raises:
        ValueError: It is anything but three positive whole numbers.
    """
    found = whole_numbers("1,2,5")(text)
    if len(found) != 3:
        raise ValueError("expected a layer, an input and an output, such as 1,2,5")
    return found


def setting(text: str) -> KindSetting:
    """A setting of a kind of network, such as activation=silu.

    Args:
        text: What was given.

    Returns:
        Its name, and its value as text.

    Raises:
        ValueError: It is no name, equals sign and value.
    """
    name, _, value = (part.strip() for part in text.partition("="))
    if not name.isidentifier() or not value:
        raise ValueError("expected a name and a value, such as activation=silu")
    return KindSetting(name, value)


def constant(text: str) -> Constant:
    """A constant of a problem's file, such as nu=0.01.

    Args:
        text: What was given.

    Returns:
        Its name and its value.

    Raises:
        ValueError: It is no name, equals sign and finite number.
    """
    name, _, number = (part.strip() for part in text.partition("="))
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not name.isidentifier() or not math.isfinite(value):
        raise ValueError("expected a constant of the problem and a number, such as nu=0.01")
    return Constant(name, value)


def constants_in_turn(text: str) -> ConstantInTurn:
    """Values of a constant, one after another, such as nu=0.1,0.01; or one of them.

    Args:
        text: What was given.

    Returns:
        Its name and its values.

    Raises:
        ValueError: It is no name, equals sign and finite numbers.
    """
    name, mark, numbers = text.partition("=")
    found = [constant(f"{name}{mark}{number}") for number in numbers.split(",")]
    return ConstantInTurn(found[0].name, tuple(one.value for one in found))


def share(text: str | float) -> float:
    """A share of the rows of a table.

    Args:
        text: What was given; typer passes the default as well, which is a number.

    Returns:
        A number, 0 or more and below 1.

    Raises:
        ValueError: It is anything else.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < 1:
        raise ValueError("expected a share of the rows, 0 or more and below 1")
    return found


def share_or_file(text: str | float) -> float | Path:
    """A share of the rows of a table, or a file of other rows.

    Args:
        text: What was given; typer passes the default as well, which is a number.

    Returns:
        A path where the text ends like the name of a table, otherwise the share.

    Raises:
        ValueError: It is neither.
    """
    if Path(str(text)).suffix in TABLES:
        return Path(str(text))
    try:
        return share(text)
    except ValueError as error:
        raise ValueError(f"{error}, or a file") from None


def gpu_or_cpu(text: str) -> str:
    """A device by its kind, cpu or cuda, or one of several GPUs, such as cuda:1.

    Args:
        text: What was given.

    Returns:
        The same.

    Raises:
        ValueError: It is neither.
    """
    return text if text.startswith("cuda:") else one_of(("cpu", "cuda"))(text)


def _whole(text: str, least: int) -> int:
    """A whole number; ValueError for anything else, and where it is out of range."""
    found = int(text)
    if not least <= found < TOO_MANY:
        raise ValueError(text)
    return found


def _parts(text: str, mark: str, expected: str) -> list[str]:
    found = [part.strip() for part in text.split(mark)]
    if not all(found):
        raise ValueError(f"expected {expected}")
    return found
