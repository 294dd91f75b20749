"""What a result should not be believed without: warnings that are rare, each with what to try.

Residuals are judged by the size of their own terms: r / (|r at zero| + Σ_a |∂r/∂u_a| |u_a|), root
mean squares over the domain, so that no unit and no factor in the equation counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
from kanpde.results.result import LIMITED, Result
from kanpde.training import LevenbergMarquardt
from kanpde.training.loop import PARTED
from kanpde.training.points import Collocation

POINTS = 1024
"""Where residuals are looked at: points that were not trained on."""

POOR = 1e-2
"""Relative error from which a solution is not good."""

APART = 30.0
"""An error so many times the relative residual says that the residual does not measure it."""

DOMINATES = 10.0
"""A condition whose relative residual is so many times the equations' has the error."""

LEAST = 1e-3
"""Relative residual below which a condition is met well enough, and an unfinished solution is
finished."""

DIGITS = 1e-6
"""Estimated error of a reference from which it is worth saying that it limits."""

FINE = 1e-4
"""Relative residual below which points that were not trained on are well enough off."""

LARGEST = 1500
"""Parameters up to which the normal matrix is factored for this."""


def advise(result: Result, recipe: Recipe) -> list[str]:
    """Sentences, the most important first; none for a healthy result, and for one that was
    interrupted."""
    problem, history = result.problem, result.history
    if problem is None or result.solution is None or history.interrupted:
        return []
    solution = result.solution.spans[-1] if isinstance(result.solution, Spans) else result.solution
    if not isinstance(solution, NetworkSolution) or isinstance(solution.domain, Pieces):
        return []
    inside = inside_points(solution.domain, POINTS, 24681357)
    equations = max(relative(r, solution, inside, None, inside) for r in problem.equations)
    conditions = _conditions(solution, recipe, inside)
    found = [
        _contradicted(result),
        _misled(result, max(equations, *conditions.values(), 0.0)),
        _boundary(equations, conditions),
        _undersampled(result, recipe, equations),
        _single_precision(result, equations),
        _ill_conditioned(result, recipe, problem, solution, equations),
        _limited(result),
    ]
    return [sentence for sentence in found if sentence]


def relative(
    residual: Residual,
    solution: NetworkSolution,
    points: Float[Tensor, "points dims"],
    normal: Mapping[str, Tensor] | None,
    inside: Float[Tensor, "inner dims"],
) -> float:
    """Root mean square of a residual at points over the size of its terms, whose derivatives are
    taken inside."""
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


def _conditions(solution: NetworkSolution, recipe: Recipe, inside: Tensor) -> dict[str, float]:
    """The relative residual of every condition that is not built in, by its label."""
    found = {}
    for constraint in solution.space.soft:
        dims = len(solution.domain.coordinates) - 1
        points = solution.domain.boundary(
            constraint.face, unit_points(POINTS if dims else 1, dims, 24681357)
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


def _truth(result: Result) -> tuple[float, str] | None:
    """The error that is known best, and against what."""
    if result.relative_l2 is not None:
        return result.relative_l2, "the exact solution"
    if (
        result.reference is not None
        and result.reference_relative_l2 is not None
        and result.reference.estimated_error < result.reference_relative_l2 / LIMITED
    ):
        return result.reference_relative_l2, "the reference"
    return None


def _contradicted(result: Result) -> str | None:
    known, near, exact = result.reference, result.reference_relative_l2, result.relative_l2
    if known is None or near is None or exact is None or exact < POOR:
        return None
    if max(near, known.estimated_error) > exact / APART:
        return None
    return (
        f"network and reference agree ({near:.1e}), and both are {exact:.1e} from `exact`: check"
        " that it solves these equations and conditions"
    )


def _misled(result: Result, residual: float) -> str | None:
    truth = _truth(result)
    if truth is None or truth[0] < POOR or truth[0] < APART * residual or _contradicted(result):
        return None
    return (
        f"the residual is small ({residual:.1e} of its terms) but the error is not ({truth[0]:.1e}"
        f" from {truth[1]}): small residuals hardly bound it here; try more --points, a finer last"
        " --grid, another --seed, or --slabs where time goes on for long"
    )


def _boundary(equations: float, conditions: Mapping[str, float]) -> str | None:
    if not conditions:
        return None
    label = max(conditions, key=conditions.__getitem__)
    if conditions[label] < max(LEAST, DOMINATES * equations):
        return None
    return (
        f"the condition {label} is met worse ({conditions[label]:.1e} of its terms) than the"
        f" equations ({equations:.1e}): the error comes from the boundary; give the condition a"
        " larger weight=, or take more --points"
    )


def _undersampled(result: Result, recipe: Recipe, equations: float) -> str | None:
    if recipe.balance != "none" or recipe.causal or equations < FINE:
        return None
    last = next((r for r in reversed(result.history.records) if math.isfinite(r.fresh)), None)
    if last is None or not last.fresh > PARTED * last.loss:
        return None
    return (
        f"under-sampled: the mean squared residual is {last.fresh:.1e} on fresh points and"
        f" {last.loss:.1e} on those trained on; try --points {4 * recipe.points}, or a smaller"
        " network"
    )


def _single_precision(result: Result, equations: float) -> str | None:
    if result.settings.get("dtype") != "float32" or equations > POOR:
        return None
    ended = result.history.stages[-1][1] if result.history.stages else ""
    if not any(words in ended for words in ("no damping", "less than 1 %", "no step")):
        return None
    return (
        f"training stopped where the rounding of float32 begins ({ended}, with {equations:.1e} of"
        " the equations' terms left); try --dtype float64"
    )


def _ill_conditioned(
    result: Result, recipe: Recipe, problem: Problem, solution: NetworkSolution, equations: float
) -> str | None:
    size, last = solution.network.theta.numel(), recipe.stages[-1]
    if equations < LEAST or size > LARGEST or not isinstance(last, LevenbergMarquardt):
        return None
    objective = (
        Collocation(problem, solution, min(recipe.points, 4 * size), 24681357).objective()
        if problem.domain is solution.domain
        else None
    )
    if objective is None or objective.rows < size:
        return None
    rank = numerical_rank(objective.jacobian()[1].gram().double().cpu())
    if rank >= size / 2:
        return None
    return (
        f"ill-conditioned: of {size} parameters only {rank} directions move the residual beyond"
        " rounding; try a smaller --width, a coarser last --grid or another --network"
    )


def numerical_rank(normal: Float[Tensor, "parameters parameters"]) -> int:
    """Of a normal matrix, of which the lower triangle is read: scaled to a diagonal of ones, by
    Cholesky with pivots (Higham 2002, section 10.3)."""
    A = np.asfortranarray(normal.numpy())
    root = np.sqrt(np.maximum(A.diagonal(), np.finfo(float).tiny))
    _, _, rank, _ = dpstrf(A / root[:, None] / root, lower=1)
    return int(rank)


def _limited(result: Result) -> str | None:
    known = result.reference
    distance = result.reference_relative_l2 or 0.0
    if (
        known is None
        or distance > 2 * known.estimated_error
        or known.estimated_error < DIGITS
        or _knows_all(result)
    ):
        return None  # further away, the solution is the less accurate of the two
    return (
        f"the distance to the reference ({distance:.1e}) is no more than its own error"
        f" ({known.estimated_error:.1e}) lets one see, so that the solution may be better than that"
        " says; try --effort record, or give exact="
    )


def _knows_all(result: Result) -> bool:
    known: Sequence[str] = tuple(result.problem.exact) if result.problem else ()
    return len(known) == len(result.unknowns)
