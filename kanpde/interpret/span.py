"""Functions of the library that lie in the span of given ones: how a sum of products is taken
apart.

The singular vectors of Σ a_i f_i(x) g_i(y) are mixtures of the f_i; but each f_i lies in their
span, and hardly anything else does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from sympy import Symbol

from kanpde.interpret.form import Form, constant
from kanpde.interpret.library import LIBRARY, Function

Array = NDArray[np.float64]

SPAN_DEGREE = 6
_NEW = 0.05
"""Share of a function that must be independent of those chosen before."""


def members(t: Array, basis: Array, symbol: Symbol, tolerance: float) -> list[Form] | None:
    """Functions of the library that span what a basis spans.

    Args:
        t: Where the functions are sampled, [samples].
        basis: Orthonormal, [samples, rank].
        symbol: The variable of the formulas.
        tolerance: Sine of the angle to the span up to which a function lies in it.

    Returns:
        One formula a column; None where there are not so many.
    """
    found: list[tuple[Form, Array]] = []
    size = float(np.abs(t).max())
    for degree in range(SPAN_DEGREE + 1):
        values = (t / size) ** degree
        if _angle(values, basis) < tolerance and _independent(values, found):
            found.append((Form(symbol**degree, {}, 0.3 * degree), values))
    for function in sorted(LIBRARY.values(), key=lambda f: f.cost):
        if len(found) >= basis.shape[1]:
            break
        for form, values in _inside(t, basis, symbol, function, tolerance):
            if len(found) < basis.shape[1] and _independent(values, found):
                found.append((form, values))
    return [form for form, _ in found] if len(found) == basis.shape[1] else None


def _angle(values: Array, basis: Array) -> float:
    # Squares of exponentials overflow.
    values = values / (np.abs(values).max(initial=0.0) or 1.0)
    return float(
        np.linalg.norm(values - basis @ (basis.T @ values)) / (np.linalg.norm(values) or 1.0)
    )


def _independent(values: Array, found: list[tuple[Form, Array]]) -> bool:
    return not found or _angle(values, np.linalg.qr(np.stack([v for _, v in found], 1))[0]) > _NEW


def _inside(
    t: Array, basis: Array, symbol: Symbol, function: Function, tolerance: float
) -> list[tuple[Form, Array]]:
    """The g(b t + c) in the span, by local minima of the angle over b and c."""
    middle, half = (t.max() + t.min()) / 2, (t.max() - t.min()) / 2
    tau = (t - middle) / half
    free = np.array([bool(function.rates), bool(function.shifts)])
    if not free.any():
        return []
    found: list[tuple[Form, Array]] = []
    for start in _starts(tau, basis, function):
        inner = _nearest(tau, basis, function, start, free, tolerance)
        if inner is None:
            continue
        values = function.values(inner[0] * tau + inner[1])
        # A slow oscillation or growth is nearly a polynomial, of which the span may have some.
        if (
            not np.isfinite(values).all()
            or np.ptp(values) < 1e-2 * np.abs(values).max()
            or not _independent(values, found)
        ):
            continue
        found.append((_form(inner, free, middle, half, symbol, function), values))
    return found


def _starts(tau: Array, basis: Array, function: Function) -> Iterator[Array]:
    """Values of b and c to begin with, those at the smallest angle first; of those that would come
    to the same minimum, one."""
    starts = function.starts()
    g = function.values(starts[:, :1] * tau + starts[:, 1:])
    usable = np.isfinite(g).all(1)
    starts, g = starts[usable], g[usable]
    norms = np.linalg.norm(g, axis=1)
    angles = np.linalg.norm(g - (g @ basis) @ basis.T, axis=1) / np.where(norms > 0, norms, 1)
    tried: list[Array] = []
    for i in np.argsort(angles, kind="stable"):
        if angles[i] > 0.8 or len(tried) > 4 + 4 * basis.shape[1]:
            break
        unit = g[i] / (norms[i] or 1.0)
        if any(abs(unit @ other) > 0.9 for other in tried):
            continue
        tried.append(unit)
        yield starts[i]


def _nearest(
    tau: Array, basis: Array, function: Function, start: Array, free: Array, tolerance: float
) -> Array | None:
    """The b and c of the nearest minimum of the angle; None where it is above the tolerance."""

    def inner(x: Array) -> Array:
        return np.where(free, np.resize(x, 2) if free.all() else x[0], start)

    def left(x: Array) -> Array:
        b, c = inner(x)
        values = np.nan_to_num(function.values(b * tau + c), nan=1e6)
        # so that their norm is a number
        values = np.clip(values, -1e100, 1e100)
        return (values - basis @ (basis.T @ values)) / (np.linalg.norm(values) or 1.0)

    best = least_squares(
        left,
        start[free],
        "3-point",
        x_scale=np.maximum(np.abs(start[free]), 0.1),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        max_nfev=30,
    )
    return None if np.linalg.norm(best.fun) > tolerance else inner(best.x)


def _form(
    inner: Array, free: Array, middle: float, half: float, symbol: Symbol, function: Function
) -> Form:
    """g(b tau + c) as a formula of t, with constants where b and c are free."""
    b, c = inner
    k = [constant(), constant()]
    b, c = (b / half, c - b * middle / half) if function.rates else (b, half * c - b * middle)
    expression = function.expression(
        (k[0] if free[0] else int(b)) * symbol + (k[1] if free[1] else 0)
    )
    start = {k[0]: float(b), k[1]: float(c)}
    values = {s: v for s, v in start.items() if s in expression.free_symbols}
    return Form(expression, values, function.cost + 0.5 * free[1])
