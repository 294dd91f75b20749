"""Derivatives from scattered values: polynomials fitted to the nearest ones by weighted least
squares."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import comb, factorial, prod

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from kanpde.errors import ReferenceUnavailable

SURPLUS = 2.0
"""Points to each coefficient of a polynomial."""

SEARCHED = 2.5
"""Nearest points that are looked at, to each one that is taken, because some cannot be seen past
the boundary."""

APART = 1.5
"""Cells around a point of the boundary from which no other such point is taken, lest its condition
leave its own value undetermined."""

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
    """Numbers of the points around each target, and the weights that turn their values into all
    derivatives there, by `monomials`.

    place, places: both in cells, by which the nearest are found; scale: the length of a cell around
    a target; bounding: which points lie on the boundary; own: the point that lies at the target,
    through whose value the polynomial goes (then it is the first of `near`), or None where it need
    not go through any; seen: which points [targets, near, dims] can be seen from the targets.
    Raises ReferenceUnavailable where even a linear function cannot be fitted. Source: Benito, Ureña
    and Gavete, Appl. Math. Model. 25 (2001), 1039-1053.
    """
    dimensions, T = at.shape[1], len(at)
    all_terms, held = monomials(dimensions, degree), own is not None
    near_count = min(len(points), int(SURPLUS * comb(degree + dimensions, dimensions)) + held)
    searched = min(len(points), int(SEARCHED * near_count))
    distance, near = cKDTree(places).query(place, k=searched)
    if held:
        own = np.asarray(own)
        mine = near == own[:, None]
        lost = ~mine.any(1)
        near[lost, -1] = own[lost]
        mine = near == own[:, None]
        distance = np.where(mine, -1.0, distance)
    alike = (
        bounding[near] & bounding[np.asarray(own)][:, None]
        if held
        else np.zeros(near.shape, dtype=bool)
    )
    visible = (seen(at, points[near]) & (~alike | (distance > APART))) | (distance < 0)
    order = np.argsort(np.where(visible, distance, distance + 1e6), axis=1, kind="stable")[
        :, :near_count
    ]
    near, distance, visible = (np.take_along_axis(x, order, 1) for x in (near, distance, visible))
    weights, todo = np.zeros((T, len(all_terms), near.shape[1])), np.arange(T)
    radius = np.where(visible, distance, 0.0).max(1, keepdims=True)
    importance = np.where(visible, np.exp(-((2.0 * distance / radius) ** 2)), 0.0)
    offsets = (points[near] - at[:, None, :]) / scale[:, None, :]
    for p in range(degree, 0, -1):
        terms = monomials(dimensions, p)[held:]
        if not len(todo):
            break
        found, sound = _solved(offsets[todo], importance[todo], terms, held)
        columns = [all_terms.index(e) for e in terms]
        factor = np.array([prod(factorial(n) for n in e) for e in terms]) / np.prod(
            scale[todo, None, :] ** np.array(terms), -1
        )
        block = np.zeros((len(todo), len(all_terms), near.shape[1]))
        block[:, columns] = found * factor[:, :, None]
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
