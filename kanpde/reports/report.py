"""report(folder): a run or a sweep as one HTML file that opens anywhere, without a network."""

from __future__ import annotations

from pathlib import Path

from kanpde.errors import RunError
from kanpde.runs.atomic import check_writable, write_text
from kanpde.runs.folder import load

NAME = "report.html"


def report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run's or a sweep's folder into a file.

    Args:
        folder: The folder of a run or a sweep.
        out: The file, or a folder for report.html; by default report.html in the folder itself.

    Returns:
        The file.

    Raises:
        RunError: The folder is of neither, or the file cannot be written.
    """
    folder = Path(folder)
    path = folder / NAME if out is None else Path(out)
    if (folder / "sweep.h5").is_file() or (folder / "sweep.json").is_file():
        from kanpde.reports import sweep

        text = sweep.report(folder)
    elif (folder / "fit.h5").is_file():
        raise RunError(f"{folder}: is a fit of data; expected the folder of a run or a sweep")
    else:
        from kanpde.reports import run

        text = run.report(load(folder))
    if path.is_dir():
        path = path / NAME
    check_writable(path.parent)
    write_text(path, text)
    return path
