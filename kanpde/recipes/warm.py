"""Layers that begin from the solution of a problem near to the one that is to be solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError
from kanpde.geometry import Domain, Pieces
from kanpde.geometry.sampling import inside_points
from kanpde.networks.network import Network
from kanpde.networks.solution import Solution
from kanpde.networks.trial_space import NetworkSolution, TrialSpace
from kanpde.problem.problem import Problem
from kanpde.training import Change, LevenbergMarquardt, TrainingPlan
from kanpde.training.history import Silent
from kanpde.training.pruning import Prune
from kanpde.training.regression import regress
from kanpde.training.samples import DataRows, Measurements
from kanpde.training.schedule import Stage
from kanpde.training.sparsity import Sparsify

SHARE_OF_STEPS = 0.45
"""Of the steps on the last grid, for a network that begins where another one has ended."""

STEPS_OF_FIT = 40
"""Of Levenberg and Marquardt, by which a new network is fitted to the solution it begins from."""


def from_solution(
    problem: Problem,
    space: TrialSpace,
    network: Network,
    plan: TrainingPlan,
    start: Solution,
) -> tuple[Network, TrainingPlan]:
    """The first network, and what training is left for it.

    A network of the same layers is taken as it is, on its last grid; what comes before that grid is
    not done again, and what comes on it takes less than half of its steps. Another one is fitted to
    the solution first. Neither has random starts, easier problems on the way, or stages that look
    for structure.

    Args:
        problem: What is to be solved.
        space: Its candidates.
        network: The first one's network, random.
        plan: How training goes without a start.
        start: The solution of a problem near to this one.

    Raises:
        RecipeError: The problem is on pieces, in several spans of time, or has unknown parameters.
    """
    if isinstance(problem.domain, Pieces) or plan.spans > 1 or problem.parameters:
        what = "unknown parameters" if problem.parameters else "several spans of time"
        what = "pieces" if isinstance(problem.domain, Pieces) else what
        raise RecipeError(
            f"start: got a problem with {what}; layers begin from another run where there are none"
        )
    known = start.network if isinstance(start, NetworkSolution) else None
    if known is not None and _alike(known, network) and space.holds(known):
        return known.to("cpu", torch.float64), _shorter(plan, plan.last_stages, SHARE_OF_STEPS)
    return _fitted(problem, space, network, plan, start), _shorter(plan, plan.stages)


def _alike(one: Network, other: Network) -> bool:
    """Whether two networks have the same layers, but for their grids."""
    return one.widths == other.widths and type(one.spec) is type(other.spec)


def _shorter(plan: TrainingPlan, stages: Sequence[Stage], share: float = 1.0) -> TrainingPlan:
    """A plan without what only finds a structure, and with a share of the steps."""
    kept = [stage for stage in stages if not isinstance(stage, Prune | Sparsify)]
    fewer = [
        stage
        if isinstance(stage, Change)
        else replace(stage, steps=max(1, round(share * stage.steps)))
        for stage in kept
    ]
    return replace(plan, stages=tuple(fewer), restarts=1, path=())


def _fitted(
    problem: Problem, space: TrialSpace, network: Network, plan: TrainingPlan, start: Solution
) -> Network:
    """A network after a fit to the solution that it begins from."""
    points = inside_points(problem.domain, plan.points, plan.seed)
    with torch.no_grad():
        values = start(stretched(problem.domain, start.domain)(points)).double().cpu()
    rows = DataRows(points, values)
    data = Measurements(problem.domain, problem.unknowns, rows, rows[torch.arange(0)])
    fitting = replace(_shorter(plan, (LevenbergMarquardt(STEPS_OF_FIT),)), device="cpu")
    found, _ = regress(data, space, network, replace(fitting, dtype=torch.float64), Silent())
    return found.network.to("cpu", torch.float64)


def stretched(
    own: Domain, other: Domain
) -> Callable[[Float[Tensor, "points dims"]], Float[Tensor, "points dims"]]:
    """From points of a domain to those of another one with the same coordinates: space is
    stretched, times are the same.

    Args:
        own: The domain.
        other: The other one.
    """
    ends, others = (
        torch.tensor(list(each.bounds.values()), dtype=torch.float64) for each in (own, other)
    )
    scale = (others[:, 1] - others[:, 0]) / (ends[:, 1] - ends[:, 0])
    shift = others[:, 0] - scale * ends[:, 0]
    if own.time is not None:
        scale[-1], shift[-1] = 1.0, 0.0
    return lambda points: (points * scale + shift).clamp(others[:, 0], others[:, 1])
