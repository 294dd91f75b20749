"""A problem on pieces that are boxes, as products of splines take it: a problem of its own on every
piece, and seams at which two of them meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kanpde.geometry import Pieces
from kanpde.geometry.domain import Domain, Interval
from kanpde.geometry.regions import Contact, Region
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.residual.residual import Residual


@dataclass(frozen=True)
class Seam:
    """A condition on the part of a plane where two pieces meet.

    Attributes:
        constraint: The condition, of the copies of the unknowns on both.
        pieces: Numbers of the two, whose first one the normal points out of.
        axis: Number of the coordinate that is constant there.
        side: The end of the first piece along it: -1 for the lower, 1 for the upper one.
        bounds: Of all coordinates; those of the constant one count nothing.
    """

    constraint: Constraint
    pieces: tuple[int, int]
    axis: int
    side: int
    bounds: tuple[Interval, ...]


def by_piece(problem: Problem) -> tuple[Formulation, ...]:
    """The problem on every piece, of the copies of the unknowns there: its equations, and the
    conditions on its own faces. What holds where two pieces meet is left out.

    Args:
        problem: On pieces that are boxes, or on a box, which is its only piece.
    """
    if not isinstance(problem.domain, Pieces):
        return (problem,)
    groups = zip(problem.domain.regions.values(), problem.groups, strict=True)
    return tuple(_on(problem, region, equations) for region, (_, equations) in groups)


def _on(problem: Problem, region: Region, equations: tuple[Residual, ...]) -> Formulation:
    pieces = problem.domain
    assert isinstance(pieces, Pieces)
    copies = tuple(name for name in problem.copies if pieces.home(name) == region.name)
    own = [c for c in problem.constraints if c.face in region.faces]
    return Formulation(
        domain=region.domain,
        unknowns=copies,
        copies=copies,
        groups=((region.domain, equations),),
        constraints=tuple(replace(c, face=c.face.removeprefix(f"{region.name}.")) for c in own),
        periodic=(),
        parameters=(),
    )


def numbers_of(problem: Formulation) -> tuple[tuple[int, ...], ...]:
    """Of every piece, which of the unknowns its copies are.

    Args:
        problem: On pieces, or on a box, which is its only piece.
    """
    domain, unknowns = problem.domain, problem.unknowns
    if not isinstance(domain, Pieces):
        return (tuple(range(len(unknowns))),)
    return tuple(
        tuple(
            unknowns.index(name.removesuffix(f"_{piece}"))
            for name in problem.copies
            if domain.home(name) == piece
        )
        for piece in domain.regions
    )


def seams(problem: Problem) -> tuple[Seam, ...]:
    """The conditions where pieces meet, each on one plane of one pair.

    Args:
        problem: On pieces that are boxes.
    """
    pieces = problem.domain
    assert isinstance(pieces, Pieces)
    names = list(pieces.regions)
    found = []
    for c in problem.constraints:
        if contact := pieces.contacts.get(c.face):
            both = names.index(contact.first.name), names.index(contact.second.name)
            found += [Seam(c, both, *where) for where in _planes_of(contact)]
    return tuple(found)


def _planes_of(contact: Contact) -> Iterator[tuple[int, int, tuple[Interval, ...]]]:
    """Axis, side of the first piece, and bounds of the parts of planes of a contact."""
    one, other = contact.first.domain.bounds, contact.second.domain.bounds
    for face in contact.parts:
        given = contact.first.domain.faces[face]
        assert given.coordinate is not None
        low_high = ((max(one[x][0], other[x][0]), min(one[x][1], other[x][1])) for x in one)
        yield list(one).index(given.coordinate), given.side, tuple(low_high)


def unfit(domain: Pieces) -> str:
    """Why products of splines cannot take a domain in pieces; empty where they can.

    Args:
        domain: The domain.
    """
    for region in domain.regions.values():
        if not region.domain.is_box:
            return f"the piece {region!r}, which is no box"
        for face, given in region.faces.items():
            if given.measure < (1 - 1e-9) * region.domain.faces[_bare(region, face)].measure:
                return f"the face {face!r}, of which another piece covers a part"
    return ""


def _bare(region: Region, face: str) -> str:
    return face.removeprefix(f"{region.name}.")


def home_of(domain: Domain, name: str) -> str | None:
    """The piece of which a name is that of a copy, such as "u_air"; None where it is of none.

    Args:
        domain: The domain.
        name: Of an unknown.
    """
    if not isinstance(domain, Pieces) or not any(name.endswith(f"_{p}") for p in domain.regions):
        return None
    return domain.home(name)
