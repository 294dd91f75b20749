"""Problems on pieces: each unknown has a copy on every piece whose equations mention it, u_copper
and u_air for u.

Everything that works with a problem sees the copies as unknowns of their own; what a user writes
and reads is u.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Pieces
from kanpde.geometry.regions import Region
from kanpde.problem.conditions import Periodic
from kanpde.problem.constraints import BoundaryCondition, Constraint, FaceCondition
from kanpde.problem.faces import by_name
from kanpde.problem.initial import Initial
from kanpde.problem.interface import Interface
from kanpde.problem.prescribed import Value, prescribed_value
from kanpde.problem.recorded import Known, Recorded, equation
from kanpde.problem.statement import Statement, checked_equations
from kanpde.problem.unknowns import arguments_of, checked
from kanpde.residual.calculus import Values
from kanpde.residual.functions import argument_names, function_name
from kanpde.residual.residual import Residual


@dataclass(frozen=True)
class Piece:
    """The equations on one region, still of unknowns by their plain names.

    Attributes:
        region: The piece of the domain.
        unknowns: Plain names of those that its equations mention.
        equations: What vanishes in it.
    """

    region: Region
    unknowns: tuple[str, ...]
    equations: tuple[Residual, ...]

    @property
    def copies(self) -> dict[str, str]:
        """The copies on this piece by plain name."""
        return {u: f"{u}_{self.region.name}" for u in self.unknowns}


def recorded(stated: Statement) -> Recorded:
    """The dry run of a statement on a domain in pieces.

    Raises:
        ProblemError: For functions, faces and names that do not fit the pieces or each other.
    """
    domain = stated.whole
    assert isinstance(domain, Pieces)
    given = by_piece(domain, stated.equations)
    pieces = [_piece(domain.regions[name], given[name], stated.unknowns) for name in given]
    unknowns = tuple(dict.fromkeys(u for piece in pieces for u in piece.unknowns))
    known = _exact(domain, stated.exact, unknowns)
    groups = tuple((p.region, tuple(e.renamed(p.copies) for e in p.equations)) for p in pieces)
    return Recorded(
        unknowns=unknowns,
        copies=tuple(name for piece in pieces for name in piece.copies.values()),
        groups=groups,
        constraints=tuple(_constraints(domain, pieces, stated.conditions)),
        exact={u: _by_place(domain, parts) for u, parts in known.items()},
        exact_copies={
            piece.copies[u]: known[u][piece.region.name]
            for piece in pieces
            for u in piece.unknowns
            if u in known
        },
    )


def _piece(region: Region, equations: object, unknowns: Sequence[str] | None) -> Piece:
    """The equations of one region, and the unknowns that they mention."""
    functions = checked_equations(equations)
    used = arguments_of(functions)
    candidates = [a for a in used if a not in region.coordinates]
    here = candidates
    if unknowns is not None:
        here = [
            u for u in unknowns if any(u in argument_names(f, function_name(f)) for f in functions)
        ]
    own = checked(here, region, (), used, candidates)
    return Piece(region, own, tuple(equation(function, own, region) for function in functions))


def by_piece(domain: Pieces, given: object, what: str = "Problem(equations=…)") -> dict[str, Any]:
    """What was given for every piece; the same for all of them where it does not come by piece.

    Args:
        domain: Has the pieces.
        given: Anything, or a mapping of anything by the names of the pieces.
        what: What messages call it.

    Raises:
        ProblemError: For a piece that does not exist, or for which nothing is given.
    """
    if not isinstance(given, Mapping):
        return dict.fromkeys(domain.regions, given)
    for name in given:
        if name not in domain.regions:
            raise ProblemError(
                f"{what}: there is no piece {name!r}; they are"
                f" {listed(domain.regions)}{nearest(str(name), domain.regions)}"
            )
    for name in domain.regions:
        if name not in given:
            raise ProblemError(
                f"{what}: says nothing for the piece {name!r}; expected each of"
                f" {listed(domain.regions)}"
            )
    return dict(given)


def _constraints(
    domain: Pieces, pieces: Sequence[Piece], conditions: Sequence[BoundaryCondition]
) -> list[Constraint]:
    """All conditions in terms of the copies. Raises ProblemError for faces and unknowns that no
    piece has."""
    copies = [name for piece in pieces for name in piece.copies.values()]
    found: list[Constraint] = []
    for condition in conditions:
        if isinstance(condition, Interface):
            found += condition.constraints(domain, copies)
            continue
        if isinstance(condition, Periodic):
            raise ProblemError(f"{condition!r}: pieces have no periodic coordinates")
        if isinstance(condition, Initial):
            raise ProblemError(
                f"{condition!r}: pieces take no time beside them; where t is the last coordinate of"
                " each, write Dirichlet(…, on='t-')"
            )
        assert isinstance(condition, FaceCondition)
        _check_faces(domain, condition)
        made = [c for piece in pieces for c in _on_piece(piece, condition)]
        if not made:
            every = list(dict.fromkeys(u for piece in pieces for u in piece.unknowns))
            raise ProblemError(
                f"{condition!r}: holds nowhere; the unknowns are {listed(every)}, the faces"
                f" {listed(_outer(domain))}"
            )
        found += made
    return found


def _outer(domain: Pieces) -> list[str]:
    """The faces at which only one piece lies."""
    return [face for face in domain.faces if face not in domain.contacts]


def _given_faces(condition: FaceCondition) -> Sequence[str] | None:
    """The faces that a condition names, None where it names none."""
    return (condition.on,) if isinstance(condition.on, str) else condition.on


def _check_faces(domain: Pieces, condition: FaceCondition) -> None:
    """Raise ProblemError for a face that is none, or where two pieces meet."""
    for face in _given_faces(condition) or ():
        if face in domain.contacts:
            raise ProblemError(
                f"{condition!r}: {face!r} is where two pieces meet; write Interface(…)"
            )
        if not any(_own_face(region, face) for region in domain.regions.values()):
            raise ProblemError(
                f"{condition!r}: there is no face {face!r} but where pieces meet; the faces are"
                f" {listed(_outer(domain))}{nearest(str(face), _outer(domain))}"
            )


def _own_face(region: Region, face: str) -> str | None:
    """What a region calls a face, given by that name or by that of its domain; None where it has
    no such face."""
    for name in (face, region.full(face)):
        if name in region.faces:
            return name
    return None


def _on_piece(piece: Piece, condition: FaceCondition) -> list[Constraint]:
    """A condition on the faces of one piece that it is meant for, of the copies there."""
    named = _given_faces(condition)
    faces = [
        _own_face(piece.region, face) for face in (piece.region.faces if named is None else named)
    ]
    own = condition.about(piece.region, piece.unknowns)
    kept = [face for face in faces if face is not None]
    if own is None or not kept:
        return []
    found = own.only_on(kept).constraints(piece.region, piece.unknowns)
    return [_renamed(c, piece) for c in found]


def _renamed(c: Constraint, piece: Piece) -> Constraint:
    """A constraint of the copies in place of the unknowns."""
    prescribed = c.prescribed and replace(c.prescribed, unknown=piece.copies[c.prescribed.unknown])
    return replace(c, residual=c.residual.renamed(piece.copies), prescribed=prescribed)


def _exact(
    domain: Pieces, given: Mapping[str, Value | Mapping[str, Value]], unknowns: Sequence[str]
) -> dict[str, dict[str, Known]]:
    """The exact solution by plain name and piece. Raises ProblemError."""
    found: dict[str, dict[str, Known]] = {}
    for unknown, value in given.items():
        if unknown not in unknowns:
            raise ProblemError(
                f"Problem(exact={{{unknown!r}: …}}): no such unknown; they are"
                f" {listed(unknowns)}{nearest(str(unknown), unknowns)}"
            )
        parts = by_piece(domain, value, f"Problem(exact={{{unknown!r}: …}})")
        found[unknown] = {
            name: prescribed_value(
                parts[name], domain.coordinates, f"exact[{unknown!r}][{name!r}]", finite=False
            )
            for name in domain.regions
        }
    return found


def _by_place(domain: Pieces, parts: Mapping[str, Known]) -> Callable[[Values], Tensor]:
    """At every point the function of its own piece."""

    def evaluate(at: Values) -> Tensor:
        points = torch.stack([at[x] for x in domain.coordinates], 1)
        which = domain.region(points)
        values = points.new_zeros(len(points))
        for k, name in enumerate(domain.regions):
            here = which == k
            if here.any():
                values[here] = parts[name](by_name(points[here], domain.coordinates))
        return values

    return evaluate
