"""Candidates made exact and judged: constants polished, named, and checked by the residual, or by
the values where there are no equations."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import sympy
from sympy import Expr

from kanpde.interpret.constants import recognise
from kanpde.interpret.explained import Explanation, Tried, rounded
from kanpde.interpret.form import Form, compiled
from kanpde.interpret.limits import within
from kanpde.interpret.polish import ConstantsSystem, polish
from kanpde.interpret.search import Note, Search
from kanpde.interpret.structure import DEVIATIONS_OFF, Sampled
from kanpde.interpret.verify import Check, verify
from kanpde.problem.problem import Problem

SOLVES_BELOW = 1e-11
"""A residual relative to the largest term, up to which a formula solves its problem: the rest is
rounding of the constants."""

NEAR_THE_NETWORK = 0.05
"""Distance to the network up to which a formula is one of the network at all, and its constants are
worth polishing or naming."""

AGREES_BELOW = 1e-4
"""Distance to values up to which a formula without a problem is taken for theirs."""

_ATTEMPTS = 4


def _tried(searches: Mapping[str, Search]) -> list[Tried]:
    return [
        Tried(u, form.route, rounded(form.filled), float(form.cost), error)
        for u, search in searches.items()
        for form, error in search.best()[:5]
    ]


def without_equations(name: str, searches: Mapping[str, Search], began: float) -> Explanation:
    """Name constants as far as the fit determines them.

    Args:
        name: The name of what is explained.
        searches: Candidates by unknown.
        began: When the explanation was begun, by `time.perf_counter`.

    Returns:
        The nearest formulas; found where they agree with the values.
    """
    found, tried = {u: search.best() for u, search in searches.items()}, _tried(searches)
    sampled = {u: search.sampled for u, search in searches.items()}
    formulas, distance, routes, named = {}, {}, {}, True
    for u, candidates in found.items():
        if not candidates:
            continue
        form, error = candidates[0]
        tolerance = max(30 * error, sampled[u].noise, 1e-12)
        choice = {
            k: recognise(v, tolerance * max(abs(v), 0.1))
            for k, v in form.values.items()
            if k in form.constants
        }
        exact = _simplest(_filled(form, choice))
        after = _distance(exact, sampled[u])
        better = after <= 3 * error + 1e-13 and error < NEAR_THE_NETWORK
        formulas[u] = exact if better else _simplest(form.filled)
        distance[u], routes[u] = (after if better else error), form.route
        named &= better and None not in choice.values()
    good = len(formulas) == len(found) > 0 and all(
        d < max(AGREES_BELOW, min(DEVIATIONS_OFF * sampled[u].noise, NEAR_THE_NETWORK))
        for u, d in distance.items()
    )
    return Explanation(
        name,
        good,
        formulas,
        distance,
        (),
        tuple(tried),
        routes,
        named and good,
        time.perf_counter() - began,
    )


@dataclass(frozen=True)
class _Attempt:
    """Formulas with polished constants, and what their check says.

    Attributes:
        worst: The largest error, relative to the largest term of its equation.
        formulas: The formulas, by unknown.
        checks: The checks of all equations and conditions.
        routes: How each was found, by unknown.
        named: Whether every constant has a name.
    """

    worst: float
    formulas: dict[str, Expr]
    checks: list[Check]
    routes: dict[str, str]
    named: bool


def by_residual(
    name: str,
    problem: Problem,
    searches: Mapping[str, Search],
    began: float,
    seconds: float,
    say: Note,
) -> Explanation:
    """Polish and verify the candidates, the best first, until one solves the problem.

    Args:
        name: The name of the problem.
        problem: Its equations and conditions are the judge.
        searches: Candidates by unknown.
        began: When the explanation was begun, by `time.perf_counter`.
        seconds: After which nothing new is tried.
        say: Called with a line on what is being done.

    Returns:
        The formulas with the smallest residual; found where they solve the problem.
    """
    found, tried = {u: search.best() for u, search in searches.items()}, _tried(searches)
    sampled = {u: search.sampled for u, search in searches.items()}
    missing = [u for u, candidates in found.items() if not candidates]
    best = None if missing else _best_attempt(problem, searches, tried, began, seconds, say)
    notes = [f"{u}: no route proposes a formula" for u in missing]
    if best is None:
        near = {u: candidates[0][0].filled for u, candidates in found.items() if candidates}
        best = _Attempt(np.inf, near, [], {}, False)
    if any(c.rounding for c in best.checks):
        notes.append(
            "a residual could not be written as an expression: its value is that of float64, right"
            " to its rounding"
        )
    solves = best.worst < SOLVES_BELOW
    return Explanation(
        name,
        solves,
        best.formulas,
        {u: _distance(f, sampled[u]) for u, f in best.formulas.items()},
        tuple(best.checks),
        tuple(tried),
        best.routes,
        best.named and solves,
        time.perf_counter() - began,
        tuple(notes),
    )


def _best_attempt(
    problem: Problem,
    searches: Mapping[str, Search],
    tried: list[Tried],
    began: float,
    seconds: float,
    say: Note,
) -> _Attempt | None:
    """The attempt with the smallest residual; residuals are noted in `tried`."""
    found = {u: search.best() for u, search in searches.items()}
    size = max(float(np.abs(search.sampled.values).max()) for search in searches.values())
    best: _Attempt | None = None
    for attempt in range(_ATTEMPTS):
        late = time.perf_counter() - began > 0.8 * seconds
        if attempt and (attempt >= max(map(len, found.values())) or late):
            break
        chosen = {
            u: candidates[min(attempt, len(candidates) - 1)] for u, candidates in found.items()
        }
        furthest = max(error for _, error in chosen.values())
        if attempt and furthest > NEAR_THE_NETWORK:
            continue
        forms = {u: form for u, (form, _) in chosen.items()}
        routes = {u: form.route for u, form in forms.items()}
        say(f"constants polished on the residual, {', '.join(routes.values())}")
        formulas, named = _exact_constants(problem, forms, furthest < NEAR_THE_NETWORK)
        say("residual verified")
        left = seconds - (time.perf_counter() - began)
        checks = verify(problem, formulas, min(10.0, max(left, 2.0)))
        worst = _worst(checks, size)
        _note_residual(tried, forms, worst)
        if best is None or worst < best.worst:
            best = _Attempt(worst, formulas, checks, routes, named)
        if worst < SOLVES_BELOW:
            break
    return best


def _note_residual(tried: list[Tried], forms: Mapping[str, Form], residual: float) -> None:
    """Say of the candidates that were just verified what residual they leave."""
    shown = {(u, rounded(form.filled)) for u, form in forms.items()}
    for i, row in enumerate(tried):
        if (row.unknown, row.formula) in shown:
            tried[i] = replace(row, residual=residual)


def _worst(checks: Sequence[Check], size: float) -> float:
    """The largest error relative to its equation's largest term; of a condition, to the largest of
    all conditions and of the unknowns."""
    largest = max([size, *(c.scale for c in checks if c.condition)])
    return max(
        (
            max(c.error - c.rounding, 0.0) / max(largest if c.condition else c.scale, 1e-300)
            for c in checks
        ),
        default=np.inf,
    )


def _exact_constants(
    problem: Problem, forms: Mapping[str, Form], near: bool
) -> tuple[dict[str, Expr], bool]:
    """The constants polished on the residual, and named one by one as long as the residual is no
    larger for it."""
    system = ConstantsSystem(problem, forms)
    if not near or not system.constants:
        return {u: _simplest(form.filled) for u, form in forms.items()}, not system.constants
    k, spread = polish(system)
    allowed = 3 * float(np.abs(system.residual(k)).max()) + 1e-13
    named: dict[Any, Expr | None] = {}
    for i, symbol in enumerate(system.constants):
        scale = max(abs(float(k[i])), 0.1)
        named[symbol] = recognise(
            float(k[i]), float(np.clip(30 * spread[i], 1e-12 * scale, 1e-5 * scale))
        )
        if named[symbol] is not None:
            before, k[i] = float(k[i]), float(named[symbol])  # type: ignore[arg-type]
            left = float(np.abs(system.residual(k)).max())
            if left > allowed:
                k[i], named[symbol] = before, None
    polished = system.with_values(k)
    return {
        u: _simplest(_filled(form, named)) for u, form in polished.items()
    }, None not in named.values()


def _filled(form: Form, named: Mapping[Any, Expr | None]) -> Expr:
    """With names for the constants that have one, and 17 digits for the others."""
    return form.expression.subs(
        {
            k: name if (name := named.get(k)) is not None else sympy.Float(form.values[k], 17)
            for k in form.constants
        }
    )


def _simplest(expression: Expr) -> Expr:
    """The shortest of a few ways to write it; a sum of products stays one."""
    ways = [expression]
    rewrites = [_factored]
    if not expression.is_Add:
        rewrites = [sympy.simplify, sympy.expand, _factored, _logarithms_joined]
    for rewrite in rewrites:
        found = within(3.0, partial(rewrite, expression))
        ways += [] if found is None else [found]
    return min(ways, key=lambda e: (sympy.count_ops(e, visual=False), len(str(e))))


def _logarithms_joined(expression: Expr) -> Expr:
    """log(a) + log(b) as log(a b)."""
    return sympy.logcombine(sympy.expand_log(expression, force=False), force=True)


def _factored(expression: Expr) -> Expr:
    """The arguments of its functions as products: sin(2 π (x - t))."""
    return expression.replace(
        lambda e: isinstance(e, sympy.Function),
        lambda e: e.func(*(sympy.factor(a) for a in e.args)),
    )


def _distance(formula: Expr, sampled: Sampled) -> float:
    """Relative L2 to the values."""
    values = compiled([formula], sampled.symbols)(*sampled.points)[0]
    return float(np.linalg.norm(values - sampled.values) / (np.linalg.norm(sampled.values) or 1.0))
