"""Implicit functions of pieces of the boundary of a planar region, by where their carriers go on
to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from math import hypot

import torch
from torch import Tensor

from kanpde.geometry.curves import Curve
from kanpde.geometry.implicit import Columns, Implicit, Level, either, trimmed


def vanishing(curves: Sequence[Curve], probes: Tensor, slack: float) -> Implicit:
    """A function that is zero on curves of the boundary and positive elsewhere in the region.

    A carrier that stays outside of the region has a smooth level, positive inside. Where it goes on
    through the region, from a re-entrant corner, the levels of the two that meet there are joined
    by R-disjunction: smooth but at the corner. What remains is trimmed to its piece.

    Args:
        curves: Where it vanishes.
        probes: Points all over the region and its boundary, [points, 2], by which is told where
            carriers go on to.
        slack: What is taken for zero.
    """
    smooth: list[Curve] = []
    rest: list[Curve] = []
    for curve in curves:
        whole = bool((curve.level(probes.T) >= -slack).all())
        (smooth if whole else rest).append(curve)
    once = [
        curve
        for k, curve in enumerate(smooth)
        if not any(curve.same(other, slack) for other in smooth[:k])
    ]
    parts: list[Level] = [curve.near_level for curve in once]
    for chain in _chains(rest, slack):
        turn = partial(_any, [curve.level for curve in chain])
        if len(chain) > 1 and bool(
            (
                (turn(probes.T) > -slack) & ((turn(probes.T) > slack) | _near(chain, probes, slack))
            ).all()
        ):
            parts.append(turn)
        else:
            parts += [partial(_trimmed, curve) for curve in chain]
    return Implicit(tuple(parts), not rest)


def _any(levels: Sequence[Level], columns: Columns) -> Tensor:
    return reduce(either, [level(columns) for level in levels])


def _trimmed(curve: Curve, columns: Columns) -> Tensor:
    return trimmed(curve.level(columns), curve.trim(columns))


def _near(chain: Sequence[Curve], probes: Tensor, slack: float) -> Tensor:
    """Which probes lie on the chain."""
    return torch.stack([curve.distance(probes) for curve in chain]).amin(0) <= 10 * slack


def _chains(curves: Sequence[Curve], slack: float) -> list[list[Curve]]:
    """Curves by runs of which each begins where the one before ends."""
    left, found = list(curves), []
    while left:
        chain = [left.pop(0)]
        while after := next((c for c in left if _apart(chain[-1].end, c.start) <= slack), None):
            chain.append(after)
            left.remove(after)
        while before := next((c for c in left if _apart(c.end, chain[0].start) <= slack), None):
            chain.insert(0, before)
            left.remove(before)
        found.append(chain)
    return found


def _apart(a: Sequence[float], b: Sequence[float]) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])
