"""When a solution is good enough: its judge puts the error at a tolerance.

The judge is the exact solution where it is known; else a reference that is accurate enough; else
the residual at points that were not trained on, over the size of its terms. Each unknown is
measured by its own variation, and the worst one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from kanpde.geometry.sampling import inside_points
from kanpde.networks.solution import Solution
from kanpde.problem.problem import Problem
from kanpde.reference import Reference
from kanpde.results.fields import evaluate, nodes_of
from kanpde.results.gaps import gaps, own_errors
from kanpde.results.residuals import met
from kanpde.results.verdict import BY_EXACT, BY_REFERENCE
from kanpde.training.legs import TEST_SEED, TESTED
from kanpde.training.method import Goal

NODES_JUDGED = 4096
"""Nodes of a reference, at most, at which a candidate is compared with it."""

SHARE_OF_JUDGE = 0.5
"""Of a tolerance, what the own error of a reference may be for it to judge."""


@dataclass(frozen=True)
class ByExact:
    """The error against the exact solution.

    Attributes:
        tolerance: Error at which a solution is good enough.
        judge: Who measures it.
    """

    tolerance: float
    judge: str = BY_EXACT

    def error(self, problem: Problem, solution: Solution) -> float:
        """The largest error of an unknown over its variation.

        Args:
            problem: What the candidate is of.
            solution: The candidate.
        """
        points = inside_points(problem.domain, TESTED, TEST_SEED)
        exact = {u: v.numpy() for u, v in problem.exact_values(points).items()}
        found = evaluate(solution, points).double().cpu().numpy()
        own = {u: found[:, i] for i, u in enumerate(problem.unknowns)}
        return max(gap.error for gap in gaps(own, exact).values())


@dataclass(frozen=True)
class ByReference:
    """The distance to a reference, with its own error.

    Attributes:
        tolerance: Error at which a solution is good enough.
        points: Where the reference is known.
        values: Its values there, by unknown.
        own: Its own errors, by unknown, over the sizes of its values.
        judge: Who measures it.
    """

    tolerance: float
    points: Float[Tensor, "points dims"]
    values: Mapping[str, NDArray[np.float64]]
    own: Mapping[str, float]
    judge: str = BY_REFERENCE

    def error(self, problem: Problem, solution: Solution) -> float:
        """The largest error that an unknown can have, over its variation.

        Args:
            problem: What the candidate is of.
            solution: The candidate.
        """
        low, high = torch.tensor(list(problem.domain.bounds.values()), dtype=torch.float64).T
        here = ((self.points >= low) & (self.points <= high)).all(1)
        found = evaluate(solution, self.points[here]).double().cpu().numpy()
        kept = here.numpy()
        near = gaps(
            {u: found[:, i] for i, u in enumerate(self.values)},
            {u: values[kept] for u, values in self.values.items()},
            self.own,
        )
        return max(gap.error + gap.uncertainty for gap in near.values())


@dataclass(frozen=True)
class ByResidual:
    """The residual of equations and conditions over the size of their terms.

    Attributes:
        tolerance: Error at which a solution is good enough.
        judge: Who measures it.
    """

    tolerance: float
    judge: str = "residual at points that were not trained on"

    def error(self, problem: Problem, solution: Solution) -> float:
        """The worst of all equations and conditions.

        Args:
            problem: What the candidate is of.
            solution: The candidate.
        """
        return met(problem, solution).worst


def goal(problem: Problem, tolerance: float, reference: Reference | None) -> Goal:
    """When the solution of a problem is good enough, by its best judge.

    Args:
        problem: What is to be solved.
        tolerance: The tolerance.
        reference: The reference; None where there is none.
    """
    if all(u in problem.exact for u in problem.unknowns):
        return ByExact(tolerance)
    found = None if reference is None else _near(tolerance, reference)
    return found or ByResidual(tolerance)


def _near(tolerance: float, reference: Reference) -> ByReference | None:
    """What a reference says of errors of this size; None where it cannot tell."""
    own = own_errors(reference)
    worst = max(gap.uncertainty for gap in gaps(reference.values, reference.values, own).values())
    if not worst <= SHARE_OF_JUDGE * tolerance or reference.doubt:
        return None
    nodes = nodes_of(reference.coordinates)
    flat = {u: values.reshape(-1) for u, values in reference.values.items()}
    there = np.flatnonzero(~np.isnan(np.stack(list(flat.values()))).any(0))
    kept = there[:: -(-len(there) // NODES_JUDGED)]
    values = {u: v[kept] for u, v in flat.items()}
    return ByReference(tolerance, torch.from_numpy(nodes[kept]), values, own)
