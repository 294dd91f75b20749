"""One trial of a sweep: an ordinary run in a folder of its own, on a worker of any kind."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import torch

from kanpde.errors import KanpdeError, ProblemWarning, first_line
from kanpde.problem.file import load as load_problem
from kanpde.problem.problem import Problem
from kanpde.recipes.recipe import Recipe
from kanpde.runs.lock import Lock
from kanpde.solver import solve
from kanpde.sweeps import judge
from kanpde.sweeps.outcome import FAILURE_FILE, failed, give_up, is_done, row
from kanpde.sweeps.plan import Trial
from kanpde.sweeps.rows import TrialRow

HEARTBEAT = 0.2
"""Seconds between two looks at whether the process that began this one is still there."""

TRIAL_LOCK = ".lock"
"""The file of a trial's folder that its process holds locked."""


@dataclass(frozen=True)
class Origin:
    """Where a worker gets the problem.

    Attributes:
        source: Its file, which the worker executes; empty where it was not read from one.
        constants: Names and values of those of the file that were changed.
        digest: SHA-256 of the file.
        problem: The problem itself where it was not read from a file.
    """

    source: str
    constants: tuple[tuple[str, float], ...]
    digest: str = ""
    problem: Problem | None = None

    @classmethod
    def of(cls, problem: Problem) -> Origin:
        """Where a worker gets this problem.

        Args:
            problem: The problem.
        """
        if problem.source is not None and Path(problem.source).is_file():
            digest = hashlib.sha256(Path(problem.source).read_bytes()).hexdigest()
            return cls(
                str(Path(problem.source).resolve()), tuple(problem.constants.items()), digest
            )
        return cls("", (), "", problem)


@dataclass(frozen=True)
class Setting:
    """Where a piece of work runs.

    Attributes:
        problem: Where the problem comes from.
        threads: How many threads a process has; None where its surroundings say.
        parent: The process to end with, None where there is none.
    """

    problem: Origin
    threads: int | None = None
    parent: int | None = None


@dataclass(frozen=True)
class Job:
    """A trial and all that a worker needs for it.

    Attributes:
        setting: Where it runs.
        folder: The sweep's folder, the same path on every machine.
        number: The number of the trial, from 0 on: several GPUs take the trials in turn.
        trial: The trial, as planned.
        recipe: How it is solved.
        device: cpu or cuda.
        dtype: float64 or float32.
    """

    setting: Setting
    folder: str
    number: int
    trial: Trial
    recipe: Recipe
    device: str = "cpu"
    dtype: str = "float64"


def carry_out(job: Job) -> TrialRow:
    """Train, unless the folder holds the trial already.

    Args:
        job: The trial, and all that is needed for it.

    Returns:
        Its row; whatever goes wrong becomes the row's reason, Ctrl-C excepted.
    """
    folder = Path(job.folder) / job.trial.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return failed(job.trial, f"{folder}: cannot be made here ({error.strerror or error})")
    with surroundings(job.setting), _locked(folder, job.setting.parent):
        if (folder / FAILURE_FILE).exists() or is_done(folder):
            return row(Path(job.folder), job.trial)
        try:
            _train(job, folder)
        # the user's own functions run here: anything can come, and the other trials must go on
        except Exception as error:
            reason = str(error) if isinstance(error, KanpdeError) else first_line(error)
            return give_up(Path(job.folder), job.trial, reason)
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
    )
    if result.history.interrupted:
        raise KeyboardInterrupt


def problem_of(origin: Origin) -> Problem:
    """The problem of a piece of work; its file is executed once a process.

    Args:
        origin: Where the problem comes from.

    Raises:
        ProblemError: The file cannot be executed.
    """
    return origin.problem or _loaded(origin.source, origin.constants, origin.digest)


@lru_cache(maxsize=4)
def _loaded(source: str, constants: tuple[tuple[str, float], ...], digest: str) -> Problem:
    del digest  # a file that has changed is another one
    with warnings.catch_warnings():
        # the process that began the sweep has said it
        warnings.simplefilter("ignore", ProblemWarning)
        return load_problem(source, dict(constants))[0]


def _device(device: str, number: int) -> str:
    """Several GPUs take the trials in turn."""
    several = device == "cuda" and torch.cuda.device_count() > 1
    return f"cuda:{number % torch.cuda.device_count()}" if several else device


@cache
def _end_with(parent: int) -> None:
    """From now on this process ends when that parent is gone: nobody waits for its work, and a
    resumed sweep would do it twice."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(HEARTBEAT)
        os._exit(1)

    threading.Thread(target=watch, name="ends with its parent", daemon=True).start()


@contextmanager
def surroundings(setting: Setting) -> Iterator[None]:
    """In the block, the threads that the work may use.

    In a process of a local pool, Ctrl-C is left to its parent, which ends it.

    Args:
        setting: Where the work runs.
    """
    before = torch.get_num_threads()
    if setting.parent is not None:
        _end_with(setting.parent)
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
    """One process at a time in a trial's folder, as far as the system can see to that: on a
    cluster, work may go on that nobody waits for any more.

    The file of a lock that was not given back says to `began` that the trial was under way when
    its process died, or was interrupted.
    """
    lock = Lock()
    lock.take(folder / TRIAL_LOCK, "trial", name=str(parent), wait=True)
    try:
        yield
    except BaseException:
        lock.release(remove=False)
        raise
    lock.release()


def began(folder: Path, parent: int) -> bool:
    """Whether a trial was begun for a process and has not come to any end.

    Args:
        folder: The trial's folder.
        parent: Number of the process for which it was begun.
    """
    lock = folder / TRIAL_LOCK
    return lock.is_file() and lock.read_text() == str(parent)
