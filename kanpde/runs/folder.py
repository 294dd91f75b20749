"""The run folder of a solved problem: summary.json, run.h5, checkpoint.pt and the pictures, written
and read again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kanpde.errors import RunError
from kanpde.networks.solution import Solution
from kanpde.problem.problem import Problem
from kanpde.results.gaps import Gap
from kanpde.results.residuals import Met
from kanpde.results.restored import restored
from kanpde.results.result import RUN_FORMAT, Result
from kanpde.results.verdict import NOT_YET, Diagnosis, Verdict
from kanpde.runs import arrays, pictures, source, storage
from kanpde.runs.safe_reading import guarded, reading


def save(result: Result, out: str | Path = "results") -> Path:
    """Write a result into a new run folder, `out/<problem>/<date-time-seed>/`.

    Args:
        result: What to write; its `run_dir` is set to the folder.
        out: Where run folders lie.

    Returns:
        The folder.

    Raises:
        RunError: The folder cannot be written.
    """
    folder = storage.reserve(Path(out), result.name, int(result.settings.get("seed") or 0))
    write(result, folder)
    return folder


def write(result: Result, folder: Path, draw: bool = True) -> None:
    """Write a result into a run folder that is there; `result.run_dir` is set to it.

    Args:
        result: What to write.
        folder: Where to.
        draw: Whether with pictures.

    Raises:
        RunError: The folder cannot be written.
    """
    files = {"run.h5": lambda file: arrays.write(result, RUN_FORMAT, file)}
    if result.solution is not None:
        checkpoint = {
            "format": RUN_FORMAT,
            "problem": result.name,
            "ansatz": result.solution.state(),
        }
        files = {"checkpoint.pt": lambda file: torch.save(checkpoint, file), **files}
    result.run_dir = folder
    with storage.writing(folder):
        storage.write_files(folder, files, result.summary)
        if draw:
            pictures.draw(result, folder)


def load(run_dir: str | Path, problem: Problem | None = None) -> Result:
    """The result of an earlier run.

    Nothing in the folder is executed. The problem is found again where it was (its file is Python
    and runs, as in `solve`) or by its name in the gallery; or pass it. Where it is not found, the
    stored fields, history and network still load.

    Args:
        run_dir: The run folder, such as results/poisson2d/20261122-171200-seed0.
        problem: The problem that was solved, where it is not to be found again.

    Returns:
        The result as it was saved.

    Raises:
        RunError: The folder is missing, unfinished, damaged, no run of kanpde, or of a version
            that this one does not read.
    """
    folder = Path(run_dir)
    summary = storage.read_summary(folder, storage.RUN)
    settings = summary["settings"]
    history, fields, drawing, reference = guarded(
        folder / "run.h5", lambda path: arrays.read(path, summary)
    )
    state = guarded(folder / "checkpoint.pt", _read_state)
    with reading(folder / storage.SUMMARY):
        problem = problem or source.find_again(settings, folder)
        _check_settings(settings)
        verdict = Verdict.from_plain(summary["verdict"]) if "verdict" in summary else NOT_YET
        measured = _measured(summary)
    solution = _restored(folder, problem, settings, state)
    result = Result(
        problem if solution else None,
        solution,
        history,
        settings,
        summary["seconds"],
        summary["relative_l2"],
        summary["max_error"],
        reference,
        summary["reference"]["note"] or "",
        summary["reference"]["relative_l2"],
        folder,
        summary["provenance"],
        guarded(folder / "run.h5", lambda path: arrays.read_estimates(path, summary)),
        verdict,
        **measured,
    )
    if verdict is NOT_YET:
        result.verdict = result.judged(_advice(summary))
    result.fields, result.drawing = fields, drawing
    return result


def _measured(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The errors by unknown, and how well equations and conditions are met; nothing in runs of
    kanpde 0.1.0, which did not measure that."""
    places = {"errors": summary, "reference_errors": summary["reference"]}
    found: dict[str, Any] = {
        kind: {u: Gap.from_plain(gap) for u, gap in (place.get("errors") or {}).items()}
        for kind, place in places.items()
    }
    if "equations" in summary:
        equations, conditions = (_numbers(summary[key]) for key in ("equations", "conditions"))
        found["met"] = Met(equations, conditions)
    doubts = {kind: bool(summary["reference"].get(kind)) for kind in ("doubtful", "ends")}
    return {**found, **doubts, "numbers": dict(summary.get("numbers") or {})}


def _numbers(found: Mapping[str, float | None]) -> dict[str, float]:
    """Numbers by name; None stands for what was not finite."""
    return {name: math.nan if value is None else float(value) for name, value in found.items()}


def _advice(summary: Mapping[str, Any]) -> list[Diagnosis]:
    """What kanpde 0.1.0 saw in a solution: sentences that end with what to try."""
    sentences = (str(sentence).partition("; try ") for sentence in summary.get("advice") or [])
    return [Diagnosis(seen, (cure,) if cure else ()) for seen, _, cure in sentences]


def _read_state(path: Path) -> Any:
    return torch.load(path, weights_only=True, map_location="cpu")["ansatz"]


def _restored(
    folder: Path, problem: Problem | None, settings: dict[str, Any], state: Any
) -> Solution | None:
    """The trained candidate, from its state and the problem; None without one."""
    if problem is None:
        return None
    unknowns, domain = list(problem.unknowns), repr(problem.domain)
    if unknowns != settings["unknowns"] or domain != settings["domain"]:
        raise RunError(
            f"{folder}: the run solved {settings['unknowns']} on {settings['domain']}, but the"
            f" problem given has {unknowns} on {domain}"
        )
    solution: Solution = guarded(folder / "checkpoint.pt", lambda path: restored(problem, state))
    middle = torch.full((2, len(problem.coordinates)), 0.5, dtype=torch.float64)
    # whatever is wrong with it shows where it is evaluated
    with reading(folder / "checkpoint.pt"):
        solution(problem.domain.interior(middle))
    return solution


def _check_settings(settings: dict[str, Any]) -> None:
    """Raise ValueError where they are not what a result has."""
    kinds: dict[str, Any] = {
        "problem": str,
        "network": str,
        "parameters": int,
        "unknowns": list,
        "domain": str,
        "seed": int,
    }
    for key, kind in kinds.items():
        if not isinstance(settings[key], kind):
            raise ValueError(f"settings: {key} is {settings[key]!r:.40}")
