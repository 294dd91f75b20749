"""How a training goes: its stages, its points, and where it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from kanpde.training.changes import Change
from kanpde.training.schedule import Optimiser, Stage

ROUND = 60
"""Steps at most of one more round (see `TrainingPlan.round`)."""


@dataclass(frozen=True)
class TrainingPlan:
    """What all states of one training have in common, besides the space.

    Attributes:
        stages: The stages, in order.
        points: Number of collocation points inside the domain.
        seed: Seed of the network's coefficients and of the points.
        device: Where the network is, "cpu" or "cuda".
        dtype: Precision of the network.
        restarts: Random starts of the first stage, of which the best goes on.
        sampler: How points are spread: "sobol", "halton", "latin-hypercube" or "uniform".
        crowding: Share of the points that crowd about holes.
        spans: Equal spans of time, trained one after another.
        path: Constants of easier problems on the way, for each of which the first stage is done.
        balance: How much equations, conditions and points count (see balancing.py).
        causal: ε of weights that take times in their order; 0 for none.
        data: Weight of measurements beside the equations.
    """

    stages: tuple[Stage, ...]
    points: int = 1600
    seed: int = 0
    device: str = "cpu"
    dtype: torch.dtype = torch.float64
    restarts: int = 1
    sampler: str = "sobol"
    crowding: float = 0.0
    spans: int = 1
    path: tuple[Mapping[str, float], ...] = ()
    balance: str = "none"
    causal: float = 0.0
    data: float = 1.0

    @property
    def last_stages(self) -> tuple[Stage, ...]:
        """Those on the finest grid: what every span of time after the first gets."""
        changes = [i for i, stage in enumerate(self.stages) if isinstance(stage, Change)]
        return self.stages[changes[-1] + 1 :] if changes else self.stages

    @property
    def optimisers(self) -> list[Optimiser]:
        """The stages that lower the loss."""
        return [stage for stage in self.stages if not isinstance(stage, Change)]

    @property
    def round(self) -> Optimiser:
        """What more training consists of, when a user of the loop asks for another round."""
        last = self.optimisers[-1]
        return replace(last, steps=min(last.steps, ROUND))

    @property
    def count(self) -> int:
        """Stages of all problems and spans together."""
        return len(self.path) + len(self.stages) + (self.spans - 1) * len(self.last_stages)

    @property
    def legs(self) -> int:
        """Problems on the way and spans of time."""
        return len(self.path) + self.spans
