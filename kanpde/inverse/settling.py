"""The end of training with unknown parameters: they are brought to the minimum, and noisy data
weigh less and less until the estimates would not profit from more of that.

With an exact model every weight of the data gives estimates without bias; a smaller one lets the
solution follow the noise less. A weight that is too small leaves the parameters unsettled, or lets
equations that the network cannot satisfy overrule the data: then the weight before is taken again.
"""

from __future__ import annotations

from dataclasses import replace

from kanpde.inverse.sensitivity import lost, overruled, polish, relative_misfit
from kanpde.networks.network import Network
from kanpde.networks.trial_space import TrialSpace
from kanpde.problem.problem import Problem
from kanpde.training.history import Observer
from kanpde.training.loop import Training
from kanpde.training.method import Goal
from kanpde.training.plan import TrainingPlan
from kanpde.training.points import Collocation
from kanpde.training.schedule import DENSE
from kanpde.training.shards import size
from kanpde.training.state import TrainingState

ROUNDS = 4
"""Rounds of training at most in which noisy data weigh less."""

NOISY = 1e-4
"""Misfit to data, over their spread, from which it is taken for noise and not for what the network
cannot represent."""

LIGHTER = 0.1
"""Factor of the weight of the data from round to round."""

PROFIT = 1.05
"""Gain in standard errors that is worth a round."""

UNSETTLED = 0.3
"""How far from the minimum a parameter may be after a round, in standard errors, for the round to
count."""


class Settling(Training):
    """A training that ends with settled parameters, round after round."""

    def advance(self, state: TrainingState) -> TrainingState:
        """Take a state one step further; after all stages, ask for one more round, or end.

        Args:
            state: The state, which may be changed in place.

        Returns:
            The next state.
        """
        state = super().advance(state)
        if state.finished and self._goes_on(state):
            state.rounds, state.finished = state.rounds + 1, False
        return state

    def _goes_on(self, state: TrainingState) -> bool:
        """Bring the parameters to the minimum; whether a round with lighter data is worth while.

        What is found is left in the state: the last round is undone where it did harm.
        """
        points = state.points
        assert isinstance(points, Collocation)
        # All of this needs the dense matrix of one process.
        if size() > 1 or state.network.parameters > DENSE:
            return False
        steps, apart = polish(points)
        self.observer.message(
            f"polished by {steps} steps of Gauss-Newton; another would move a parameter by"
            f" {apart:.2g} standard errors"
        )
        if state.before is not None and self._did_harm(state, state.before, points, apart):
            state.solution.network, points.data = state.before
            return False
        state.keep()
        if state.rounds == ROUNDS or relative_misfit(points) < NOISY:
            return False
        state.before = replace(state.network), points.data
        factor = lost(points, LIGHTER)
        if factor < PROFIT:
            return False
        points.data *= LIGHTER
        self.observer.message(
            f"noisy data: weighed {1 / LIGHTER:.0f} times less, by which standard errors fall by"
            f" {100 * (1 - 1 / factor):.0f} %"
        )
        return True

    def _did_harm(
        self,
        state: TrainingState,
        before: tuple[Network, float],
        points: Collocation,
        apart: float,
    ) -> bool:
        """Whether the last round is to be undone."""
        if apart > UNSETTLED:
            self.observer.message(
                "went back to the weight before, where the parameters had settled"
            )
            return True
        if overruled(points, *before):
            self.observer.message(
                "went back to the weight before: with the smaller one the equations, as far as the"
                " network can satisfy them, overrule the data"
            )
            return True
        return False


def training_of(
    problem: Problem,
    space: TrialSpace,
    network: Network,
    plan: TrainingPlan,
    observer: Observer,
    goal: Goal | None = None,
) -> Training:
    """What trains a network on a problem: with settling where parameters are to be found from data.

    Args:
        problem: What is to be solved.
        space: Its candidates.
        network: The first network, which is left as it is.
        plan: How training goes.
        observer: Who watches.
        goal: When the solution is good enough; None where all stages are done.
    """
    kind = Settling if problem.parameters and problem.data else Training
    return kind(problem, space, network, plan, observer, goal)
