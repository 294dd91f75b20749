"""One file lock for runs, sweeps and their trials.

The system gives the lock back when its process dies, however it does, so that what a dead one
leaves behind is in nobody's way. What the file holds says who has the lock.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from kanpde.errors import RunError

OUT_OF_THE_WAY = 2**30
"""The byte that is locked on Windows, where a locked byte cannot be read: far past the name."""


class Lock:
    """A file that one process holds at a time, from `take` to `release` or the end of the block.

    Where the system knows no locks, everybody gets it.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: IO[str] | None = None

    def take(self, path: Path, what: str, name: str | None = None, wait: bool = False) -> None:
        """Take the lock.

        Args:
            path: The file; its folder is what the lock is for.
            what: What the folder is, "run", "sweep" or "trial", for the message.
            name: Who takes it, which the file says meanwhile; by default process and machine.
            wait: Whether to wait where another process has it.

        Raises:
            RunError: Another process has it, and this one does not wait; or the folder cannot be
                written.
        """
        while self._file is None:
            try:
                file = path.open("a+", encoding="utf-8")
            except OSError as error:
                raise RunError(
                    f"{path.parent}: the {what}'s folder is not writable"
                    f" ({error.strerror or error})"
                ) from error
            if not _locked(file, wait):
                file.seek(0)
                holder = file.read(200).strip()
                file.close()
                who = f"another process ({holder})" if holder else "another process"
                raise RunError(f"{path.parent}: {who} is at this {what}; wait for it, or end it")
            # whoever had it before may have removed the file in between: then this one is no
            # longer the one that others open
            if _same_file(file, path):
                self._path, self._file = path, file
            else:
                file.close()
        # on a full disk the lock holds without a name
        with suppress(OSError):
            self._file.truncate(0)
            self._file.write(name or f"{os.getpid()} on {socket.gethostname()}")
            self._file.flush()

    def release(self, remove: bool = True) -> None:
        """Give the lock back, if it was taken.

        Args:
            remove: Whether its file goes as well. One that stays says who had the lock last.
        """
        if self._file is None or self._path is None:
            return
        if remove:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        # what could not be written of its name is lost
        with suppress(OSError):
            self._file.close()
        self._file = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _locked(file: IO[str], wait: bool) -> bool:
    """Lock an open file. False where another process has it, and this one does not wait."""
    try:
        import fcntl
    except ImportError:
        return _locked_on_windows(file, wait)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _locked_on_windows(file: IO[str], wait: bool) -> bool:
    try:
        import msvcrt
    except ImportError:
        return True  # a system without locks
    position = file.tell()
    file.seek(OUT_OF_THE_WAY)
    try:
        while True:
            with suppress(OSError):  # after ten tries, one a second, or after one
                kind = "LK_LOCK" if wait else "LK_NBLCK"
                msvcrt.locking(file.fileno(), getattr(msvcrt, kind), 1)  # type: ignore[attr-defined]
                return True
            if not wait:
                return False
    finally:
        file.seek(position)


def _same_file(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one that lies at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
