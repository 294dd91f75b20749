"""Options read from text: choices and whole numbers, refused in one line before anything heavy is
imported."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kanpde.errors import RecipeError, nearest

DIGITS = 15
"""Of a whole number, at most: they are kept in 64 bits, and 1,000 times a seed as well."""


def choice(option: str, value: str, known: Sequence[str]) -> str:
    """One of the known values; raises RecipeError for anything else."""
    if value not in known:
        raise RecipeError(
            f"{option}: got {value!r}; expected {' or '.join(known)}{nearest(value, known)}"
        )
    return value


def number(option: str, text: str | None, least: int = 1) -> int | None:
    """A whole number; raises RecipeError for anything else and for numbers below `least`."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS and int(text) >= least):
        raise RecipeError(
            f"{option}: got {text!r:.40}; expected a whole number, {least} or"
            f" more{'' if len(text) <= DIGITS else f', of at most {DIGITS} digits'}"
        )
    return int(text)


def numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """Numbers such as 8,8; raises RecipeError unless all are positive integers."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(
        part.isascii() and part.isdigit() and len(part) <= DIGITS and int(part) for part in parts
    ):
        example = {"--width": "5 or 8,8", "--degree": "5 or 8,16,32"}.get(option, "6 or 6,12,24")
        raise RecipeError(
            f"{option}: got {text!r}; expected positive whole numbers, such as {example}"
        )
    return tuple(int(part) for part in parts)


def pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """Settings such as activation=silu; raises RecipeError unless each is a name, an equals sign
    and a value."""
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier() or not value.strip():
            raise RecipeError(
                f"{option} {text}: expected a name and a value, such as activation=silu"
            )
        found[name.strip()] = value.strip()
    return found


def constants(texts: Sequence[str] | None) -> dict[str, float]:
    """Constants such as nu=0.01; raises RecipeError unless each is a name, an equals sign and a
    finite number."""
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip().isidentifier() or not math.isfinite(found[name.strip()]):
            raise RecipeError(
                f"{text}: expected a constant of the problem and a number, such as nu=0.01"
            )
    return found


def real(option: str, text: str) -> float:
    """A finite number, 0 or more; raises RecipeError for anything else."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise RecipeError(f"{option}: got {text!r}; expected a number, 0 or more, such as 1e-6")
    return found
