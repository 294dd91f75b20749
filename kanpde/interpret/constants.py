"""Numbers named: rationals, and their products and quotients with π, e and roots; the tolerance
says how far to look.

A number is named only where chance alone would find a multiple of one unit as near less than once
in a thousand: the largest denominator follows from the tolerance, since there are about Q²/3
fractions a unit with denominators up to Q. There are many units, so of random numbers about one in
a hundred gets a name: a formula with named constants counts only once it is verified.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import sympy
from sympy import E, Expr, Integer, Rational, pi, sqrt

CHANCE_OF_A_NAME = 1e-3
"""Of naming a random number as a multiple of one unit."""

LARGEST_DENOMINATOR = 1000
"""Denominator, at most."""

NAMED_UNITS: tuple[Expr, ...] = (
    Integer(1),
    pi,
    pi**2,
    1 / pi,
    1 / pi**2,
    sqrt(pi),
    1 / sqrt(pi),
    sqrt(2),
    sqrt(3),
    sqrt(5),
    E,
    1 / E,
    sympy.log(2),
    pi * sqrt(2),
)
"""A number is looked for among their multiples by rationals, in this order."""

_VALUES = tuple(float(unit) for unit in NAMED_UNITS)
_EPS = 2.0**-52


@lru_cache(4096)
def recognise(value: float, tolerance: float) -> Expr | None:
    """The simplest closed form of a number.

    Looks among rational multiples of NAMED_UNITS, roots of rationals, and a ± √(b + c π²), alone or
    times or over π.

    Args:
        value: The number.
        tolerance: How far, absolute, the closed form may be from it.

    Returns:
        The closed form, or None where none is surely meant.
    """
    if abs(value) <= tolerance:
        return Integer(0)
    found = [
        (_size(q), i, q * unit)
        for i, (unit, size) in enumerate(zip(NAMED_UNITS, _VALUES, strict=True))
        if (q := rational(value / size, tolerance / size)) is not None
    ]
    if (square := rational(value**2, 2 * abs(value) * tolerance)) is not None and square.q <= 60:
        found.append((_size(square) + 2, len(NAMED_UNITS), sqrt(square) * (1 if value > 0 else -1)))
    if found:
        return min(found, key=lambda row: (row[0] + 2 * (row[1] > 0) + (row[1] > 1), row[1]))[2]
    return next(_surds(value, tolerance), None)


def exactly(value: float) -> Expr:
    """The number that a float in a program was meant to be.

    Args:
        value: The float.

    Returns:
        A named number within the float's rounding, else the float itself as a fraction; nan where
        it is not finite.
    """
    value = float(value)
    if not math.isfinite(value):
        return sympy.nan
    return recognise(value, 4 * _EPS * abs(value)) or (
        Integer(0)
        if value == 0
        else Rational(Fraction(value).numerator, Fraction(value).denominator)
    )


def rational(value: float, tolerance: float) -> Rational | None:
    """The fraction of small denominator nearest to a number.

    Args:
        value: The number.
        tolerance: How far, absolute, the fraction may be from it.

    Returns:
        The fraction, or None where none within the tolerance is surely meant.
    """
    tolerance = max(tolerance, _EPS * abs(value))
    largest = min(LARGEST_DENOMINATOR, int(math.sqrt(CHANCE_OF_A_NAME / tolerance)))
    if largest < 1 or abs(value) > 1e9:
        return None
    near = Fraction(value).limit_denominator(largest)
    if not near or abs(float(near) - value) > tolerance:
        return None
    return Rational(near.numerator, near.denominator)


def _surds(value: float, tolerance: float) -> Iterator[Expr]:
    """a ± √(b + c π²) with 2a and 2b whole: exponents of modes that a flow carries along (Kovasznay
    1948)."""
    for unit, size in ((Integer(1), 1.0), (1 / pi, 1 / math.pi), (pi, math.pi)):
        scaled = value / size
        for n in sorted(range(-100, 101), key=abs):
            root = scaled - n / 2
            for c in (Rational(1, 4), Rational(1, 2), 1, 2, 4, 8, 9, 16):
                b = root**2 - float(c) * math.pi**2
                within = (
                    2 * abs(root) * max(tolerance / size, 4 * _EPS * max(abs(n / 2), abs(root)))
                )
                whole = round(2 * b)
                if whole > 0 and abs(2 * b - whole) < 2 * within < CHANCE_OF_A_NAME / 100:
                    share = sqrt(sympy.sympify(c))
                    yield unit * (
                        Rational(n, 2)
                        + (1 if root > 0 else -1) * share * sqrt(Rational(whole, 2) / c + pi**2)
                    )


def _size(q: Rational) -> float:
    """Digits of a fraction."""
    return math.log10(abs(q.p)) + 2 * math.log10(q.q)
