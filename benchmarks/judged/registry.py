"""Which problems there are, and in which units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.judged import (
    beams,
    elasticity,
    finance,
    heat,
    kinetics,
    oscillations,
    walls,
    waves,
)
from benchmarks.judged.posed import Posed, Units
from kanpde.errors import RecipeError, listed, nearest

FIELDS = (kinetics, oscillations, walls, beams, finance, heat, waves, elasticity)

PLAIN, SCALED, OFFSET = "as it is", "scaled", "offset"
"""A problem in its own units, in units in which all is of size 1, and in these with 300 added to
the unknowns."""

ADDED = 300.0


@dataclass(frozen=True)
class Entry:
    """One problem in one system of units.

    Attributes:
        name: Of the problem.
        field: Of the file that it is in.
        units: One of PLAIN, SCALED and OFFSET.
        pose: Makes it.
    """

    name: str
    field: str
    units: str
    pose: Callable[[], Posed]

    @property
    def key(self) -> str:
        """Such as "fin" and "fin:offset"."""
        return self.name if self.units == PLAIN else f"{self.name}:{self.units}"


def entries() -> dict[str, Entry]:
    """All problems by key: those in their own units first, in the order of the fields."""
    plain, others = [], []
    for field in FIELDS:
        name_of_field = field.__name__.rpartition(".")[2]
        scaled: dict[Callable[..., Posed], Units] = field.SCALED
        for pose in field.PROBLEMS:
            name = pose.__name__
            plain.append(Entry(name, name_of_field, PLAIN, pose))
            if pose in scaled:
                for units, chosen in (
                    (SCALED, scaled[pose]),
                    (OFFSET, replace(scaled[pose], offset=ADDED)),
                ):
                    others.append(Entry(name, name_of_field, units, partial(pose, chosen)))
    return {entry.key: entry for entry in (*plain, *others)}


def chosen(names: Sequence[str]) -> list[Entry]:
    """The entries of these names or keys; all where there are none.

    Raises:
        RecipeError: There is no such problem.
    """
    known = entries()
    known_names = list(dict.fromkeys(entry.name for entry in known.values()))
    for name in names:
        if name not in known and name not in known_names:
            raise RecipeError(
                f"--only: got {name!r}; the problems are {listed(known_names)}"
                f"{nearest(name, known_names)}"
            )
    return [
        entry for entry in known.values() if not names or entry.name in names or entry.key in names
    ]
