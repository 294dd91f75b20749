"""The state of training of a run that is not finished, training.pt, from which it goes on.

It is written every few seconds while the run trains, and when the run is asked to end; with the
summary of a run that was not interrupted it goes.
"""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from kanpde.errors import RunError
from kanpde.runs.atomic import replace_file
from kanpde.runs.request import digest
from kanpde.runs.safe_reading import guarded

STATE_FILE = "training.pt"
"""The file of a run folder that holds the state of training."""

STATE_FORMAT = "kanpde training 3"
"""The format of that file."""

STATE_EVERY = 5.0
"""Seconds between two states on the disk, at least."""

STATE_SHARE = 0.02
"""Of the time, at most, that writing them may take."""

LAST_STATE = 1.0
"""Seconds of training after the last state that are worth another one when training is done: the
reference may be interrupted."""


class Terminated(BaseException):
    """Asked to end: the last state of training is on the disk, in the folder that it names."""


@dataclass
class StateKeeper:
    """Writes the state of training of a run.

    Attributes:
        folder: The run folder.
        ending: Whether the run is to end, set by `end`.
        interrupted: Whether training is to end, set by `interrupt`.
        training: Whether there are steps to come, after which the state is written.
    """

    folder: Path
    ending: bool = False
    interrupted: bool = False
    training: bool = True
    _last: float = field(default_factory=time.perf_counter)
    _next: float = field(default_factory=lambda: time.perf_counter() + STATE_EVERY)

    def due(self, last: bool = False) -> bool:
        """Whether it is time to write the state.

        Args:
            last: Whether there are no more steps.
        """
        now = time.perf_counter()
        return (
            self.ending
            or self.interrupted
            or now >= self._next
            or (last and now >= self._last + LAST_STATE)
        )

    def keep(self, state: dict[str, Any]) -> None:
        """Write the state in one step.

        Args:
            state: Tensors, plain values, and lists, tuples and dicts of them.

        Raises:
            RunError: It cannot be written.
            Terminated: The run is to end.
            KeyboardInterrupt: Training is to end.
        """
        began = time.perf_counter()
        try:
            content = io.BytesIO()
            torch.save(state, content)
            whole = {
                "format": STATE_FORMAT,
                "request": digest(self.folder),
                "sha256": hashlib.sha256(content.getbuffer()).hexdigest(),
                "state": torch.frombuffer(content.getbuffer(), dtype=torch.uint8),
            }
            replace_file(self.folder / STATE_FILE, lambda file: torch.save(whole, file))
        except OSError as error:
            raise RunError(
                f"{self.folder}: the state of training cannot be written"
                f" ({error.strerror or error})"
            ) from error
        self._last = now = time.perf_counter()
        self._next = now + max(STATE_EVERY, (now - began) / STATE_SHARE)
        if self.ending:
            raise Terminated(self.folder)
        if self.interrupted:
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """End training after the step that is under way, with its state on the disk."""
        self.interrupted = True

    def end(self) -> None:
        """End the run: after the step that is under way, with its state on the disk, or at once
        where training is done.

        Raises:
            Terminated: Training is done.
        """
        self.ending = True
        if not self.training:
            raise Terminated(self.folder)

    def leave(self) -> None:
        """End the run at once, within a step that takes long: the last state that is on the disk is
        that of an earlier step.

        Raises:
            Terminated: Always.
        """
        raise Terminated(self.folder)

    def trained(self) -> None:
        """There are no more steps.

        Raises:
            Terminated: The run is to end.
        """
        self.training = False
        if self.ending:
            raise Terminated(self.folder)


def kept_state(folder: Path) -> dict[str, Any] | None:
    """The state that was kept in a run folder.

    Args:
        folder: The run folder.

    Returns:
        The state, or None where there is none.

    Raises:
        RunError: It is damaged.
    """
    path = folder / STATE_FILE
    try:
        return guarded(path, _read) if path.is_file() else None
    except RunError as error:
        raise RunError(f"{error}; delete it to start the run again from its beginning") from error


def _read(path: Path) -> dict[str, Any]:
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["format"] != STATE_FORMAT:
        raise ValueError(f"format {state['format']!r}; expected {STATE_FORMAT!r}")
    if state["request"] != digest(path.parent):
        raise ValueError("the state of another run")
    content = state["state"].numpy().tobytes()
    if hashlib.sha256(content).hexdigest() != state["sha256"]:
        raise ValueError("its bytes have changed since they were written")
    return dict(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))
