"""Where a training is: all that it goes on from, in memory and as a file holds it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from kanpde.networks.network import Network
from kanpde.networks.state import network_of
from kanpde.networks.state import state as state_of
from kanpde.networks.trial_space import NetworkSolution
from kanpde.training.balancing import Balance
from kanpde.training.history import History
from kanpde.training.objective import Objective
from kanpde.training.optimiser import State, Stepper
from kanpde.training.plan import TrainingPlan
from kanpde.training.points import Collocation
from kanpde.training.samples import Samples
from kanpde.training.schedule import Optimiser
from kanpde.training.shards import gathered, share


@dataclass
class UnderWay:
    """An optimiser between two of its steps.

    Attributes:
        stage: The optimiser.
        index: Number of the stage among all.
        title: What the history calls it.
        objective: What it lowers.
        fresh: The residual at points that are not trained on.
        carried: What the optimiser carries from step to step.
        taken: Its steps so far.
        final: Whether no stage comes after it.
    """

    stage: Optimiser
    index: int
    title: str
    objective: Objective
    fresh: Objective
    carried: State
    taken: int = 0
    final: bool = False

    def advance(self) -> str | None:
        """One step of the optimiser, or why there is none."""
        stepper: Stepper = self.stage
        return stepper.advance(self.objective, self.carried)

    @property
    def last(self) -> bool:
        """Whether no step comes after this one."""
        return self.final and self.taken == self.stage.steps


@dataclass
class TrainingState:
    """All that training goes on from.

    Attributes:
        solution: The candidate, with the network as it is now.
        points: Where it is trained, and how conditions weigh.
        balance: How much single equations and points count.
        history: What was done.
        began: When training began, on the clock of `time.perf_counter`.
        weighed: Whether conditions have got their weights for this leg.
        leg: Number of the problem on the way, or, after these, of the span of time.
        done: The candidates of the spans that are done.
        stage: Number of the next stage of this leg.
        rounds: More rounds that were asked for after the stages (see `TrainingPlan.round`).
        starts: The random starts that are done, each with its loss, while there are more to come;
            None when the best is chosen, or there is but one.
        under_way: The optimiser at work; None between two stages.
        step: Steps so far, of all legs.
        dense: The network before its edges were made sparse, whose solution pruning is to keep.
        before: Network and weight of the data to which one goes back where a round with lighter
            data leaves the parameters unsettled.
        good: A network and parameters to go back to when the next ones are not finite, or when
            training is interrupted within a step.
        finished: Whether nothing is left to do.
    """

    solution: NetworkSolution
    points: Collocation | Samples
    balance: Balance
    history: History
    began: float
    leg: int = 0
    done: list[NetworkSolution] = field(default_factory=list)
    weighed: bool = False
    stage: int = 0
    rounds: int = 0
    starts: list[tuple[float, Network]] | None = None
    under_way: UnderWay | None = None
    step: int = 0
    dense: Network | None = None
    before: tuple[Network, float] | None = None
    good: tuple[Network, Tensor] = field(init=False)
    finished: bool = False

    def __post_init__(self) -> None:
        self.keep()

    @property
    def network(self) -> Network:
        """The network as it is now."""
        return self.solution.network

    @property
    def keepable(self) -> bool:
        """Whether an optimiser is at work that has taken a step."""
        return self.under_way is not None and self.under_way.taken > 0

    @property
    def last(self) -> bool:
        """Whether no step comes after this one."""
        return self.under_way is not None and self.under_way.last

    def keep(self) -> None:
        """This state is good."""
        self.good = self.network, self.network.theta

    def go_back(self) -> None:
        """Go back to the last good state."""
        self.solution.network, self.solution.network.theta = self.good

    def plain(self) -> dict[str, Any]:
        """The state within a stage as a file holds it, from which `from_plain` makes it again.

        Of several processes all have to call it.
        """
        going, points = self.under_way, self.points
        assert going is not None
        assert isinstance(points, Collocation)  # fits are not kept
        terms = going.objective.terms
        rows = [None if t.weights is None else gathered(t.weights, t.count) for t in terms]
        found = {
            "leg": self.leg,
            "done": [solution.state() for solution in self.done],
            "network": state_of(self.network),
            "stage": self.stage,
            "rounds": self.rounds,
            "starts": _listed(self.starts),
            "taken": going.taken,
            "optimiser": going.carried.plain(),
            "interior": points.current,
            "fresh": points.watched,
            "rows": rows,
            "balance": self.balance.plain(going.objective),
            "dense": self.dense and state_of(self.dense),
            "before": self.before and (state_of(self.before[0]), self.before[1]),
            "points": points.plain(),
            "history": self.history.plain(),
            "seconds": time.perf_counter() - self.began,
        }
        return dict(on_device("cpu", found))

    @classmethod
    def from_plain(
        cls,
        plain: dict[str, Any],
        solution: NetworkSolution,
        points: Collocation,
        balance: Balance,
        done: list[NetworkSolution],
        plan: TrainingPlan,
    ) -> TrainingState:
        """The state that `plain` was made of, but for the optimiser (see `under_way_of`).

        Args:
            plain: What `plain` gave.
            solution: The candidate, with the network of the state (see `network_from`).
            points: New points for it, which go on where those of the state were.
            balance: A new one.
            done: The candidates of the spans that are done.
            plan: The same as that of the state.
        """
        points.restore(plain["points"])
        history = History.from_plain(plain["history"])
        before, starts = plain["before"], plain["starts"]
        return cls(
            solution,
            points,
            balance,
            history,
            time.perf_counter() - plain["seconds"],
            plain["leg"],
            done,
            weighed=True,
            stage=plain["stage"],
            rounds=plain["rounds"],
            starts=starts and [(loss, network_from(saved, plan)) for loss, saved in starts],
            step=history.records[-1].step if history.records else 0,
            dense=plain["dense"] and network_from(plain["dense"], plan),
            before=before and (network_from(before[0], plan), before[1]),
        )

    def under_way_of(
        self, plain: dict[str, Any], stage: Optimiser, index: int, title: str, plan: TrainingPlan
    ) -> UnderWay:
        """The optimiser as it was when `plain` was made, on the same points and weights.

        Args:
            plain: What `plain` gave.
            stage: The optimiser.
            index: Number of the stage among all.
            title: What the history calls it.
            plan: How training goes.
        """
        points = self.points
        assert isinstance(points, Collocation)
        objective = points.objective(plain["interior"])
        fresh = points.fresh(points=plain["fresh"])
        for t, weights in zip(objective.terms, plain["rows"], strict=True):
            t.weights = None if weights is None else share(weights).to(plan.device)
        self.balance.restore(on_device(plan.device, plain["balance"]), objective)
        carried = stage.carries.from_plain(on_device(plan.device, plain["optimiser"]))
        return UnderWay(stage, index, title, objective, fresh, carried, plain["taken"])


def network_from(saved: dict[str, Any], plan: TrainingPlan) -> Network:
    """A network of a state, where the plan wants it.

    Args:
        saved: The network as `TrainingState.plain` has it.
        plan: How training goes, which says on which device and in which precision.
    """
    return network_of(saved).to(plan.device, plan.dtype)


def on_device(device: str, value: object) -> Any:
    """The same value with every tensor in it on a device.

    Args:
        device: The device.
        value: A tensor, a plain value, or lists, tuples and dicts of them.
    """
    if isinstance(value, Tensor):
        return value.detach().to(device)
    if isinstance(value, dict):
        return {key: on_device(device, v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(on_device(device, v) for v in value)
    return value


def _listed(
    starts: list[tuple[float, Network]] | None,
) -> list[tuple[float, dict[str, Any]]] | None:
    return None if starts is None else [(loss, state_of(network)) for loss, network in starts]
