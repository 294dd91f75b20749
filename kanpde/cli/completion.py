"""What the shell completes: problems and runs, found without importing torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kanpde.problem import gallery

RESULTS = Path("results")
"""Where commands write unless they are told another folder, and where runs are looked for."""

NEWEST_RUNS = 50
"""Of the runs, so many are offered."""

LONGEST_TITLE = 48
"""Characters of a title: longer ones are broken into lines, which shells take for more than one
answer."""


def problems(incomplete: str) -> Iterator[tuple[str, str]]:
    """Names of problems with their titles, and Python files below what was typed."""
    for name, path in sorted({**gallery.gallery(), **gallery.local()}.items()):
        if name.startswith(incomplete):
            title = gallery.title(path)
            yield name, title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"
    yield from ((text, "") for text in _paths(incomplete, ".py"))


def runs(incomplete: str) -> Iterator[str]:
    """Run folders below results/, the newest first, or folders below what was typed."""
    found = [path.parent for path in RESULTS.glob("*/*/summary.json")] if RESULTS.is_dir() else []
    known = [
        str(path)
        for path in sorted(found, key=lambda path: path.name, reverse=True)
        if str(path).startswith(incomplete)
    ]
    yield from known[:NEWEST_RUNS] or _paths(incomplete, None)


def runs_and_sweeps(incomplete: str) -> Iterator[str]:
    """Sweeps below results/, then runs."""
    if RESULTS.is_dir():
        yield from (
            text
            for path in sorted(RESULTS.glob("*/*/sweep.json"), reverse=True)
            if (text := str(path.parent)).startswith(incomplete)
        )
    yield from runs(incomplete)


def unfinished(incomplete: str) -> Iterator[str]:
    """Folders of runs that have a state to go on from."""
    if RESULTS.is_dir():
        yield from (
            text
            for path in sorted(RESULTS.glob("*/*/training.pt"), reverse=True)
            if (text := str(path.parent)).startswith(incomplete)
        )


def _paths(incomplete: str, suffix: str | None) -> Iterator[str]:
    """Folders, and files of a suffix, that begin with what was typed."""
    parent = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    if not incomplete or not parent.is_dir():
        return
    for path in sorted(parent.iterdir()):
        text = str(path)
        if text.startswith(str(Path(incomplete))) and not path.name.startswith("."):
            if path.is_dir():
                yield f"{text}/"
            elif suffix and path.suffix == suffix:
                yield text
