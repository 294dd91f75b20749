"""How a run begins in its folder, for one process at a time, and how it ends there or is given up.

A run that is asked for writes request.json, while it trains training.pt, and at its end the files
of folder.py, the summary last of the data. Without it, or with one that says that the run was
interrupted, the run can go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from kanpde.errors import RunError, first_line
from kanpde.runs import request, storage
from kanpde.runs.atomic import check_writable
from kanpde.runs.keeper import STATE_FILE, kept_state
from kanpde.runs.lock import Lock

RUN_LOCK = ".run.lock"
"""The file of a run folder that its process holds locked."""


class Claim:
    """A run folder kept for one process, from `take` to the end of the block.

    A KeyboardInterrupt that leaves the block is given a note that says how the run goes on.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._folder: Path | None = None

    def take(self, folder: Path) -> None:
        """Keep a run folder for this process.

        Args:
            folder: The run folder.

        Raises:
            RunError: Another process has it, or the folder cannot be written.
        """
        self._lock.take(folder / RUN_LOCK, "run")
        self._folder = folder

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        begun = self._folder is not None and (self._folder / request.REQUEST_FILE).is_file()
        if begun and isinstance(error, KeyboardInterrupt):
            error.add_note(f"kanpde solve --resume {self._folder} goes on with it")
        self._lock.release()


def begin(folder: Path, asked: Mapping[str, Any], resume: bool) -> dict[str, Any] | None:
    """Make a folder ready for a run.

    Args:
        folder: The run folder.
        asked: What is asked for, plain values.
        resume: Whether a run that is there already is to go on.

    Returns:
        The state of training that the run goes on from, if there is one.

    Raises:
        RunError: The folder holds a run already, unless that is to be resumed and was asked for in
            the same way; nothing is changed then.
    """
    there = (folder / request.REQUEST_FILE).is_file()
    if there:
        if not resume:
            raise RunError(
                f"{folder}: holds a run already; expected an empty folder, or to resume it"
            )
        request.compare(folder, request.read(folder), asked)
    elif (folder / storage.SUMMARY).is_file():
        raise RunError(
            f"{folder}: holds a run already, and not what was asked for; expected an empty folder"
        )
    check_writable(folder)
    if there:
        return kept_state(folder)
    request.write(folder, asked)
    return None


def is_finished(folder: Path) -> bool:
    """Whether a run is complete: it has its summary, and was not interrupted.

    Args:
        folder: The run folder.

    Raises:
        RunError: The summary is damaged.
    """
    if not (folder / storage.SUMMARY).is_file():
        return False
    try:
        return not storage.read_summary(folder, storage.RUN)["interrupted"]
    except (RunError, KeyError) as error:
        raise RunError(
            f"{folder / storage.SUMMARY}: cannot be read ({first_line(error)}); delete it, and"
            " resume the run from its last state"
        ) from error


def finish(folder: Path) -> None:
    """Remove a run's state, and what killed processes left half-written: nothing is left to train.

    Args:
        folder: The run folder.
    """
    (folder / STATE_FILE).unlink(missing_ok=True)
    for half in folder.glob(".*.partial"):
        half.unlink(missing_ok=True)


def abandon(folder: Path, state: bool = False) -> None:
    """Leave nothing of a run of which nothing was kept.

    Args:
        folder: The run folder.
        state: Whether the state that was kept is of no use, and goes too.
    """
    if state:
        (folder / STATE_FILE).unlink(missing_ok=True)
    if any((folder / name).exists() for name in (STATE_FILE, storage.SUMMARY)):
        return
    for name in (request.REQUEST_FILE, RUN_LOCK):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
