"""The reference of a family: those of a few members, each solved as a problem of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from scipy.interpolate import make_interp_spline

from kanpde.errors import ReferenceUnavailable
from kanpde.geometry.family import values_of
from kanpde.problem.families import said
from kanpde.problem.problem import Problem
from kanpde.reference.found import Reference


def of_family(problem: Problem, one: Callable[[Problem], Reference]) -> Reference:
    """The references of a few members of a family as one, with a coordinate for each parameter.

    Members are on nodes of their own. Where these differ, values are interpolated to the most
    nodes that one of them has; errors are measured on each member's own.

    Args:
        problem: The family.
        one: The reference of a member.

    Raises:
        ReferenceUnavailable: A member has none; the message says which.
    """
    values = values_of(problem.domain)
    members = [_member(problem, at, one) for at in every(values)]
    found = [reference for _, reference in members]
    finest = max(found, key=lambda each: sum(map(len, each.coordinates.values())))
    shape = [len(each) for each in values.values()]
    fields = {}
    for unknown in finest.values:
        each = [_on(finest.coordinates, one, one.values[unknown]) for one in found]
        fields[unknown] = np.stack(each).reshape(*shape, *each[0].shape)
    doubts = [f"{said(at)}: {one.doubt}" for at, one in members if one.doubt]
    return Reference(
        coordinates={**values, **finest.coordinates},
        values=fields,
        order=found[0].order,
        kind=f"one for each of {len(found)} values, for {said(members[0][0])}: {found[0].kind}",
        estimated_error=max(one.estimated_error for one in found),
        seconds=sum(one.seconds for one in found),
        estimated_errors=_largest([one.estimated_errors for one in found]),
        scales=_largest([one.scales for one in found]),
        doubt=doubts[0] if doubts else "",
        members=tuple(members),
    )


def every(values: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    """All combinations of values of parameters.

    Args:
        values: By name.
    """
    names, columns = list(values), [each.tolist() for each in values.values()]
    return [dict(zip(names, one, strict=True)) for one in product(*columns)]


def _member(
    problem: Problem, at: Mapping[str, float], one: Callable[[Problem], Reference]
) -> tuple[Mapping[str, float], Reference]:
    try:
        return at, one(problem.member(**at))
    except ReferenceUnavailable as reason:
        raise type(reason)(f"{said(at)}: {reason}") from reason


def _on(nodes: Mapping[str, np.ndarray], one: Reference, values: np.ndarray) -> np.ndarray:
    """Values of a reference on other nodes."""
    for i, (x, own) in enumerate(one.coordinates.items()):
        if len(own) != len(nodes[x]) or not np.allclose(own, nodes[x]):
            values = make_interp_spline(own, values, min(3, len(own) - 1), axis=i)(nodes[x])
    return values


def _largest(given: Sequence[Mapping[str, float] | None]) -> dict[str, float] | None:
    known = [each for each in given if each is not None]
    if len(known) < len(given):
        return None
    return {u: max(each[u] for each in known) for u in known[0]}
