"""What is seen in a solution that should not be there, each with what to try; it is rare.

Residuals are measured by the size of their own terms (see residuals.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.linalg.lapack import dpstrf
from torch import Tensor

from kanpde.errors import listed
from kanpde.networks.solution import Composition
from kanpde.networks.spec import Spec
from kanpde.networks.trial_space import NetworkSolution
from kanpde.recipes.recipe import Recipe
from kanpde.results.exactness import exact_residual
from kanpde.results.judging import ACCURATE_REFERENCE
from kanpde.results.residuals import JUDGED_SEED
from kanpde.results.result import Result
from kanpde.results.verdict import BY_EXACT, CONVERGED, GOOD_ENOUGH, NOT_CONVERGED, Diagnosis
from kanpde.training import LevenbergMarquardt
from kanpde.training.loop import PARTED
from kanpde.training.points import Collocation

MISLED = 30.0
"""An error so many times the relative residual says that the residual does not measure it."""

DOMINATES = 10.0
"""A condition whose relative residual is so many times the equations' has the error."""

MET = 1e-3
"""Relative residual below which a condition is met well enough, and an unfinished solution is
finished."""

WELL_SAMPLED = 1e-4
"""Relative residual below which points that were not trained on are well enough off."""

RANKED_PARAMETERS = 1500
"""Parameters up to which the normal matrix is factored for its rank."""


def diagnose(result: Result, recipe: Recipe) -> list[Diagnosis]:
    """What should not be there.

    Args:
        result: A solution whose errors and residuals are measured.
        recipe: How it was trained.

    Returns:
        The most important first; nothing for a healthy result, for one whose error is too small to
        matter, and for one that was interrupted.
    """
    problem, history, met = result.problem, result.history, result.met
    if problem is None or result.solution is None or met is None or history.interrupted:
        return []
    known = result.errors or result.reference_errors
    if known and all(gap.error + gap.uncertainty <= ACCURATE_REFERENCE for gap in known.values()):
        return []
    equations = max(met.equations.values())
    found = [
        _singular(result),
        _contradicted(result) or _misled(result, met.worst),
        _boundary(result, equations, met.conditions),
        _undersampled(result, recipe, equations),
        _single_precision(result, equations),
        _ill_conditioned(result, recipe, equations),
    ]
    seen = [each for each in found if each is not None]
    if isinstance(recipe.network, Spec):
        return seen
    # what helps layers is nothing that a product of splines has: its verdict says what helps it
    return [each if each.elsewhere else replace(each, cures=()) for each in seen]


def _contradicted(result: Result) -> Diagnosis | None:
    near, exact = result.reference_errors, result.errors
    both = [u for u in exact if u in near]
    if not both or max(exact[u].error for u in both) < GOOD_ENOUGH:
        return None
    away = max(exact[u].error for u in both)
    agreed = max(near[u].error for u in both)
    if not max(agreed, *(near[u].uncertainty for u in both)) <= away / MISLED:
        return None
    said = f"network and reference agree ({agreed:.1e}), and both are {away:.1e} from `exact`"
    own = exact_residual(result.solved()[0])
    if own is not None and own <= MET:
        return Diagnosis(
            f"{said}, which meets the equations too ({own:.1e} of their terms): there are several"
            " solutions, or something jumps or is not smooth under a derivative",
            (
                "a condition, or a start, that tells the solutions apart",
                "Pieces and Interface where a coefficient jumps",
                "check that `exact` meets the conditions",
            ),
            elsewhere=True,
        )
    met = "" if own is None else f", which does not meet the equations ({own:.1e} of their terms)"
    return Diagnosis(
        f"{said}{met}",
        ("check that `exact` solves these equations and conditions",),
        elsewhere=True,
    )


def _misled(result: Result, residual: float) -> Diagnosis | None:
    verdict = result.judged()
    by_exact = verdict.judge == BY_EXACT
    known = result.errors if by_exact else result.reference_errors
    error = max((gap.error for gap in known.values()), default=0.0)
    if verdict.status != NOT_CONVERGED or not known or residual > GOOD_ENOUGH:
        return None
    if error < MISLED * residual:
        return None
    return Diagnosis(
        f"the residual is small ({residual:.1e} of its terms) but the error is not ({error:.1e}"
        f" from the {verdict.judge}): small residuals hardly bound it here",
        (
            "more --points",
            "a finer last --grid",
            "another --seed",
            "--slabs where time goes on for long",
        ),
    )


def _singular(result: Result) -> Diagnosis | None:
    """Corners that a network follows slowly; nothing but more of everything is known to help."""
    solution = result.solution
    corners = solution.space.singular if isinstance(solution, NetworkSolution) else ()
    if not corners or result.judged().status == CONVERGED:
        return None
    return Diagnosis(
        f"the solution is singular at {listed([str(corner) for corner in corners])}: no residual"
        " is square integrable there, and smooth functions follow it slowly"
    )


def _boundary(
    result: Result, equations: float, conditions: Mapping[str, float]
) -> Diagnosis | None:
    if not conditions or result.judged().status == CONVERGED:
        return None
    label = max(conditions, key=conditions.__getitem__)
    if conditions[label] < max(MET, DOMINATES * equations):
        return None
    return Diagnosis(
        f"the condition {label} is met worse ({conditions[label]:.1e} of its terms) than the"
        f" equations ({equations:.1e}): the error comes from the boundary",
        ("a larger weight= for the condition", "more --points"),
    )


def _undersampled(result: Result, recipe: Recipe, equations: float) -> Diagnosis | None:
    if recipe.balance != "none" or recipe.causal or equations < WELL_SAMPLED:
        return None
    last = next((r for r in reversed(result.history.records) if math.isfinite(r.fresh)), None)
    if last is None or not last.fresh > PARTED * last.loss:
        return None
    return Diagnosis(
        f"under-sampled: the mean squared residual is {last.fresh:.1e} on fresh points and"
        f" {last.loss:.1e} on those trained on",
        (f"--points {4 * recipe.points}", "a smaller network"),
    )


def _single_precision(result: Result, equations: float) -> Diagnosis | None:
    if result.settings.get("dtype") != "float32" or equations > GOOD_ENOUGH:
        return None
    ended = result.history.stages[-1][1] if result.history.stages else ""
    if not any(words in ended for words in ("no damping", "less than 1 %", "no step")):
        return None
    return Diagnosis(
        f"training stopped where the rounding of float32 begins ({ended}, with {equations:.1e} of"
        " the equations' terms left)",
        ("--dtype float64",),
    )


def _ill_conditioned(result: Result, recipe: Recipe, equations: float) -> Diagnosis | None:
    problem, solution = result.solved()
    if not isinstance(solution, Composition):
        return None
    size, last = solution.network.theta.numel(), recipe.stages[-1]
    if equations < MET or size > RANKED_PARAMETERS or not isinstance(last, LevenbergMarquardt):
        return None
    # of spans of time, whose problems have other starts, none is built again for this
    objective = (
        Collocation(problem, solution, min(recipe.points, 4 * size), JUDGED_SEED).objective()
        if isinstance(solution, NetworkSolution)
        else None
    )
    if objective is None or objective.rows < size:
        return None
    rank = numerical_rank(objective.jacobian()[1].gram().double().cpu())
    if rank >= size / 2:
        return None
    return Diagnosis(
        f"ill-conditioned: of {size} parameters only {rank} directions move the residual beyond"
        " rounding",
        ("a smaller --width", "a coarser last --grid", "another --network"),
    )


def numerical_rank(normal: Float[Tensor, "parameters parameters"]) -> int:
    """The numerical rank of a normal matrix.

    The matrix is scaled to a diagonal of ones, and factored by Cholesky with pivots (Higham 2002,
    section 10.3).

    Args:
        normal: The matrix, [parameters, parameters], of which the lower triangle is read.
    """
    A = np.asfortranarray(normal.numpy())
    root = np.sqrt(np.maximum(A.diagonal(), np.finfo(float).tiny))
    _, _, rank, _ = dpstrf(A / root[:, None] / root, lower=1)
    return int(rank)
