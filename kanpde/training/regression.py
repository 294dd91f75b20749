"""Training on data: the loop on rows that stay, and the state that does best on rows held back."""

from __future__ import annotations

import math

import torch

from kanpde.geometry.sampling import inside_points
from kanpde.networks.network import Network
from kanpde.networks.trial_space import NetworkSolution, TrialSpace
from kanpde.training.history import History, Observer, Record
from kanpde.training.legs import TEST_SEED, TESTED, Leg
from kanpde.training.loop import Training
from kanpde.training.method import carry_out
from kanpde.training.objective import Objective
from kanpde.training.plan import TrainingPlan
from kanpde.training.samples import Measurements, Samples
from kanpde.training.state import TrainingState, UnderWay


def regress(
    data: Measurements, space: TrialSpace, network: Network, plan: TrainingPlan, observer: Observer
) -> tuple[NetworkSolution, History]:
    """Train a network on data.

    Ctrl-C ends it with the best that it has (history.interrupted). Where rows are held back, the
    result is the state of all steps and grids with the smallest misfit to them.

    Args:
        data: The rows.
        space: The candidates, with an output for each unknown of the data.
        network: The first network.
        plan: How training goes.
        observer: Who watches.

    Returns:
        The solution, and what was done.
    """
    training = Regression(data, space, network, plan, observer)
    state = carry_out(training, training.begin())
    training.choose(state)
    return state.solution, state.history


class Regression(Training):
    """A training whose points are rows of data: never redrawn, judged at every step.

    Args:
        data: The rows.
        space: The candidates, with an output for each unknown of the data.
        network: The first network, which is left as it is.
        plan: How training goes.
        observer: Who watches.
    """

    def __init__(
        self,
        data: Measurements,
        space: TrialSpace,
        network: Network,
        plan: TrainingPlan,
        observer: Observer,
    ):
        self.data, self.space, self.plan, self.observer = data, space, plan, observer
        self.first = network.to(plan.device, plan.dtype)
        self.path, self.goal = [], None
        self._held: Objective | None = None
        self._best: tuple[float, Network, torch.Tensor] | None = None

    def choose(self, state: TrainingState) -> None:
        """Go back to the state that does best on the rows held back.

        Args:
            state: The last state, whose network is replaced.
        """
        if self._best is not None:
            _, state.solution.network, state.solution.network.theta = self._best

    def _leg(self, number: int, done: list[NetworkSolution]) -> Leg:
        plan = self.plan
        points = inside_points(self.space.domain, TESTED, TEST_SEED)
        return Leg(self.space, plan.stages, plan.restarts, points)

    def _points(self, solution: NetworkSolution) -> Samples:
        samples = Samples(self.data, solution)
        self._held = samples.fresh() if len(self.data.held) else None
        return samples

    def _watch(
        self,
        state: TrainingState,
        index: int,
        loss: float,
        fresh: Objective | None,
        last: bool = False,
    ) -> Record:
        if self._held is not None:
            self._held.network = state.network
        record = super()._watch(state, index, loss, self._held, last)
        if record.fresh < (math.inf if self._best is None else self._best[0]):
            self._best = record.fresh, state.network, state.network.theta
        return record

    def _apart(self, state: TrainingState, going: UnderWay, record: Record) -> float:
        """Rows stay, whatever is found on others."""
        return 0.0
