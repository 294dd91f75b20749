"""Where the residuals are evaluated: points for training, fresh ones to watch it, and new ones
where it is large."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from kanpde.geometry import Pieces, many
from kanpde.geometry.sampling import by_residual, crowded_points, inside_points, unit_points
from kanpde.networks.constants import Constants
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.constraints import Constraint
from kanpde.problem.noise import noise_units
from kanpde.problem.problem import Problem
from kanpde.residual.residual import check_finite
from kanpde.training.far_terms import any_term
from kanpde.training.objective import Objective, Term
from kanpde.training.samples import DataRows, Samples, measured
from kanpde.training.shards import gathered, total

FIRM = 100.0
"""How much more soft conditions count on domains that are no boxes, beyond equal rows. Errors of
annulus2d fall a hundredfold by it in as many steps, those of poisson2d_lshape fourfold; ten
thousand is too much again."""

MISFIT = "data"
"""The label of the misfit's weight."""

BLOCKS = 4
"""Adaptive points come in so many blocks, together half of all points."""

PART_OF_POOL = 2**18
"""Points of a pool that are looked at at a time."""

LARGEST_POOL = 2**24
"""Points of a pool at most: torch.multinomial takes no more."""


@dataclass
class Collocation:
    """The points of one stage.

    Attributes:
        problem: What is to be solved.
        solution: The candidate that is trained.
        count: Number of interior points.
        seed: Seed of their sequence.
        sampler: "sobol", "halton", "latin-hypercube" or "uniform".
        data: Weight of the measurements' misfit beside the equations, over one by which both have
            equal rows.
        crowding: Share of the points that crowd about holes.
        weights: Weights of the soft conditions, by label.
        draws: How often points were drawn so far.
        adaptive: Blocks of points where the residual was large, the oldest first.
        current: The points of the last objective, of all processes.
        watched: The last fresh points, of all processes.
    """

    problem: Problem
    solution: NetworkSolution
    count: int
    seed: int
    sampler: str = "sobol"
    data: float = 1.0
    crowding: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    draws: int = 0
    adaptive: deque[Tensor] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    current: Tensor = field(default_factory=lambda: torch.empty(0))
    watched: Tensor = field(default_factory=lambda: torch.empty(0))

    def objective(self, points: Tensor | None = None) -> Objective:
        """All terms at the points of this stage.

        Args:
            points: Points to take in their place [points, dims]; None for new ones.
        """
        self.current = self.drawn() if points is None else points
        return Objective(
            self.solution.network,
            [*self._interior(self.current), *(t for _, t in self.soft()), *self.misfits()],
        )

    def misfits(self) -> list[Term]:
        """One term for each set of measurements. A value counts by its noise (see `noise_units`),
        whatever set it belongs to; the sum of all is `data` times a relative mean squared
        misfit."""
        sets, total = self.problem.data, sum(m.values.numel() for m in self.problem.data)
        weight = self.misfit_weight / max(total, 1)
        return [
            measured(
                self.solution,
                DataRows(m.points, m.values, unit),
                weight=weight * len(m.points),
                unknowns=m.unknowns,
            )
            for m, unit in zip(sets, noise_units(sets), strict=True)
        ]

    @property
    def misfit_weight(self) -> float:
        """Of the relative mean squared misfit."""
        return self.data * self.weights.get(MISFIT, 1.0)

    def fresh(self, count: int | None = None, points: Tensor | None = None) -> Objective:
        """The equations' residuals at other points than those trained on.

        Args:
            count: How many; None for a quarter as many as those trained on, and at least 64.
            points: Points to take in their place [points, dims]; None for new ones.
        """
        self.watched = self._draw(count or max(self.count // 4, 64)) if points is None else points
        return Objective(self.solution.network, self._interior(self.watched))

    def plain(self) -> dict[str, Any]:
        """What it carries from stage to stage, as a file holds it."""
        return {
            "draws": self.draws,
            "adaptive": list(self.adaptive),
            "weights": dict(self.weights),
            "data": self.data,
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """Go back to what `plain` said.

        Args:
            plain: What `plain` gave.
        """
        self.draws, self.weights, self.data = plain["draws"], plain["weights"], plain["data"]
        self.adaptive.extend(plain["adaptive"])

    def soft(self) -> list[tuple[Constraint, Term]]:
        """The soft conditions with their terms; those of which no point lies on their piece of the
        face are left out."""
        found = [(c, self._condition(c, k)) for k, c in enumerate(self.solution.space.soft)]
        return [(c, t) for c, t in found if t.count]

    def redraw(self, objective: Objective) -> None:
        """Replace the oldest block of adaptive points by points where the residual is large now,
        and the even ones too.

        A block is chosen among 8 candidates a point of the whole set. Blocks outlive stages: where
        a front was found, points stay.

        Args:
            objective: The objective whose terms get the new points.
        """
        pool = self._draw(min(8 * self.count, LARGEST_POOL))
        self.adaptive.append(
            by_residual(
                self._size,
                pool,
                max(self.count // (2 * BLOCKS), 1),
                self.seed + self.draws,
                floor=0.0,
            )
        )
        self.current = self.drawn()
        objective.terms[: len(self.problem.groups)] = self._interior(self.current)

    def drawn(self) -> Tensor:
        """New ones: even points, and in place of up to half of them the adaptive blocks."""
        return torch.cat([self._draw(self.count - sum(map(len, self.adaptive))), *self.adaptive])

    def _draw(self, count: int) -> Tensor:
        self.draws += 1
        seed = 1000 * self.seed + self.draws
        if self.crowding:
            return crowded_points(self.problem.domain, count, seed, self.sampler, self.crowding)
        return inside_points(self.problem.domain, count, seed, self.sampler)

    def _interior(self, points: Tensor) -> list[Term]:
        """The equations at points, region by region."""
        sizes, regions = self.solution.space.scales.of_equations, self._regions(points)
        return [
            any_term(self.solution, equations, points[here], None, 1.0, sizes(k))
            for k, ((_, equations), here) in enumerate(
                zip(self.problem.groups, regions, strict=True)
            )
        ]

    def _regions(self, points: Tensor) -> list[Tensor | slice]:
        """Which of the points each group of equations holds at."""
        domain = self.problem.domain
        if not isinstance(domain, Pieces):
            return [slice(None)]
        which = domain.region(points)
        return [which == k for k in range(len(domain.regions))]

    def _size(self, points: Tensor) -> Tensor:
        """Size of the equations' residuals at points, [points]; many of them in parts, as each
        takes some hundred bytes on the way."""
        found = torch.empty(len(points), dtype=torch.float64)
        for k in range(0, len(points), PART_OF_POOL):
            part = points[k : k + PART_OF_POOL]
            for t, here in zip(self._interior(part), self._regions(part), strict=True):
                size = t.evaluate(self.solution.network, False)[1].square().sum(1).sqrt() / t.scale
                found[k : k + PART_OF_POOL][here] = gathered(size, t.count).cpu().double()
        return found

    def _condition(self, constraint: Constraint, k: int) -> Term:
        domain = self.problem.domain
        dims = len(domain.coordinates) - 1
        count = max(32, round(4 * self.count ** (dims / (dims + 1)))) if dims else 1
        if many(domain):
            # Nearly all of the points of many coordinates lie near a face.
            count = max(32, self.count // 4)
        drawn = math.ceil(count / domain.kept(constraint.face))
        points = domain.boundary(
            constraint.face, unit_points(drawn, dims, 1000 * self.seed + 500 + k, self.sampler)
        )
        if constraint.where is not None:
            points = points[
                constraint.where(dict(zip(domain.coordinates, points.T, strict=True))).bool()
            ]
        normals = dict(
            zip(domain.coordinates, domain.normals(constraint.face, points).T, strict=True)
        )
        weight = (
            constraint.weight
            if constraint.weight is not None
            else self.weights.get(constraint.label, 1.0)
        )
        sizes = self.solution.space.scales.conditions.get(constraint.label, ())
        return any_term(self.solution, [constraint.residual], points, normals, weight, sizes)


def balanced(collocation: Collocation | Samples) -> dict[str, float]:
    """Weights that give every soft condition the equations' mean squared Jacobian row, or FIRM
    times that.

    This is the balance of Wang, Yu and Perdikaris 2022. Where a row of a condition is small,
    because it differentiates less, its weight is large. Constants do not count: corner functions
    solve the equations, and would make all weights small.

    Args:
        collocation: The points, with the network as it is now.

    Returns:
        The weights, by label.
    """
    network = collocation.solution.network
    interior = _trace(collocation.fresh(256))
    firm = 1.0 if collocation.solution.domain.is_box else FIRM
    found = {
        c.label: firm * interior / max(_trace(Objective(network, [t])), 1e-12)
        for c, t in collocation.soft()
        if c.weight is None
    }
    if isinstance(collocation, Collocation) and (misfits := collocation.misfits()):
        found[MISFIT] = interior / max(
            sum(t.weight * _trace(Objective(network, [t])) for t in misfits)
            / collocation.misfit_weight,
            1e-12,
        )
    return found


def _trace(objective: Objective) -> float:
    _, J = objective.jacobian()
    constants = sum(
        network.theta.numel()
        for network in objective.network.networks()
        if isinstance(network.spec, Constants)
    )
    values = (
        J.dense()[:, : J.columns - constants] if constants else J.values
    )  # constants are the last part of a joint network
    return float(total(values.square().sum())) / objective.terms[0].weight


def check_terms(objective: Objective) -> None:
    """Refuse functions of the user's that are not finite at the first points.

    Args:
        objective: The objective at these points.

    Raises:
        ProblemError: A residual is not finite.
    """
    for t in objective.terms:
        jets = objective.network.forward(t.frame.X, t.frame.counts)
        u = t.frame.derivatives(jets[-1])
        at = dict(zip(t.residuals[0].coordinates, t.frame.points.to(u).T, strict=True))
        for residual, columns in zip(t.residuals, t.columns, strict=True):
            values, _ = residual(at, u[:, columns], t.normal, False)
            check_finite(residual, values, at, u[:, columns])
