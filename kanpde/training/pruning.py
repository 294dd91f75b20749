"""Pruning with a stated loss: edges go as long as the polished rest comes back to the solution that
there was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import RecipeError, RunError
from kanpde.networks.canonical import layer_of
from kanpde.networks.importance import losses
from kanpde.networks.network import Network, has_edges
from kanpde.networks.surgery import Edge, dropped, edges_of
from kanpde.networks.trial_space import NetworkSolution
from kanpde.training.changes import Change
from kanpde.training.levenberg_marquardt import LevenbergMarquardt
from kanpde.training.objective import Objective
from kanpde.training.sparsity import MOST_DENSE, fade

HALVED = 15
"""A polishing that has not halved the loss in so many steps is given up."""

TRIED_IN_VAIN = 4
"""Single edges, and units, that are tried in vain before the rest is left alone: they are tried in
order of what they matter."""

LAST = 3
"""What is left in the end is polished so many times as long, or until its loss is that of the
network that there was."""


@dataclass(frozen=True)
class Prune(Change):
    """A stage that drops edges, and with them units and inputs, and polishes the rest.

    Polishing is by Levenberg-Marquardt. A network whose training loss is no larger than the
    original's is taken too, whatever it changes. What is reported is what changed, at points that
    are not trained on.

    Attributes:
        loss: The relative L2 change of the solution that is allowed, on points that are not trained
            on.
        steps: Steps of a polishing, at most.

    Raises:
        RecipeError: The loss is no share, between 0 and 1.
    """

    loss: float = 1e-6
    steps: int = 100
    name = "prune"

    def __post_init__(self) -> None:
        if not 0 < self.loss < 1:
            raise RecipeError(
                f"prune: got a loss of {self.loss:g}; expected a relative change of the solution"
                " between 0 and 1, such as 1e-6"
            )

    def check(self, network: Network) -> None:
        if layer_of(network) is not None:
            raise RecipeError(
                f"prune: got {network.describe()}, of which refine:4000 leaves out the terms that"
                " do nothing; expected a network of sums, such as kan"
            )
        if not any(has_edges(layer) for layer in network.layers):
            raise RecipeError(
                f"prune: got {network.describe()}; expected a network with edge functions, such"
                " as kan"
            )


@dataclass(frozen=True)
class Pruned:
    """What pruning did.

    Attributes:
        before: Edges of the network that there was.
        after: Edges that are left.
        change: The relative L2 change of the solution.
        trials: How many trials it took.
    """

    before: int
    after: int
    change: float
    trials: int

    def __str__(self) -> str:
        return (
            f"{self.after} of {self.before} edges left, the solution changed by {self.change:.1e}"
        )


class Pruning:
    """The pruning of the network of a solution, in place.

    Call `shrink`, as often as a sparser start may help, then `finish`. The solution has, at any
    time, the smallest network so far.

    Args:
        solution: The solution whose network is pruned.
        objective: What polishing minimises.
        points: Where solutions are compared [points, dims].
        stage: The settings.
        goal: The network whose solution is to be kept; by default that of the solution.
        tell: Gets a line for each success.

    Raises:
        RecipeError: The network has no edge functions.
        RunError: The solution is zero or not finite, or nothing but a constant would be left.
    """

    def __init__(
        self,
        solution: NetworkSolution,
        objective: Objective,
        points: Float[Tensor, "points dims"],
        stage: Prune,
        goal: Network | None = None,
        tell: Callable[[str], object] = str,
    ):
        self.solution, self.objective, self.stage, self.tell = solution, objective, stage, tell
        self.goal = replace(goal or solution.network)
        stage.check(self.goal)
        self.frame = solution.frame(
            points, [(u, (0,) * len(solution.domain.coordinates)) for u in solution.unknowns]
        )
        self.wanted = self._solution(self.goal)
        self.size = float(self.wanted.norm())
        if not 0 < self.size < math.inf:
            raise RunError(
                f"prune: the solution of {self.goal.describe()} has norm {self.size:g}; expected"
                " one that is finite and not zero"
            )
        self._refuse_constants()
        self.aim = self._loss(self.goal)
        self.trials = 0
        solution.network = self.goal

    def shrink(self, sparse: Network | None = None) -> bool:
        """Drop what can be dropped, from the smallest network so far or from a sparser version of
        it.

        Args:
            sparse: The sparser version, which is tried first; None for none.

        Returns:
            Whether anything could be dropped.
        """
        start = self.solution.network
        try:
            any(
                self._first(base, self._ladder(base))
                for base in (sparse, start)
                if base is not None
            )
            while self._single() or self._faded():
                pass
        finally:
            self.objective.network = self.solution.network
        return self.solution.network is not start

    def finish(self) -> Pruned:
        """Polish to the end.

        Returns:
            What was done.
        """
        if self.solution.network is not self.goal:
            self._polish(replace(self.solution.network), to_the_end=True)
        self.objective.network = self.solution.network
        return Pruned(
            len(edges_of(self.goal)),
            len(edges_of(self.solution.network)),
            self.change(self.solution.network),
            self.trials,
        )

    def change(self, network: Network) -> float:
        """The relative L2 distance of a network's solution from the one that is to be kept.

        Args:
            network: The network, in the place of the solution's own.
        """
        return float((self._solution(network) - self.wanted).norm()) / self.size

    def _first(self, base: Network, groups: Iterator[list[Edge]]) -> bool:
        """Take the first group of edges without which the network comes back to the solution."""
        jets = base.levels(self.frame.X[:, :1], ())
        for group in groups:
            try:
                trial = dropped(base, group, jets)
            except RunError:  # nothing but a constant: as good as a failure
                continue
            self.trials += 1
            if self._polish(trial):
                self.tell(
                    f"pruned to {self.solution.network.describe()}: the solution changed by"
                    f" {self.change(self.solution.network):.1e}"
                )
                return True
        return False

    def _ladder(self, base: Network) -> Iterator[list[Edge]]:
        """All edges below a threshold of what the solution loses without them, threshold after
        threshold downwards, a factor of ten apart."""
        found = sorted(self._losses(base).items(), key=lambda pair: pair[1])
        floor = torch.finfo(torch.float64).eps
        decades = [
            (decade, len(list(group)))
            for decade, group in groupby(
                found, key=lambda pair: math.floor(math.log10(max(pair[1], floor)))
            )
        ]
        counts = [sum(n for _, n in decades[:k]) for k in range(len(decades) - 1, 0, -1)]
        return ([edge for edge, _ in found[:count]] for count in counts)

    def _single(self) -> bool:
        """Do without one of the units, or one of the edges, that the solution loses least without.
        Whether that worked."""
        found = self._losses(self.solution.network)
        edges = ([edge] for edge in sorted(found, key=found.__getitem__)[:TRIED_IN_VAIN])
        return self._first(self.solution.network, iter([*self._units(found), *edges]))

    def _faded(self) -> bool:
        """Do without a unit whose edges fade out in training. Whether that worked."""
        best = self.solution.network
        if best.theta.numel() > MOST_DENSE:
            return False
        for group in self._units(self._losses(best)):
            self.objective.network = network = replace(best)
            fade(self.objective, group)
            if self._first(network, iter([group])):
                return True
        return False

    def _units(self, found: dict[Edge, float]) -> list[list[Edge]]:
        """The edges that go out of a unit, for some of the units that the solution loses least
        without."""
        units: dict[tuple[int, int], list[Edge]] = {}
        for edge in found:
            if edge.layer:
                units.setdefault((edge.layer, edge.source), []).append(edge)
        return sorted(units.values(), key=lambda edges: sum(found[e] for e in edges))[
            :TRIED_IN_VAIN
        ]

    def _polish(self, network: Network, to_the_end: bool = False) -> bool:
        """Levenberg-Marquardt until the solution is back, or `to_the_end`; then the network is the
        solution's. Whether it came back."""
        self.objective.network = network
        metric = "layer" if len(network.widths) <= 3 else "root"
        seen, good, patience = [math.inf], None, (LAST if to_the_end else 1) * HALVED
        at_once = not to_the_end and self._good(network, math.inf)
        for loss in (
            [math.inf]
            if at_once
            else LevenbergMarquardt(
                (LAST if to_the_end else 1) * self.stage.steps, metric=metric
            ).minimise(self.objective)
        ):
            seen.append(loss)
            if self._good(network, loss):
                good = replace(network)
                if not to_the_end or loss <= self.aim:
                    break
            if len(seen) > patience and seen[-1] > 0.5 * seen[-1 - patience]:
                break
        if good is None:
            return False
        self.solution.network = good
        return True

    def _good(self, network: Network, loss: float) -> bool:
        """Close enough to the solution that is to be kept; or better, as the residual has it."""
        return self.change(network) <= self.stage.loss or loss <= self.aim

    def _losses(self, network: Network) -> dict[Edge, float]:
        jets = network.levels(self.frame.X[:, :1], ())
        factor = self.frame.map[:, :, 0].double().cpu()
        columns = list(self.frame.column)
        return losses(
            network, jets, lambda change: float((factor * change[:, columns]).norm()) / self.size
        )

    def _solution(self, network: Network) -> Tensor:
        return (
            self.frame.derivatives(network.forward(self.frame.X, self.frame.counts)[-1])
            .double()
            .cpu()
        )

    def _loss(self, network: Network) -> float:
        self.objective.network = network
        return self.objective.loss()

    def _refuse_constants(self) -> None:
        jets = self.goal.levels(self.frame.X[:, :1], ())
        flat = jets[-1].mean(0, keepdim=True).expand_as(jets[-1])
        change = (
            float((self.frame.derivatives(flat).double().cpu() - self.wanted).norm()) / self.size
        )
        if change <= self.stage.loss:
            raise RunError(
                f"prune: with a loss of {self.stage.loss:g} nothing but a constant would be left of"
                f" {self.goal.describe()}; expected a loss below {change:.1e}"
            )
