"""A function of one variable, known by its values, as a formula of the library: candidates by
accuracy and complexity.

Each candidate is a g(b t + c) + e. For given b and c the best a and e are known (variable
projection, Golub and Pereyra 1973), so only b and c are searched, first on a table of starts and
then by least squares on all four. F(such a function), with F one of those that the library can
invert, is found on F⁻¹ of the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy.optimize import least_squares
from sympy import Symbol

from kanpde.interpret.form import Form, constant, fit
from kanpde.interpret.library import LIBRARY, Function

Array = NDArray[np.float64]

WORTH_A_UNIT = 0.3
"""Digits of accuracy that a unit of complexity must be worth."""

EDGE_DEGREE = 8
"""Of polynomials, at most."""

CONSTANT_BELOW = 1e-12
"""A function that varies by no more, over its largest value, is a constant."""

MATTERS_ALWAYS = 0.1
"""Share of the values from which a term is never left out, however rough the formula."""


@dataclass(frozen=True)
class Candidate:
    """A formula for one function.

    Attributes:
        name: How it was found.
        form: The formula.
        error: Relative L2, of the values about their mean.
    """

    name: str
    form: Form
    error: float

    def score(self, noise: float) -> float:
        """How good the formula is, lower being better.

        Digits of error count down to the noise, and complexity counts.

        Args:
            noise: Relative accuracy of the values, below which errors are equal.
        """
        return float(np.log10(max(self.error, noise))) + WORTH_A_UNIT * self.form.cost


def suggest(
    t: Array,
    values: Array,
    symbol: Symbol,
    noise: float = 1e-12,
    depth: int = 1,
    only: Sequence[str] | None = None,
) -> list[Candidate]:
    """Formulas for a function of one variable.

    Args:
        t: Where it is sampled, [samples].
        values: There, [samples].
        symbol: The variable of the formulas.
        noise: Relative accuracy of the values, below which errors are equal.
        depth: How many functions may be around the innermost.
        only: Names of the library's functions that are tried; all by default.

    Returns:
        Candidates, the best first.
    """
    spread = float(np.linalg.norm(values - values.mean()))
    if spread <= max(30 * noise, 1e-13) * float(np.linalg.norm(values)) or spread == 0:
        k = constant()
        return [Candidate("constant", Form(k, {k: float(values.mean())}, 0.5), 0.0)]
    noise = max(noise * float(np.linalg.norm(values)) / spread, 1e-14)
    found = _polynomials(t, values, symbol, noise, spread)
    for function in sorted(LIBRARY.values(), key=lambda f: f.cost):
        done = min((c.form.cost for c in found if c.error < 10 * noise), default=np.inf)
        if function.cost < done and (only is None or function.name in only):
            found += _shifted(t, values, symbol, function, spread, noise)
    if min(c.error for c in found) > 30 * noise:
        found += _power(t, values, symbol, spread)
    if depth and min(c.error for c in found) > 30 * noise:
        for function in LIBRARY.values():
            found += _outer(t, values, symbol, function, noise, depth, spread)
    return sorted(found, key=lambda c: c.score(noise))


def _polynomials(
    t: Array, values: Array, symbol: Symbol, noise: float, spread: float
) -> list[Candidate]:
    """The best of each degree, as long as they get better; terms that do not matter are left
    out."""
    found: list[Candidate] = []
    size = float(np.abs(t).max()) or 1.0
    for degree in range(1, EDGE_DEGREE + 1):
        kept = list(range(degree + 1))
        while True:
            columns = (t[:, None] / size) ** np.array(kept)
            c = np.linalg.lstsq(columns, values, rcond=None)[0]
            error = float(np.linalg.norm(columns @ c - values)) / spread
            shares = np.abs(c) * np.linalg.norm(columns, axis=0) / spread
            needed = [
                n
                for n, share in zip(kept, shares, strict=True)
                if share > min(30 * max(noise, error), MATTERS_ALWAYS) or n == degree
            ]
            if needed == kept:
                break
            kept = needed
        if found and error > 0.5 * found[-1].error:
            continue
        ks = [constant() for _ in kept]
        expression = sum((k * symbol**n for k, n in zip(ks, kept, strict=True)), sympy.Integer(0))
        start = {k: float(v) / size**n for k, v, n in zip(ks, c, kept, strict=True)}
        found.append(
            Candidate(
                f"polynomial of degree {degree}",
                Form(expression, start, 0.5 * len(kept) + 0.2 * degree),
                error,
            )
        )
        if error <= 3 * noise:
            break
    return found


def _shifted(
    t: Array,
    values: Array,
    symbol: Symbol,
    function: Function,
    spread: float,
    noise: float,
    best: int = 3,
) -> list[Candidate]:
    """a g(b t + c), and a g(b t + c) + e where that is better."""
    middle, half = (t.max() + t.min()) / 2, (t.max() - t.min()) / 2
    tau, starts = (t - middle) / half, function.starts()
    g = function.values(starts[:, :1] * tau + starts[:, 1:])
    usable = np.isfinite(g).all(1)
    starts, g = starts[usable], g[usable]
    found: list[Candidate] = []
    for additive in (False, True):
        flat, y = (
            (g - g.mean(1, keepdims=True), values - values.mean()) if additive else (g, values)
        )
        square = (flat**2).sum(1)
        slope = np.divide(
            flat @ y, square, out=np.zeros(len(flat)), where=square > 1e-20 * (1 + (g**2).sum(1))
        )
        left = ((y - slope[:, None] * flat) ** 2).sum(1)
        searched = []
        for i in np.argsort(left, kind="stable")[:best]:
            searched.append(_search(function, tau, values, starts[i], additive))
            if searched[-1][0] < 10 * noise * spread:
                break
        if not searched:
            return found
        error, b, c = min(searched)
        b, c = (b / half, c - b * middle / half) if function.rates else (b, half * c - b * middle)
        c = c if function.shifts else 0.0
        columns = np.stack([function.values(b * t + c), np.ones_like(t)][: 1 + additive], 1)
        if not np.isfinite(columns).all():
            continue
        linear = np.linalg.lstsq(columns, values, rcond=None)[0]
        k = [constant() for _ in range(4)]
        inner = (k[1] if function.rates else int(b)) * symbol + (k[2] if function.shifts else 0)
        start = {k[0]: float(linear[0]), k[1]: float(b), k[2]: float(c), k[3]: float(linear[-1])}
        expression = k[0] * function.expression(inner) + (k[3] if additive else 0)
        cost = function.cost + 0.5 * bool(function.shifts) + 0.5 * additive
        found.append(
            Candidate(
                function.name,
                Form(
                    expression,
                    {c: v for c, v in start.items() if c in expression.free_symbols},
                    cost,
                ),
                error / spread,
            )
        )
        if error < 10 * noise * spread:
            break
    return found


def _search(
    function: Function, tau: Array, values: Array, start: Array, additive: bool
) -> tuple[float, float, float]:
    """The error that the best a g(b τ + c) + e near a start leaves, its b and its c; b stays ±1
    where only a shift matters, c where only a rate does."""
    scale = float(np.linalg.norm(values))
    free = np.array([bool(function.rates), bool(function.shifts)])

    def centred(numbers: Array) -> Array:
        return numbers - numbers.mean() if additive else numbers

    wanted = centred(values / scale)

    def left(inner: Array) -> Array:
        b, c = np.where(free, np.resize(inner, 2) if free.all() else inner[0], start)
        g = np.nan_to_num(function.values(b * tau + c), nan=1e6)
        g = centred(g / (np.abs(g).max() or 1.0))
        square = float(g @ g)
        # What hardly varies is as good as a constant.
        varies = square > len(g) * CONSTANT_BELOW**2
        return (float(g @ wanted) / square if varies else 0.0) * g - wanted

    if not free.any():
        return float(np.linalg.norm(left(start))) * scale, float(start[0]), float(start[1])
    best = least_squares(
        left,
        start[free],
        "3-point",
        method="lm",
        x_scale=np.maximum(np.abs(start[free]), 0.1),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        max_nfev=30,
    )
    b, c = np.where(free, np.resize(best.x, 2) if free.all() else best.x[0], start)
    return float(np.linalg.norm(best.fun)) * scale, float(b), float(c)


def _power(t: Array, values: Array, symbol: Symbol, spread: float) -> list[Candidate]:
    """a (t + c)^p + e, p no whole number, where t + c > 0."""
    low, high = t.min(), t.max()
    best: list[tuple[Form, float]] = []
    for c in ([0.0] if low > 0 else []) + [-low + gap * (high - low) for gap in (0.01, 0.3)]:
        for p in (-1.5, -0.5, 0.5, 1.5, 2.5):
            g = (t + c) ** p
            columns = np.stack([g, np.ones_like(g)], 1)
            a, e = np.linalg.lstsq(columns, values, rcond=None)[0]
            k = [constant() for _ in range(4)]
            form = Form(
                k[0] * (symbol + (k[1] if c else 0)) ** k[2] + k[3],
                {k[0]: float(a), k[1]: float(c), k[2]: p, k[3]: float(e)},
                3.5 if c else 3.0,
            )
            best.append((form, float(np.linalg.norm(columns @ (a, e) - values))))
    if not best:
        return []
    nearest, _ = min(best, key=lambda b: b[1])
    fitted, error = fit(nearest, [symbol], [t], values)
    return [Candidate("power", fitted, error * float(np.linalg.norm(values)) / spread)]


def _outer(
    t: Array,
    values: Array,
    symbol: Symbol,
    function: Function,
    noise: float,
    depth: int,
    spread: float,
) -> list[Candidate]:
    """s F(inner), with inner found on F⁻¹(s values), s the values' sign."""
    if function.inverse is None:
        return []
    sign = -1 if values.mean() < 0 else 1
    inner = function.inverted(sign * values)
    if not np.isfinite(inner).all() or np.ptp(inner) > 1e6:
        return []
    found = []
    for candidate in suggest(t, inner, symbol, noise, depth - 1)[:2]:
        expression = sign * function.expression(candidate.form.expression)
        form, error = fit(
            Form(expression, candidate.form.values, candidate.form.cost + function.cost),
            [symbol],
            [t],
            values,
        )
        found.append(
            Candidate(
                f"{function.name} of {candidate.name}",
                form,
                error * float(np.linalg.norm(values)) / spread,
            )
        )
    return found
