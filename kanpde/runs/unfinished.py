"""Runs that are not finished: what was asked for (request.json), and the state of training
(training.pt), from which they go on.

request.json is written when a run begins, training.pt every few seconds while it trains and when it
is asked to end; with the summary of a run that was not interrupted training.pt goes. A lock keeps a
run for one process.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch
from torch import Tensor

from kanpde.errors import RunError, first_line
from kanpde.problem.faces import by_name
from kanpde.problem.problem import Problem
from kanpde.runs import folder as run_folder
from kanpde.runs.atomic import check_writable, replace_file, write_text
from kanpde.runs.safe_reading import guarded, reading

REQUEST = "kanpde request 1"
TRAINING = "kanpde training 2"

EVERY = 5.0
"""Seconds between two states on the disk, at least."""

SHARE = 0.02
"""Of the time, at most, that writing them may take."""

LAST = 1.0
"""Seconds of training behind the last state that are worth another one when training is done: the
reference may be interrupted."""

LOCK = ".run.lock"
"""The file of a run folder that its process holds locked."""

ASKED = {
    **{
        "problem": str,
        "constants": dict,
        "unknowns": list,
        "domain": str,
        "residuals": dict,
        "recipe": dict,
    },
    **{"seed": int, "device": str, "dtype": str, "effort": str, "reference": bool},
}
"""What request.json holds at least."""

COMPARED = (
    "problem",
    "constants",
    "unknowns",
    "domain",
    "source_sha256",
    "recipe",
    "seed",
    "dtype",
)
"""What has to be the same for a run to go on."""


class Terminated(BaseException):
    """Asked to end: the last state of training is on the disk, in the folder that it names."""


@dataclass
class Keeper:
    """Writes the state of training of a run. ending, interrupted: set by `end` and `interrupt`;
    training: whether there are steps to come, behind which it is written."""

    folder: Path
    ending: bool = False
    interrupted: bool = False
    training: bool = True
    _last: float = field(default_factory=time.perf_counter)
    _next: float = field(default_factory=lambda: time.perf_counter() + EVERY)

    def due(self, last: bool = False) -> bool:
        """Whether it is time. last: there are no more steps."""
        now = time.perf_counter()
        return (
            self.ending
            or self.interrupted
            or now >= self._next
            or (last and now >= self._last + LAST)
        )

    def keep(self, state: dict[str, Any]) -> None:
        """Write it in one step. Raises RunError, and Terminated or KeyboardInterrupt where training
        is to end."""
        began = time.perf_counter()
        try:
            content = io.BytesIO()
            torch.save(state, content)
            digest = hashlib.sha256(content.getbuffer()).hexdigest()
            whole = {
                "format": TRAINING,
                "request": _digest(self.folder),
                "sha256": digest,
                "state": torch.frombuffer(content.getbuffer(), dtype=torch.uint8),
            }
            replace_file(self.folder / "training.pt", lambda file: torch.save(whole, file))
        except OSError as error:
            raise RunError(
                f"{self.folder}: the state of training cannot be written"
                f" ({error.strerror or error})"
            ) from error
        self._last = now = time.perf_counter()
        self._next = now + max(EVERY, (now - began) / SHARE)
        if self.ending:
            raise Terminated(self.folder)
        if self.interrupted:
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """End training behind the step that is under way, with its state on the disk."""
        self.interrupted = True

    def end(self) -> None:
        """End the run: behind the step that is under way, with its state on the disk, or at once
        where training is done. Raises Terminated."""
        self.ending = True
        if not self.training:
            raise Terminated(self.folder)

    def trained(self) -> None:
        """There are no more steps. Raises Terminated where the run is to end."""
        self.training = False
        if self.ending:
            raise Terminated(self.folder)


class Lock:
    """A run folder kept for one process, from `take` to the end of the block, as far as the system
    can see to that.

    The system gives the lock back when its process dies, however it does, so that what a dead one
    leaves behind is in nobody's way. A KeyboardInterrupt that leaves the block is given a note that
    says how the run goes on.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: IO[str] | None = None

    def take(self, folder: Path) -> None:
        """Raises RunError where another process has it, or the folder cannot be written."""
        try:
            import fcntl
        except ImportError:
            return
        path = folder / LOCK
        while self._file is None:
            try:
                file = path.open("a+", encoding="utf-8")
            except OSError as error:
                raise RunError(
                    f"{folder}: the run's folder is not writable ({error.strerror or error})"
                ) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                who = file.read(200).strip()
                file.close()
                raise RunError(
                    f"{folder}: another process{f' ({who})' if who else ''} is at this run; wait"
                    " for it, or end it"
                ) from None
            if _same_file(file, path):  # else the one that had it has just removed it
                self._path, self._file = path, file
            else:
                file.close()
        try:
            self._file.truncate(0)
            self._file.write(f"{os.getpid()} on {socket.gethostname()}")
            self._file.flush()
        except OSError:
            return  # a full disk: the lock holds without a name

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None and self._path is not None:
            if (
                isinstance(error, KeyboardInterrupt)
                and (self._path.parent / "request.json").is_file()
            ):
                error.add_note(f"kanpde solve --resume {self._path.parent} goes on with it")
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            with suppress(OSError):  # what could not be written of its name
                self._file.close()
            self._file = None


def _same_file(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def magnitudes(problem: Problem) -> dict[str, float]:
    """Root mean square of every residual at fixed points and derivatives: other equations and other
    data give others.

    It tells problems apart that come from no file, and files that take their equations from
    elsewhere.
    """
    domain, generator = problem.domain, torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    found = {}
    for k, residual in enumerate([*problem.equations, *(c.residual for c in problem.constraints)]):
        face = (
            None
            if k < len(problem.equations)
            else problem.constraints[k - len(problem.equations)].face
        )
        kept = domain.fill if face is None else domain.kept(face)
        unit = drawn(
            8 if kept >= 1 else math.ceil(32 / kept), len(domain.coordinates) - (face is not None)
        )
        points = domain.interior(unit) if face is None else domain.boundary(face, unit)
        normals = (
            None if face is None else by_name(domain.normals(face, points), domain.coordinates)
        )
        values, _ = residual(
            by_name(points, domain.coordinates),
            drawn(len(points), len(residual.needs)),
            normals,
            False,
        )
        found[f"{k + 1}: {residual.name}, {face or 'inside'}"] = float(
            values.nan_to_num().square().mean().sqrt()
        )
    return found


def begin(folder: Path, request: Mapping[str, Any], resume: bool) -> dict[str, Any] | None:
    """Make a folder ready for a run. Returns the state of training that it goes on from, if there
    is one.

    Raises RunError where it holds a run already, unless that is to be resumed and was asked for in
    the same way; nothing is changed then.
    """
    path = folder / "request.json"
    if path.is_file():
        if not resume:
            raise RunError(
                f"{folder}: holds a run already; expected an empty folder, or to resume it"
            )
        _compare(folder, read(folder), request)
    elif (folder / "summary.json").is_file():
        raise RunError(
            f"{folder}: holds a run already, and not what was asked for; expected an empty folder"
        )
    check_writable(folder)
    if not path.is_file():
        write_text(
            path, json.dumps({"format": REQUEST, **request}, indent=2, ensure_ascii=False) + "\n"
        )
        return None
    state = folder / "training.pt"
    try:
        return guarded(state, _read_state) if state.is_file() else None
    except RunError as error:
        raise RunError(f"{error}; delete it to start the run again from its beginning") from error


def is_finished(folder: Path) -> bool:
    """Whether a run is complete: it has its summary, and was not interrupted. Raises RunError for a
    damaged one."""
    if not (folder / "summary.json").is_file():
        return False
    try:
        return not run_folder.read_summary(folder)["interrupted"]
    except (RunError, KeyError) as error:
        raise RunError(
            f"{folder / 'summary.json'}: cannot be read ({first_line(error)}); delete it, and"
            " resume the run from its last state"
        ) from error


def finish(folder: Path) -> None:
    """Nothing is left to train: without its state, and what killed processes left half-written."""
    (folder / "training.pt").unlink(missing_ok=True)
    for half in folder.glob(".*.partial"):
        half.unlink(missing_ok=True)


def abandon(folder: Path) -> None:
    """Leave nothing behind of a run of which nothing was kept."""
    if any((folder / name).exists() for name in ("training.pt", "summary.json")):
        return
    for name in ("request.json", LOCK):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def read(folder: Path) -> dict[str, Any]:
    """What was asked for in a run folder. Raises RunError."""

    def load(path: Path) -> dict[str, Any]:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != REQUEST:
            raise ValueError(f"format {found['format']!r}; expected {REQUEST!r}")
        for key, kind in ASKED.items():
            if not isinstance(found[key], kind):
                raise ValueError(f"{key} is {found[key]!r:.40}")
        return dict(found)

    if not folder.is_dir():
        raise RunError(
            f"{folder}: no such folder; expected that of a run, such as"
            " results/poisson2d/20261122-171200-seed0"
        )
    if not (folder / "request.json").is_file():
        raise RunError(f"{folder}: no request.json in it, so there is no run to resume")
    try:
        return dict(guarded(folder / "request.json", load))
    except RunError as error:
        raise RunError(
            f"{error}; it cannot be resumed: solve the problem again, in another folder"
        ) from error


def problem_of(folder: Path, request: Mapping[str, Any]) -> Problem:
    """The problem of an unfinished run, from its file or the gallery. Raises RunError where it is
    gone or has changed."""
    with reading(folder / "request.json"):
        found = run_folder.find_again(dict(request), folder)
    if found is None:
        raise RunError(
            f"{folder}: its problem {request['problem']!r} was not found again at"
            f" {request.get('source', 'any file')}"
        )
    return found


def _read_state(path: Path) -> dict[str, Any]:
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["format"] != TRAINING:
        raise ValueError(f"format {state['format']!r}; expected {TRAINING!r}")
    if state["request"] != _digest(path.parent):
        raise ValueError("the state of another run")
    content = state["state"].numpy().tobytes()
    if hashlib.sha256(content).hexdigest() != state["sha256"]:
        raise ValueError("its bytes have changed since they were written")
    return dict(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "request.json").read_bytes()).hexdigest()


def _compare(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key in COMPARED:
        if before.get(key) != json.loads(json.dumps(now.get(key))):
            came, was = (_short(x.get(key)) for x in (now, before))
            raise RunError(
                f"{folder}: its run was begun with {key} {was}, and now came {came}; expected the"
                " same, or another folder"
            )
    sizes, others = before.get("residuals", {}), now.get("residuals", {})
    for name in sizes:
        if not isinstance(sizes[name], int | float) or not math.isclose(
            sizes[name], others.get(name, math.nan), rel_tol=1e-6
        ):  # machines differ in the last bits
            raise RunError(
                f"{folder}: its run was begun with another residual {name!r}; expected the same"
                " problem, or another folder"
            )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"
