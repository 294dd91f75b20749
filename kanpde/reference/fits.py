"""Derivatives from scattered values: polynomials fitted to the nearest ones by weighted least
squares."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import comb, factorial, prod

import numpy as np
import scipy  # whose parts are imported when they are first used
from jaxtyping import Bool, Float, Int

from kanpde.errors import ReferenceUnavailable

SURPLUS = 2.0
"""Points to each coefficient of a polynomial."""

SEARCHED = 2.5
"""Nearest points that are looked at, to each one that is taken, because some cannot be seen past
the boundary."""

APART = 1.5
"""Cells around a point of the boundary from which no other such point is taken, lest its condition
leave its own value undetermined."""

BEHIND = 1e6
"""Cells that are added to the distance of a point that cannot be seen, so that it comes last."""

CONDITION = 1e5
"""Of a least squares problem in scaled coordinates, past which a polynomial of a lower degree takes
its place."""


def monomials(dimensions: int, degree: int) -> list[tuple[int, ...]]:
    """Exponents of all monomials up to a degree, the constant first."""
    return sorted(
        (e for e in product(range(degree + 1), repeat=dimensions) if sum(e) <= degree),
        key=lambda e: (sum(e), e),
    )


def fitted(
    at: Float[np.ndarray, "targets dims"],
    points: Float[np.ndarray, "points dims"],
    place: Float[np.ndarray, "targets dims"],
    places: Float[np.ndarray, "points dims"],
    scale: Float[np.ndarray, "targets dims"],
    degree: int,
    own: Int[np.ndarray, " targets"] | None,
    seen: Callable[[np.ndarray, np.ndarray], Bool[np.ndarray, "targets near"]],
    bounding: Bool[np.ndarray, " points"],
) -> tuple[Int[np.ndarray, "targets near"], Float[np.ndarray, "targets monomials near"]]:
    """The points around each target, and the weights that turn their values into all derivatives
    there, by `monomials`. Source: Benito, Ureña and Gavete, Appl. Math. Model. 25 (2001),
    1039-1053.

    Args:
        at: Targets.
        points: Where values are known.
        place: Targets in cells, by which the nearest points are found.
        places: Points in cells.
        scale: The length of a cell around a target along each coordinate.
        degree: Of the polynomials.
        own: The point that lies at each target, through whose value the polynomial goes (then it is
            the first of `near`), or None where it need not go through any.
        seen: Which points [targets, near, dims] can be seen from the targets.
        bounding: Which points lie on the boundary.

    Returns:
        Numbers of the points, and their weights.

    Raises:
        ReferenceUnavailable: Where even a linear function cannot be fitted.
    """
    dimensions, held = at.shape[1], own is not None
    all_terms = monomials(dimensions, degree)
    count = min(len(points), int(SURPLUS * comb(degree + dimensions, dimensions)) + held)
    near, distance, visible = _around(at, points, place, places, own, seen, bounding, count)
    weights, todo = np.zeros((len(at), len(all_terms), near.shape[1])), np.arange(len(at))
    radius = np.where(visible, distance, 0.0).max(1, keepdims=True)
    importance = np.where(visible, np.exp(-((2.0 * distance / radius) ** 2)), 0.0)
    offsets = (points[near] - at[:, None, :]) / scale[:, None, :]
    # Where points lie badly for a degree (on few lines, say) the next lower one is fitted.
    for p in range(degree, 0, -1):
        terms = monomials(dimensions, p)[held:]
        if not len(todo):
            break
        found, sound = _solved(offsets[todo], importance[todo], terms, held)
        columns = [all_terms.index(e) for e in terms]
        block = np.zeros((len(todo), len(all_terms), near.shape[1]))
        block[:, columns] = found * _factors(terms, scale[todo])[:, :, None]
        weights[todo[sound]] = block[sound]
        todo = todo[~sound]
    if len(todo):
        where = ", ".join(f"{x:.4g}" for x in at[todo[0]])
        raise ReferenceUnavailable(
            f"the grid is too coarse near ({where}): too few nodes inside the domain"
        )
    if held:
        weights[:, 0, 0] = 1.0
    return near, weights


def _factors(terms: list[tuple[int, ...]], scale: np.ndarray) -> np.ndarray:
    """Derivatives over coefficients of monomials in scaled coordinates, [targets, terms]."""
    factorials = np.array([prod(factorial(n) for n in e) for e in terms])
    return factorials / np.prod(scale[:, None, :] ** np.array(terms), -1)


def _around(
    at: np.ndarray,
    points: np.ndarray,
    place: np.ndarray,
    places: np.ndarray,
    own: np.ndarray | None,
    seen: Callable[[np.ndarray, np.ndarray], np.ndarray],
    bounding: np.ndarray,
    count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest points that can be seen, their own first: numbers, distances in cells, and
    whether they can be seen, [targets, count] each."""
    searched = min(len(points), int(SEARCHED * count))
    distance, near = scipy.spatial.cKDTree(places).query(place, k=searched)
    if own is None:
        alike = np.zeros(near.shape, dtype=bool)
    else:
        mine = near == own[:, None]
        lost = ~mine.any(1)
        near[lost, -1] = own[lost]
        mine = near == own[:, None]
        distance = np.where(mine, -1.0, distance)
        alike = bounding[near] & bounding[own][:, None]
    visible = (seen(at, points[near]) & (~alike | (distance > APART))) | (distance < 0)
    ranked = np.where(visible, distance, distance + BEHIND)
    order = np.argsort(ranked, axis=1, kind="stable")[:, :count]
    near, distance, visible = (np.take_along_axis(x, order, 1) for x in (near, distance, visible))
    return near, distance, visible


def _solved(
    offsets: np.ndarray, importance: np.ndarray, terms: list[tuple[int, ...]], held: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the coefficients [targets, terms, near], and whether the fit is well
    conditioned."""
    first = int(held)
    V = np.prod(offsets[:, first:, None, :] ** np.array(terms), -1) * importance[:, first:, None]
    if V.shape[1] < V.shape[2]:
        return np.zeros((len(V), len(terms), offsets.shape[1])), np.zeros(len(V), dtype=bool)
    norms = np.linalg.norm(V, axis=1, keepdims=True)
    norms[norms == 0] = 1.0
    u, s, vt = np.linalg.svd(V / norms, full_matrices=False)
    sound = s[:, -1] * CONDITION > s[:, 0]
    inverse = np.einsum(
        "tkm,tk,tnk->tmn", vt, 1 / np.where(sound[:, None], s, 1.0), u
    ) / norms.transpose(0, 2, 1)
    inverse *= importance[:, None, first:]
    if not held:
        return inverse, sound
    return np.concatenate([-inverse.sum(2, keepdims=True), inverse], 2), sound
