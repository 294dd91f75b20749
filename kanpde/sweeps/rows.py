"""What a sweep knows of each of its trials, and of the finite differences beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Any


@dataclass(frozen=True)
class TrialRow:
    """One trial. error: relative L2 against the exact solution, or the reference (judged: exact or
    reference); nan where it failed.

    kind: of the network, kan or mlp or another basis; width: hidden units by level, such as 5,5;
    degree, grid: of its splines at the end, 0 where it has none; seconds: of training; stages: one
    entry a training stage, for the staircase of grid extension. status: done or failed, and then
    reason says why. run: its folder, relative to the sweep's.
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


@dataclass(frozen=True)
class StageRow:
    """What a training stage ended with. step, seconds: counted from the beginning of the trial."""

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
    """Finite differences of the same problem on one grid: unknowns of the discrete system, relative
    L2 error, seconds."""

    order: int
    cells: int
    unknowns: int
    error: float
    seconds: float
    judged: str = "exact"


@dataclass(frozen=True)
class SweepTable:
    """A whole sweep, as it is stored. about: problem, title, constants, derivatives (highest order
    in the equations), coordinates (how many), provenance (see provenance.py), and the settings that
    all trials share."""

    rows: tuple[TrialRow, ...]
    differences: tuple[Differences, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
