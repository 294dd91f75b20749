"""Options read from text: numbers, seeds and names, each of them refused in one line."""

from __future__ import annotations

from collections.abc import Sequence

from typer import BadParameter

MOST = 10**15
"""No count is larger: this fits in 64 bits, and so does 1,000 times a seed."""


class Numbers(tuple[int, ...]):
    """Whole numbers of one option."""

    __slots__ = ()


class Names(tuple[str, ...]):
    """Names of one option."""

    __slots__ = ()


def counts(text: str | Numbers) -> Numbers:
    """How many points, such as 1e3,10000.

    Args:
        text: Whole numbers of 1 or more between commas; 1e4 is read as 10000.

    Returns:
        The numbers, in the order given.

    Raises:
        BadParameter: Something else was given.
    """
    if isinstance(text, Numbers):
        return text
    return Numbers(_whole(_without_exponent(part.strip()), 1) for part in text.split(","))


def seeds(text: str | Numbers) -> Numbers:
    """Which seeds: a single number says how many, from 0 on; 0,2 or 4, say which.

    Args:
        text: A whole number, or whole numbers with a comma after all but the last or after all.

    Returns:
        The seeds, in the order given.

    Raises:
        BadParameter: Something else was given, or none.
    """
    if isinstance(text, Numbers):
        return text
    if "," not in text:
        return Numbers(range(_whole(text.strip(), 1)))
    given = [part.strip() for part in text.split(",")]
    return Numbers(_whole(part, 0) for part in (given if given[-1] else given[:-1]))


def names(text: str | Names) -> Names:
    """Names such as kan,mlp.

    Args:
        text: One or more names between commas.

    Returns:
        The names, in the order given.

    Raises:
        BadParameter: There is no name in it.
    """
    if isinstance(text, Names):
        return text
    found = Names(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise BadParameter(f"got {text!r}; expected one or more names, such as a,b")
    return found


def shown_seeds(chosen: Sequence[int]) -> str:
    """The seeds as `seeds` reads them."""
    if list(chosen) == list(range(len(chosen))):
        return str(len(chosen))
    return ",".join(map(str, chosen)) + "," * (len(chosen) == 1)


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= MOST):
        raise BadParameter(f"got {text!r:.40}; expected a whole number, {least} or more")
    return int(text)


def _without_exponent(text: str) -> str:
    """1e4 written out, as 10000; any other text as it is."""
    digits, mark, zeros = text.partition("e")
    if mark and zeros.isascii() and zeros.isdigit() and len(zeros) == 1:
        return digits + "0" * int(zeros)
    return text
