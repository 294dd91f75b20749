"""Newton's method on a span of time on a domain that is no box.

Let r be the rows, J their partials and P the way from rows to coefficients of equations whose
coefficients do not change over the span. What is solved is P r = 0, of equations whose coefficients
change, or that are not linear, by steps P J d = -P r, which GMRES finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, gmres

from kanpde.products.inside_inverse import InverseInside
from kanpde.products.inside_span import SpanInside
from kanpde.products.newton import Iterate

MOST_STEPS_INSIDE = 10
"""Of Newton's method on a span."""

SHARE_LEFT_INSIDE = 1e-3
"""What Newton's method may leave, over the tolerance."""

INEXACT_STEP = 1e-2
"""What may be left of a step that others follow, over the step."""

KRYLOV_INSIDE = 40
"""Iterations of GMRES at most."""

GOOD_INVERSE = 0.1
"""What the inverse may leave of a step, over the step, where it is used by itself."""

HOPELESS = 100.0
"""Size of a step, over the largest values, from which there is no hope."""


def advanced(span: SpanInside, at: Iterate, tolerance: float, nearly: InverseInside) -> Iterate:
    """One step of Newton's method.

    Args:
        span: The rows.
        at: Where it begins.
        tolerance: Error that is asked for, over the largest coefficients.
        nearly: P, near to the inverse of J.

    Raises:
        ProblemError: The residual is not finite.
    """
    r, slopes = span.linear(at.C)
    change, count, left = solved(span, slopes, [-one for one in r], -at.C, nearly)
    D = span.spread(change)
    C = at.C + D
    size = _size(D, C)
    enough = SHARE_LEFT_INSIDE * tolerance
    # Where J changes, what a step leaves is quadratic in it.
    settled = left * size + (0.0 if span.affine else size**2) < enough
    lost = not np.isfinite(size) or left > 0.5 or size > HOPELESS
    worse = at.steps > 1 and size > at.size and size > enough
    stalled = not settled and (lost or worse or at.steps + 1 >= MOST_STEPS_INSIDE)
    return replace(
        at,
        C=C if np.isfinite(size) else at.C,
        steps=at.steps + 1,
        size=size,
        loss=sum(float((one**2).sum()) for one in r),
        stiffness=at.stiffness or nearly.stiffness,
        iterations=count,
        done=settled or stalled,
        stalled=stalled,
    )


def solved(
    span: SpanInside,
    slopes: Sequence[Float[np.ndarray, "_n _e _l"]],
    right: Sequence[Float[np.ndarray, "_n _e"]],
    going: Float[np.ndarray, "unknowns ..."],
    nearly: InverseInside,
) -> tuple[Float[np.ndarray, "free stages"], int, float]:
    """What solves P J d = P right, the iterations, and what is left, over it.

    Args:
        span: The rows.
        slopes: Partials of all rows.
        right: Of all rows.
        going: The coefficients whose jumps belong to these.
        nearly: P.
    """
    d = nearly(right, going)
    whole = float(np.linalg.norm(d))
    if not np.isfinite(whole) or not whole:
        return d, 0, np.inf if whole else 0.0
    pushed = span.pushed(slopes, d)
    rest = nearly([b - p for b, p in zip(right, pushed, strict=True)], going - span.spread(d))
    left = float(np.linalg.norm(rest)) / whole
    if left < GOOD_INVERSE:
        # What is left of the sum is the square of that.
        return d + rest, 1, left**2
    count = 1

    def product(v: Float[np.ndarray, " all"]) -> Float[np.ndarray, " all"]:
        nonlocal count
        count += 1
        v = v.reshape(d.shape)
        return nearly(span.pushed(slopes, v), span.spread(v)).ravel()

    operator = LinearOperator((d.size,) * 2, matvec=product, dtype=float)
    found, _ = gmres(
        operator, rest.ravel(), rtol=INEXACT_STEP, atol=0.0, restart=KRYLOV_INSIDE, maxiter=1
    )
    rest = rest - product(found).reshape(d.shape)
    return d + found.reshape(d.shape), count, float(np.linalg.norm(rest)) / whole


def _size(D: Float[np.ndarray, "unknowns ..."], C: Float[np.ndarray, "unknowns ..."]) -> float:
    """Of a step, over the largest coefficient of each unknown."""
    moved, largest = (np.abs(one).reshape(len(one), -1).max(1) for one in (D, C))
    return float((moved / np.maximum(largest, 1e-12 * largest.max() + 1e-300)).max())
