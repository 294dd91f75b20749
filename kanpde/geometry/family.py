"""Boxes some of whose coordinates are parameters of a family: they vary, but have no boundary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kanpde.errors import ProblemError, listed
from kanpde.geometry.box import Box
from kanpde.geometry.domain import Domain, Face, Interval, checked_interval
from kanpde.geometry.time import MAX_COORDINATES, SpaceTime

VALUES_JUDGED = {1: 5, 2: 3, 3: 2, 4: 2}
"""Values of each parameter at which a family is judged and drawn, by how many parameters it has."""

DECADE = 10.0
"""Ratio of the ends of a range from which these values are spread evenly by their logarithms."""


class FamilyBox(Box):
    """A box with parameters besides its coordinates, which come first and have no faces.

    Args:
        box: The coordinates that have faces.
        family: Ranges of the parameters by name.
    """

    def __init__(self, box: Box, family: Mapping[str, Interval]):
        super().__init__(**family, **box.bounds)
        self.plain, self._family = box, dict(family)

    def __repr__(self) -> str:
        ranges = (f"{k} in ({low:g}, {high:g})" for k, (low, high) in self._family.items())
        return f"{self.plain!r} for {listed(ranges)}"

    @property
    def compound(self) -> bool:
        return True

    @property
    def family(self) -> Mapping[str, Interval]:
        return self._family

    @property
    def vectors(self) -> Mapping[str, tuple[str, ...]]:
        return self.plain.vectors

    @cached_property
    def faces(self) -> Mapping[str, Face]:  # type: ignore[override]
        found = super().faces
        return {name: f for name, f in found.items() if f.coordinate not in self._family}

    @property
    def corners(self) -> tuple[()]:
        """None: singular corners of single members are not looked for in the whole family."""
        return ()


def with_family(domain: Domain, family: Mapping[str, Interval]) -> Domain:
    """A domain with parameters besides its coordinates.

    Args:
        domain: A box, with or without time; or time alone.
        family: Ranges of the parameters by name; without any, the domain stays as it is.

    Raises:
        ProblemError: For any other domain, and for more than five coordinates and parameters.
    """
    if not family:
        return domain
    if not domain.is_box:
        raise ProblemError(
            f"Problem(family=…): got {domain!r}; expected Box(…), Box(…) * Time(…) or Time(…)",
            argument="family",
        )
    if (count := len(domain.coordinates) + len(family)) > MAX_COORDINATES:
        raise ProblemError(
            f"Problem(family=…): has {count} coordinates and parameters; expected at most"
            f" {MAX_COORDINATES} in all",
            argument="family",
        )
    if isinstance(domain, SpaceTime):
        assert isinstance(domain.region, Box)
        return SpaceTime(FamilyBox(domain.region, family), domain.span_of_time)
    assert isinstance(domain, Box)
    return FamilyBox(domain, family)


def checked_family(family: object, coordinates: tuple[str, ...]) -> dict[str, Interval]:
    """Ranges of parameters by name.

    Args:
        family: What the user gave; None for none.
        coordinates: Names of the domain's coordinates.

    Raises:
        ProblemError: For anything but names with increasing ranges, and for names of coordinates.
    """
    if family is None:
        return {}
    if not isinstance(family, Mapping):
        raise ProblemError(
            f"Problem(family=…): got {family!r:.40}; expected ranges by name, such as"
            " family={'k': (0.1, 1)}",
            argument="family",
        )
    for name in family:
        if not isinstance(name, str) or not name.isidentifier():
            raise ProblemError(
                f"Problem(family={{{name!r}: …}}): expected a name that an argument can have, such"
                " as 'k'",
                argument="family",
            )
        if name in coordinates:
            raise ProblemError(
                f"Problem(family={{{name!r}: …}}): {name!r} is a coordinate of the domain; expected"
                " another name",
                argument="family",
            )
    try:
        return {k: checked_interval("family", k, ends) for k, ends in family.items()}
    except ProblemError as error:
        raise ProblemError(str(error), argument="family") from None


def values_of(domain: Domain) -> dict[str, NDArray[np.float64]]:
    """A few values of each parameter of a family, its ends among them, at which it is judged and
    drawn.

    Args:
        domain: Of the family.
    """
    family = domain.family
    return {k: _spread(*ends, VALUES_JUDGED[len(family)]) for k, ends in family.items()}


def _spread(low: float, high: float, count: int) -> NDArray[np.float64]:
    if low > 0 and high >= DECADE * low * (1 - 1e-12):
        found = np.exp(np.linspace(math.log(low), math.log(high), count))
    else:
        found = np.linspace(low, high, count)
    found[0], found[-1] = low, high
    return found
