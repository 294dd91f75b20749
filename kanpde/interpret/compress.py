"""One separable KAN of few parameters for a problem that was solved by products of splines; a
result of its own beside the first."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from kanpde.errors import RecipeError, RunError, listed
from kanpde.interpret.smaller import at_hand, result_of
from kanpde.networks.spec import spec_of
from kanpde.networks.trial_space import NetworkSolution
from kanpde.products.compression import SampledGrid, apart, compressed
from kanpde.products.inside import curved
from kanpde.products.solution import PiecesOfProducts, TensorSolution
from kanpde.recipes.dimensions import scales_of
from kanpde.results.result import Result
from kanpde.runs.atomic import check_writable
from kanpde.runs.folder import save
from kanpde.training.history import History, Record

LOSS = 1e-8
"""What a network may be off by where nothing is asked for: the usual tolerance of products."""


def compress(result: Result, loss: float = LOSS, out: str | Path | None = None) -> Result:
    """The result with one separable KAN in the place of products of splines; the one given is left
    as it was.

    Args:
        result: A problem that was solved by products of splines (`--network tensor`).
        loss: How far the network may be from them: the root mean square of the difference over that
            of the variation, for every unknown. It says nothing of the true error, which is
            measured as that of any other run.
        out: The folder in which the new run folder is made; by default none is made.

    Returns:
        The new result. Its `settings["compressed"]` says of how many parameters and terms it is,
        and what it lost.

    Raises:
        RecipeError: The loss is no share, or no network of fewer parameters is within it.
        RunError: The run is not of products of splines, or its problem's file is gone.
    """
    if not 0 < loss < 1:
        raise RecipeError(
            f"loss: got {loss!r:.40}; expected a number between 0 and 1, such as 1e-8"
        )
    problem, before = at_hand(result)
    products = _products(before)
    if out is not None:
        check_writable(out)
    if products.numbers():
        raise RunError(
            f"compress: {result.name} has numbers that were found with its functions"
            f" ({listed(products.numbers())}); expected functions alone"
        )
    began = time.perf_counter()
    found = compressed(problem, products, loss, scales_of(problem))
    if found is None:
        raise RecipeError(
            f"compress: no separable KAN of fewer than {products.parameters:,} parameters was found"
            f" within {loss:g} of {products.describe()}; allow a larger loss"
        )
    seconds = time.perf_counter() - began
    history = History(stages=[(f"compress:{loss:g}", f"now {found.describe()}")])
    settings = {
        "compressed": {
            "from": None if result.run_dir is None else str(result.run_dir),
            "parameters": [products.parameters, found.parameters],
            "asked": loss,
            "ranks": _ranks(found),
            "lost": apart(found, products, SampledGrid.of(problem, products)),
        }
    }
    after = result_of(result, found, history, settings, seconds)
    history.records += [_record(result, 0, 0.0), _record(after, 1, seconds)]
    if out is not None:
        save(after, out)
    return after


def _record(result: Result, step: int, seconds: float) -> Record:
    """What is known of a result, as a step: nothing was trained, so there is no loss."""
    error = math.nan if result.relative_l2 is None else result.relative_l2
    parameters = int(result.settings["parameters"])
    return Record(step, 0, seconds, math.nan, error=error, parameters=parameters)


def _products(solution: Any) -> TensorSolution:
    """The solution, which is of products of splines, to the end of time. Raises RunError."""
    if not isinstance(solution, TensorSolution):
        raise RunError(
            f"compress: got {solution.describe()}; expected products of splines, that is a run with"
            " --network tensor, or kanpde prune for a network of layers"
        )
    if isinstance(solution, PiecesOfProducts):
        raise RunError(
            f"compress: got {solution.describe()}; expected those of a domain in one piece"
        )
    if curved(solution.domain):
        raise RunError(f"compress: got products on {solution.domain!r}; expected those of a box")
    if not solution.whole:
        last = solution.spans[-1].axes[-1].ends[1]
        raise RunError(
            f"compress: got products of splines that end at {solution.domain.time}={last:g}, before"
            " their time does; expected a whole solution"
        )
    return solution


def _ranks(found: NetworkSolution) -> dict[str, int]:
    """How many terms every unknown has."""
    return dict(zip(found.unknowns, spec_of(found.network).width, strict=True))
