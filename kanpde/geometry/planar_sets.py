"""Set operations of regions of the plane: their boundaries are cut where they meet, and what bounds
the result is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.arcs import Arc
from kanpde.geometry.box import Box, Sides
from kanpde.geometry.crossings import crossings
from kanpde.geometry.curves import Curve, Segment, distance
from kanpde.geometry.domain import Domain, operation, turned
from kanpde.geometry.planar import SAME_POINT, BoundaryCurve, Planar


class PlanarSet(Planar):
    """A set operation of two regions of the plane. Faces keep their names; sides of boxes are named
    after the way that they look.

    Args:
        sign: "-", "|" or "&".
        a: A region.
        b: Another one, of the same coordinates.

    Raises:
        ProblemError: Where nothing is left, or where both have a face of the same name that was
            not given to join them.
    """

    def __init__(self, sign: str, a: Planar, b: Planar):
        self.sign, self.a, self.b = sign, a, b
        first, second = self._parts(a, b), self._parts(b, a)
        slack = 10 * SAME_POINT * self.size
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
        self._bounding = _merged([*first, *second], slack)

    def __repr__(self) -> str:
        return operation(self.a, self.sign, self.b)

    @property
    def compound(self) -> bool:
        return True

    @property
    def bounding(self) -> Sequence[BoundaryCurve]:
        return self._bounding

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
        away = distance([bound.curve for bound in self.bounding], points)
        level = self._level(points)
        # Where boundaries of the two lie on each other, or the two touch, both levels vanish away
        # from the boundary of the result.
        seam = (level.abs() <= SAME_POINT * self.size) & (away > 10 * SAME_POINT * self.size)
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

    def _parts(self, mine: Planar, other: Planar) -> list[BoundaryCurve]:
        """What of the boundary of one of the two bounds the result: the curves with inside on one
        side only."""
        slack = SAME_POINT * self.size
        found = [
            (bound, part)
            for bound in mine.bounding
            for part in cut(bound.curve, [q.curve for q in other.bounding], slack)
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
        for (bound, part), left_in, right_in in zip(found, inner, outer, strict=True):
            if left_in == right_in:
                continue
            curve, face = part, bound.face
            if right_in:
                curve = part.reversed()
                face = turned(face) if bound.axis is not None else face
            kept.append(BoundaryCurve(curve, face, bound.shared, bound.axis))
        return kept


@dataclass(frozen=True)
class SharedCurve:
    """A curve along which two regions touch, the first to its left and the second to its right.

    Attributes:
        curve: Where they touch.
        faces: The face of each of the two that it lies on.
    """

    curve: Curve
    faces: tuple[str, str]


def shared_curves(a: Domain, b: Domain) -> list[SharedCurve]:
    """Where two regions of the plane touch along a curve: interfaces between parts of a whole.

    Args:
        a: A region of two coordinates.
        b: Another one, of the same coordinates.

    Returns:
        The curves, those left out that are no longer than rounding.
    """
    first, second = as_planar(a), as_planar(b)
    slack = SAME_POINT * max(first.size, second.size)
    found = []
    for bound in first.bounding:
        for part in cut(bound.curve, [q.curve for q in second.bounding], slack):
            beside = next(
                (q for q in second.bounding if q.curve.holds(part.middle, 10 * slack)), None
            )
            if part.length > 10 * slack and beside is not None:
                middle = torch.tensor([part.middle], dtype=torch.float64)
                if bool(second.inside(middle + 1e-6 * second.size * part.outward(middle))):
                    found.append(SharedCurve(part, (bound.face, beside.face)))
    return found


def as_planar(domain: Domain) -> Planar:
    """A domain of two coordinates as a region of the plane, bounded by curves."""
    if isinstance(domain, Box):
        return Sides(domain)
    assert isinstance(domain, Planar)
    return domain


def cut(curve: Curve, others: Sequence[Curve], slack: float) -> list[Curve]:
    """A curve in pieces, cut where others meet it.

    Args:
        curve: What is cut.
        others: Any curves.
        slack: Distance below which two points are the same.
    """
    low, high = curve.span
    taus = sorted(
        {tau for other in others for tau in crossings(curve, other, slack)}, reverse=high < low
    )
    ends = [low, *taus, high]
    return [curve.part(a, b) for a, b in pairwise(ends) if a != b] if taus else [curve]


def _merged(bounding: Sequence[BoundaryCurve], slack: float) -> list[BoundaryCurve]:
    """The same boundary; where a curve goes on in another one of its face, the two are made one."""

    def goes_on(p: BoundaryCurve, q: BoundaryCurve) -> bool:
        return (
            q is not p
            and q.face == p.face
            and _apart(p.curve, q.curve) <= slack
            and p.curve.same(q.curve, slack)
        )

    found = list(bounding)
    k = 0
    while k < len(found):
        p = found[k]
        after = next((q for q in found if goes_on(p, q)), None)
        if after is None or p.curve.closed:
            k += 1
            continue
        found[k] = BoundaryCurve(_together(p.curve, after.curve), p.face, p.shared, p.axis)
        found.remove(after)
        k = 0
    return found


def _apart(a: Curve, b: Curve) -> float:
    return max(abs(v - w) for v, w in zip(a.end, b.start, strict=True))


def _together(a: Curve, b: Curve) -> Curve:
    if isinstance(a, Segment) and isinstance(b, Segment):
        return Segment(a.first, b.last)
    assert isinstance(a, Arc)
    assert isinstance(b, Arc)
    return a.part(a.low, a.high + b.high - b.low)
