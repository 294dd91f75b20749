"""The problem of a run, found again where it came from: never in a file that came with the run."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

from kanpde.errors import ProblemError, ProblemWarning
from kanpde.problem import gallery
from kanpde.problem.file import load as load_problem
from kanpde.problem.problem import Problem


def came_along(source: Path, folder: Path) -> bool:
    """Whether a problem's file may have come with a run or a sweep that somebody sent.

    Such a file is code, and loading runs none of that.

    Args:
        source: The problem's file, as it was recorded.
        folder: The folder of the run or sweep.
    """
    return source.suffix == ".py" and (
        not source.is_absolute() or source.resolve().is_relative_to(folder.resolve())
    )


def find_again(settings: dict[str, Any], folder: Path) -> Problem | None:
    """The problem of a run: from its recorded file, else the gallery's of that name.

    Args:
        settings: What the run recorded: problem, source, source_sha256, constants.
        folder: The run folder.

    Returns:
        The problem, or None where it is not found, or came with the run; a warning says why.
    """
    source = Path(settings.get("source", ""))
    if came_along(source, folder):
        warnings.warn(
            f"{source}: lies where the run does and is not executed; pass problem= if you trust it",
            ProblemWarning,
            stacklevel=3,
        )
        return None
    if not source.is_file():
        found = gallery.gallery().get(settings["problem"]) if "source" in settings else None
        if found is None:
            return None
        source = found
    if hashlib.sha256(source.read_bytes()).hexdigest() != settings.get("source_sha256"):
        warnings.warn(f"{source}: has changed since the run was made", ProblemWarning, stacklevel=3)
    try:
        return load_problem(str(source), settings.get("constants"))[0]
    except ProblemError as error:
        warnings.warn(f"{error} (the stored fields are still there)", ProblemWarning, stacklevel=3)
        return None
