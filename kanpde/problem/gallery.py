"""Which problems there are, by name: found and listed without executing a file or importing
torch."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from kanpde.errors import ProblemError, listed, nearest

GALLERY = "kanpde.problems"
LOCAL = Path("problems")
"""The folder of one's own problems, below the current one."""


def gallery() -> dict[str, Path]:
    """Names and files of the problems that come with kanpde."""
    spec = importlib.util.find_spec(GALLERY)
    folders = [Path(folder) for folder in spec.submodule_search_locations or []] if spec else []
    return {name: path for folder in folders for name, path in _problems(folder).items()}


def local() -> dict[str, Path]:
    """Names and files of the problems in the current folder's problems/, where that is not the
    gallery itself."""
    theirs = {path.resolve() for path in gallery().values()}
    return {name: path for name, path in _problems(LOCAL).items() if path.resolve() not in theirs}


def find(name: str) -> Path:
    """The file of a problem: a path, then problems/ in the current folder, then the gallery. Raises
    ProblemError."""
    path = Path(name)
    if path.suffix == ".py" or path.is_file():
        if not path.is_file():
            raise ProblemError(f"{name}: no such file")
        return path
    here, known = _problems(LOCAL), gallery()
    if name in here:
        return here[name]
    if name in known:
        return known[name]
    hint = nearest(name, {**known, **here}) or f"; the gallery has {listed(known)}"
    raise ProblemError(f"{name}: no such problem or file{hint}")


def title(path: Path) -> str:
    """First line of a problem file's docstring, or an empty string where it has none or is not
    Python."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (SyntaxError, ValueError):
        return ""
    return text.splitlines()[0] if text else ""


def _problems(folder: Path) -> dict[str, Path]:
    return (
        {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}
        if folder.is_dir()
        else {}
    )
