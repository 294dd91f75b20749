"""Files and folders that come to be in one step: a file is the old one or the new one, and a folder
is nobody else's."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from kanpde.errors import RunError


def check_writable(out: str | Path) -> None:
    """Make the output folder where needed, and make sure that a file can be written there.

    It is called before hours of training.

    Args:
        out: The folder.

    Raises:
        RunError: No file can be written there.
    """
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise RunError(
            f"{out}: the output folder is not writable ({error.strerror or error})"
        ) from error


def new_folder(parent: Path, stem: str) -> Path:
    """A new empty folder named after the stem, with a number after it where there is one already.

    Args:
        parent: Where it is made; it is made as well where needed.
        stem: Its name.

    Raises:
        RunError: It cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1001):
            folder = parent / (f"{stem}-{attempt}" if attempt > 1 else stem)
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise RunError(
            f"{error.filename or parent}: the folder cannot be made ({error.strerror or error})"
        ) from error
    raise RunError(f"{parent}: a thousand folders named {stem} already")


def safe(name: str) -> str:
    """A name that a folder can have.

    Args:
        name: Any name; what a folder's cannot have becomes an underscore.
    """
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "problem"


def replace_file(path: Path, produce: Callable[[IO[bytes]], object]) -> None:
    """Write a file in one step: it is the old one or the new one.

    It is written beside its place, waited for until it is on the disk, and then moved there. It is
    made in memory first: on a full disk h5py ends the process and torch raises what is no OSError.

    Args:
        path: The file.
        produce: Writes the content to the file object that it is called with.

    Raises:
        OSError: The file cannot be written.
    """
    content = io.BytesIO()
    produce(content)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step.

    Args:
        path: The file.
        text: What it is to hold.

    Raises:
        RunError: It cannot be written.
    """
    try:
        replace_file(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
