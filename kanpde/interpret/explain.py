"""explain(result): a closed form read off a trained network, its constants made exact, and checked
by the residual."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
import torch
from numpy.typing import NDArray
from sympy import Expr

from kanpde.errors import KanpdeError, ProblemError, RunError, first_line, listed
from kanpde.fitting import Fit
from kanpde.fitting.task import TEST, TRAINING
from kanpde.interpret.constants import recognise
from kanpde.interpret.explained import Explanation, Tried, rounded
from kanpde.interpret.form import Form, compiled
from kanpde.interpret.limits import within
from kanpde.interpret.network import read_edges
from kanpde.interpret.polish import ConstantsSystem, polish
from kanpde.interpret.structure import (
    APPROXIMATE_ABOVE,
    DEVIATIONS_OFF,
    Found,
    Sampled,
    approximations,
    propose,
    ranked,
    sample,
)
from kanpde.interpret.verify import Check, verify
from kanpde.problem.problem import Problem
from kanpde.results.fields import evaluate
from kanpde.results.result import Result

Array = NDArray[np.float64]
Note = Callable[[str], None]

SOLVES_BELOW = 1e-11
"""A residual relative to the largest term, up to which a formula solves its problem: the rest is
rounding of the constants."""

NEAR_THE_NETWORK = 0.05
"""Distance to the network up to which a formula is one of the network at all, and its constants are
worth polishing or naming."""

AGREES_BELOW = 1e-4
"""Distance to values up to which a formula without a problem is taken for theirs."""

_ATTEMPTS = 4


def explain(result: Result, *, seconds: float = 60.0, note: Note | None = None) -> Explanation:
    """Closed formulas for the unknowns of a solved problem, verified by its own equations and
    conditions.

    seconds: after which no new search is begun. note: called with a line on what is being done. The
    run folder is left as it is; `Explanation.save` writes to one. Raises RunError for a run that
    was interrupted, ProblemError for one without its problem.
    """
    if result.history.interrupted:
        raise RunError(
            f"{result.run_dir or result.name}: the run was interrupted before its end; go on with"
            " it (kanpde solve --resume), then explain it"
        )
    problem, solution = result._solved()
    functions = {
        u: lambda p, i=i: (
            evaluate(solution, torch.from_numpy(np.ascontiguousarray(p)))[:, i]
            .cpu()
            .double()
            .numpy()
        )
        for i, u in enumerate(problem.unknowns)
    }
    return explain_values(problem.name, functions, problem.domain.bounds, problem, seconds, note)


def explain_function(
    function: Callable[..., Any],
    bounds: Mapping[str, tuple[float, float]],
    *,
    name: str | None = None,
    seconds: float = 60.0,
    note: Note | None = None,
) -> Explanation:
    """A closed formula for a function of inputs by name: `explain_function(lambda x, y: …, {"x":
    (-1, 1), "y": (-1, 1)})`.

    function: takes arrays [points] by name and returns [points]. There is no equation to check the
    formula by: it is found where it agrees with the values to within AGREES_BELOW, and its distance to
    them says how well. Raises ProblemError for what is no such function.
    """
    try:
        arguments = [
            p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty
        ]
    except (TypeError, ValueError):
        arguments = list(bounds)
    if sorted(arguments) != sorted(bounds) or not bounds:
        raise ProblemError(
            f"explain_function(…): the function takes {listed(arguments)} and bounds name"
            f" {listed(bounds)}; expected the same names"
        )
    for x, ends in bounds.items():
        if len(ends) != 2 or not all(np.isfinite(ends)) or not ends[0] < ends[1]:
            raise ProblemError(
                f"explain_function(…): bounds of {x} are {ends!r}; expected (low, high), both"
                " finite and low < high"
            )
    title = name or getattr(function, "__name__", "f").strip("<>")

    def values(points: Array) -> Array:
        try:
            found = np.asarray(
                function(**dict(zip(bounds, points.T, strict=True))), dtype=np.float64
            )
        except KanpdeError:
            raise
        except (
            Exception
        ) as error:  # the user's own code: anything can come; it is named, never swallowed
            raise ProblemError(f"{title}: {first_line(error)}") from error
        if found.shape not in ((), (len(points),)):
            raise ProblemError(
                f"{title}: returned shape {list(found.shape)} for {len(points)} points; expected"
                " one value a point"
            )
        return np.broadcast_to(found, len(points))

    return explain_values(
        title, {title if title.isidentifier() else "f": values}, bounds, None, seconds, note
    )


def explain_fit(fit: Fit, *, seconds: float = 60.0, note: Note | None = None) -> Explanation:
    """Closed formulas for what a network learned from data, one a target; the data have no equation
    to check them by.

    They are looked for down to the network's own uncertainty: a formula need not be nearer to it
    than it is to what it learned. Raises RunError for a classifier, whose outputs are no numbers to
    explain.
    """
    if fit.task.classes:
        raise RunError(
            f"{fit.run_dir or fit.name}: the fit tells classes apart ({listed(fit.task.classes)});"
            " expected one of numbers"
        )
    functions = {u: lambda p, i=i: fit.values(p)[:, i] for i, u in enumerate(fit.task.targets)}
    return explain_values(
        fit.name, functions, fit.task.bounds, None, seconds, note, uncertainty(fit)
    )


def uncertainty(fit: Fit) -> dict[str, float]:
    """By target, the standard error of a fitted function, relative to its size: that of a row, by
    how many rows there are for a parameter."""
    task = fit.task
    judged = task.part == (TEST if task.count(TEST) else TRAINING)
    error = np.sqrt(
        np.mean((fit.values(task.points[judged]) - task.truth[judged]) ** 2, 0)
    ) / np.sqrt(np.mean(task.truth**2, 0))
    share = min(1.0, fit.solution.parameters / task.count(TRAINING)) ** 0.5
    return {u: float(share * e) for u, e in zip(task.targets, error, strict=True)}


def explain_values(
    name: str,
    functions: Mapping[str, Callable[[Array], Array]],
    bounds: Mapping[str, tuple[float, float]],
    problem: Problem | None,
    seconds: float = 60.0,
    note: Note | None = None,
    noise: Mapping[str, float] | None = None,
) -> Explanation:
    """The same for functions of points [points, coordinates], by unknown; with a problem that they
    solve, or None. noise: how far they may be off, in relative L2, where they come from data."""
    began, say = time.perf_counter(), note or (lambda text: None)
    if len(bounds) > 5:
        raise ProblemError(
            f"explain: got {len(bounds)} variables ({listed(bounds)}); expected at most five"
        )
    searches = {
        u: Search(u, sample(function, bounds, (noise or {}).get(u, 0.0)), say)
        for u, function in functions.items()
    }
    for u, search in searches.items():
        if not np.isfinite(search.sampled.values).all():
            raise ProblemError(
                f"{name}: {u} is not finite on its whole domain; expected finite values"
            )
    explained = None
    for stop, share in ((1e-6, 0.5), (1e-12, 0.7)) if problem is not None else ((1e-8, 0.5),):
        before = [len(search.candidates) for search in searches.values()]
        for i, search in enumerate(searches.values()):
            search.go_on(stop, began + share * seconds * (i + 1) / len(searches))
        if explained is not None and before == [
            len(search.candidates) for search in searches.values()
        ]:
            break
        explained = (
            _without_equations(name, searches, began)
            if problem is None
            else _by_residual(name, problem, searches, began, seconds, say)
        )
        if explained.found:
            break
    assert explained is not None
    return explained


class Search:
    """Candidates for one unknown, as far as they were looked for."""

    def __init__(self, unknown: str, sampled: Sampled, say: Note):
        self.unknown, self.sampled, self.say = unknown, sampled, say
        self.candidates: list[Found] = []
        self._routes = self._all()

    def _all(self) -> Iterator[Found]:
        """Structure first; then a network's edges; then what is merely near."""
        yield from propose(self.sampled)
        poor = max(APPROXIMATE_ABOVE, DEVIATIONS_OFF * self.sampled.noise)
        if min((error for _, error in self.candidates), default=1.0) > poor:
            self.say(f"{self.unknown}: a small KAN fitted to the values")
            yield from read_edges(self.sampled)
        if min((error for _, error in self.candidates), default=1.0) > poor:
            yield from approximations(self.sampled)

    def go_on(self, stop: float, deadline: float) -> None:
        """Until a candidate is as near as `stop`, or time is up (but never without any)."""
        if min((error for _, error in self.candidates), default=1.0) < stop:
            return
        for form, error in self._routes:
            self.candidates.append((form, error))
            self.say(f"{self.unknown}: {form.route}, distance {error:.1e}")
            if error < stop or time.perf_counter() > deadline:
                return

    def best(self) -> list[Found]:
        """The best first."""
        return ranked(self.candidates, self.sampled.noise)


def _tried(searches: Mapping[str, Search]) -> list[Tried]:
    return [
        Tried(u, form.route, rounded(form.filled), float(form.cost), error)
        for u, search in searches.items()
        for form, error in search.best()[:5]
    ]


def _without_equations(name: str, searches: Mapping[str, Search], began: float) -> Explanation:
    """Constants named as far as the fit determines them; right where the formula agrees with the
    values."""
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


def _by_residual(
    name: str,
    problem: Problem,
    searches: Mapping[str, Search],
    began: float,
    seconds: float,
    say: Note,
) -> Explanation:
    """Polish and verify the candidates, the best first, until one solves the problem."""
    found, tried = {u: search.best() for u, search in searches.items()}, _tried(searches)
    sampled = {u: search.sampled for u, search in searches.items()}
    best: tuple[float, dict[str, Expr], list[Check], dict[str, str], bool] | None = None
    size = max(float(np.abs(s.values).max()) for s in sampled.values())
    missing = [u for u, candidates in found.items() if not candidates]
    for attempt in range(0 if missing else _ATTEMPTS):
        if attempt and (
            attempt >= max(map(len, found.values())) or time.perf_counter() - began > 0.8 * seconds
        ):
            break
        chosen = {
            u: candidates[min(attempt, len(candidates) - 1)] for u, candidates in found.items()
        }
        if attempt and max(error for _, error in chosen.values()) > NEAR_THE_NETWORK:
            continue
        forms = {u: form for u, (form, _) in chosen.items()}
        say(
            "constants polished on the residual, "
            + ", ".join(form.route for form in forms.values())
        )
        formulas, named = _exact_constants(
            problem, forms, max(e for _, e in chosen.values()) < NEAR_THE_NETWORK
        )
        say("residual verified")
        checks = verify(
            problem, formulas, min(10.0, max(seconds - (time.perf_counter() - began), 2.0))
        )
        worst = _worst(checks, size)
        for i, row in enumerate(tried):
            if any(
                row.unknown == u and row.formula == rounded(form.filled)
                for u, form in forms.items()
            ):
                tried[i] = replace(row, residual=worst)
        if best is None or worst < best[0]:
            best = worst, formulas, checks, {u: form.route for u, form in forms.items()}, named
        if worst < SOLVES_BELOW:
            break
    notes = tuple(f"{u}: no route proposes a formula" for u in missing)
    if best is None:
        best = (
            np.inf,
            {u: candidates[0][0].filled for u, candidates in found.items() if candidates},
            [],
            {},
            False,
        )
    worst, formulas, checks, routes, named = best
    distance = {u: _distance(f, sampled[u]) for u, f in formulas.items()}
    if checks and any(c.rounding for c in checks):
        notes += (
            (
                "a residual could not be written as an expression: its value is that of float64,"
                " right to its rounding"
            ),
        )
    return Explanation(
        name,
        worst < SOLVES_BELOW,
        formulas,
        distance,
        tuple(checks),
        tuple(tried),
        routes,
        named and worst < SOLVES_BELOW,
        time.perf_counter() - began,
        notes,
    )


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
    for rewrite in (
        (_factored,)
        if expression.is_Add
        else (
            sympy.simplify,
            sympy.expand,
            _factored,
            lambda e: sympy.logcombine(sympy.expand_log(e, force=False), force=True),
        )
    ):
        found = within(3.0, lambda rewrite=rewrite: rewrite(expression))  # type: ignore[misc]
        ways += [] if found is None else [found]
    return min(ways, key=lambda e: (sympy.count_ops(e, visual=False), len(str(e))))


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
