"""What is seen in a solution that should not be there, each with what to try; it is rare.

Residuals are measured by the size of their own terms: r / (|r at zero| + Σ_a |∂r/∂u_a| |u_a|), root
mean squares over the domain, so that no unit and no factor in the equation counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg.lapack import dpstrf
from torch import Tensor

from kanpde.geometry import Pieces
from kanpde.geometry.sampling import inside_points, unit_points
from kanpde.networks.spans import Spans
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.faces import by_name
from kanpde.problem.problem import Problem
from kanpde.recipes.recipe import Recipe
from kanpde.residual.residual import Residual
from kanpde.results.result import Result
from kanpde.results.verdict import BY_EXACT, GOOD_ENOUGH, NOT_CONVERGED, Diagnosis
from kanpde.training import LevenbergMarquardt
from kanpde.training.loop import PARTED
from kanpde.training.points import Collocation

JUDGED_POINTS = 1024
"""How many points residuals are looked at: points that were not trained on."""

JUDGED_SEED = 24681357

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
        result: A solution whose errors are measured.
        recipe: How it was trained.

    Returns:
        The most important first; nothing for a healthy result, for one that was interrupted, and
        for pieces.
    """
    problem, history = result.problem, result.history
    if problem is None or result.solution is None or history.interrupted:
        return []
    solution = result.solution.spans[-1] if isinstance(result.solution, Spans) else result.solution
    if not isinstance(solution, NetworkSolution) or isinstance(solution.domain, Pieces):
        return []
    inside = inside_points(solution.domain, JUDGED_POINTS, JUDGED_SEED)
    equations = max(relative(r, solution, inside, None, inside) for r in problem.equations)
    conditions = _conditions(solution, inside)
    found = [
        _contradicted(result) or _misled(result, max(equations, *conditions.values(), 0.0)),
        _boundary(equations, conditions),
        _undersampled(result, recipe, equations),
        _single_precision(result, equations),
        _ill_conditioned(result, recipe, problem, solution, equations),
    ]
    return [each for each in found if each is not None]


def relative(
    residual: Residual,
    solution: NetworkSolution,
    points: Float[Tensor, "points dims"],
    normal: Mapping[str, Tensor] | None,
    inside: Float[Tensor, "inner dims"],
) -> float:
    """Root mean square of a residual at points over the size of its terms.

    Args:
        residual: An equation, or a condition.
        solution: The solution that it is of.
        points: Where the residual is taken, [points, dims].
        normal: On a face, the normal there, [points] by coordinate.
        inside: Where the derivatives are taken whose size the terms have, [inner, dims].

    Returns:
        The largest over the equations of the residual; 0 where it is finite nowhere.
    """
    needs = list(residual.needs)

    def leaves(at: Tensor) -> Tensor:
        return solution.derivatives(at, needs).double().cpu()

    u = leaves(points)
    r, g = residual(by_name(points, solution.domain.coordinates), u, normal)
    assert g is not None
    there = r.isfinite().all(1) & g.isfinite().all(2).all(1)
    if not bool(there.any()):
        return 0.0
    r, g, u = r[there], g[there], u[there]
    rest = r - torch.einsum("nea,na->ne", g, u)
    sizes = g.square().mean(0).sqrt() @ leaves(inside).square().mean(0).sqrt()
    size = rest.square().mean(0).sqrt() + sizes
    found = r.square().mean(0).sqrt() / size.clamp_min(torch.finfo(torch.float64).tiny)
    return float(found.nan_to_num().max())


def _conditions(solution: NetworkSolution, inside: Tensor) -> dict[str, float]:
    """The relative residual of every condition that is not built in, by its label."""
    found = {}
    for constraint in solution.space.soft:
        dims = len(solution.domain.coordinates) - 1
        points = solution.domain.boundary(
            constraint.face, unit_points(JUDGED_POINTS if dims else 1, dims, JUDGED_SEED)
        )
        if constraint.where is not None:
            points = points[constraint.where(by_name(points, solution.domain.coordinates)).bool()]
        if len(points):
            normal = by_name(
                solution.domain.normals(constraint.face, points), solution.domain.coordinates
            )
            found[constraint.label] = relative(
                constraint.residual, solution, points, normal, inside
            )
    return found


def _contradicted(result: Result) -> Diagnosis | None:
    known, near, exact = result.reference, result.reference_relative_l2, result.relative_l2
    if known is None or near is None or exact is None or exact < GOOD_ENOUGH:
        return None
    if max(near, known.estimated_error) > exact / MISLED:
        return None
    return Diagnosis(
        f"network and reference agree ({near:.1e}), and both are {exact:.1e} from `exact`",
        ("check that `exact` solves these equations and conditions",),
    )


def _misled(result: Result, residual: float) -> Diagnosis | None:
    verdict = result.judged()
    by_exact = verdict.judge == BY_EXACT
    error = result.relative_l2 if by_exact else result.reference_relative_l2
    if verdict.status != NOT_CONVERGED or error is None or error < MISLED * residual:
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


def _boundary(equations: float, conditions: Mapping[str, float]) -> Diagnosis | None:
    if not conditions:
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


def _ill_conditioned(
    result: Result, recipe: Recipe, problem: Problem, solution: NetworkSolution, equations: float
) -> Diagnosis | None:
    size, last = solution.network.theta.numel(), recipe.stages[-1]
    if equations < MET or size > RANKED_PARAMETERS or not isinstance(last, LevenbergMarquardt):
        return None
    objective = (
        Collocation(problem, solution, min(recipe.points, 4 * size), JUDGED_SEED).objective()
        if problem.domain is solution.domain
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
