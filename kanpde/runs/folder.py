"""Run folders: `<out>/<problem>/<run>/` with summary.json, run.h5, checkpoint.pt and the pictures.

Every file is written beside its place and moved there; summary.json comes last of the data, so that
a folder without it is an unfinished run. Pictures follow: a failure to draw loses nothing. What an
unfinished run goes on from is in unfinished.py.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kanpde.errors import ProblemError, ProblemWarning, RunError
from kanpde.problem import gallery
from kanpde.problem.file import load as load_problem
from kanpde.problem.problem import Problem
from kanpde.runs import arrays as run_arrays
from kanpde.runs.atomic import new_folder, replace_file, safe
from kanpde.runs.safe_reading import guarded, reading

if TYPE_CHECKING:
    from kanpde.results.result import Result

FORMAT = "kanpde run 1"
PICTURES = ("solution.png", "history.png", "network.png")
ESTIMATES = "estimates.png"


def write(result: Result, folder: Path, pictures: bool = True) -> None:
    """Write a run folder; `result.run_dir` is set to it. Raises RunError."""
    try:
        result.run_dir = folder
        if result.solution is not None:
            checkpoint = {
                "format": FORMAT,
                "problem": result.name,
                "ansatz": result.solution.state(),
            }
            replace_file(folder / "checkpoint.pt", lambda file: torch.save(checkpoint, file))
        replace_file(folder / "run.h5", lambda file: run_arrays.write(result, FORMAT, file))
        summary = json.dumps(result.summary(), indent=2, ensure_ascii=False, allow_nan=False)
        replace_file(folder / "summary.json", lambda file: file.write(f"{summary}\n".encode()))
        if pictures:
            draw(result, folder)
    except OSError as error:
        raise RunError(
            f"{error.filename or folder}: the run cannot be written ({error.strerror or error})"
        ) from error


def draw(result: Result, folder: Path) -> list[Path]:
    """Draw the pictures into a folder, replacing what is there; returns their paths."""
    from kanpde.plots import estimates as estimate_plots
    from kanpde.plots import network as network_plots
    from kanpde.plots import solution as plots

    plotters: tuple[Callable[[Result], Any], ...] = (
        plots.plot_solution,
        plots.plot_history,
        network_plots.plot_network,
        estimate_plots.plot_estimates,
    )
    drawn = pictures_of(result)
    for name, plot in zip(drawn, plotters, strict=False):
        replace_file(folder / name, partial(plot(result).savefig, format="png", dpi=150))
    return [folder / name for name in drawn]


def pictures_of(result: Result) -> tuple[str, ...]:
    """Names of the pictures that a run has: one more where parameters were found."""
    return (*PICTURES, ESTIMATES) if result.estimates else PICTURES


def complete(result: Result, folder: Path) -> None:
    """Draw the pictures where a run was ended before they were there. Raises RunError."""
    if all((folder / name).is_file() for name in pictures_of(result)):
        return
    try:
        draw(result, folder)
    except OSError as error:
        raise RunError(
            f"{error.filename or folder}: the pictures cannot be written"
            f" ({error.strerror or error})"
        ) from error


def draw_pruned(before: Result, after: Result, folder: Path) -> Path:
    """Draw pruned.png, the networks of two results side by side, into a folder; returns its
    path."""
    from kanpde.plots import network as network_plots

    replace_file(
        folder / "pruned.png",
        partial(network_plots.plot_pruned(before, after).savefig, format="png", dpi=150),
    )
    return folder / "pruned.png"


def draw_edge(result: Result, folder: Path, place: tuple[int, ...]) -> Path:
    """Draw one edge function, at (layer, input, output) counted from 1, into a folder, as
    edge-1-2-5.png; returns its path. Raises RunError."""
    from kanpde.plots import network as network_plots

    layer, source, target = (n - 1 for n in place)
    shapes = [outputs.shape[:2] for _, outputs in result.drawing.edges]
    if layer >= len(shapes) or source >= shapes[layer][0] or target >= shapes[layer][1]:
        known = (
            "; ".join(
                f"layer {k + 1} has {p} inputs and {q} outputs" for k, (p, q) in enumerate(shapes)
            )
            or "it has no edge functions"
        )
        raise RunError(
            f"edge {','.join(map(str, place))}: {result.drawing.title} has none there: {known}"
        )
    path = folder / f"edge-{'-'.join(map(str, place))}.png"
    replace_file(
        path,
        partial(
            network_plots.plot_edge(result.drawing, layer, source, target).savefig,
            format="png",
            dpi=150,
        ),
    )
    return path


def read(folder: Path, problem: Problem | None = None) -> Result:
    """The result that a run folder holds. Raises RunError."""
    from kanpde.networks.restore import restore
    from kanpde.results.result import Result

    summary = read_summary(folder)
    settings = summary["settings"]
    history, fields, drawing, reference = guarded(
        folder / "run.h5", lambda path: run_arrays.read(path, summary)
    )
    state = guarded(
        folder / "checkpoint.pt",
        lambda path: torch.load(path, weights_only=True, map_location="cpu")["ansatz"],
    )
    with reading(folder / "summary.json"):
        problem = problem or find_again(settings, folder)
        advice = [str(sentence) for sentence in summary.get("advice") or []]
        _check_settings(settings)
    solution = None
    if problem is not None:
        if (
            list(problem.unknowns) != settings["unknowns"]
            or repr(problem.domain) != settings["domain"]
        ):
            raise RunError(
                f"{folder}: the run solved {settings['unknowns']} on {settings['domain']}, but the"
                f" problem given has {list(problem.unknowns)} on {problem.domain!r}"
            )
        solution = guarded(folder / "checkpoint.pt", lambda path: restore(problem, state))
        with reading(
            folder / "checkpoint.pt"
        ):  # whatever is wrong with it shows where it is evaluated
            solution(
                problem.domain.interior(
                    torch.full((2, len(problem.coordinates)), 0.5, dtype=torch.float64)
                )
            )
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
        guarded(folder / "run.h5", lambda path: run_arrays.read_estimates(path, summary)),
        advice,
    )
    result.__dict__.update(fields=fields, drawing=drawing)
    return result


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


def reserve(out: Path, name: str, seed: int) -> Path:
    """A new empty folder for a run of a problem, such as <out>/poisson2d/20261122-171200-seed0.
    Raises RunError."""
    return new_folder(out / safe(name), f"{datetime.now():%Y%m%d-%H%M%S}-seed{seed}")


def read_summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    if not folder.is_dir():
        raise RunError(f"{folder}: no such run folder")
    if not path.is_file():
        began = any(
            (folder / name).exists() for name in ("request.json", "run.h5", "checkpoint.pt")
        )
        known = (
            f"an unfinished run (kanpde solve --resume {folder} goes on with it)"
            if began
            else "not a run folder"
        )
        raise RunError(
            f"{folder}: no summary.json in it, so it is {known}; expected a folder such as"
            " results/poisson2d/20261122-171200-seed0"
        )
    summary = guarded(path, lambda path: json.loads(path.read_text(encoding="utf-8")))
    number, perhaps = (int, float), (int, float, type(None))
    expected: dict[str, Any] = {
        "settings": dict,
        "reference": dict,
        "provenance": dict,
        "stages": list,
        "seconds": number,
        "relative_l2": perhaps,
        "max_error": perhaps,
        "interrupted": bool,
    }
    if (
        not isinstance(summary, dict)
        or summary.get("format") != FORMAT
        or not all(isinstance(summary.get(k), t) for k, t in expected.items())
    ):
        came = summary.get("format") if isinstance(summary, dict) else type(summary).__name__
        if str(came).startswith("kanpde fit"):
            raise RunError(
                f"{folder}: is a fit of data (kanpde fit); expected a solved problem (kanpde solve)"
            )
        raise RunError(
            f"{path}: is no summary of a kanpde run (format {came!r}; expected {FORMAT!r})"
        )
    return summary


def came_along(source: Path, folder: Path) -> bool:
    """Whether a problem's file may have come with a run or a sweep that somebody sent: such a file
    is code, and loading runs none of that."""
    return source.suffix == ".py" and (
        not source.is_absolute() or source.resolve().is_relative_to(folder.resolve())
    )


def find_again(settings: dict[str, Any], folder: Path) -> Problem | None:
    """The problem of a run in a folder: its recorded file, else the gallery's of that name, else
    None. Never a file that came with the run."""
    source = Path(settings.get("source", ""))
    if came_along(source, folder):
        warnings.warn(
            f"{source}: lies where the run does and is not executed; pass problem= if you trust it",
            ProblemWarning,
            stacklevel=5,
        )
        return None
    if not source.is_file():
        found = gallery.gallery().get(settings["problem"]) if "source" in settings else None
        if found is None:
            return None
        source = found
    if hashlib.sha256(source.read_bytes()).hexdigest() != settings.get("source_sha256"):
        warnings.warn(f"{source}: has changed since the run was made", ProblemWarning, stacklevel=5)
    try:
        return load_problem(str(source), settings.get("constants"))[0]
    except ProblemError as error:
        warnings.warn(f"{error} (the stored fields are still there)", ProblemWarning, stacklevel=5)
        return None
