"""The outline of triangles as curves: edges in one line make one segment, and those whose ends lie
on a circle an arc of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import atan2, pi

import numpy as np
from jaxtyping import Float, Int

from kanpde.geometry.arcs import Arc
from kanpde.geometry.curves import Curve, Segment

OFF_A_CURVE = 1e-8
"""Distance of points from a line or circle, relative to the size of a mesh, up to which they lie on
it."""

FEWEST_EDGES_OF_AN_ARC = 3
"""Through the ends of fewer there is always a circle."""

UNEQUAL_EDGES = 1e-3
"""Relative difference in length of edges from which on three are no arc: there is a circle through
the ends of every symmetric three."""

LARGEST_TURN = 0.65
"""Angle, in radians, between edges of an arc: a regular polygon of ten corners is taken for a
circle, and an octagon is not."""


@dataclass(frozen=True)
class Outline:
    """A closed curve of edges, the triangles to their left.

    Attributes:
        at: Numbers of the points, each the beginning of an edge.
        inner: Whether it runs around what is left out.
    """

    at: Int[np.ndarray, " edges"]
    inner: bool


def outlines(
    points: Float[np.ndarray, "points 2"], edges: Int[np.ndarray, "edges 2"]
) -> list[Outline]:
    """The closed curves that directed edges make, outer ones first.

    Args:
        points: All of them.
        edges: Each with one that ends where it begins, and one that begins where it ends.
    """
    after = dict(edges.tolist())
    found = []
    while after:
        at = [next(iter(after))]
        while (following := after.pop(at[-1])) != at[0]:
            at.append(following)
        x, y = points[at].T
        area = float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
        found.append(Outline(np.array(at), area < 0))
    return sorted(found, key=lambda one: one.inner)


def traced(
    points: Float[np.ndarray, "corners 2"], labels: Sequence[object], size: float, arcs: bool
) -> Iterator[tuple[Curve, int]]:
    """A closed curve of edges as few curves.

    Args:
        points: Where edges begin, in order.
        labels: Of the edges; those of one curve have the same.
        size: Of the whole.
        arcs: Whether there are any but segments.

    Yields:
        A curve, and the number of its first edge.
    """
    n, slack = len(points), OFF_A_CURVE * size
    begins = [k for k in range(n) if labels[k] != labels[k - 1]]
    if not begins:
        begins = [0]
        # No curve goes on beyond the end of the first one but by chance.
        _, length = next(_curves(np.concatenate([points, points[:1]]), slack, arcs))
        begins = [length % n]
    for first, last in pairwise([*begins, begins[0] + n]):
        here = np.arange(first, last + 1) % n
        done = 0
        for curve, length in _curves(points[here], slack, arcs):
            yield curve, int(here[done])
            done += length


def _curves(
    points: Float[np.ndarray, "corners 2"], slack: float, arcs: bool
) -> Iterator[tuple[Curve, int]]:
    """Edges as curves, each with as many of the edges as it can take."""
    begin, last = 0, len(points) - 1
    while begin < last:
        end = begin + 1
        while end < last and _in_line(points[begin : end + 2], slack):
            end += 1
        curve: Curve = Segment(_point(points[begin]), _point(points[end]))
        if arcs and end == begin + 1:
            least = begin + FEWEST_EDGES_OF_AN_ARC
            for most in range(least, last + 1):
                arc = _arc(points[begin : most + 1], slack)
                if arc is not None:
                    curve, end = arc, most
                elif most > least:
                    break
        yield curve, end - begin
        begin = end


def _in_line(points: Float[np.ndarray, "corners 2"], slack: float) -> bool:
    """Whether points lie on the way from the first to the last."""
    along = points[-1] - points[0]
    length = np.hypot(*along)
    if length == 0:
        return False
    away = points - points[0]
    across = (along[0] * away[:, 1] - along[1] * away[:, 0]) / length
    forward = np.diff(away @ along)
    return bool((np.abs(across) <= slack).all() and (forward > 0).all())


def _arc(points: Float[np.ndarray, "corners 2"], slack: float) -> Arc | None:
    """The arc of a circle through points, None where there is none."""
    steps = np.diff(points, axis=0)
    turns = np.arctan2(
        steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0],
        (steps[:-1] * steps[1:]).sum(1),
    )
    edges, lengths = len(steps), np.hypot(*steps.T)
    if edges == FEWEST_EDGES_OF_AN_ARC and np.ptp(lengths) > UNEQUAL_EDGES * lengths.max():
        return None
    if np.abs(turns).max() > LARGEST_TURN or not (np.sign(turns) == np.sign(turns[0])).all():
        return None
    a, b, c = points[0], points[edges // 3], points[2 * edges // 3]
    B, C = b - a, c - a
    twice = 2 * (B[0] * C[1] - B[1] * C[0])
    squares = np.array([B @ B, C @ C])
    centre = (
        a
        + np.array([C[1] * squares[0] - B[1] * squares[1], B[0] * squares[1] - C[0] * squares[0]])
        / twice
    )
    away = points - centre
    radius = float(np.hypot(*(a - centre)))
    if (np.abs(np.hypot(*away.T) - radius) > slack).any():
        return None
    closed = bool((points[0] == points[-1]).all())
    swept = np.arctan2(
        away[:-1, 0] * away[1:, 1] - away[:-1, 1] * away[1:, 0], (away[:-1] * away[1:]).sum(1)
    )
    if not closed and abs(swept.sum()) >= 2 * pi:
        return None
    whole = float(np.sign(swept.sum()) * 2 * pi) if closed else float(swept.sum())
    low = atan2(float(away[0, 1]), float(away[0, 0]))
    return Arc(_point(centre), (radius, radius), 0.0, low, low + whole)


def _point(at: Float[np.ndarray, " 2"]) -> tuple[float, float]:
    return float(at[0]), float(at[1])
