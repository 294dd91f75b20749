"""The folder of a sweep: made with the plan in it, found again, kept for one process; and what
there is of its trials."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from kanpde.errors import RunError
from kanpde.problem.file import load as load_problem
from kanpde.problem.problem import Problem
from kanpde.provenance import provenance
from kanpde.runs.atomic import check_writable, new_folder, safe
from kanpde.runs.lock import Lock
from kanpde.runs.source import came_along
from kanpde.sweeps import outcome, store
from kanpde.sweeps.plan import Plan, from_plain
from kanpde.sweeps.rows import Differences, TrialRow


def read_plan(folder: Path) -> Plan:
    """The plan of a sweep.

    Args:
        folder: The sweep's folder.

    Returns:
        What its sweep.json holds.

    Raises:
        RunError: The folder holds no sweep, or one of another version.
    """
    path = folder / "sweep.json"
    if not path.is_file():
        raise RunError(
            f"{folder}: no sweep.json in it, so it is no sweep; expected a folder such as"
            " results/poisson2d/sweep-20261124-093000"
        )
    return from_plain(store.read_json(path), path)


def rebuilt(folder: Path, planned: Plan) -> tuple[TrialRow, ...]:
    """The rows of all trials that are done, failed or damaged, from their folders.

    Args:
        folder: The sweep's folder.
        planned: Its plan.
    """
    ended = (
        t
        for t in planned.trials
        if (folder / t.name / outcome.FAILURE_FILE).exists() or outcome.is_done(folder / t.name)
    )
    return tuple(outcome.row(folder, t) for t in ended)


def stored_differences(folder: Path) -> tuple[Differences, ...]:
    """The finite differences of an earlier table.

    Args:
        folder: The sweep's folder.

    Returns:
        What is stored; nothing where the table cannot be read, since they can be measured again.
    """
    try:
        found = store.read(folder).differences if (folder / "sweep.h5").exists() else ()
    except RunError:
        return ()
    return found


def prepared(planned: Plan, out: Path) -> tuple[Path, Plan]:
    """Find or make the folder of a sweep.

    Args:
        planned: All trials.
        out: The folder of a sweep with the same plan, or one below which a new folder is made.

    Returns:
        The folder, with the plan in it, and the plan.

    Raises:
        RunError: The folder cannot be written, or is that of another sweep.
    """
    if (out / "sweep.json").is_file():
        before = read_plan(out)
        same_problem(out, before.about, planned.about)
        _same_plan(out, before, planned)
        return out, before
    check_writable(out)
    parent = out / safe(str(planned.about["problem"]))
    folder = new_folder(parent, f"sweep-{datetime.now():%Y%m%d-%H%M%S}")
    planned = Plan(
        {**planned.about, "provenance": provenance(planned.settings["device"])}, planned.trials
    )
    store.write_json(folder / "sweep.json", planned.plain())
    return folder, planned


def same_problem(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that a sweep's folder is of this problem.

    Args:
        folder: The sweep's folder.
        before: What its plan says of the problem.
        now: What is said of the problem that came now.

    Raises:
        RunError: The problem is another one, or its file has changed since the sweep began.
    """
    for name in ("problem", "constants", "unknowns", "domain"):
        if before.get(name) != now.get(name):
            raise RunError(
                f"{folder}: is a sweep of another problem, with {name} {before.get(name)!r} in"
                f" place of {now.get(name)!r}; choose another --out"
            )
    if before.get("source_sha256") != now.get("source_sha256"):
        raise RunError(
            f"{folder}: {before.get('source', 'the problem')} was changed since the sweep began, so"
            " new trials would not go together with those that are done"
        )


def _same_plan(folder: Path, before: Plan, now: Plan) -> None:
    for name, value in now.settings.items():
        if before.settings.get(name) != value:
            raise RunError(
                f"{folder}: is a sweep with other settings, {name} {before.settings.get(name)!r} in"
                f" place of {value!r}; choose another --out, or go on with --resume"
            )
    if before.trials != now.trials:
        came, there = len(now.trials), len(before.trials)
        pairs = zip(before.trials, now.trials, strict=False)
        first = next(
            (
                f"{b.name} ({b.schedule}) in place of {n.name} ({n.schedule})"
                for b, n in pairs
                if b != n
            ),
            f"{there} in place of {came}",
        )
        raise RunError(
            f"{folder}: is a sweep with other trials, {first}; choose another --out, or go on with"
            " --resume"
        )


def problem_again(folder: Path, planned: Plan) -> Problem:
    """The problem that a plan names.

    Args:
        folder: The sweep's folder.
        planned: Its plan.

    Raises:
        RunError: The problem's file is not found again, or lies where the sweep does, so that it
            may have come with it.
    """
    source = planned.about.get("source")
    if source is None or not Path(source).is_file():
        raise RunError(
            f"{folder}: the problem {planned.about['problem']!r} was not found again"
            f" ({source or 'it had no file'}); pass it"
        )
    if came_along(Path(source), folder):
        raise RunError(
            f"{folder}: {source} lies where the sweep does and is not executed; pass the problem if"
            " you trust it"
        )
    return load_problem(str(source), planned.about.get("constants"))[0]


def set_aside(folder: Path, row: TrialRow) -> None:
    """Make room for another try at a trial: what is there gets another name.

    Args:
        folder: The sweep's folder.
        row: The row of the trial.

    Raises:
        RunError: Its folder cannot be moved.
    """
    old = folder / row.trial
    try:
        os.replace(
            old,
            next(
                path
                for i in range(1, 1000)
                if not (path := folder / f"{row.trial}-aside{i}").exists()
            ),
        )
    except OSError as error:
        raise RunError(f"{old}: cannot be moved aside ({error.strerror or error})") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """In the block, only one process conducts a sweep, as far as the system can see to that.

    Args:
        folder: The sweep's folder.

    Raises:
        RunError: Another process does.
    """
    with Lock() as lock:
        lock.take(folder / ".lock", "sweep")
        yield
