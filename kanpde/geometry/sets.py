"""Differences, unions and intersections: a - b, a | b, a & b."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from kanpde.errors import ProblemError, ProblemWarning, listed
from kanpde.geometry.arcs import Arc
from kanpde.geometry.box import Box, Sides
from kanpde.geometry.crossings import crossings
from kanpde.geometry.curves import Curve, Segment, distance
from kanpde.geometry.domain import Domain, operation
from kanpde.geometry.planar import ROUNDING, Piece, Planar
from kanpde.geometry.solids import SolidSet


def combined(sign: str, a: Domain, b: object) -> Domain:
    """The set operation of two domains of the same two or three coordinates. Raises ProblemError
    for what cannot be combined, or is empty."""
    if not isinstance(b, Domain):
        raise ProblemError(
            f"{a!r} {sign} {b!r}: expected a domain, such as Disk(x=0, y=0, radius=1)"
        )
    for domain in (a, b):
        if domain.time is not None:
            raise ProblemError(
                f"{a!r} {sign} {b!r}: one has a time; combine space first and put it in brackets,"
                f" (a {sign} b) * Time({domain.time}=…)"
            )
    if a.coordinates != b.coordinates:
        raise ProblemError(
            f"{a!r} {sign} {b!r}: the coordinates are {listed(a.coordinates)} and"
            f" {listed(b.coordinates)}; expected the same in the same order"
        )
    if len(a.coordinates) not in (2, 3):
        raise ProblemError(
            f"{a!r} {sign} {b!r}: has {len(a.coordinates)} coordinates; set operations take domains"
            " of two or three"
        )
    made = (
        PlanarSet(sign, _planar(a), _planar(b)) if len(a.coordinates) == 2 else SolidSet(sign, a, b)
    )
    if sign == "-" and made.volume >= a.volume * (1 - 1e-9):
        warnings.warn(
            f"{made!r}: takes nothing away, since the two do not overlap",
            ProblemWarning,
            stacklevel=3,
        )
    return made


@dataclass(frozen=True)
class SharedCurve:
    """A curve along which two regions touch, the first to its left and the second to its right, and
    the faces of each that it lies on."""

    curve: Curve
    faces: tuple[str, str]


def shared_curves(a: Domain, b: Domain) -> list[SharedCurve]:
    """Where two regions of the plane touch along a curve: interfaces between parts of a whole.
    Pieces of less than rounding are left out."""
    first, second = _planar(a), _planar(b)
    slack = ROUNDING * max(first.size, second.size)
    found = []
    for piece in first.pieces:
        for part in _cut(piece.curve, [q.curve for q in second.pieces], slack):
            beside = next(
                (q for q in second.pieces if q.curve.holds(part.middle, 10 * slack)), None
            )
            if part.length > 10 * slack and beside is not None:
                middle = torch.tensor([part.middle], dtype=torch.float64)
                if bool(second.inside(middle + 1e-6 * second.size * part.outward(middle))):
                    found.append(SharedCurve(part, (piece.face, beside.face)))
    return found


def _planar(domain: Domain) -> Planar:
    if isinstance(domain, Box):
        return Sides(domain)
    assert isinstance(domain, Planar)
    return domain


class PlanarSet(Planar):
    """A set operation of two regions of the plane. Faces keep their names; sides of boxes are named
    after the way that they look.

    Raises ProblemError where nothing is left, or where both have a face of the same name that was
    not given to join them.
    """

    def __init__(self, sign: str, a: Planar, b: Planar):
        self.sign, self.a, self.b = sign, a, b
        first, second = self._parts(a, b), self._parts(b, a)
        slack = 10 * ROUNDING * self.size
        second = [p for p in second if not any(q.curve.holds(p.curve.middle, slack) for q in first)]
        if not first and not second:
            raise ProblemError(
                f"{self!r}: {'nothing is left of it' if sign == '-' else 'the two do not overlap'};"
                " expected a region"
            )
        both = {p.face for p in first} & {p.face for p in second}
        for name in sorted(both):
            if not all(p.shared for p in [*first, *second] if p.face == name):
                raise ProblemError(
                    f"{self!r}: both have a face {name!r}; give one another name (name=…), or both"
                    " the same to join them"
                )
        self._pieces = _merged([*first, *second], slack)

    def __repr__(self) -> str:
        return operation(self.a, self.sign, self.b)

    @property
    def compound(self) -> bool:
        return True

    @property
    def pieces(self) -> Sequence[Piece]:
        return self._pieces

    @property
    def names(self) -> tuple[str, str]:
        return self.a.names

    @cached_property
    def size(self) -> float:  # type: ignore[override]
        return max(self.a.size, self.b.size)

    @cached_property
    def vanished(self) -> Mapping[str, str]:  # type: ignore[override]
        before = {
            **self.a.vanished,
            **self.b.vanished,
            **dict.fromkeys([*self.a.faces, *self.b.faces], repr(self)),
        }
        return {name: where for name, where in before.items() if name not in self.faces}

    def depth(self, points: Tensor) -> Tensor:
        away = distance([piece.curve for piece in self.pieces], points)
        level = self._level(points)
        # where boundaries of the two lie on each other, or the two touch, both levels vanish away
        # from the boundary of the result
        seam = (level.abs() <= ROUNDING * self.size) & (away > 10 * ROUNDING * self.size)
        if seam.any():
            step = torch.minimum(away[seam] / 2, away.new_tensor(1e-6 * self.size))
            level[seam] = self._level(points[seam] + step[:, None] * points.new_tensor([0.6, 0.8]))
        return torch.where(level < 0, -away, away)

    def _level(self, points: Tensor) -> Tensor:
        """Positive inside and negative outside of the closed regions that it is made of."""
        a, b = (
            part._level(points) if isinstance(part, PlanarSet) else part.depth(points)
            for part in (self.a, self.b)
        )
        return (
            torch.maximum(a, b)
            if self.sign == "|"
            else torch.minimum(a, b if self.sign == "&" else -b)
        )

    def _parts(self, mine: Planar, other: Planar) -> list[Piece]:
        """The pieces of one of the two that bound the result: those with inside on one side
        only."""
        slack = ROUNDING * self.size
        found = [
            (piece, part)
            for piece in mine.pieces
            for part in _cut(piece.curve, [q.curve for q in other.pieces], slack)
            if part.length > 10 * slack
        ]
        if not found:
            return []
        middle = torch.tensor([part.middle for _, part in found], dtype=torch.float64)
        right = torch.cat(
            [part.outward(m[None]) for (_, part), m in zip(found, middle, strict=True)]
        )
        step = 1e-6 * self.size
        inner = (self._level(middle - step * right) > 0).tolist()
        outer = (self._level(middle + step * right) > 0).tolist()
        kept = []
        for (piece, part), left_in, right_in in zip(found, inner, outer, strict=True):
            if left_in != right_in:
                turned = (
                    piece.face[:-1] + ("-" if piece.face.endswith("+") else "+")
                    if piece.axis is not None
                    else piece.face
                )
                kept.append(
                    Piece(
                        part if left_in else part.reversed(),
                        piece.face if left_in else turned,
                        piece.shared,
                        piece.axis,
                    )
                )
        return kept


def _cut(curve: Curve, others: Sequence[Curve], slack: float) -> list[Curve]:
    """A curve in pieces, cut where others meet it."""
    low, high = curve.span
    taus = sorted(
        {tau for other in others for tau in crossings(curve, other, slack)}, reverse=high < low
    )
    ends = [low, *taus, high]
    return [curve.part(a, b) for a, b in pairwise(ends) if a != b] if taus else [curve]


def _merged(pieces: list[Piece], slack: float) -> list[Piece]:
    """The same boundary with pieces of one face that go on in one another made one."""
    pieces = list(pieces)
    k = 0
    while k < len(pieces):
        p = pieces[k]
        after = next(
            (
                q
                for q in pieces
                if q is not p
                and q.face == p.face
                and _apart(p.curve, q.curve) <= slack
                and p.curve.same(q.curve, slack)
            ),
            None,
        )
        if after is None or p.curve.closed:
            k += 1
            continue
        pieces[k] = Piece(_together(p.curve, after.curve), p.face, p.shared, p.axis)
        pieces.remove(after)
        k = 0
    return pieces


def _apart(a: Curve, b: Curve) -> float:
    return max(abs(v - w) for v, w in zip(a.end, b.start, strict=True))


def _together(a: Curve, b: Curve) -> Curve:
    if isinstance(a, Segment) and isinstance(b, Segment):
        return Segment(a.first, b.last)
    assert isinstance(a, Arc)
    assert isinstance(b, Arc)
    return a.part(a.low, a.high + b.high - b.low)
