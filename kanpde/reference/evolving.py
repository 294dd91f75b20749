"""Evolutions of pieces, whose boxes have time among their coordinates: the same problem with a time
of its own, which is marched instead of solved for at all instants at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kanpde.geometry import Box, Domain, Pieces, SpaceTime, Time
from kanpde.problem.constraints import Constraint
from kanpde.problem.problem import Problem
from kanpde.reference.patchwork import in_boxes, piece_of


class Evolving(Problem):
    """A problem on pieces of space and time, as one on pieces of space in time.

    What it holds was checked when the other one was built: only the domain is another, and what
    was given on the faces at the start are initial values.

    Args:
        problem: One that `is_evolution`.
    """

    def __init__(self, problem: Problem):
        pieces = problem.domain
        assert isinstance(pieces, Pieces)
        *space, time = pieces.coordinates
        regions = {
            name: Box(**{x: region.bounds[x] for x in space})
            for name, region in pieces.regions.items()
        }
        domain = SpaceTime(Pieces(**regions), Time(**{time: pieces.bounds[time]}))
        groups: list[tuple[Domain, object]] = [
            (domain.region.regions[piece_of(region)], equations)
            for region, equations in problem.groups
            if isinstance(domain.region, Pieces)
        ]
        vars(self).update(
            vars(problem),
            domain=domain,
            groups=tuple(groups),
            constraints=tuple(_constraints(problem, domain, time)),
        )


def is_evolution(problem: Problem) -> bool:
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


def _constraints(problem: Problem, domain: SpaceTime, time: str) -> Iterator[Constraint]:
    """The conditions on the faces of space, and at the start."""
    for c in problem.constraints:
        at_start = problem.domain.faces[c.face].coordinate == time
        yield replace(c, face=domain.initial_face) if at_start else c
