"""Which problems there are, by name: found and listed without executing a file or importing
torch."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from kanpde.errors import ProblemError, listed, nearest

PACKAGE_OF_THE_GALLERY = "kanpde.problems"
"""The package that holds the files of the gallery."""

FOLDER_OF_ONES_OWN = Path("problems")
"""The folder of one's own problems, below the current one."""


def gallery() -> dict[str, Path]:
    """Names and files of the problems that come with kanpde."""
    spec = importlib.util.find_spec(PACKAGE_OF_THE_GALLERY)
    folders = [Path(folder) for folder in spec.submodule_search_locations or []] if spec else []
    return {name: path for folder in folders for name, path in _problems(folder).items()}


def local() -> dict[str, Path]:
    """Names and files of the problems in the current folder's problems/, where that is not the
    gallery itself."""
    theirs = {path.resolve() for path in gallery().values()}
    return {
        name: path
        for name, path in _problems(FOLDER_OF_ONES_OWN).items()
        if path.resolve() not in theirs
    }


def find(name: str) -> Path:
    """The file of a problem.

    Args:
        name: A path, or the name of a file in problems/ of the current folder, or of the gallery,
            looked for in this order.

    Raises:
        ProblemError: Where there is no such file.
    """
    path = Path(name)
    if path.suffix == ".py" or path.is_file():
        if not path.is_file():
            raise ProblemError(f"{name}: no such file")
        return path
    here, known = _problems(FOLDER_OF_ONES_OWN), gallery()
    if name in here:
        return here[name]
    if name in known:
        return known[name]
    hint = nearest(name, {**known, **here}) or f"; the gallery has {listed(known)}"
    raise ProblemError(f"{name}: no such problem or file{hint}")


def title(path: Path) -> str:
    """The title of a problem's file, found without executing it; empty where it has none or is not
    Python."""
    try:
        return title_in(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    except (SyntaxError, ValueError):
        return ""


def title_in(docstring: str) -> str:
    """The first sentence of a docstring: its first line, and the next ones of the same paragraph as
    long as no line ends a sentence."""
    found: list[str] = []
    for line in docstring.strip().splitlines():
        if not line.strip() or (found and found[-1].endswith((".", "!", "?"))):
            break
        found.append(line.strip())
    return " ".join(found)


def _problems(folder: Path) -> dict[str, Path]:
    return (
        {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}
        if folder.is_dir()
        else {}
    )
