"""Problems by name or file: loaded, identified, and loaded again with other constants."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kanpde.errors import ProblemError, listed
from kanpde.problem.execution import execute
from kanpde.problem.gallery import find, title_in
from kanpde.problem.problem import Problem

EFFORTS_OF_RECIPES = {"quick": "quick", "recipe": "default", "record": "record"}
"""The efforts of the recipes in a problem's file, by name."""

LAYERED = ("kan", "kan_quick", "kan_record")
"""The names of its recipes for layers, where those are asked for or nothing else can take the
problem."""


def load(name: str, constants: Mapping[str, float] | None = None) -> tuple[Problem, dict[str, Any]]:
    """The problem of that name or file, and the recipes that stand beside it.

    A problem's file is Python code and is executed. What it made stays as it is: the problem that
    is returned has the name, title, file and constants besides.

    Args:
        name: Of the gallery, of a file in problems/, or a path.
        constants: Other values for numbers that the file names at its top level, such as nu = 0.01
            / pi.

    Returns:
        The problem, and its recipes, as far as there are any: `quick`, `recipe` and `record` of the
        file by effort, `kan`, `kan_quick` and `kan_record` by name.

    Raises:
        ProblemError: Where the file fails, defines no `problem`, or has no such constant.
    """
    path, values = _file_of(name), dict(constants or {})
    module = execute(path, values)
    problem = getattr(module, "problem", None)
    if not isinstance(problem, Problem):
        came = "no `problem`" if problem is None else f"`problem` as {type(problem).__name__}"
        raise ProblemError(f"{path}: defines {came}; expected problem = Problem(…)")
    title = title_in(module.__doc__ or "").encode("utf-8", "replace").decode() or path.stem
    loaded = problem.replace(
        name=path.stem,
        title=" ".join([title, *(f"[{key} = {value:g}]" for key, value in values.items())]),
        source=path,
        constants=values,
    )
    keys = EFFORTS_OF_RECIPES | {name: name for name in LAYERED}
    return loaded, {
        key: getattr(module, name) for name, key in keys.items() if hasattr(module, name)
    }


def _file_of(name: str) -> Path:
    """The file of a problem. Raises ProblemError."""
    try:
        return find(name)
    except ProblemError:
        if Path(name).is_dir():
            raise ProblemError(
                f"{name}: that is a folder; expected a Python file that defines `problem`"
            ) from None
        raise


def vary(problem: Problem, constants: Mapping[str, float]) -> Problem:
    """The same problem with other constants of its file, which is executed again.

    Args:
        problem: One that was loaded from a file.
        constants: The other values by name; those that the problem has already stay.

    Raises:
        ProblemError: Where it comes from no file, or has no such constant.
    """
    if problem.source is None:
        raise ProblemError(
            f"continuation in {listed(constants)}: the problem {problem.name!r} comes from no file"
            " whose constants could be changed"
        )
    return load(str(problem.source), {**problem.constants, **constants})[0]


def identity(problem: Problem) -> dict[str, Any]:
    """Plain values that say which problem it is, and of which file."""
    found: dict[str, Any] = {
        "problem": problem.name,
        "title": problem.title,
        "constants": dict(problem.constants),
        "unknowns": list(problem.unknowns),
        "domain": repr(problem.domain),
        "time": problem.domain.time,
    }
    if problem.family:
        found["family"] = {name: list(ends) for name, ends in problem.family.items()}
    if problem.units:
        found["units"] = dict(problem.units)
    if problem.source is not None and problem.source.is_file():
        found["source"] = str(problem.source.resolve())
        found["source_sha256"] = hashlib.sha256(problem.source.read_bytes()).hexdigest()
    return found
