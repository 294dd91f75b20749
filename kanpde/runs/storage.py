"""A run folder of any kind, `<out>/<name>/<date-time-seed>/`: made, written and asked what it is.

Every file is written beside its place and moved there; summary.json comes last of the data, so that
a folder without it is an unfinished run. Pictures follow: a failure to draw loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import kanpde
from kanpde.errors import RunError
from kanpde.results.result import RUN_FORMAT
from kanpde.runs.atomic import new_folder, replace_file, safe
from kanpde.runs.safe_reading import guarded

SUMMARY = "summary.json"
EXAMPLE = "results/poisson2d/20261122-171200-seed0"

_NUMBER, _PERHAPS = (int, float), (int, float, type(None))


@dataclass(frozen=True)
class Kind:
    """What a run folder can be of.

    Attributes:
        what: In words, with the command that makes it.
        family: How all formats of this kind begin.
        format: The format that is written and read.
        holds: What the summary has at least, and of which types.
    """

    what: str
    family: str
    format: str
    holds: Mapping[str, Any]


RUN = Kind(
    "a solved problem (kanpde solve; kanpde.load reads it)",
    "kanpde run ",
    RUN_FORMAT,
    {
        "settings": dict,
        "reference": dict,
        "provenance": dict,
        "stages": list,
        "seconds": _NUMBER,
        "relative_l2": _PERHAPS,
        "max_error": _PERHAPS,
        "interrupted": bool,
    },
)
FIT = Kind(
    "a fit of data (kanpde fit; kanpde.load_fit reads it)",
    "kanpde fit ",
    "kanpde fit 1",
    {"settings": dict, "provenance": dict, "seconds": _NUMBER},
)


def reserve(out: Path, name: str, seed: int) -> Path:
    """A new empty folder for a run, such as <out>/poisson2d/20261122-171200-seed0.

    Args:
        out: Where runs are kept.
        name: The name of the problem.
        seed: The seed of the run.

    Raises:
        RunError: The folder cannot be made.
    """
    return new_folder(out / safe(name), f"{datetime.now():%Y%m%d-%H%M%S}-seed{seed}")


@contextmanager
def writing(folder: Path, what: str = "run") -> Iterator[None]:
    """In the block, a file that cannot be written becomes a RunError that names it.

    Args:
        folder: Where files are written; it is named where no file is known.
        what: What is written, in a word.

    Raises:
        RunError: A file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{error.filename or folder}: the {what} cannot be written ({error.strerror or error})"
        ) from error


def write_files(
    folder: Path,
    files: Mapping[str, Callable[[IO[bytes]], object]],
    summary: Callable[[], Mapping[str, Any]],
) -> None:
    """Write the files of a run, and then its summary.

    Args:
        folder: The run folder.
        files: By name, what writes a file's content.
        summary: Gives the plain values of summary.json when everything else is written.

    Raises:
        OSError: A file cannot be written (see `writing`).
    """
    for name, produce in files.items():
        replace_file(folder / name, produce)
    text = json.dumps(summary(), indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(folder / SUMMARY, lambda file: file.write(f"{text}\n".encode()))


def read_summary(folder: Path, kind: Kind) -> dict[str, Any]:
    """The summary of a finished run.

    Args:
        folder: The run folder.
        kind: What it is expected to be of.

    Returns:
        Plain values, with at least what `kind.holds` says.

    Raises:
        RunError: The folder is missing, holds an unfinished or damaged run, or something else.
    """
    path = folder / SUMMARY
    if not folder.is_dir():
        raise RunError(f"{folder}: no such run folder")
    if not path.is_file():
        parts = ("request.json", "run.h5", "fit.h5", "checkpoint.pt")
        began = any((folder / name).exists() for name in parts)
        known = (
            f"an unfinished run (kanpde solve --resume {folder} goes on with it)"
            if began
            else "not a run folder"
        )
        raise RunError(
            f"{folder}: no summary.json in it, so it is {known}; expected a folder such as"
            f" {EXAMPLE}"
        )
    summary = guarded(path, lambda path: json.loads(path.read_text(encoding="utf-8")))
    came = summary.get("format") if isinstance(summary, dict) else type(summary).__name__
    for other in (RUN, FIT):
        if other != kind and str(came).startswith(other.family):
            raise RunError(f"{folder}: is {other.what}; expected {kind.what}")
    if str(came).startswith(kind.family) and came != kind.format:
        raise RunError(
            f"{path}: was written by {_version(summary)} in the format {came!r}; kanpde"
            f" {kanpde.__version__} reads {kind.format!r}"
        )
    if came != kind.format or not all(isinstance(summary.get(k), t) for k, t in kind.holds.items()):
        raise RunError(
            f"{path}: is no summary of {kind.what} (format {came!r}; expected {kind.format!r})"
        )
    return dict(summary)


def _version(summary: Mapping[str, Any]) -> str:
    """Which version wrote a summary, as far as it says so."""
    made = summary.get("provenance")
    version = made.get("kanpde") if isinstance(made, dict) else None
    return f"kanpde {version}" if isinstance(version, str) else "another version of kanpde"
