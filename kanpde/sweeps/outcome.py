"""What became of a trial: its row, read from its run folder, which is the truth."""

from __future__ import annotations

import math
import re
import zipfile
from math import nan
from pathlib import Path
from typing import Any

from kanpde.errors import RunError, first_line
from kanpde.networks.spec import Spec
from kanpde.runs.safe_reading import DAMAGE, opened
from kanpde.sweeps import store
from kanpde.sweeps.plan import Trial
from kanpde.sweeps.rows import StageRow, TrialRow
from kanpde.sweeps.shapes import resolution
from kanpde.training.history import Record

FAILURE_FILE = "failed.json"
"""In a trial's folder: why it failed."""

CORRUPT_TRIAL = "corrupt: "
"""How the reason of a trial begins whose folder was damaged after it was done."""


def is_done(folder: Path) -> bool:
    """Whether a trial has come to its end.

    Args:
        folder: The trial's folder.

    Returns:
        True also for what is left of a run that came to its end; `row` says what that is.
    """
    path = folder / "summary.json"
    if not path.is_file():
        return False
    try:
        summary = store.read_json(path)
    except RunError:
        return True
    return not (isinstance(summary, dict) and summary.get("interrupted") is True)


def row(sweep: Path, trial: Trial) -> TrialRow:
    """The row of a trial that has ended, from its folder.

    Args:
        sweep: The sweep's folder.
        trial: The trial, as planned.

    Returns:
        Its row; of one that failed, or whose folder is damaged, with the status failed and the
        reason.
    """
    folder = sweep / trial.name
    if (folder / FAILURE_FILE).exists():
        try:
            return failed(trial, str(store.read_json(folder / FAILURE_FILE)["reason"]))
        except (RunError, KeyError, TypeError) as error:
            return failed(trial, f"{CORRUPT_TRIAL}{folder / FAILURE_FILE} ({first_line(error)})")
    try:
        return _read(folder, trial)
    except (RunError, *DAMAGE) as error:
        reason = str(error) if isinstance(error, RunError) else first_line(error)
        return failed(trial, f"{CORRUPT_TRIAL}{reason}")


def failed(trial: Trial, reason: str) -> TrialRow:
    """The row of a trial that has no result.

    Args:
        trial: The trial.
        reason: Why it has none.
    """
    return TrialRow(**_planned(trial), status="failed", reason=" ".join(reason.split()))


def _planned(trial: Trial) -> dict[str, Any]:
    """The columns that the plan knows."""
    spec = trial.finest
    width = spec.width if isinstance(spec, Spec) else ()
    return {
        "trial": trial.name,
        "kind": trial.kind,
        "network": trial.network,
        "width": ",".join(map(str, width)),
        "depth": len(width),
        "degree": int(getattr(spec, "degree", 0)),
        "grid": int(getattr(spec, "grid", 0)),
        "parameters": trial.parameters,
        "schedule": trial.schedule,
        "points": trial.points,
        "seed": trial.seed,
        "run": trial.name,
    }


def _read(folder: Path, trial: Trial) -> TrialRow:
    path = folder / "summary.json"
    summary = store.read_json(path)
    settings, reference = summary["settings"], summary["reference"]
    came = {"seed": summary["seed"]}
    if trial.tolerance:
        came["tolerance"] = settings["tolerance"]
    else:
        came["parameters"] = summary["parameters"]
        came |= {"points": settings["points"], "schedule": settings["schedule"]}
    for name, value in came.items():
        if value != getattr(trial, name):
            raise RunError(
                f"{path}: is of another trial, with {name} {value} in place of"
                f" {getattr(trial, name)}"
            )
    if not zipfile.is_zipfile(folder / "checkpoint.pt"):
        raise RunError(f"{folder / 'checkpoint.pt'}: is missing or damaged")
    with opened(folder / "run.h5") as file:
        columns = {
            name: file["history"][name][:].tolist()
            for name in ("step", "stage", "seconds", "loss", "fresh", "error", "parameters")
        }
    records = [
        Record(**dict(zip(columns, values, strict=True)))
        for values in zip(*columns.values(), strict=True)
    ]
    measured: dict[str, Any] = {
        "error": summary["relative_l2"],
        **{name: summary[name] for name in ("max_error", "loss", "fresh", "seconds")},
    }
    judged = "" if measured["error"] is None else "exact"
    # the reference is there where the exact solution is not known for all unknowns
    if reference["relative_l2"] is not None:
        judged, measured["error"] = "reference", reference["relative_l2"]
        measured["max_error"] = None
    numbers = {name: nan if value is None else float(value) for name, value in measured.items()}
    stages = _stages(records, summary["stages"], _first(trial))
    verdict = str(summary["verdict"]["status"]) if "verdict" in summary else ""
    own = {"judged": judged, "stages": stages, "parameters": int(summary["parameters"])}
    measured = {**_planned(trial), **numbers, **own}
    return TrialRow(**measured, verdict=verdict)


def _first(trial: Trial) -> int:
    """The grid, or what else is refined, that training starts with."""
    name = resolution(trial.spec)
    return int(getattr(trial.spec, name)) if name else 0


def _stages(records: list[Record], stages: list[dict[str, str]], grid: int) -> tuple[StageRow, ...]:
    """What each stage of training ended with: of its last steps, those at which loss and error were
    measured."""
    found = []
    for i, stage in enumerate(stages):
        extended = re.fullmatch(r"extend to grid (\d+)", stage["title"])
        grid = int(extended.group(1)) if extended else grid
        own = [record for record in records if record.stage == i]
        if own and not extended:
            error = next(
                (record.error for record in reversed(own) if math.isfinite(record.error)), nan
            )
            found.append(
                StageRow(
                    i,
                    stage["title"],
                    grid,
                    own[-1].parameters,
                    own[-1].step,
                    own[-1].seconds,
                    own[-1].loss,
                    error,
                )
            )
    return tuple(found)


def record_failure(folder: Path, reason: str) -> None:
    """Note in a trial's folder that it failed, where that can be written.

    Args:
        folder: The trial's folder.
        reason: Why it failed.
    """
    try:
        store.write_json(folder / FAILURE_FILE, {"reason": reason})
    except RunError:
        return  # a full disk, say: the row still says why, and the trial will be tried again


def give_up(sweep: Path, trial: Trial, reason: str) -> TrialRow:
    """Record that a trial failed, and why.

    Args:
        sweep: The sweep's folder.
        trial: The trial.
        reason: Why it failed.

    Returns:
        Its row.
    """
    record_failure(sweep / trial.name, reason)
    return failed(trial, reason)
