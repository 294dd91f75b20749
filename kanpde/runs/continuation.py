"""The folder of runs that began one from the other: their figure, and which they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from kanpde.plots.continuation import plot_continuation
from kanpde.results.result import Result
from kanpde.runs.atomic import new_folder, replace_file, safe
from kanpde.runs.pictures import as_png
from kanpde.runs.storage import writing

CONTINUATION = "continuation.json"


def write_continuation(
    out: Path, values: Sequence[Mapping[str, float]], results: Sequence[Result]
) -> Path:
    """Write continuation.png and continuation.json into a new folder beside the runs.

    Args:
        out: Where runs are kept.
        values: Of the constants, run after run.
        results: The results, which were written.

    Returns:
        The folder.

    Raises:
        RunError: It cannot be written.
    """
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-continuation"
    folder = new_folder(out / safe(results[0].name), stem)
    rows = [
        {
            "constants": dict(at),
            "run": str(one.run_dir),
            "verdict": one.verdict.status,
            "error": one.known_error,
            "seconds": one.seconds,
            "steps": len(one.history.records),
        }
        for at, one in zip(values, results, strict=True)
    ]
    text = json.dumps(rows, indent=2, ensure_ascii=False)
    with writing(folder, "continuation"):
        replace_file(folder / CONTINUATION, lambda file: file.write(f"{text}\n".encode()))
        replace_file(folder / "continuation.png", as_png(plot_continuation(values, results)))
    return folder
