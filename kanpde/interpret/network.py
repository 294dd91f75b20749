"""F(f(x) + g(y) + …) with an F of no known inverse: a KAN with one hidden unit, fitted to the
values, and its edges read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Symbol

from kanpde.fitting import learn, prepare
from kanpde.interpret.edges import suggest
from kanpde.interpret.form import Form, compiled, constant
from kanpde.interpret.structure import Found, Sampled, fitted, without_constant
from kanpde.networks.kan import KAN
from kanpde.problem.tables import Records
from kanpde.recipes.recipe import Recipe

Array = NDArray[np.float64]

_ROWS = 1200
_GOOD = 0.02


def read_edges(sampled: Sampled) -> list[Found]:
    """Formulas composed of one for each edge of a network that is trained on the values.

    Args:
        sampled: The function that formulas are looked for.

    Returns:
        The formulas; none where one hidden unit is not enough.
    """
    names = [s.name for s in sampled.symbols]
    rng = np.random.default_rng(0)
    low, high = np.array(sampled.bounds).T
    points = low + (high - low) * rng.uniform(size=(_ROWS, len(names)))
    values = sampled.function(points)
    if len(names) < 2 or np.ptp(values) == 0:
        return []
    target = "value" if "value" not in names else "value_"
    task = prepare(
        Records("values", {**dict(zip(names, points.T, strict=True)), target: values}),
        [target],
        test=0.0,
        held=0,
        seed=0,
        bounds=dict(zip(names, sampled.bounds, strict=True)),
    )
    fit = learn(task, Recipe(KAN((1,), 5, 4), _ROWS, "lm:40,extend:8,lm:40", 2), 0)
    error = float(np.linalg.norm(fit.values(points)[:, 0] - values) / np.linalg.norm(values))
    if error > _GOOD:
        return []
    edges = fit.solution.network.edges(200)[0]
    curves = [
        (lo + (hi - lo) * (np.asarray(edges.inputs[p]) + 1) / 2, np.asarray(edges.outputs[p, 0]))
        for p, (lo, hi) in enumerate(sampled.bounds)
    ]
    hidden = sum(np.interp(x, t, y) for x, (t, y) in zip(points.T, curves, strict=True))
    return [
        fitted(sampled, form)
        for form in _composed(sampled, curves, hidden, values, max(error, 1e-6))
    ]


def _composed(
    sampled: Sampled, curves: list[tuple[Array, Array]], hidden: Array, values: Array, noise: float
) -> Iterator[Form]:
    """F of the sum, the factor of the hidden unit gone into the terms and their constants into
    one."""
    h, order = Symbol("h", real=True), np.argsort(hidden)
    inner = [
        [without_constant(c.form) for c in suggest(t, y, s, noise, 0)[:2]]
        for (t, y), s in zip(curves, sampled.symbols, strict=True)
    ]
    for outer in suggest(hidden[order][::6], values[order][::6], h, noise, 0)[:3]:
        rate = next(
            (
                k
                for k in outer.form.constants
                if any(
                    e.is_Mul and e.free_symbols == {k, h}
                    for e in sympy.preorder_traversal(outer.form.expression)
                )
            ),
            None,
        )
        for forms in itertools.islice(itertools.product(*inner), 4):
            k, start = (
                constant(),
                {key: v for form in (outer.form, *forms) for key, v in form.values.items()},
            )
            total = sympy.Add(*(form.expression for form in forms), k)
            # The constants of the terms, as they were dropped: what the sum lacks on average.
            at = [
                compiled([form.filled], [s])(t)[0]
                for form, s, (t, _) in zip(forms, sampled.symbols, curves, strict=True)
            ]
            start[k] = float(sum(np.mean(y - v) for v, (_, y) in zip(at, curves, strict=True)))
            expression = outer.form.expression
            if rate is not None:
                for key in [
                    key
                    for form in forms
                    for key in form.constants
                    if any(
                        key in term.as_ordered_factors()
                        for term in form.expression.as_ordered_terms()
                    )
                ] + [k]:
                    start[key] *= start[rate]
                expression = expression.subs(rate, 1)
            yield Form(
                expression.subs(h, total),
                start,
                outer.form.cost + sum(form.cost for form in forms) + 0.5,
                "edges of a small KAN",
            )
