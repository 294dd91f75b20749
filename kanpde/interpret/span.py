"""Functions of the library that lie in the span of given ones: how a sum of products is taken
apart.

The singular vectors of Σ a_i f_i(x) g_i(y) are mixtures of the f_i; but each f_i lies in their
span, and hardly anything else does.
"""

from __future__ import annotations

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
    """Functions of the library, one a column of an orthonormal basis [samples, rank], that span
    what it spans; None where there are not so many.

    tolerance: sine of the angle to the span up to which a function lies in it.
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
    tau, starts = (t - middle) / half, function.starts()
    free = np.array([bool(function.rates), bool(function.shifts)])
    if not free.any():
        return []
    g = function.values(starts[:, :1] * tau + starts[:, 1:])
    usable = np.isfinite(g).all(1)
    starts, g = starts[usable], g[usable]
    norms = np.linalg.norm(g, axis=1)
    angles = np.linalg.norm(g - (g @ basis) @ basis.T, axis=1) / np.where(norms > 0, norms, 1)
    found: list[tuple[Form, Array]] = []
    tried: list[Array] = []
    for i in np.argsort(angles, kind="stable"):
        if angles[i] > 0.8 or len(tried) > 4 + 4 * basis.shape[1]:
            break
        unit = g[i] / (norms[i] or 1.0)
        if any(abs(unit @ other) > 0.9 for other in tried):  # it would come to the same minimum
            continue
        tried.append(unit)

        def left(inner: Array, start: Array = starts[i]) -> Array:
            b, c = np.where(free, np.resize(inner, 2) if free.all() else inner[0], start)
            values = np.clip(
                np.nan_to_num(function.values(b * tau + c), nan=1e6), -1e100, 1e100
            )  # so that their norm is a number
            return (values - basis @ (basis.T @ values)) / (np.linalg.norm(values) or 1.0)

        best = least_squares(
            left,
            starts[i, free],
            "3-point",
            x_scale=np.maximum(np.abs(starts[i, free]), 0.1),
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=30,
        )
        if np.linalg.norm(best.fun) > tolerance:
            continue
        b, c = np.where(free, np.resize(best.x, 2) if free.all() else best.x[0], starts[i])
        values = function.values(b * tau + c)
        # A slow oscillation or growth is nearly a polynomial, of which the span may have some.
        if (
            not np.isfinite(values).all()
            or np.ptp(values) < 1e-2 * np.abs(values).max()
            or not _independent(values, found)
        ):
            continue
        k = [constant(), constant()]
        b, c = (b / half, c - b * middle / half) if function.rates else (b, half * c - b * middle)
        expression = function.expression(
            (k[0] if free[0] else int(b)) * symbol + (k[1] if free[1] else 0)
        )
        start = {k[0]: float(b), k[1]: float(c)}
        found.append(
            (
                Form(
                    expression,
                    {s: v for s, v in start.items() if s in expression.free_symbols},
                    function.cost + 0.5 * free[1],
                ),
                values,
            )
        )
    return found
