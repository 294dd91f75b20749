"""explain(result): a closed form read off a trained network, its constants made exact, and checked
by the residual."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.errors import KanpdeError, ProblemError, RunError, first_line, listed
from kanpde.fitting import Fit
from kanpde.fitting.task import TEST, TRAINING
from kanpde.geometry import Pieces
from kanpde.interpret.exact import by_residual, without_equations
from kanpde.interpret.explained import Explanation
from kanpde.interpret.search import Note, Search
from kanpde.interpret.structure import sample
from kanpde.problem.determined import found_without_data
from kanpde.problem.problem import Problem
from kanpde.results.fields import evaluate
from kanpde.results.result import Result

Array = NDArray[np.float64]


def explain(result: Result, *, seconds: float = 60.0, note: Note | None = None) -> Explanation:
    """Closed formulas for the unknowns of a solved problem, verified by its own equations.

    The run folder is left as it is; `Explanation.save` writes to one.

    Args:
        result: A solved problem.
        seconds: The time after which no new search is begun.
        note: Called with a line of text on what is being done; nobody is told by default.

    Returns:
        The formulas, and the residuals of all equations and conditions.

    Raises:
        RunError: The run was interrupted before its end, or its domain is in pieces.
        ProblemError: The problem of the run was not found again.
    """
    if result.history.interrupted:
        raise RunError(
            f"{result.run_dir or result.name}: the run was interrupted before its end; go on with"
            " it (kanpde solve --resume), then explain it"
        )
    problem, solution = result._solved()
    if isinstance(problem.domain, Pieces):
        raise RunError(
            f"explain: {problem.name} is on {len(problem.groups)} pieces, each with a formula of"
            " its own; expected a domain in one piece"
        )

    def values(i: int, points: Array) -> Array:
        found = evaluate(solution, torch.from_numpy(np.ascontiguousarray(points)))[:, i]
        return found.cpu().double().numpy()

    functions: dict[str, Callable[[Array], Array]] = {
        u: partial(values, i) for i, u in enumerate(problem.unknowns)
    }
    if found_without_data(problem):
        functions |= {p: partial(_constant, value) for p, value in solution.numbers().items()}
    # Eigenvalue problems are met by nothing at all as well: values alone say how large it is.
    judge = None if problem.pencil is not None else problem
    return explain_values(problem.name, functions, problem.domain.bounds, judge, seconds, note)


def _constant(value: float, points: Array) -> Array:
    """A number that belongs to the solution, at points."""
    return np.full(len(points), value)


def explain_function(
    function: Callable[..., Any],
    bounds: Mapping[str, tuple[float, float]],
    *,
    name: str | None = None,
    seconds: float = 60.0,
    note: Note | None = None,
) -> Explanation:
    """A closed formula for a function of inputs by name.

    An example is `explain_function(lambda x, y: …, {"x": (-1, 1), "y": (-1, 1)})`. There is no
    equation to check the formula by: it is found where it agrees with the values to within
    exact.AGREES_BELOW, and its distance to them says how well.

    Args:
        function: Takes arrays [points] by name and returns values [points].
        bounds: Low and high end of each input, by name.
        name: What the function is called; its own name by default.
        seconds: The time after which no new search is begun.
        note: Called with a line of text on what is being done; nobody is told by default.

    Returns:
        The nearest formula.

    Raises:
        ProblemError: It is no such function, or is not finite within the bounds.
    """
    _check_bounds(function, bounds)
    title = name or getattr(function, "__name__", "f").strip("<>")

    def values(points: Array) -> Array:
        try:
            found = np.asarray(
                function(**dict(zip(bounds, points.T, strict=True))), dtype=np.float64
            )
        except KanpdeError:
            raise
        # the user's own code: anything can come; it is named, never swallowed
        except Exception as error:
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


def _check_bounds(function: Callable[..., Any], bounds: Mapping[str, tuple[float, float]]) -> None:
    """Raise ProblemError unless the bounds name the inputs of a function and are finite."""
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


def explain_fit(fit: Fit, *, seconds: float = 60.0, note: Note | None = None) -> Explanation:
    """Closed formulas for what a network learned from data, one a target; the data have no equation
    to check them by.

    They are looked for down to the network's own uncertainty: a formula need not be nearer to it
    than it is to what it learned.

    Args:
        fit: A fit of numbers.
        seconds: The time after which no new search is begun.
        note: Called with a line of text on what is being done; nobody is told by default.

    Returns:
        The nearest formulas, by target.

    Raises:
        RunError: The fit tells classes apart, whose outputs are no numbers to explain.
    """
    if fit.task.classes:
        raise RunError(
            f"{fit.run_dir or fit.name}: the fit tells classes apart ({listed(fit.task.classes)});"
            " expected one of numbers"
        )

    def values(i: int, points: Array) -> Array:
        return fit.values(points)[:, i]

    functions = {u: partial(values, i) for i, u in enumerate(fit.task.targets)}
    return explain_values(
        fit.name, functions, fit.task.bounds, None, seconds, note, uncertainty(fit)
    )


def uncertainty(fit: Fit) -> dict[str, float]:
    """The standard error of fitted functions, relative to their size.

    Args:
        fit: A fit of numbers.

    Returns:
        By target, the error of a row, over the root of how many rows there are for a parameter.
    """
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
    """Closed formulas for functions, with a problem that they solve or without one.

    Args:
        name: The name of what is explained.
        functions: By unknown, from points [points, coordinates] to values [points].
        bounds: Low and high end of each coordinate, by name; at most five.
        problem: Whose equations judge the formulas; None where the values do.
        seconds: The time after which no new search is begun.
        note: Called with a line of text on what is being done; nobody is told by default.
        noise: How far the values may be off, in relative L2 by unknown, where they come from data.

    Returns:
        The best formulas.

    Raises:
        ProblemError: There are too many coordinates, or values are not finite.
    """
    began, say = time.perf_counter(), note or _silent
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
            without_equations(name, searches, began)
            if problem is None
            else by_residual(name, problem, searches, began, seconds, say)
        )
        if explained.found:
            break
    assert explained is not None
    return explained


def _silent(text: str) -> None:
    """Nobody is told what is being done."""
