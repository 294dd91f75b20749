"""Tables that are committed, and the line at their head that says that their code has changed.

A table says in its text at which commits its rows were measured. Where the code of kanpde is
another one today, the line below the title says so; it goes when everything is measured again.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kanpde.runs.atomic import write_text

ROOT = Path(__file__).parents[1]
CODE = ("kanpde", "kernels")
"""Folders whose changes make a table one of an earlier code; problems and benchmarks are not."""

MARK = "> Of earlier code: "
_COMMIT = re.compile(r"\bcommit\W{1,5}([0-9a-f]{12}\+?)(?![0-9a-f])")


def write(folder: Path, name: str, found: object, page: str) -> None:
    """Write a table, and the numbers behind it.

    Args:
        folder: Where to.
        name: Of both files, without the suffix.
        found: Plain values; they go into NAME.json.
        page: Markdown, a title first; it goes into NAME.md, with the line at its head.
    """
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(folder / f"{name}.json", text)
    write_text(folder / f"{name}.md", headed(page))


def renew(folder: Path) -> Iterator[Path]:
    """Put the line at the head of every table in a folder and below it, or take it away.

    Args:
        folder: Its Markdown files that name a commit are the tables.

    Yields:
        The files that were changed.
    """
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if headed(text) != text:
            write_text(path, headed(text))
            yield path


def headed(page: str) -> str:
    """The page with the line below its title, where its code has changed since, and else without.

    Args:
        page: Markdown, a title first.

    Returns:
        The page as it should be; as it is where git does not know one of its commits, so that
        nothing can be said.
    """
    named = commits(page)
    changed = {commit: has_changed(commit) for commit in named}
    if not named or None in changed.values():
        return page
    lines = page.split("\n")
    if len(lines) > 2 and lines[2].startswith(MARK):
        del lines[2:4]
    old = [commit for commit in named if changed[commit]]
    if old:
        which = f"commit{'s' if len(old) > 1 else ''} {', '.join(old)}"
        where = " or ".join(f"`{folder}/`" for folder in CODE)
        lines[2:2] = [f"{MARK}{where} has changed since it was measured, at {which}.", ""]
    return "\n".join(lines)


def commits(page: str) -> list[str]:
    """The commits at which rows of a page were measured, in the order in which they come.

    Args:
        page: Markdown; the line at its head, which names them again, does not count.

    Returns:
        Twelve digits each, and a plus where files were edited then; each once.
    """
    text = "\n".join(line for line in page.split("\n") if not line.startswith(MARK))
    return list(dict.fromkeys(_COMMIT.findall(text)))


@cache
def has_changed(commit: str) -> bool | None:
    """Whether the code is another one now; None where git does not know the commit."""
    if commit.endswith("+"):
        return True
    # 0: the same; 1: not the same; anything else: no git, no such commit, or a shallow clone
    command = ["git", "-C", str(ROOT), "diff", "--quiet", commit, "--", *CODE]
    try:
        code = subprocess.run(command, capture_output=True, timeout=30).returncode
    except (OSError, subprocess.SubprocessError):
        return None
    return {0: False, 1: True}.get(code)
