"""One trial of a sweep: an ordinary run in a folder of its own, and its row, which is read from that folder."""

from __future__ import annotations

import math
import os
import re
import signal
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import nan
from pathlib import Path
from typing import Any

import h5py
import torch

from kanpde.errors import KanpdeError, RunError, first_line
from kanpde.problem import Problem
from kanpde.problem import load as load_problem
from kanpde.recipe import Recipe
from kanpde.solver import solve
from kanpde.sweep import judge, store
from kanpde.sweep.plan import Trial
from kanpde.sweep.rows import Row, StageRow
from kanpde.sweep.shapes import resolution
from kanpde.training.history import Record, Silent

FAILED = "failed.json"
"""In a trial's folder: why it failed."""

CORRUPT = "corrupt: "
"""How the reason of a trial begins whose folder was damaged after it was done."""


@dataclass(frozen=True)
class Origin:
    """Where a worker gets the problem: its file, which it executes, or the problem itself where it was not read from one."""

    source: str
    constants: tuple[tuple[str, float], ...]
    problem: Problem | None = None

    @classmethod
    def of(cls, problem: Problem) -> Origin:
        """That of a problem."""
        if problem.source is not None and Path(problem.source).is_file():
            return cls(str(Path(problem.source).resolve()), tuple(problem.constants.items()))
        return cls("", (), problem)


@dataclass(frozen=True)
class Setting:
    """Where a piece of work runs. threads: of a process, None where its surroundings say; parent: the process to end with, None where there is none."""

    problem: Origin
    threads: int | None = None
    parent: int | None = None


@dataclass(frozen=True)
class Job:
    """A trial and all that a worker needs for it. folder: of the sweep, the same path on every machine."""

    setting: Setting
    folder: str
    number: int
    trial: Trial
    recipe: Recipe
    device: str = "cpu"
    dtype: str = "float64"


def carry_out(job: Job) -> Row:
    """Train, unless the folder holds the trial already. Whatever goes wrong becomes the row's reason, Ctrl-C excepted."""
    folder = Path(job.folder) / job.trial.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return failed(job.trial, f"{folder}: cannot be made here ({error.strerror or error})")
    with surroundings(job.setting), _locked(folder, job.setting.parent):
        if (folder / FAILED).exists() or is_done(folder):
            return row(Path(job.folder), job.trial)
        try:
            _train(job, folder)
        except Exception as error:  # the user's own functions run here: anything can come, and the other trials must go on
            reason = str(error) if isinstance(error, KanpdeError) else first_line(error)
            _record_failure(folder, reason)
            return failed(job.trial, reason)
        return row(Path(job.folder), job.trial)


def _train(job: Job, folder: Path) -> None:
    problem = problem_of(job.setting.problem)
    result = solve(
        problem,
        recipe=job.recipe,
        seed=job.trial.seed,
        device=_device(job.device, job.number),
        dtype=job.dtype,
        reference=judge.read(job.folder) or False,
        run_dir=folder,
        resume=True,
        pictures=False,
        observer=_Watch(job.setting.parent),
    )
    if result.history.interrupted:
        raise KeyboardInterrupt


def _record_failure(folder: Path, reason: str) -> None:
    try:
        store.write_json(folder / FAILED, {"reason": reason})
    except RunError:
        return  # a full disk, say: the row still says why, and the trial will be tried again


def give_up(sweep: Path, trial: Trial, reason: str) -> Row:
    """Record that a trial failed, and why."""
    _record_failure(sweep / trial.name, reason)
    return failed(trial, reason)


def is_done(folder: Path) -> bool:
    """Whether a trial's folder holds a run that came to its end (or what is left of one: see `row`)."""
    path = folder / "summary.json"
    if not path.is_file():
        return False
    try:
        summary = store.read_json(path)
    except RunError:
        return True
    return not (isinstance(summary, dict) and summary.get("interrupted") is True)


def row(sweep: Path, trial: Trial) -> Row:
    """The row of a trial that is done or failed, from its folder; of one that is damaged, with the status failed and the reason."""
    folder = sweep / trial.name
    if (folder / FAILED).exists():
        try:
            return failed(trial, str(store.read_json(folder / FAILED)["reason"]))
        except (RunError, KeyError, TypeError) as error:
            return failed(trial, f"{CORRUPT}{folder / FAILED} ({first_line(error)})")
    try:
        return _read(folder, trial)
    except (RunError, OSError, KeyError, TypeError, ValueError) as error:
        return failed(trial, f"{CORRUPT}{error if isinstance(error, RunError) else first_line(error)}")


def failed(trial: Trial, reason: str) -> Row:
    """The row of a trial that has no result."""
    return Row(**_planned(trial), status="failed", reason=" ".join(reason.split()))


def _planned(trial: Trial) -> dict[str, Any]:
    """The columns that the plan knows."""
    spec = trial.finest
    return {
        "trial": trial.name,
        "kind": trial.kind,
        "network": trial.network,
        "width": ",".join(map(str, spec.width)),
        "depth": len(spec.width),
        "degree": int(getattr(spec, "degree", 0)),
        "grid": int(getattr(spec, "grid", 0)),
        "parameters": trial.parameters,
        "schedule": trial.schedule,
        "points": trial.points,
        "seed": trial.seed,
        "run": trial.name,
    }


def _read(folder: Path, trial: Trial) -> Row:
    path = folder / "summary.json"
    summary = store.read_json(path)
    settings, reference = summary["settings"], summary["reference"]
    came = {"seed": summary["seed"], "parameters": summary["parameters"], "points": settings["points"], "schedule": settings["schedule"]}
    for name, value in came.items():
        if value != getattr(trial, name):
            raise RunError(f"{path}: is of another trial, with {name} {value} in place of {getattr(trial, name)}")
    if not zipfile.is_zipfile(folder / "checkpoint.pt"):
        raise RunError(f"{folder / 'checkpoint.pt'}: is missing or damaged")
    with h5py.File(folder / "run.h5", "r") as file:
        columns = {name: file["history"][name][:].tolist() for name in ("step", "stage", "seconds", "loss", "fresh", "error", "parameters")}
    records = [Record(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]
    judged = "exact" if summary["relative_l2"] is not None else "reference" if reference["relative_l2"] is not None else ""
    error = summary["relative_l2"] if judged == "exact" else reference["relative_l2"]
    measured: dict[str, Any] = {"error": error, **{name: summary[name] for name in ("max_error", "loss", "fresh", "seconds")}}
    numbers = {name: nan if value is None else float(value) for name, value in measured.items()}
    stages = _stages(records, summary["stages"], _first(trial))
    return Row(**{**_planned(trial), **numbers}, judged=judged, stages=stages)


def _first(trial: Trial) -> int:
    """The grid, or what else is refined, that training starts with."""
    name = resolution(trial.spec)
    return int(getattr(trial.spec, name)) if name else 0


def _stages(records: list[Record], stages: list[dict[str, str]], grid: int) -> tuple[StageRow, ...]:
    """What each stage of training ended with: of its last steps, those at which loss and error were measured."""
    found = []
    for i, stage in enumerate(stages):
        extended = re.fullmatch(r"extend to grid (\d+)", stage["title"])
        grid = int(extended.group(1)) if extended else grid
        own = [record for record in records if record.stage == i]
        if own and not extended:
            error = next((record.error for record in reversed(own) if math.isfinite(record.error)), nan)
            found.append(StageRow(i, stage["title"], grid, own[-1].parameters, own[-1].step, own[-1].seconds, own[-1].loss, error))
    return tuple(found)


def problem_of(origin: Origin) -> Problem:
    """The problem; its file is executed once a process. Raises ProblemError where that fails."""
    return origin.problem or _loaded(origin.source, origin.constants)


@lru_cache(maxsize=4)
def _loaded(source: str, constants: tuple[tuple[str, float], ...]) -> Problem:
    return load_problem(source, dict(constants))[0]


def _device(device: str, number: int) -> str:
    """Several GPUs take the trials in turn."""
    several = device == "cuda" and torch.cuda.device_count() > 1
    return f"cuda:{number % torch.cuda.device_count()}" if several else device


class _Watch(Silent):
    """Ends this process at the next step when the one that began it is gone: nobody waits for its trial, and a resumed sweep would do it twice."""

    def __init__(self, parent: int | None):
        self._parent = parent

    def step(self, record: Record) -> None:
        end_with(self._parent)


def end_with(parent: int | None) -> None:
    """End this process if its parent is not that one any more."""
    if parent is not None and os.getppid() != parent:
        os._exit(1)


@contextmanager
def surroundings(setting: Setting) -> Iterator[None]:
    """The threads that the work may use; in a process of a local pool, Ctrl-C is left to its parent, which ends it."""
    before = torch.get_num_threads()
    end_with(setting.parent)
    if setting.parent is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if setting.threads is not None:
        torch.set_num_threads(setting.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _locked(folder: Path, parent: int | None) -> Iterator[None]:
    """One process at a time in a trial's folder, as far as the system can see to that: on a cluster, work may go on that nobody waits for any more.

    What the lock's file holds meanwhile says to `began` that the trial was under way when its process died.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str(parent))
        file.flush()
        yield
        file.truncate(0)


def began(folder: Path, parent: int) -> bool:
    """Whether a trial was begun for that process and has not come to any end."""
    lock = folder / ".lock"
    return lock.is_file() and lock.read_text() == str(parent)
