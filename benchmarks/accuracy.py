"""`python -m benchmarks accuracy`: how close the gallery's problems come to their exact or
reference solutions, over several seeds.

Each row holds one problem on one device with its provenance, and is written as soon as it is
measured; rows of other problems stay. Where there is no exact solution, finite differences judge,
and the row keeps their own error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import tables
from benchmarks.arguments import shown_seeds
from benchmarks.comparison import page
from benchmarks.figure import plot_accuracy
from benchmarks.published import CHOSEN, CLAIMS, Claim
from benchmarks.rows import Tell, load
from kanpde.errors import KanpdeError, RunError
from kanpde.networks.boundary import split
from kanpde.networks.solution import Solution
from kanpde.problem import file as problems
from kanpde.problem.problem import Problem
from kanpde.provenance import provenance
from kanpde.recipes.choosing import choose
from kanpde.reference import reference
from kanpde.results.fields import Grid, dense_grid, exact_on, nodes_of, relative_l2, solution_on
from kanpde.results.result import Result
from kanpde.runs.atomic import check_writable
from kanpde.solver import solve

LOST = 1e-2
"""Relative error past which an evolution is called lost."""


@dataclass(frozen=True)
class Truth:
    """What a problem is judged by.

    Attributes:
        grid: Nodes by coordinate.
        values: On the grid, by unknown.
        kind: How they came.
        error: Their own relative L2 error; 0 where they are exact.
    """

    grid: Grid
    values: Mapping[str, np.ndarray]
    kind: str
    error: float


@dataclass
class Accuracy:
    """A problem on a device, as the table keeps it; lists have one entry a seed.

    Attributes:
        problem: Of the gallery.
        device: cpu or cuda.
        effort: That of the recipe.
        network: In words.
        parameters: Of the network.
        seeds: Which.
        relative_l2: Over the whole grid.
        seconds: Of training.
        judged_by: How what judged it came.
        truth_error: Its own relative error.
        until: For an evolution, the time up to which the worst seed stays within LOST at every
            instant.
        interpolated: The error of the boundary data alone, before any training, where all unknowns
            have them.
        reason: Why it could not be measured.
        settings: Of the recipe.
        provenance: What was run where.
    """

    problem: str
    device: str
    effort: str
    network: str = ""
    parameters: int = 0
    seeds: list[int] = field(default_factory=list)
    relative_l2: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    judged_by: str = ""
    truth_error: float = 0.0
    until: float | None = None
    interpolated: float | None = None
    reason: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Campaign:
    """What to run.

    Attributes:
        names: Problems of the gallery.
        seeds: Of each problem.
        effort: quick, default or record.
        device: cpu or cuda.
        minutes: After so many no further problem is begun.
    """

    names: Sequence[str] = CHOSEN
    seeds: Sequence[int] = (0, 1, 2)
    effort: str = "record"
    device: str = "cpu"
    minutes: float | None = None


def run(out: Path, tell: Tell, campaign: Campaign | None = None) -> list[dict[str, Any]]:
    """Measure, and write `out/benchmarks/accuracy.json`, `accuracy.md` and `accuracy.png`.

    A row that is there already is replaced when all its seeds are done.

    Args:
        out: Where the folder `benchmarks` is or will be.
        tell: Where progress goes, a line at a time.
        campaign: What to run; a subset that takes some minutes where not given.

    Returns:
        The rows of this run, plain values.

    Raises:
        ProblemError: A name is no problem.
        RecipeError: There is no such effort.
        RunError: Files cannot be written, or are of something else.
        KeyboardInterrupt: It was interrupted.
    """
    campaign = campaign or Campaign()
    loaded = {name: problems.load(name) for name in campaign.names}
    recipes = {
        name: choose(problem, given, campaign.effort).recipe
        for name, (problem, given) in loaded.items()
    }
    folder = Path(out) / "benchmarks"
    check_writable(folder)
    kept = _earlier(folder / "accuracy.json")
    began, fresh = time.monotonic(), []
    for name, (problem, _) in loaded.items():
        if campaign.minutes is not None and time.monotonic() - began > 60 * campaign.minutes:
            tell(f"{name}: left out, {campaign.minutes:g} minutes are over")
            continue
        row = Accuracy(
            name,
            campaign.device,
            campaign.effort,
            provenance={
                **provenance(campaign.device),
                "load": load(),
                "command": _command(name, campaign),
            },
        )
        complete = _measure(row, problem, recipes[name], campaign.seeds, tell)
        key = f"{name} {campaign.device}"
        if complete or key not in kept:
            kept[key] = vars(row)
            write(folder, kept)
            fresh.append(vars(row))
        if not complete:
            raise KeyboardInterrupt
    return fresh


def _measure(
    row: Accuracy, problem: Problem, recipe: Any, seeds: Sequence[int], tell: Tell
) -> bool:
    """Fill the row; whether nobody interrupted it."""
    claim = CLAIMS.get(row.problem, Claim(None, 0.0))
    try:
        truth = truth_of(problem, claim.unknowns, row.effort)
        row.judged_by, row.truth_error, row.interpolated = (
            truth.kind,
            truth.error,
            interpolated(problem, truth),
        )
        tell(f"{row.problem}: judged by {truth.kind}")
        for seed in seeds:
            result = solve(problem, recipe=recipe, seed=seed, device=row.device, reference=False)
            if result.history.interrupted:
                return False
            _add(row, problem, result, truth, seed)
            tell(
                f"  seed {seed}: {row.relative_l2[-1]:.1e} in {row.seconds[-1]:.1f} s,"
                f" {row.network}, {row.parameters} parameters"
            )
    except KanpdeError as reason:
        row.reason = str(reason)
        tell(f"  {reason}")
    return True


def _add(row: Accuracy, problem: Problem, result: Result, truth: Truth, seed: int) -> None:
    assert result.solution is not None
    error, until = judge(problem, result.solution, truth)
    if problem.domain.time and error >= max(row.relative_l2, default=0.0):
        row.until = until
    row.seeds.append(seed)
    row.relative_l2.append(error)
    row.seconds.append(result.seconds)
    row.network, row.parameters = (
        str(result.settings["network"]),
        int(result.settings["parameters"]),
    )
    row.settings = {
        key: result.settings[key]
        for key in ("points", "schedule", "restarts", "slabs", "dtype")
        if key in result.settings
    }


def truth_of(problem: Problem, unknowns: Sequence[str] = (), effort: str = "default") -> Truth:
    """The exact solution on `dense_grid` where it is known, else the reference on its own grid.

    Args:
        problem: What is solved.
        unknowns: Those that count; all where empty.
        effort: Of the reference.

    Returns:
        The exact solution where it is known for all these unknowns.

    Raises:
        ReferenceUnavailable: There is neither.
    """
    wanted = tuple(unknowns) or problem.unknowns
    if set(wanted) <= set(problem.exact):
        grid = dense_grid(problem.domain)
        values = exact_on(problem, grid)
        return Truth(grid, {u: values[u] for u in wanted}, "the exact solution", 0.0)
    found = reference(problem, effort=effort)
    assert found.estimated_errors is not None
    assert found.scales is not None
    sizes = [float(np.sqrt(np.nanmean(found.values[u] ** 2))) for u in wanted]  # nan: outside
    gaps = [found.estimated_errors[u] * found.scales[u] for u in wanted]
    error = float(np.linalg.norm(gaps) / (np.linalg.norm(sizes) or 1.0))
    return Truth(found.coordinates, {u: found.values[u] for u in wanted}, found.kind, error)


def judge(problem: Problem, solution: Solution, truth: Truth) -> tuple[float, float | None]:
    """Relative L2 over the whole grid, and, for an evolution, the last time up to which every
    instant is within LOST."""
    found = solution_on(solution, problem.unknowns, truth.grid)
    error = relative_l2(found, truth.values)
    if problem.domain.time is None:
        return error, None
    until = problem.domain.bounds[problem.domain.time][0]
    for k, instant in enumerate(truth.grid[problem.domain.time]):
        if (
            not relative_l2(
                {u: found[u][..., k] for u in truth.values},
                {u: values[..., k] for u, values in truth.values.items()},
            )
            < LOST
        ):
            break
        until = float(instant)
    return error, until


def interpolated(problem: Problem, truth: Truth) -> float | None:
    """Error of what the conditions' data alone give by interpolation: a problem that it solves asks
    nothing of a network."""
    if not problem.domain.is_box:
        return None
    boundaries, _ = split(problem.domain, problem.constraints, problem.unknowns)
    points = torch.from_numpy(nodes_of(truth.grid))
    shape = tuple(map(len, truth.grid.values()))
    if not all(boundaries[u].exact for u in truth.values):
        return None
    with torch.no_grad():
        found = {
            u: boundaries[u].lift(list(points.unbind(1))).detach().numpy().reshape(shape)
            for u in truth.values
        }
    return relative_l2(found, truth.values)


def write(folder: Path, kept: Mapping[str, Mapping[str, Any]]) -> None:
    """The numbers, the table and the picture."""
    rows = _ordered(kept)
    tables.write(folder, "accuracy", {"rows": rows}, page(rows))
    if any(row["relative_l2"] for row in rows):
        plot_accuracy(rows, CLAIMS).savefig(folder / "accuracy.png", dpi=130)


def _ordered(kept: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows in the order of CLAIMS, the others after them by name."""
    place = {name: i for i, name in enumerate(CLAIMS)}
    return sorted(
        (dict(row) for row in kept.values()),
        key=lambda row: (place.get(row["problem"], len(place)), row["problem"], row["device"]),
    )


def _command(name: str, campaign: Campaign) -> str:
    where = "" if campaign.device == "cpu" else f" --device {campaign.device}"
    return (
        f"python -m benchmarks accuracy --problems {name}"
        f" --seeds {shown_seeds(campaign.seeds)} --effort {campaign.effort}{where}"
    )


def _earlier(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of earlier runs by problem and device; raises RunError where the file is something
    else."""
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {f"{row['problem']} {row['device']}": vars(Accuracy(**row)) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: is no result of `python -m benchmarks accuracy`"
            f" ({type(error).__name__}); move it away"
        ) from error
