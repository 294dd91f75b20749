"""Measured values as residuals: rows of data in place of collocation points.

A term's leaves are affine in the network's output at each point, u_a = lift_a + Σ_c map_ac J_c.
What was measured goes in there, so that the residuals stay functions of one number: the difference
u - value by the lift, the margin ±u of a label by the map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from kanpde.geometry import Domain
from kanpde.networks.trial_space import NetworkSolution
from kanpde.residual.residual import Residual
from kanpde.training.objective import Objective, Term, term
from kanpde.training.shards import share

LOSSES = ("squared", "logistic")

PULL = 3e-2
"""Weight of the squared margin beside the deviance: labels that can be told apart would drive it to
infinity, and the rows held back would see their own deviance grow. From 1e-3 to 1e-1 it makes
little difference (99.3 to 99.5 % on a disk, 93.8 to 94.0 % on moons)."""


@dataclass(frozen=True)
class DataRows:
    """Rows of data: points and what was measured there.

    Attributes:
        points: Where it was measured [rows, inputs].
        values: What was measured [rows, unknowns].
        noise: Standard deviations [rows, unknowns], by which rows count; None where all are alike.
    """

    points: Float[Tensor, "rows inputs"]
    values: Float[Tensor, "rows unknowns"]
    noise: Float[Tensor, "rows unknowns"] | None = None

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: Tensor) -> DataRows:
        return DataRows(
            self.points[index],
            self.values[index],
            None if self.noise is None else self.noise[index],
        )


@dataclass(frozen=True)
class Measurements:
    """A problem whose only condition is data.

    Attributes:
        domain: The domain of the inputs.
        unknowns: Names of what was measured.
        training: The rows that are trained on.
        held: Rows that are not trained on, by which the best state is chosen; there may be none.
        loss: "squared", of the differences, or "logistic", of values ±1 (see `measured`).
        name: Name of the problem.
    """

    domain: Domain
    unknowns: tuple[str, ...]
    training: DataRows
    held: DataRows
    loss: str = "squared"
    name: str = "data"


@dataclass
class Samples:
    """The rows as Collocation gives its points: the same at every stage.

    Attributes:
        data: The rows.
        solution: The candidate that is trained.
        weights: Weights, as those of Collocation.
    """

    data: Measurements
    solution: NetworkSolution
    weights: dict[str, float] = field(default_factory=dict)

    def objective(self, points: Tensor | None = None) -> Objective:
        """The misfit to the rows that are trained on.

        Args:
            points: Not used: rows stay as they are.
        """
        return self._misfit(self.data.training)

    def fresh(self, count: int | None = None, points: Tensor | None = None) -> Objective:
        """The misfit to the rows held back, or, where there are none, to those trained on.

        Args:
            count: Not used: rows stay as they are.
            points: Not used either.
        """
        return self._misfit(self.data.held if len(self.data.held) else self.data.training)

    def drawn(self) -> Tensor:
        """The points that are trained on."""
        return self.data.training.points

    def soft(self) -> list:
        """No conditions."""
        return []

    def _misfit(self, rows: DataRows) -> Objective:
        return Objective(self.solution.network, [measured(self.solution, rows, self.data.loss)])


def measured(
    solution: NetworkSolution,
    rows: DataRows,
    loss: str = "squared",
    weight: float = 1.0,
    unknowns: Sequence[str] | None = None,
) -> Term:
    """The misfit to rows of data as a term.

    It is Σ_rows ((u - value) / noise)² / rows of all unknowns, or of those given; or, for values
    ±1, Σ_rows (2 log(1 + e^-m) + PULL m²) / rows with the margin m = value u: the deviance of
    logistic regression.

    The square root of a row's deviance is its residual, so that Gauss-Newton applies; then JᵀJ has
    half the curvature of the deviance where a label is met well, and most of it near the border.

    Args:
        solution: The candidate.
        rows: The data. Their noise is for the squared differences only.
        loss: "squared" or "logistic".
        weight: Weight of the term.
        unknowns: What was measured, a column of the values each; None for all unknowns.
    """
    dims = len(solution.domain.coordinates)
    residuals = [_residual(solution, u, (0,) * dims, loss) for u in unknowns or solution.unknowns]
    found = term(solution, residuals, rows.points, None, weight)
    values = share(rows.values).to(found.frame.lift)
    frame = found.frame
    if loss == "squared":
        found.frame = replace(frame, lift=frame.lift - values)
    else:
        found.frame = replace(frame, lift=frame.lift * values, map=frame.map * values[:, :, None])
    if rows.noise is not None and loss == "squared":
        found.weights = share(rows.noise).to(values) ** -2
    return found


def _residual(
    solution: NetworkSolution, unknown: str, value: tuple[int, ...], loss: str
) -> Residual:
    coordinates = solution.domain.coordinates
    squared = loss == "squared"
    function, name = (
        (_difference, f"misfit of {unknown}") if squared else (_deviance, f"deviance of {unknown}")
    )
    return Residual(
        name,
        function,
        (unknown,),
        solution.unknowns,
        coordinates,
        solution.domain.space,
        ((unknown, value),),
        (),
        1 if squared else 2,
        False,
        squared,
    )


def _difference(**given: Tensor) -> Tensor:
    (difference,) = given.values()
    return difference


def _deviance(**given: Tensor) -> tuple[Tensor, Tensor]:
    (margin,) = given.values()
    return (2 * softplus(-margin) + torch.finfo(margin.dtype).tiny).sqrt(), math.sqrt(PULL) * margin
