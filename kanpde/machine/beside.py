"""Files beside the one that is being executed."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

executed: ContextVar[Path | None] = ContextVar("kanpde_executed_file", default=None)
"""The problem's file that is being executed; None while there is none."""


def folder_of_file() -> Path | None:
    """The folder of the problem's file that is being executed; where there is none, that of the
    script that Python was started with, if any."""
    file = executed.get() or getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).parent if file else None


def beside_the_file(source: Any) -> Any:
    """A relative path beside the problem's file or the script, where there is such a file; anything
    else as it is.

    Args:
        source: A path, or any other source of data.
    """
    folder = folder_of_file()
    if folder is None or not isinstance(source, str | Path) or Path(source).is_absolute():
        return source
    beside = folder / source
    return beside if beside.is_file() else source
