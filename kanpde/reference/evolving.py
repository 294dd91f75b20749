"""Evolutions of pieces, whose boxes have time among their coordinates: the same problem with a time
of its own, which is marched instead of solved for at all instants at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kanpde.geometry import Box, Pieces, SpaceTime, Time
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.reference.patchwork import in_boxes, piece_of


def in_time(problem: Formulation) -> Formulation:
    """A problem on pieces of space and time, as one on pieces of space in time.

    Only the domain is another, and what was given on the faces at the start are initial values.

    Args:
        problem: One that `is_evolution`.
    """
    pieces = problem.domain
    assert isinstance(pieces, Pieces)
    *space, time = pieces.coordinates
    regions = {
        name: Box(**{x: region.bounds[x] for x in space}) for name, region in pieces.regions.items()
    }
    of_space = Pieces(**regions)
    domain = SpaceTime(of_space, Time(**{time: pieces.bounds[time]}))
    return Formulation(
        domain=domain,
        unknowns=problem.unknowns,
        copies=problem.copies,
        groups=tuple((of_space.regions[piece_of(r)], found) for r, found in problem.groups),
        constraints=tuple(_constraints(problem, domain, time)),
        periodic=problem.periodic,
        parameters=problem.parameters,
    )


def is_evolution(problem: Formulation) -> bool:
    """Whether a problem on pieces has a last coordinate that all pieces span alike, in which
    everything is given at the start and nothing at the end.

    Args:
        problem: Any.
    """
    pieces = problem.domain
    if not isinstance(pieces, Pieces) or not in_boxes(pieces) or len(pieces.coordinates) < 2:
        return False
    time = pieces.coordinates[-1]
    orders = {problem.order(u, time) for u in problem.copies}
    spans = {region.bounds[time] for region in pieces.regions.values()}
    if len(spans) > 1 or not orders <= {1, 2}:
        return False
    given = []
    for c in problem.constraints:
        face = pieces.faces[c.face]
        if face.coordinate != time:
            continue
        if face.side > 0 or c.prescribed is None or c.where is not None:
            return False
        given.append((c.prescribed.unknown, c.prescribed.derivative))
    wanted = [(u, m) for u in problem.copies for m in range(problem.order(u, time))]
    return sorted(given) == sorted(wanted)


def _constraints(problem: Formulation, domain: SpaceTime, time: str) -> Iterator[Constraint]:
    """The conditions on the faces of space, and at the start."""
    for c in problem.constraints:
        at_start = problem.domain.faces[c.face].coordinate == time
        yield replace(c, face=domain.initial_face) if at_start else c
