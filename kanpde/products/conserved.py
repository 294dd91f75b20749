"""What is conserved where pieces meet: by what the equation of each piece is multiplied, so that
what its second derivatives bring, integrated by parts, is what conditions between them speak of.

With R = a u_nn + … in a piece, ∫ R v has a ∂u/∂n v at its faces. A condition k₁ ∂u/∂n = k₂ ∂u/∂n
says what flows from one piece to the next; so the equation of each is multiplied by k / a, but for
one factor that all of them share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from kanpde.geometry.sampling import inside_points
from kanpde.problem.constraints import Constraint
from kanpde.problem.formulation import Formulation
from kanpde.products.pieces import Seam
from kanpde.residual.residual import Residual

POINTS_LOOKED_AT, SEED_OF_LOOKS = 64, 0
"""Of a piece, at which its equation is looked at."""

SAME_RATIO = 1e-9
"""Difference of ratios that are the same, over them."""


@dataclass(frozen=True)
class Conserved:
    """What makes a problem on pieces one of conservation.

    Attributes:
        scales: What the equation of each piece is multiplied by.
        fluxes: The seams at which what flows through is given, one for each part of a plane.
    """

    scales: tuple[float, ...]
    fluxes: tuple[Seam, ...]


def conserved(pieces: Sequence[Formulation], seams: Sequence[Seam]) -> Conserved | None:
    """What is conserved in a problem on pieces: one unknown is continuous, and what flows of it
    from piece to piece is given.

    Args:
        pieces: The problem on every piece.
        seams: The conditions where they meet.

    Returns:
        What is conserved; None where the problem is none of conservation.
    """
    if not all(_diffuses(piece) for piece in pieces):
        return None
    values = [seam for seam in seams if _continues(pieces, seam)]
    fluxes = [seam for seam in seams if seam not in values]
    places = {(seam.pieces, seam.axis, seam.side) for seam in seams}
    for some in (values, fluxes):
        if len(some) != len(places) or {(s.pieces, s.axis, s.side) for s in some} != places:
            return None
    ratios: dict[tuple[int, int], float] = {}
    for seam in fluxes:
        ratio = _ratio(pieces, seam)
        if ratio is None:
            return None
        ratios[seam.pieces] = ratio
    scales = {0: 1.0}
    for _ in pieces:
        for (a, b), ratio in ratios.items():
            if a in scales:
                scales.setdefault(b, scales[a] * ratio)
            elif b in scales:
                scales[a] = scales[b] / ratio
    if len(scales) < len(pieces):
        return None
    for (a, b), ratio in ratios.items():
        if abs(scales[b] - scales[a] * ratio) > SAME_RATIO * abs(scales[b]):
            return None
    return Conserved(tuple(scales[k] for k in range(len(pieces))), tuple(fluxes))


def _diffuses(piece: Formulation) -> bool:
    """Whether a piece has one unknown, with a second derivative along every coordinate, of one
    sign, and no mixed ones."""
    if len(piece.unknowns) != 1 or len(piece.equations) != 1 or piece.parameters:
        return False
    (equation,) = piece.equations
    dims = len(piece.coordinates)
    if equation.equations != 1 or equation.afar or equation.order != 2:
        return False
    points = inside_points(piece.domain, POINTS_LOOKED_AT, SEED_OF_LOOKS).double()
    g = dict(zip(equation.needs, _partials(equation, points).T, strict=True))
    second = [leaf for leaf in equation.needs if leaf[1] in _twice(dims)]
    mixed = [leaf for leaf in equation.needs if sum(leaf[1]) == 2 and leaf not in second]
    if mixed or len(second) < dims:
        return False
    each = np.concatenate([g[leaf] for leaf in second])
    return bool((each > 0).all() or (each < 0).all())


def _twice(dims: int) -> list[tuple[int, ...]]:
    """Second derivatives along one coordinate."""
    return [tuple(2 * (k == i) for k in range(dims)) for i in range(dims)]


def _partials(
    residual: Residual,
    points: Float[torch.Tensor, "points dims"],
    normal: Sequence[float] = (),
) -> Float[np.ndarray, "points needs"]:
    """By the derivatives, where all of these are one."""
    at = dict(zip(residual.coordinates, points.T, strict=True))
    ones = torch.ones(len(points), len(residual.needs), dtype=torch.float64)
    ways = zip(residual.coordinates, normal, strict=False)
    out = {x: torch.full_like(points[:, 0], n) for x, n in ways} if normal else None
    _, g = residual(at, ones, out)
    assert g is not None
    return g[:, 0].numpy()


def _continues(pieces: Sequence[Formulation], seam: Seam) -> bool:
    """Whether a condition says that the unknown is the same on both sides."""
    c = seam.constraint
    if any(any(index) for _, index in c.residual.needs) or len(c.residual.needs) != 2:
        return False
    points, normal = _on(pieces, seam)
    at = dict(zip(c.residual.coordinates, points.T, strict=True))
    zero = torch.zeros(len(points), 2, dtype=torch.float64)
    out = {x: torch.full_like(points[:, 0], n) for x, n in zip(at, normal, strict=True)}
    r, _ = c.residual(at, zero, out)
    g = _partials(c.residual, points, normal)
    return not r.any() and bool(np.array_equal(g[:, 0], -g[:, 1])) and c.where is None


def _on(
    pieces: Sequence[Formulation], seam: Seam
) -> tuple[Float[torch.Tensor, "points dims"], list[float]]:
    """Points of a seam, and the normal out of its first piece."""
    points = inside_points(pieces[seam.pieces[0]].domain, POINTS_LOOKED_AT, SEED_OF_LOOKS).double()
    whole = list(pieces[seam.pieces[0]].domain.bounds.values())
    points[:, seam.axis] = whole[seam.axis][0 if seam.side < 0 else 1]
    return points, [float(seam.side) * (i == seam.axis) for i in range(points.shape[1])]


def _ratio(pieces: Sequence[Formulation], seam: Seam) -> float | None:
    """The factor of the second piece over that of the first one; None where there is none."""
    points, normal = _on(pieces, seam)
    slopes = slope_of(seam.constraint, seam.axis, pieces[seam.pieces[0]].unknowns)
    others = slope_of(seam.constraint, seam.axis, pieces[seam.pieces[1]].unknowns)
    needs = seam.constraint.residual.needs
    if slopes is None or others is None or set(needs) != {slopes, others}:
        return None
    g = dict(zip(needs, _partials(seam.constraint.residual, points, normal).T, strict=True))
    own = [_second(pieces[k], seam.axis, points) for k in seam.pieces]
    found = -(g[others] / own[1]) / (g[slopes] / own[0])
    if not np.isfinite(found).all() or np.ptp(found) > SAME_RATIO * np.abs(found).max():
        return None
    return float(found[0])


def _second(
    piece: Formulation, axis: int, points: Float[torch.Tensor, "points dims"]
) -> Float[np.ndarray, " points"]:
    """What an equation takes of the second derivative along a coordinate."""
    (equation,) = piece.equations
    wanted = _twice(len(piece.coordinates))[axis]
    (column,) = [a for a, (_, index) in enumerate(equation.needs) if index == wanted]
    return _partials(equation, points)[:, column]


def slope_of(
    c: Constraint, axis: int, unknowns: Sequence[str]
) -> tuple[str, tuple[int, ...]] | None:
    """The slope across a face that a condition takes of some unknown; None for none.

    Args:
        c: The condition.
        axis: Number of the coordinate across the face.
        unknowns: Of which it may be.
    """
    dims = len(c.residual.coordinates)
    wanted = tuple(int(k == axis) for k in range(dims))
    found = [leaf for leaf in c.residual.needs if leaf[0] in unknowns and leaf[1] == wanted]
    return found[0] if found else None
