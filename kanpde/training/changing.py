"""A change of the network within a training: what stands for the network before goes on as the one
after."""

from __future__ import annotations

import torch

from kanpde.training.changes import Change, Extend
from kanpde.training.history import Observer
from kanpde.training.legs import Leg
from kanpde.training.pruning import Prune, Pruning
from kanpde.training.refining import Growing, Refine
from kanpde.training.schedule import show_schedule
from kanpde.training.state import TrainingState


def changed(state: TrainingState, stage: Change, leg: Leg, seed: int, observer: Observer) -> str:
    """Put another network in the place of the present one; says how much was lost.

    Args:
        state: The state, whose network is replaced.
        stage: The change.
        leg: What is solved.
        seed: Seed of the coefficients of what is new.
        observer: Who watches.

    Raises:
        RunError: The network cannot be changed so.
    """
    network, points = state.network, state.points
    if isinstance(stage, Prune):
        compared = leg.domain_points[:1024]
        tell = observer.message
        pruning = Pruning(state.solution, points.objective(), compared, stage, state.dense, tell)
        pruning.shrink(network if state.dense else None)
        return str(pruning.finish())
    value = (0,) * len(leg.space.domain.coordinates)
    frame = state.solution.frame(points.drawn(), [(u, value) for u in leg.space.outputs])
    generator = torch.Generator().manual_seed(seed)
    X = frame.X[:, :1]
    jets = network.levels(X, ())
    if isinstance(stage, Refine):
        growing = Growing(
            points.objective(),
            stage,
            generator,
            lambda change: network.changed(lambda part, _: change(part), jets),
        )
        state.solution.network, done = growing.network()
        return done
    other = network.changed(lambda part, own: stage.changed(part, own, generator), jets)
    before, after = (n.forward(X, ())[-1] for n in (network, other))
    moved = float((after - before).norm() / before.norm().clamp_min(1e-300))
    state.solution.network = other
    return f"the network's values moved by {moved:.0e}"


def title_of(stage: Change) -> str:
    """Such as "extend to grid 12", and for other changes as it stands in a schedule.

    Args:
        stage: The change.
    """
    return f"extend to grid {stage.grid}" if isinstance(stage, Extend) else show_schedule([stage])
