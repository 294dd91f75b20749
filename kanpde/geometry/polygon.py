"""Polygons, with holes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import hypot
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from kanpde.errors import ProblemError
from kanpde.geometry.curves import POINTS_TIMES_SEGMENTS, Segment, distance
from kanpde.geometry.domain import checked_number
from kanpde.geometry.planar import BoundaryCurve, Planar


class Polygon(Planar):
    """The polygon with the given corners: `Polygon(x=[0, 2, 0], y=[0, 0, 1])`, in either direction.

    Its faces are "edge1", from the first corner to the second, "edge2", …, unless they have names.

    Args:
        holes: Polygons inside of it; each is one face, "hole1", "hole2", …, unless it has names of
            its own.
        names: One an edge, of which equal ones make one face; or one for all.
        **corners: By coordinate the corners' numbers.

    Raises:
        ProblemError: For fewer than three corners, edges that cross or touch, and holes that are
            not inside.
    """

    def __init__(
        self,
        *,
        holes: Sequence[Polygon] = (),
        names: Sequence[str] | None = None,
        **corners: Sequence[float],
    ):
        if len(corners) != 2:
            raise ProblemError(
                f"Polygon(…): got {len(corners)} coordinates ({', '.join(corners)}); expected two,"
                " such as Polygon(x=[0, 1, 0], y=[0, 0, 1])"
            )
        columns = [_column(name, values) for name, values in corners.items()]
        (x, xs), (y, ys) = zip(corners, columns, strict=True)
        if len(xs) != len(ys):
            raise ProblemError(
                f"Polygon(…): got {len(xs)} numbers {x} and {len(ys)} numbers {y}; expected as many"
                " of each, one a corner"
            )
        self._corners = list(zip(xs, ys, strict=True))
        if len(self._corners) > 3 and self._corners[0] == self._corners[-1]:
            self._corners.pop()  # closed by hand
        if len(self._corners) < 3:
            raise ProblemError(f"Polygon(…): got {len(self._corners)} corners; expected at least 3")
        self._names = (x, y)
        self._given = _checked_names(names, len(self._corners))
        _check_simple(self._corners)
        self.holes = _checked_holes(holes, self)

    def __repr__(self) -> str:
        columns = ", ".join(
            f"{name}=[{', '.join(f'{v:g}' for v in values)}]"
            for name, values in zip(self._names, zip(*self._corners, strict=True), strict=True)
        )
        holes = f", holes=[{', '.join(map(repr, self.holes))}]" if self.holes else ""
        return f"Polygon({columns}{holes}{f', names={self._given!r}' if self._given else ''})"

    @property
    def names(self) -> tuple[str, str]:
        return self._names

    @cached_property
    def bounding(self) -> Sequence[BoundaryCurve]:  # type: ignore[override]
        found = self._ring(self._given or [f"edge{k + 1}" for k in range(len(self._corners))], True)
        for k, hole in enumerate(self.holes):
            found += hole._ring(hole._given or [f"hole{k + 1}"] * len(hole._corners), False)
        return found

    def _ring(self, faces: Sequence[str], outer: bool) -> list[BoundaryCurve]:
        """The edges, with what is inside the polygon to their left, or the right of a hole."""
        n, anticlockwise = len(self._corners), _twice_area(self._corners) > 0
        edges = [
            BoundaryCurve(
                Segment(self._corners[k], self._corners[(k + 1) % n]),
                faces[k],
                self._given is not None,
            )
            for k in range(n)
        ]
        if anticlockwise == outer:
            return edges
        return [BoundaryCurve(e.curve.reversed(), e.face, e.shared) for e in edges]

    def depth(self, points: Tensor) -> Tensor:
        curves = [e.curve for e in self.bounding]
        ends = points.new_tensor([[*c.start, *c.end] for c in curves]).T
        parts = points.split(max(POINTS_TIMES_SEGMENTS // len(curves), 1))
        return torch.where(torch.cat([odd(part, *ends) for part in parts]), 1, -1) * distance(
            curves, points
        )


def odd(points: Tensor, ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
    """Whether a ray along x crosses an odd number of the edges from a to b."""
    x, y = points[:, :1] - ax, points[:, 1:] - ay
    straddles = (y < 0) != (points[:, 1:] < by)
    return (straddles & (((bx - ax) * y > (by - ay) * x) == (by > ay))).sum(1) % 2 == 1


def _column(name: str, values: object) -> list[float]:
    if isinstance(values, str | Real) or not hasattr(values, "__iter__"):
        raise ProblemError(
            f"Polygon({name}=…): got {values!r}; expected a list of numbers, one a corner"
        )
    return [
        checked_number("Polygon", name, float(v) if isinstance(v, np.number) else v)
        for v in (values.tolist() if hasattr(values, "tolist") else values)
    ]


def _checked_names(names: Sequence[str] | None, edges: int) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str):
        return [names] * edges
    found = list(names)
    if len(found) != edges or not all(isinstance(name, str) and name for name in found):
        raise ProblemError(
            f"Polygon(names={names!r}): expected {edges} names, one an edge, or one name for all"
        )
    return found


def _checked_holes(holes: object, outer: Polygon) -> tuple[Polygon, ...]:
    import shapely  # only polygons need it

    found = tuple(holes) if isinstance(holes, list | tuple) else (holes,)
    shell = shapely.Polygon(outer._corners)
    for k, hole in enumerate(found):
        if not isinstance(hole, Polygon):
            raise ProblemError(
                f"Polygon(holes=…): got {hole!r}; expected polygons; other shapes are taken out by"
                " Polygon(…) - Disk(…)"
            )
        if hole._names != outer._names:
            raise ProblemError(
                f"Polygon(holes=…): hole {k + 1} has the coordinates {', '.join(hole._names)};"
                f" expected {', '.join(outer._names)}"
            )
        if hole.holes:
            raise ProblemError(f"Polygon(holes=…): hole {k + 1} has holes itself; write a - b | c")
        if not shell.contains_properly(shapely.Polygon(hole._corners)):
            raise ProblemError(
                f"Polygon(holes=…): hole {k + 1}, {hole!r}, is not inside of the polygon; to cut"
                " off a piece write a - b"
            )
        for j, other in enumerate(found[:k]):
            if shapely.Polygon(hole._corners).intersects(shapely.Polygon(other._corners)):
                raise ProblemError(
                    f"Polygon(holes=…): holes {j + 1} and {k + 1} overlap or touch; expected holes"
                    " apart, or one hole"
                )
    return found


def _check_simple(corners: Sequence[tuple[float, float]]) -> None:
    """Raise ProblemError where two edges have a point in common that is no corner between them."""
    import shapely  # only polygons need it

    n = len(corners)
    edges = [shapely.LineString([corners[k], corners[(k + 1) % n]]) for k in range(n)]
    for k, edge in enumerate(edges):
        if hypot(*(a - b for a, b in zip(corners[k], corners[(k + 1) % n], strict=True))) == 0:
            raise ProblemError(
                f"Polygon(…): corners {k + 1} and {(k + 1) % n + 1} are the same point,"
                f" ({corners[k][0]:g}, {corners[k][1]:g}); leave one out"
            )
        for j in range(k):
            if not edge.intersects(edges[j]):
                continue
            common, adjacent = edge.intersection(edges[j]), (k - j) in (1, n - 1)
            if not adjacent or common.length:
                x, y = common.centroid.coords[0]
                what = "lie on each other" if common.length else "meet"
                raise ProblemError(
                    f"Polygon(…): edge{j + 1} and edge{k + 1} {what} at ({x:.6g}, {y:.6g});"
                    " expected edges that meet only at the corners between them"
                )
    if not shapely.Polygon(corners).is_valid:
        raise ProblemError(
            f"Polygon(…): is not valid: {shapely.is_valid_reason(shapely.Polygon(corners))}"
        )


def _twice_area(corners: Sequence[tuple[float, float]]) -> float:
    return sum(
        a * d - c * b for (a, b), (c, d) in zip(corners, [*corners[1:], corners[0]], strict=True)
    )
