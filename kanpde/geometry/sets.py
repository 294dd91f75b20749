"""Differences, unions and intersections: a - b, a | b, a & b."""

from __future__ import annotations

import warnings

from kanpde.errors import ProblemError, ProblemWarning, listed
from kanpde.geometry.domain import Domain
from kanpde.geometry.planar_sets import PlanarSet, as_planar
from kanpde.geometry.solids import SolidSet

SHARE_TAKEN = 1e-9
"""Share of a domain below which a difference takes nothing of it away."""


def combined(sign: str, a: Domain, b: object) -> Domain:
    """The set operation of two domains of the same two or three coordinates.

    Args:
        sign: "-" for what lies in a and not in b, "|" for what lies in one of them, "&" for what
            lies in both.
        a: A domain of space.
        b: Another one, of the same coordinates in the same order.

    Raises:
        ProblemError: For what cannot be combined, or is empty.
    """
    if not isinstance(b, Domain):
        raise ProblemError(
            f"{a!r} {sign} {b!r}: expected a domain, such as Disk(x=0, y=0, radius=1)"
        )
    for domain in (a, b):
        if domain.time is not None:
            raise ProblemError(
                f"{a!r} {sign} {b!r}: one has a time; combine space first and put it in brackets,"
                f" (a {sign} b) * Time({domain.time}=…)"
            )
    if a.coordinates != b.coordinates:
        raise ProblemError(
            f"{a!r} {sign} {b!r}: the coordinates are {listed(a.coordinates)} and"
            f" {listed(b.coordinates)}; expected the same in the same order"
        )
    if len(a.coordinates) not in (2, 3):
        raise ProblemError(
            f"{a!r} {sign} {b!r}: has {len(a.coordinates)} coordinates; set operations take domains"
            " of two or three"
        )
    made: Domain
    if len(a.coordinates) == 2:
        made = PlanarSet(sign, as_planar(a), as_planar(b))
    else:
        made = SolidSet(sign, a, b)
    if sign == "-" and made.volume >= a.volume * (1 - SHARE_TAKEN):
        warnings.warn(
            f"{made!r}: takes nothing away, since the two do not overlap",
            ProblemWarning,
            stacklevel=3,
        )
    return made
