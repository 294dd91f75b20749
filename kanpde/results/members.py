"""What is known of single members of a family: errors at a few values of its parameters, and the
result as it is seen there."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kanpde.geometry import Domain, many
from kanpde.problem.families import said
from kanpde.reference import Reference
from kanpde.reference.families import every
from kanpde.results.fields import Fields, Values, errors_between, relative_l2, solution_on
from kanpde.results.gaps import Gap, gaps, own_errors
from kanpde.results.scattered import scattered_gaps

if TYPE_CHECKING:
    from kanpde.networks.solution import Solution
    from kanpde.results.result import Result

AT = " at "
"""Between the name of an unknown and the values of parameters, in the names of gaps."""


def by_member(
    family: Mapping[str, object], grid: Values, *fields: Values
) -> Iterator[tuple[dict[str, float], list[dict[str, np.ndarray]]]]:
    """Fields of a family cut at every value of its parameters.

    Args:
        family: The parameters by name, which come first in the grid.
        grid: Nodes by coordinate.
        *fields: Values by unknown.
    """
    values = {name: grid[name] for name in family}
    shape = tuple(len(each) for each in values.values())
    for place, at in zip(np.ndindex(shape), every(values), strict=True):
        yield at, [{u: array[place] for u, array in some.items()} for some in fields]


def exact_gaps(domain: Domain, grid: Values, found: Values, truth: Values) -> dict[str, Gap]:
    """Gaps to the exact solution by unknown; of a family, by unknown and member.

    Args:
        domain: Of the problem.
        grid: Where values are known.
        found: What is measured.
        truth: The exact values.
    """
    if many(domain):
        return scattered_gaps(found, truth)
    if not domain.family or not truth:
        return gaps(found, truth)
    known: dict[str, Gap] = {}
    for at, (one, other) in by_member(domain.family, grid, found, truth):
        known |= _named(gaps(one, other), at)
    return known


def exact_errors(
    domain: Domain, grid: Values, found: Values, truth: Values
) -> tuple[float | None, float | None]:
    """Relative L2 and largest error against the exact solution; of a family, of the worst member.

    Args:
        domain: Of the problem.
        grid: Where values are known.
        found: What is measured.
        truth: The exact values.
    """
    if not domain.family or not truth:
        return errors_between(found, truth)
    each = [errors_between(*both) for _, both in by_member(domain.family, grid, found, truth)]
    first, second = zip(*each, strict=True)
    return max(first), max(second)


def against_members(solution: Solution, reference: Reference) -> tuple[float, dict[str, Gap]]:
    """The distance of the worst member to its reference, and all gaps by unknown and member.

    Args:
        solution: Of a family.
        reference: One that knows its members.
    """
    worst, known = 0.0, dict[str, Gap]()
    for at, one in reference.members:
        grid = {**{name: np.array([value]) for name, value in at.items()}, **one.coordinates}
        values = solution_on(solution, tuple(one.values), grid)
        found = {u: array.reshape(one.values[u].shape) for u, array in values.items()}
        worst = float(np.fmax(worst, relative_l2(found, one.values)))
        known |= _named(gaps(found, one.values, own_errors(one)), at)
    return worst, known


def _named(found: Mapping[str, Gap], at: Mapping[str, float]) -> dict[str, Gap]:
    return {f"{u}{AT}{said(at)}": gap for u, gap in found.items()}


def unknown_of(name: str) -> str:
    """The unknown that a gap is of.

    Args:
        name: Of the gap.
    """
    return name.partition(AT)[0]


def shown_members(result: Result) -> list[tuple[dict[str, float], Result]]:
    """A result as it is seen at single values of the parameters of its family: fields without
    coordinates for these, and the errors there. Nothing for what is no family.

    Args:
        result: Of a family, or not.
    """
    family = result.settings.get("family") or {}
    if not family:
        return []
    fields, found = result.fields, []
    grid = {x: nodes for x, nodes in fields.grid.items() if x not in family}
    kinds = (fields.solution, fields.reference, fields.exact)
    for at, parts in by_member(family, fields.grid, *kinds):
        one, end = copy.copy(result), f"{AT}{said(at)}"
        one.settings = {**result.settings, "family": {}}
        one.fields = Fields(grid, *parts)
        for name in ("errors", "reference_errors"):
            here = getattr(result, name).items()
            own = {k.removesuffix(end): gap for k, gap in here if k.endswith(end)}
            setattr(one, name, own)
        found.append((at, one))
    return found
