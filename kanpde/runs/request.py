"""What was asked for of a run: request.json, written when it begins. By it the run is known again
when it goes on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kanpde.errors import RunError
from kanpde.problem.faces import by_name
from kanpde.problem.problem import Problem
from kanpde.residual.residual import Residual
from kanpde.runs import source
from kanpde.runs.atomic import write_text
from kanpde.runs.safe_reading import guarded, reading

REQUEST_FILE = "request.json"

REQUEST_FORMAT = "kanpde request 1"
"""The format of that file."""

ASKED = {
    "problem": str,
    "constants": dict,
    "unknowns": list,
    "domain": str,
    "residuals": dict,
    "recipe": dict,
    "seed": int,
    "device": str,
    "dtype": str,
    "effort": str,
    "reference": bool,
}
"""What request.json holds at least."""

THE_SAME = (
    "problem",
    "constants",
    "unknowns",
    "domain",
    "source_sha256",
    "recipe",
    "seed",
    "dtype",
    "start",
)
"""What has to be the same for a run to go on."""

SAME_SIZE = 1e-6
"""Relative difference up to which two magnitudes of a residual are the same: machines differ in the
last bits."""


def write(folder: Path, request: Mapping[str, Any]) -> None:
    """Write what is asked for into a run folder.

    Args:
        folder: The run folder.
        request: What is asked for, plain values with at least what `ASKED` names.

    Raises:
        RunError: It cannot be written.
    """
    text = json.dumps({"format": REQUEST_FORMAT, **request}, indent=2, ensure_ascii=False)
    write_text(folder / REQUEST_FILE, f"{text}\n")


def read(folder: Path) -> dict[str, Any]:
    """What was asked for in a run folder.

    Args:
        folder: The run folder.

    Returns:
        Plain values, with at least what `ASKED` names.

    Raises:
        RunError: There is no such folder, or it holds no request, or a damaged one.
    """
    if not folder.is_dir():
        raise RunError(
            f"{folder}: no such folder; expected that of a run, such as"
            " results/poisson2d/20261122-171200-seed0"
        )
    if not (folder / REQUEST_FILE).is_file():
        raise RunError(f"{folder}: no request.json in it, so there is no run to resume")
    try:
        return dict(guarded(folder / REQUEST_FILE, _read))
    except RunError as error:
        raise RunError(
            f"{error}; it cannot be resumed: solve the problem again, in another folder"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["format"] != REQUEST_FORMAT:
        raise ValueError(f"format {found['format']!r}; expected {REQUEST_FORMAT!r}")
    for key, kind in ASKED.items():
        if not isinstance(found[key], kind):
            raise ValueError(f"{key} is {found[key]!r:.40}")
    return dict(found)


def digest(folder: Path) -> str:
    """SHA-256 of what was asked for: by it a state of training knows the run that it is of.

    Args:
        folder: The run folder.
    """
    return hashlib.sha256((folder / REQUEST_FILE).read_bytes()).hexdigest()


def problem_of(folder: Path, request: Mapping[str, Any]) -> Problem:
    """The problem of an unfinished run, from its file or the gallery.

    Args:
        folder: The run folder.
        request: What was asked for there.

    Raises:
        RunError: It is gone, or has changed.
    """
    with reading(folder / REQUEST_FILE):
        found = source.find_again(dict(request), folder)
    if found is None:
        raise RunError(
            f"{folder}: its problem {request['problem']!r} was not found again at"
            f" {request.get('source', 'any file')}"
        )
    return found


def magnitudes(problem: Problem) -> dict[str, float]:
    """Root mean square of every residual at fixed points and derivatives.

    Other equations and other data give other sizes. They tell problems apart that come from no
    file, and files that take their equations from elsewhere.

    Args:
        problem: The problem.

    Returns:
        The sizes, by number, name and place of the residual.
    """
    generator = torch.Generator().manual_seed(0)
    faces: list[tuple[Residual, str | None]] = [(e, None) for e in problem.equations]
    faces += [(c.residual, c.face) for c in problem.constraints]
    return {
        f"{k + 1}: {residual.name}, {face or 'inside'}": _magnitude(
            problem, residual, face, generator
        )
        for k, (residual, face) in enumerate(faces)
    }


def _magnitude(
    problem: Problem, residual: Residual, face: str | None, generator: torch.Generator
) -> float:
    domain = problem.domain

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    kept = domain.fill if face is None else domain.kept(face)
    dims = len(domain.coordinates) - (face is not None)
    unit = drawn(8 if kept >= 1 else math.ceil(32 / kept), dims)
    points = domain.interior(unit) if face is None else domain.boundary(face, unit)
    normals = None if face is None else by_name(domain.normals(face, points), domain.coordinates)
    at = by_name(points, domain.coordinates)
    values, _ = residual.near(at, drawn(len(points), len(residual.needs)), normals, False)
    return float(values.nan_to_num().square().mean().sqrt())


def compare(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that what is asked for now is what a run was begun with.

    Args:
        folder: The run folder.
        before: What was asked for there.
        now: What is asked for now.

    Raises:
        RunError: They differ in something that has to be the same.
    """
    for key in THE_SAME:
        if before.get(key) != json.loads(json.dumps(now.get(key))):
            came, was = (_short(x.get(key)) for x in (now, before))
            raise RunError(
                f"{folder}: its run was begun with {key} {was}, and now came {came}; expected the"
                " same, or another folder"
            )
    others = now.get("residuals", {})
    for name, size in before.get("residuals", {}).items():
        if not isinstance(size, int | float) or not math.isclose(
            size, others.get(name, math.nan), rel_tol=SAME_SIZE
        ):
            raise RunError(
                f"{folder}: its run was begun with another residual {name!r}; expected the same"
                " problem, or another folder"
            )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"
