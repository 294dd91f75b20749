"""The legs of a training: the problems on the way to the one asked for, and the spans of its time,
each with the points at which its solution is compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.geometry.sampling import inside_points
from kanpde.networks.trial_space import NetworkSolution, TrialSpace
from kanpde.problem.problem import Problem
from kanpde.training.schedule import Stage

TESTED, TEST_SEED = 2048, 987654321
"""Points at which the error is taken where the exact solution is known, and their seed."""


@dataclass(frozen=True)
class Leg:
    """One problem on the way to the one asked for, or one span of its time.

    Attributes:
        space: The candidates.
        stages: What is done.
        restarts: Random starts of the first stage.
        domain_points: Points at which solutions are compared.
        problem: What is solved; None where nothing but data is known.
        truth: The exact solution at the points, an unknown a column; None where it is not known.
    """

    space: TrialSpace
    stages: tuple[Stage, ...]
    restarts: int
    domain_points: Float[Tensor, "points dims"]
    problem: Problem | None = None
    truth: Float[Tensor, "points unknowns"] | None = None

    def error(self, solution: NetworkSolution) -> float:
        """Relative L2 against the exact solution at the test points; nan where it is not known.

        Args:
            solution: What was found so far.
        """
        truth = self.truth
        if truth is None:
            return math.nan
        found = solution(self.domain_points)[:, : truth.shape[1]].double().cpu()
        return float((found - truth).norm() / truth.norm())


def leg_of(problem: Problem, space: TrialSpace, stages: tuple[Stage, ...], restarts: int) -> Leg:
    """A leg that ends with the solution of a problem.

    Args:
        problem: What is solved.
        space: Its candidates.
        stages: What is done.
        restarts: Random starts of the first stage.
    """
    points = inside_points(problem.domain, TESTED, TEST_SEED)
    truth = None
    if all(u in problem.exact for u in problem.unknowns):
        exact = problem.exact_values(points)
        truth = torch.stack([exact[u] for u in problem.unknowns], 1)
    return Leg(space, stages, restarts, points, problem, truth)
