"""Where the residuals are evaluated: points for training, fresh ones to watch it, and new ones where it is large."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from kanpde.conditions import Constraint
from kanpde.networks.ansatz import Ansatz
from kanpde.problem import Problem
from kanpde.residual import check_finite
from kanpde.sampling import by_residual, unit_points
from kanpde.training.objective import Objective, Term, term
from kanpde.training.samples import Samples
from kanpde.training.shards import gathered, total

BLOCKS = 4
"""Adaptive points come in so many blocks, together half of all points."""

PART = 2**18
"""Points of a pool that are looked at at a time."""

LARGEST = 2**24
"""Points of a pool at most: torch.multinomial takes no more."""


@dataclass
class Collocation:
    """Points of one stage. count: interior points; seed: of their sequence; weights: of the soft conditions by label. current, watched:
    the points of the last objective, and the last fresh ones, of all processes."""

    problem: Problem
    ansatz: Ansatz
    count: int
    seed: int
    sampler: str = "sobol"
    weights: dict[str, float] = field(default_factory=dict)
    draws: int = 0
    adaptive: deque[Tensor] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    current: Tensor = field(default_factory=lambda: torch.empty(0))
    watched: Tensor = field(default_factory=lambda: torch.empty(0))

    def objective(self, points: Tensor | None = None) -> Objective:
        """All terms at the points of this stage, or at given ones."""
        self.current = self.drawn() if points is None else points
        interior = self._interior(self.current)
        return Objective(self.ansatz.network, [interior, *(t for _, t in self.soft())])

    def fresh(self, count: int | None = None, points: Tensor | None = None) -> Objective:
        """The equations' residuals at other points, by default a quarter as many, or at given ones."""
        self.watched = self._draw(count or max(self.count // 4, 64)) if points is None else points
        return Objective(self.ansatz.network, [self._interior(self.watched)])

    def plain(self) -> dict[str, Any]:
        """What it carries from stage to stage, as a file holds it."""
        return {"draws": self.draws, "adaptive": list(self.adaptive), "weights": dict(self.weights)}

    def restore(self, plain: dict[str, Any]) -> None:
        """Back to what `plain` said."""
        self.draws, self.weights = plain["draws"], plain["weights"]
        self.adaptive.extend(plain["adaptive"])

    def soft(self) -> list[tuple[Constraint, Term]]:
        """The soft conditions with their terms; those of which no point lies on their piece of the face are left out."""
        found = [(c, self._condition(c, k)) for k, c in enumerate(self.ansatz.soft)]
        return [(c, t) for c, t in found if t.count]

    def redraw(self, objective: Objective) -> None:
        """Replace the oldest block of adaptive points by points where the residual is large now, and the even ones too.

        A block is chosen among 8 candidates a point of the whole set. Blocks outlive stages: where a front was found, points stay.
        """
        pool = self._draw(min(8 * self.count, LARGEST))
        self.adaptive.append(by_residual(self._size, pool, max(self.count // (2 * BLOCKS), 1), self.seed + self.draws, floor=0.0))
        self.current = self.drawn()
        objective.terms[0] = self._interior(self.current)

    def drawn(self) -> Tensor:
        """New ones: even points, and in place of up to half of them the adaptive blocks."""
        return torch.cat([self._draw(self.count - sum(map(len, self.adaptive))), *self.adaptive])

    def _draw(self, count: int) -> Tensor:
        self.draws += 1
        return self.problem.domain.interior(unit_points(count, len(self.problem.coordinates), 1000 * self.seed + self.draws, self.sampler))

    def _interior(self, points: Tensor) -> Term:
        return term(self.ansatz, self.problem.equations, points, None, 1.0)

    def _size(self, points: Tensor) -> Tensor:
        """Size of the equations' residuals at points, [points]; many of them in parts, as each takes some hundred bytes on the way."""
        found = []
        for part in points.split(PART):
            size = self._interior(part).evaluate(self.ansatz.network, False)[1].square().sum(1).sqrt()
            found.append(gathered(size, len(part)).cpu() * math.sqrt(len(part) / len(points)))
        return torch.cat(found)

    def _condition(self, constraint: Constraint, k: int) -> Term:
        domain = self.problem.domain
        dims = len(domain.coordinates) - 1
        count = max(32, round(4 * self.count ** (dims / (dims + 1)))) if dims else 1
        points = domain.boundary(constraint.face, unit_points(count, dims, 1000 * self.seed + 500 + k, self.sampler))
        if constraint.where is not None:
            points = points[constraint.where(dict(zip(domain.coordinates, points.T, strict=True))).bool()]
        normals = dict(zip(domain.coordinates, domain.normals(constraint.face, points).T, strict=True))
        weight = constraint.weight if constraint.weight is not None else self.weights.get(constraint.label, 1.0)
        return term(self.ansatz, [constraint.residual], points, normals, weight)


def balanced(collocation: Collocation | Samples) -> dict[str, float]:
    """Weights that give every soft condition the equations' mean squared Jacobian row (Wang, Yu and Perdikaris 2022).

    Where a row of a condition is small, because it differentiates less, its weight is large.
    """
    network = collocation.ansatz.network
    interior = _trace(collocation.fresh(256))
    return {c.label: interior / max(_trace(Objective(network, [t])), 1e-12) for c, t in collocation.soft() if c.weight is None}


def _trace(objective: Objective) -> float:
    _, J = objective.jacobian()
    return float(total(J.values.square().sum())) / objective.terms[0].weight


def check_terms(objective: Objective) -> None:
    """Raise ProblemError where the user's function is not finite at the first points."""
    for t in objective.terms:
        jets = objective.network.forward(t.frame.X, t.frame.counts)
        u = t.frame.derivatives(jets[-1])
        at = dict(zip(t.residuals[0].coordinates, t.frame.points.to(u).T, strict=True))
        for residual, columns in zip(t.residuals, t.columns, strict=True):
            values, _ = residual(at, u[:, columns], t.normal, False)
            check_finite(residual, values, at, u[:, columns])
