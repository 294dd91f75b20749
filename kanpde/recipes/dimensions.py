"""What is divided out of a problem's units: offsets and sizes of its unknowns, sizes of its rows.

All of it comes from a glance at the problem by polynomials (see polynomials.py). What is of order 1
already stays as it is, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from torch import Tensor

from kanpde.networks.scales import Scales
from kanpde.problem.problem import Problem
from kanpde.recipes.polynomials import Glance, glance

OF_ORDER_ONE = 100.0
"""An unknown's size is of order 1 between its inverse and itself."""

ROWS_OF_ORDER_ONE = 1000.0
"""The same for rows."""

TYPICAL = 10.0
"""Size of rows in the problems by which the constants of the optimisers were found."""

FAR = 10.0
"""An unknown with values as many times farther from zero than they differ is not of order 1."""

COUPLED = 0.3
"""Least size of an unknown, over that by which its terms in the equations would be as large as
those of the others."""


@lru_cache(maxsize=8)
def scales_of(problem: Problem) -> Scales:
    """The scales of a problem, which keep their values where units change.

    Args:
        problem: What is to be solved.

    Returns:
        Its scales; all 1 where a glance says nothing.
    """
    seen = glance(problem)
    if seen is None:
        return Scales()
    sizes = _sizes(seen)
    middles = {u: float(v.max() + v.min()) / 2 for u, v in seen.values.items()}
    rows = {name: _rows(block, list(sizes.values())) for name, block in seen.terms.items()}
    equations = tuple(
        tuple(rows[f"{g}.{k}"] for k in range(len(own)))
        for g, (_, own) in enumerate(problem.groups)
    )
    if _of_order_one(sizes, middles, [own for region in equations for own in region]):
        return Scales()
    conditions = {c.label: rows[c.label] for c in problem.constraints if c.label in rows}
    return Scales(middles, sizes, equations, conditions)


def sizes_of(problem: Problem) -> tuple[float, ...]:
    """By how much the unknowns of a problem vary, as far as a glance at it says; () where it says
    nothing.

    Args:
        problem: What is to be solved.
    """
    seen = glance(problem)
    return () if seen is None else tuple(_sizes(seen)[u] for u in problem.unknowns)


def _of_order_one(
    sizes: Mapping[str, float],
    middles: Mapping[str, float],
    equations: Sequence[Sequence[float]],
) -> bool:
    """Whether all is of order 1: a problem that was made dimensionless by who wrote it.

    Conditions are not looked at: their weights are balanced whatever their size.
    """
    return (
        all(1 / OF_ORDER_ONE <= size <= OF_ORDER_ONE for size in sizes.values())
        and all(abs(middles[u]) <= FAR * size for u, size in sizes.items())
        and all(
            1 / ROWS_OF_ORDER_ONE <= size <= ROWS_OF_ORDER_ONE for own in equations for size in own
        )
    )


def _sizes(seen: Glance) -> dict[str, float]:
    """By how much every output varies, and at least by as much as its coupling to others asks."""
    varies = {u: float(v.max() - v.min()) / 2 for u, v in seen.values.items()}
    varies = {
        u: size if size > 1e-10 * float(seen.values[u].abs().max()) else 0.0
        for u, size in varies.items()
    }
    most = max((varies[u] / seen.widths[u] for u in varies), default=0.0)
    found = {u: max(size, COUPLED * most * seen.widths[u]) for u, size in varies.items()}
    return {u: _or_else(size, float(seen.values[u].abs().max())) for u, size in found.items()}


def _or_else(size: float, other: float) -> float:
    """A size that is positive and finite: the first, the other, or 1."""
    return next((s for s in (size, other) if 0 < s < math.inf), 1.0)


def _rows(block: Tensor, sizes: Sequence[float]) -> tuple[float, ...]:
    """How large the rows of one residual are where the outputs have their sizes."""
    found = (block * block.new_tensor(sizes)).norm(dim=1)
    return tuple(_or_else(float(size), TYPICAL) / TYPICAL for size in found)
