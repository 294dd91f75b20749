"""Problems on pieces: each unknown has a copy on every piece whose equations mention it, u_copper
and u_air for u.

Everything behind a problem sees the copies as unknowns of their own; what a user writes and reads
is u.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import ProblemError, listed, nearest
from kanpde.geometry import Pieces
from kanpde.geometry.pieces import Region
from kanpde.problem.conditions import (
    BoundaryCondition,
    Constraint,
    Initial,
    Periodic,
    Value,
    by_name,
    prescribed_value,
)
from kanpde.problem.interface import Interface
from kanpde.residual.calculus import Values
from kanpde.residual.residual import Residual


def copy_of(unknown: str, piece: str) -> str:
    """The name of an unknown on a piece."""
    return f"{unknown}_{piece}"


@dataclass(frozen=True)
class Piece:
    """Equations on one region, still of unknowns by their plain names."""

    region: Region
    unknowns: tuple[str, ...]
    equations: tuple[Residual, ...]

    @property
    def copies(self) -> dict[str, str]:
        """The copies on this piece by plain name."""
        return {u: copy_of(u, self.region.name) for u in self.unknowns}


def by_piece(domain: Pieces, given: object, what: str = "Problem(equations=…)") -> dict[str, Any]:
    """What was given for every piece, for all of them alike where it does not come by piece. Raises
    ProblemError."""
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


def constraints(
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
        if isinstance(condition, Periodic | Initial):
            raise ProblemError(
                f"{condition!r}: pieces are for steady problems without periodic coordinates"
            )
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
    return [face for face in domain.faces if face not in domain.contacts]


def _check_faces(domain: Pieces, condition: BoundaryCondition) -> None:
    on = getattr(condition, "on", None)
    for face in () if on is None else (on,) if isinstance(on, str) else on:
        if face in domain.contacts:
            raise ProblemError(
                f"{condition!r}: {face!r} is where two pieces meet; write Interface(…)"
            )
        if not any(
            face in region.faces or region.full(face) in region.faces
            for region in domain.regions.values()
        ):
            raise ProblemError(
                f"{condition!r}: there is no face {face!r} but where pieces meet; the faces are"
                f" {listed(_outer(domain))}{nearest(str(face), _outer(domain))}"
            )


def _on_piece(piece: Piece, condition: BoundaryCondition) -> list[Constraint]:
    """A condition on the faces of one piece that it is meant for, of the copies there."""
    region, own = piece.region, copy.copy(condition)
    on = getattr(condition, "on", None)
    names = region.faces if on is None else (on,) if isinstance(on, str) else on
    faces = [
        face if face in region.faces else region.full(face)
        for face in names
        if face in region.faces or region.full(face) in region.faces
    ]
    if not faces:
        return []
    vars(own)["on"] = tuple(faces)
    mentioned = condition.names(region, piece.unknowns)
    if hasattr(own, "values"):
        vars(own)["values"] = {
            u: value for u, value in vars(own)["values"].items() if u in piece.unknowns
        }
        if not vars(own)["values"]:
            return []
    elif any(u not in piece.unknowns for u in mentioned):
        return []
    return [_renamed(c, piece) for c in own.constraints(region, piece.unknowns)]


def _renamed(c: Constraint, piece: Piece) -> Constraint:
    prescribed = c.prescribed and replace(c.prescribed, unknown=piece.copies[c.prescribed.unknown])
    return replace(c, residual=c.residual.renamed(piece.copies), prescribed=prescribed)


def exact(
    domain: Pieces, given: Mapping[str, Value | Mapping[str, Value]], unknowns: Sequence[str]
) -> dict[str, dict[str, Callable[[Values], Tensor]]]:
    """The exact solution by plain name and piece. Raises ProblemError."""
    found: dict[str, dict[str, Callable[[Values], Tensor]]] = {}
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


def by_place(
    domain: Pieces, parts: Mapping[str, Callable[[Values], Tensor]]
) -> Callable[[Values], Tensor]:
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
