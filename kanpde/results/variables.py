"""The fields of a result as named variables, with the attributes by which other tools know them (CF
conventions, 1.11, sections 2.6, 3 and 4).

run.h5, `Result.to_xarray` and exports have the same names: u, u_reference, u_exact, u_error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.results.fields import Fields

CONVENTIONS = "CF-1.11"

_AXES = ("X", "Y", "Z")
_TITLES = {
    "solution": "solution of the network",
    "reference": "reference solution",
    "exact": "exact solution",
}


@dataclass(frozen=True)
class Variable:
    """One field on the grid of all coordinates.

    Attributes:
        name: What it is called in files, such as u_error.
        unknown: The unknown that it is of.
        kind: solution, reference, exact or error.
        values: One axis a coordinate, NaN outside of the domain.
        attributes: By which other tools know it, plain values.
    """

    name: str
    unknown: str
    kind: str
    values: NDArray[np.float64]
    attributes: dict[str, str]


def variables(fields: Fields, units: Mapping[str, str]) -> Iterator[Variable]:
    """Solution, reference, exact values and error of every unknown, as far as they are known.

    Args:
        fields: The fields of a result.
        units: By unknown, where they are given.
    """
    taken = set(fields.grid)
    kinds = {"solution": fields.solution, "reference": fields.reference, "exact": fields.exact}
    kinds["error"] = {u: e for u in fields.solution if (e := fields.error(u)) is not None}
    for kind, values in kinds.items():
        for unknown, array in values.items():
            name = unknown if kind == "solution" else f"{unknown}_{kind}"
            while name in taken:
                name += "_"
            taken.add(name)
            against = "exact" if unknown in fields.exact else "reference"
            title = f"error against the {_TITLES[against]}" if kind == "error" else _TITLES[kind]
            found = {"unknown": unknown, "kind": kind, "long_name": f"{unknown}: {title}"}
            found |= {"against": against} if kind == "error" else {}
            found |= {"units": units[unknown]} if unknown in units else {}
            yield Variable(name, unknown, kind, array, found)


def coordinate_attributes(
    name: str, coordinates: tuple[str, ...], time: str | None, units: Mapping[str, str]
) -> dict[str, str]:
    """The attributes of a coordinate.

    Args:
        name: The name of the coordinate.
        coordinates: Names of all of them, in order.
        time: Which one is time, if any.
        units: By coordinate, where they are given.

    Returns:
        Its long name, the axis that it is (X, Y, Z in their order, T for time), and its units where
        they are given.
    """
    space = [x for x in coordinates if x != time]
    found = {"long_name": "time" if name == time else f"coordinate {name}"}
    if name == time:
        found["axis"] = "T"
    elif space.index(name) < len(_AXES):
        found["axis"] = _AXES[space.index(name)]
    return found | ({"units": units[name]} if name in units else {})


def global_attributes(settings: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of the whole data set: what it is, what made it, and when.

    Args:
        settings: The settings of the result.
        provenance: The provenance of the result: versions, machine, date.
    """
    made = f"kanpde {provenance.get('kanpde')}"
    found = {
        "Conventions": CONVENTIONS,
        "title": settings.get("title") or settings.get("problem"),
        "source": f"{made}: {settings.get('network')}, {settings.get('parameters')} parameters",
    }
    found["history"] = f"{provenance.get('date')}: solved by {made}"
    return {key: str(value) for key, value in found.items() if value is not None}
