"""What a sweep knows of each of its trials, and of the finite differences beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Any


@dataclass(frozen=True)
class TrialRow:
    """One trial of a sweep, and what came of it.

    Attributes:
        trial: Its name.
        kind: The kind of network: kan, mlp or another.
        network: The network that it ended with, in words.
        width: Hidden units by level, such as 5,5.
        depth: Hidden layers.
        degree: The degree of its splines, 0 where it has none.
        grid: The grid of its splines at the end, 0 where it has none.
        parameters: How many parameters the network has with which it ended.
        schedule: Text of its training stages.
        points: Collocation points.
        seed: The seed of its random start and points.
        status: done or failed.
        reason: Why it failed.
        judged: What the error is measured against, exact or reference; empty where it is unknown.
        error: Relative L2; nan where it failed or is unknown.
        max_error: The largest error, against the exact solution only.
        loss: At the end, on the collocation points.
        fresh: The same on fresh points.
        seconds: The seconds of training.
        run: Its folder, relative to the sweep's.
        stages: One entry a training stage, for the staircase of grid extension.
        verdict: What is to be believed of it: converged, not converged or another status; empty
            where it failed.
    """

    trial: str
    kind: str
    network: str
    width: str
    depth: int
    degree: int
    grid: int
    parameters: int
    schedule: str
    points: int
    seed: int
    status: str = "done"
    reason: str = ""
    judged: str = ""
    error: float = nan
    max_error: float = nan
    loss: float = nan
    fresh: float = nan
    seconds: float = nan
    run: str = ""
    stages: tuple[StageRow, ...] = ()
    verdict: str = ""


@dataclass(frozen=True)
class StageRow:
    """What a training stage of a trial ended with.

    Attributes:
        stage: Its number, from 0 on.
        title: The stage in words.
        grid: The grid of the splines, 0 where there are none.
        parameters: How many parameters the network has.
        step: Counted from the beginning of the trial.
        seconds: Seconds of training, counted likewise.
        loss: The loss on the collocation points.
        error: Relative L2, as it was last measured; nan where it was not.
    """

    stage: int
    title: str
    grid: int
    parameters: int
    step: int
    seconds: float
    loss: float
    error: float


@dataclass(frozen=True)
class Differences:
    """Finite differences of the same problem on one grid.

    Attributes:
        order: The order of accuracy.
        cells: Along each space coordinate.
        unknowns: How many unknowns the discrete system has.
        error: The relative L2 error.
        seconds: How long it took.
        judged: What the error is measured against: exact, or estimate, from coarser grids.
    """

    order: int
    cells: int
    unknowns: int
    error: float
    seconds: float
    judged: str = "exact"


@dataclass(frozen=True)
class SweepTable:
    """A whole sweep, as it is stored.

    Attributes:
        rows: One a trial that has ended.
        differences: Finite differences beside the networks.
        about: problem, title, constants, derivatives (the highest order in the equations),
            coordinates (how many), provenance (see provenance.py), and the settings that all trials
            share.
    """

    rows: tuple[TrialRow, ...]
    differences: tuple[Differences, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
