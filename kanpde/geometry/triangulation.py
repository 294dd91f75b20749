"""Triangles that cover a region of the plane, their vertices on its curves.

Curves are divided as finely as they bend and as other curves are near; points inside are as dense
as on the curves around, and move until triangles are nearly equilateral. Source: Persson and
Strang, SIAM Rev. 46 (2004), 329-345.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # whose parts are imported when they are first used
import torch
from jaxtyping import Bool, Float, Int

from kanpde.errors import ProblemError
from kanpde.geometry.curves import Curve, Segment
from kanpde.geometry.planar import Planar
from kanpde.geometry.polygon import odd

EDGE_GROWTH = 0.35
"""By which the length of edges may grow with the distance from a curve."""

PER_CIRCLE = 10
"""InnerEdges of a whole circle, at least."""

SAMPLES_OF_A_CURVE = 65
"""Points of a curve at which is looked for others across."""

RELAXATIONS = 40
"""Steps in which points move, each a fifth of the force on them."""

ATTEMPTS = 12
"""To make every piece of a curve an edge, by dividing those that are none."""


@dataclass(frozen=True)
class Triangulation:
    """Vertices and triangles.

    Attributes:
        points: The vertices.
        triangles: Three vertices each, anticlockwise.
    """

    points: Float[np.ndarray, "vertices 2"]
    triangles: Int[np.ndarray, "triangles 3"]


def triangulated(region: Planar, length: float) -> Triangulation:
    """Cover a region with triangles, none of which a seam of it runs through.

    Args:
        region: What is covered.
        length: Of edges, where nothing asks for shorter ones.

    Raises:
        ProblemError: Where no triangles are found whose edges are the region's boundary.
    """
    outer = len(region.bounding)
    curves = [bound.curve for bound in (*region.bounding, *region.seams)]
    seeds, lengths = _asked(region, curves, outer, length)

    def size(at: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, " points"]:
        apart = scipy.spatial.distance.cdist(at, seeds)
        return np.minimum(length, (lengths + EDGE_GROWTH * apart).min(1))

    rings = [_divided(curve, size) for curve in curves]
    inside: np.ndarray | None = None
    for _ in range(ATTEMPTS):
        fixed, edges, owner = _joined(curves, rings, region.size)
        around = edges[owner[:, 0] < outer]
        if inside is None:
            inside = _relaxed(fixed, around, _spread(region, fixed, around, size, length), size)
        points = np.concatenate([fixed, inside])
        triangles = _kept(points, fixed[around])
        missing = _missing(triangles, edges, len(around))
        if not missing.any():
            return Triangulation(points, anticlockwise(points, triangles))
        middle = fixed[edges[missing]].mean(1)
        half = np.linalg.norm(np.diff(fixed[edges[missing]], axis=1)[:, 0], axis=1) / 2
        near = scipy.spatial.distance.cdist(inside, middle) < half
        inside = inside[~near.any(1)]
        for curve, place in {tuple(o) for o, m in zip(owner, missing, strict=True) if m}:
            if not near.any():
                ends = rings[curve][place : place + 2]
                rings[curve] = np.sort(np.append(rings[curve], ends.mean()))
    raise ProblemError(
        f"{region!r}: no triangles of edges {length:.3g} fit between its curves; expected curves"
        " that do not touch but at corners"
    )


def _asked(
    region: Planar, curves: Sequence[Curve], outer: int, length: float
) -> tuple[Float[np.ndarray, "seeds 2"], Float[np.ndarray, " seeds"]]:
    """Points of the curves, of which the first ones bound the region, and the length of edges that
    is asked for there."""
    fractions = torch.linspace(0, 1, SAMPLES_OF_A_CURVE, dtype=torch.float64)
    seeds: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    for curve in curves:
        at = curve.along(fractions)
        tangents = np.array([curve.direction(s) for s in np.linspace(*curve.span, 33)])
        turns = np.abs(np.arctan2(*_cross_and_dot(tangents[:-1], tangents[1:]))).sum()
        own = min(length, curve.length / max(1.0, turns * PER_CIRCLE / (2 * np.pi)))
        others = [c for c in curves if c is not curve and not _adjacent(c, curve, region.size)]
        across = np.full(len(at), length)
        # A ray into the region, from seams to either side, meets another curve where it comes near.
        ways = (-1.0, 1.0) if len(seeds) >= outer else (-1.0,)
        for way in ways if others else ():
            into = way * curve.outward(at)
            for share in np.linspace(0.05, 1.5, 30)[::-1]:
                there = at + share * length * into
                near = torch.stack([c.distance(there) for c in others]).amin(0)
                hit = (near <= 0.05 * length).numpy()
                across[hit] = np.minimum(across[hit], share * length)
        seeds.append(at.numpy())
        lengths.append(np.minimum(own, across))
    return np.concatenate(seeds), np.concatenate(lengths)


def _cross_and_dot(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(1)


def _adjacent(a: Curve, b: Curve, size: float) -> bool:
    """Whether two curves share an end."""
    if a.closed or b.closed:
        return False
    ends = np.array([[a.start, a.end]]) - np.array([[b.start], [b.end]])
    return bool((np.linalg.norm(ends, axis=2) < 1e-6 * size).any())


def _divided(curve: Curve, size) -> Float[np.ndarray, " places"]:
    """Fractions of a curve's length between its edges, each as long as is asked for there."""
    fractions = np.linspace(0, 1, 513)
    density = curve.length / size(curve.along(torch.from_numpy(fractions)).numpy())
    count = np.concatenate(
        [[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(fractions))]
    )
    fewest = 6 if curve.closed else 1 if isinstance(curve, Segment) else 2
    edges = max(fewest, round(float(count[-1])))
    return np.interp(np.linspace(0, count[-1], edges + 1), count, fractions)


def _joined(
    curves: Sequence[Curve], rings: Sequence[np.ndarray], size: float
) -> tuple[np.ndarray, Int[np.ndarray, "edges 2"], Int[np.ndarray, "edges 2"]]:
    """The points of all curves, each once; the edges between them, and of each edge its curve and
    its place on that."""
    points = np.concatenate(
        [c.along(torch.from_numpy(f)).numpy() for c, f in zip(curves, rings, strict=True)]
    )
    same = scipy.spatial.cKDTree(points).query_pairs(1e-6 * size, output_type="ndarray")
    first = np.arange(len(points))
    np.minimum.at(first, same.max(1), same.min(1))
    kept, number = np.unique(first, return_inverse=True)
    edges, owner, begin = [], [], 0
    for c, ring in enumerate(rings):
        along = number[begin : begin + len(ring)]
        edges.append(np.stack([along[:-1], along[1:]], 1))
        owner.append(np.stack([np.full(len(ring) - 1, c), np.arange(len(ring) - 1)], 1))
        begin += len(ring)
    return points[kept], np.concatenate(edges), np.concatenate(owner)


def _inside(at: np.ndarray, edges: Float[np.ndarray, "edges 2 2"]) -> Bool[np.ndarray, " points"]:
    """Whether points lie inside of what the edges bound."""
    ends = torch.from_numpy(edges.reshape(-1, 4).T.copy())
    return odd(torch.from_numpy(at), *ends).numpy()


def _spread(
    region: Planar, fixed: np.ndarray, edges: np.ndarray, size, length: float
) -> Float[np.ndarray, "points 2"]:
    """Points inside, one in each of the squares that the bounding box is divided into."""
    low, high = np.array(list(region.bounds.values())).T
    sides = np.ceil((high - low) / length).astype(int)
    corners = np.stack(np.meshgrid(*(np.arange(n) for n in sides), indexing="ij"), -1)
    centres, side = low + (corners.reshape(-1, 2) + 0.5) * length, length
    found = []
    while len(centres):
        wanted = size(centres)
        divide = wanted < 0.75 * side
        found.append(centres[~divide])
        quarter = side / 4 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
        centres, side = (centres[divide][:, None] + quarter).reshape(-1, 2), side / 2
    points = np.concatenate(found)
    points = points + 0.05 * size(points)[:, None] * np.random.default_rng(0).uniform(
        -1, 1, points.shape
    )
    points = points[_inside(points, fixed[edges])]
    near = scipy.spatial.cKDTree(fixed).query(points)[0]
    return points[near > 0.6 * size(points)]


def _kept(points: np.ndarray, edges: np.ndarray) -> Int[np.ndarray, "triangles 3"]:
    """Delaunay's triangles inside of what the edges bound."""
    triangles = scipy.spatial.Delaunay(points).simplices.astype(int)
    return triangles[_inside(points[triangles].mean(1), edges)]


def _relaxed(fixed: np.ndarray, edges: np.ndarray, inside: np.ndarray, size) -> np.ndarray:
    """Points inside, moved by forces in the edges between them that are too short."""
    for _ in range(RELAXATIONS if len(inside) else 0):
        points = np.concatenate([fixed, inside])
        triangles = _kept(points, fixed[edges])
        bars = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1), axis=0)
        along = points[bars[:, 0]] - points[bars[:, 1]]
        lengths = np.maximum(np.linalg.norm(along, axis=1), 1e-12 * np.ptp(points))
        wanted = size(points[bars].mean(1))
        wanted = 1.2 * wanted * np.sqrt((lengths**2).sum() / (wanted**2).sum())
        force = (np.maximum(wanted - lengths, 0.0) / lengths)[:, None] * along
        total = np.zeros_like(points)
        np.add.at(total, bars[:, 0], force)
        np.add.at(total, bars[:, 1], -force)
        moved = inside + 0.2 * total[len(fixed) :]
        room = scipy.spatial.cKDTree(fixed).query(moved)[0] > 0.45 * size(moved)
        stays = _inside(moved, fixed[edges]) & room
        inside = np.where(stays[:, None], moved, inside)
    return inside


def _missing(triangles: np.ndarray, edges: np.ndarray, around: int) -> Bool[np.ndarray, " edges"]:
    """Which edges are not at the boundary of the triangles, or, all but the first ones, nowhere
    between them."""
    sides = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    every, count = np.unique(sides, axis=0, return_counts=True)
    rim = {tuple(side) for side in every[count == 1].tolist()}
    within = {tuple(side) for side in every[count == 2].tolist()}
    wanted = enumerate(np.sort(edges, 1).tolist())
    return np.array([tuple(edge) not in (rim if k < around else within) for k, edge in wanted])


def anticlockwise(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The same triangles, those that run clockwise turned."""
    a, b, c = points[triangles].transpose(1, 0, 2)
    turned = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    return np.where(turned[:, None], triangles[:, ::-1], triangles)
