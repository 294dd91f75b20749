"""Run folders of fits: `<out>/<data>/<run>/` with summary.json, fit.h5 (rows, truth, prediction),
checkpoint.pt and pictures."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import torch

from kanpde.errors import RunError
from kanpde.fitting.learned import FORMAT, Fit
from kanpde.fitting.task import PARTS, Task
from kanpde.geometry import Ranges
from kanpde.networks.restore import fitted_to
from kanpde.networks.state import network_of
from kanpde.networks.trial_space import tabular_space
from kanpde.runs import folder as run_folder
from kanpde.runs.atomic import replace_file
from kanpde.runs.safe_reading import guarded, opened, reading
from kanpde.training.history import COLUMNS, History, Record


def write(fit: Fit, out: Path) -> Path:
    """Write a new run folder below `out` and return it; `fit.run_dir` is set to it. Raises
    RunError."""
    try:
        folder = run_folder.reserve(out, fit.name, int(fit.settings.get("seed") or 0))
        fit.run_dir = folder
        checkpoint = {
            "format": FORMAT,
            "bounds": {x: list(ends) for x, ends in fit.task.bounds.items()},
            "outputs": list(fit.task.outputs),
            "ansatz": fit.solution.state(),
        }
        replace_file(folder / "checkpoint.pt", lambda file: torch.save(checkpoint, file))
        replace_file(folder / "fit.h5", lambda file: _write_rows(fit, file))
        summary = json.dumps(fit.summary(), indent=2, ensure_ascii=False, allow_nan=False)
        replace_file(folder / "summary.json", lambda file: file.write(f"{summary}\n".encode()))
        draw(fit, folder)
    except OSError as error:
        raise RunError(
            f"{error.filename or out}: the run cannot be written ({error.strerror or error})"
        ) from error
    return folder


def draw(fit: Fit, folder: Path) -> list[Path]:
    """Draw the pictures into a folder, replacing what is there; returns their paths. function.png
    is there for one or two inputs."""
    from kanpde.fitting import pictures
    from kanpde.plots import network as network_plots
    from kanpde.plots import solution as plots

    found: dict[str, Any] = {
        "prediction.png": pictures.plot_prediction,
        "history.png": plots.plot_history,
        "network.png": network_plots.plot_network,
    }
    if len(fit.task.inputs) <= 2:
        found["function.png"] = pictures.plot_function
    for name, plot in found.items():
        replace_file(folder / name, partial(plot(fit).savefig, format="png", dpi=150))
    return [folder / name for name in found]


def is_fit(run_dir: str | Path) -> bool:
    """Whether a folder holds a finished run of `fit`."""
    return (Path(run_dir) / "fit.h5").is_file()


def load_fit(run_dir: str | Path) -> Fit:
    """The fit of an earlier run. Raises RunError for folders that are missing, unfinished, damaged
    or no runs of `fit`."""
    folder = Path(run_dir)
    if not (folder / "summary.json").is_file():
        raise RunError(
            f"{folder}: no summary.json in it, so it is no finished run; expected a folder such as"
            " results/data/20261122-171200-seed0"
        )
    summary = guarded(
        folder / "summary.json", lambda path: json.loads(path.read_text(encoding="utf-8"))
    )
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        came = summary.get("format") if isinstance(summary, dict) else type(summary).__name__
        raise RunError(
            f"{folder}: is no run of `fit` (format {came!r}; expected {FORMAT!r}); kanpde.load"
            " reads those of `solve`"
        )
    checkpoint = guarded(
        folder / "checkpoint.pt",
        lambda path: torch.load(path, weights_only=True, map_location="cpu"),
    )
    task, history = guarded(
        folder / "fit.h5", lambda path: _read_rows(path, summary, checkpoint["bounds"])
    )
    space = tabular_space(Ranges(task.bounds), tuple(checkpoint["outputs"]))
    solution = guarded(
        folder / "checkpoint.pt",
        lambda path: fitted_to(space, network_of(checkpoint["ansatz"]), task.name),
    )
    with reading(folder / "checkpoint.pt"):  # whatever is wrong with it shows where it is evaluated
        solution(torch.from_numpy(task.points[:2]))
    with reading(folder / "summary.json"):
        return Fit(
            task,
            solution,
            history,
            summary["settings"],
            float(summary["seconds"]),
            folder,
            dict(summary["provenance"]),
        )


def _write_rows(fit: Fit, to: IO[bytes]) -> None:
    task = fit.task
    with h5py.File(to, "w", track_order=True) as file:
        file.attrs.update(format=FORMAT, data=task.name, parts=list(PARTS))
        for key, value in {
            "points": task.points,
            "truth": task.truth,
            "predicted": fit.predicted,
            "part": task.part,
            "center": task.center,
            "scale": task.scale,
        }.items():
            file.create_dataset(key, data=value)
        history = file.create_group("history")
        for name in COLUMNS:
            history.create_dataset(
                name,
                data=np.array(
                    fit.history.column(name),
                    dtype=np.int64 if name in ("step", "stage", "parameters") else np.float64,
                ),
            )


def _read_rows(
    path: Path, summary: dict[str, Any], bounds: dict[str, list[float]]
) -> tuple[Task, History]:
    with opened(path) as file:
        arrays = {key: file[key][()] for key in ("points", "truth", "part", "center", "scale")}
        columns = [file["history"][name][()].tolist() for name in COLUMNS]
    names = {
        "name": summary["data"],
        "inputs": tuple(summary["inputs"]),
        "targets": tuple(summary["targets"]),
        "classes": tuple(summary["classes"] or ()),
    }
    if not all(
        isinstance(name, str) for key in ("inputs", "targets", "classes") for name in names[key]
    ):
        raise ValueError("summary.json: inputs, targets and classes are not all names")
    task = Task(**names, bounds={x: (ends[0], ends[1]) for x, ends in bounds.items()}, **arrays)
    stages = [(stage["title"], stage["ended"]) for stage in summary["stages"]]
    return task, History(
        [Record(*row) for row in zip(*columns, strict=True)], stages, summary["interrupted"]
    )
