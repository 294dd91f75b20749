"""Run folders of fits: `<out>/<data>/<run>/` with summary.json, fit.h5 (rows, truth, prediction),
checkpoint.pt and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import torch

from kanpde.fitting.learned import FORMAT, Fit
from kanpde.fitting.task import PARTS, Task
from kanpde.geometry import Ranges
from kanpde.networks.restore import fitted_to
from kanpde.networks.state import network_of
from kanpde.networks.trial_space import tabular_space
from kanpde.runs import storage
from kanpde.runs.atomic import replace_file
from kanpde.runs.pictures import as_png
from kanpde.runs.safe_reading import guarded, opened, reading
from kanpde.training.history import COLUMNS, History, Record


def write(fit: Fit, out: Path) -> Path:
    """Write a fit into a new run folder.

    Args:
        fit: What to write; its `run_dir` is set to the folder.
        out: Where run folders lie.

    Returns:
        The folder.

    Raises:
        RunError: The folder cannot be written.
    """
    folder = storage.reserve(out, fit.name, int(fit.settings.get("seed") or 0))
    fit.run_dir = folder
    checkpoint = {
        "format": FORMAT,
        "bounds": {x: list(ends) for x, ends in fit.task.bounds.items()},
        "outputs": list(fit.task.outputs),
        "ansatz": fit.solution.state(),
    }
    files = {
        "checkpoint.pt": lambda file: torch.save(checkpoint, file),
        "fit.h5": lambda file: _write_rows(fit, file),
    }
    with storage.writing(folder):
        storage.write_files(folder, files, fit.summary)
        draw(fit, folder)
    return folder


def draw(fit: Fit, folder: Path) -> list[Path]:
    """Draw the pictures into a folder, replacing what is there.

    function.png is there for one or two inputs.

    Args:
        fit: What is drawn.
        folder: Where the pictures go.

    Returns:
        The paths of the pictures.
    """
    from kanpde.fitting import pictures
    from kanpde.plots.history import plot_history
    from kanpde.plots.network import plot_network

    found: dict[str, Any] = {
        "prediction.png": pictures.plot_prediction,
        "history.png": plot_history,
        "network.png": plot_network,
    }
    if len(fit.task.inputs) <= 2:
        found["function.png"] = pictures.plot_function
    for name, plot in found.items():
        replace_file(folder / name, as_png(plot(fit)))
    return [folder / name for name in found]


def is_fit(run_dir: str | Path) -> bool:
    """Whether a folder holds a finished run of `fit`.

    Args:
        run_dir: The folder.
    """
    return (Path(run_dir) / "fit.h5").is_file()


def load_fit(run_dir: str | Path) -> Fit:
    """The fit of an earlier run.

    Args:
        run_dir: The run folder, such as results/data/20261122-171200-seed0.

    Returns:
        The fit as it was saved.

    Raises:
        RunError: The folder is missing, unfinished, damaged, no run of `fit`, or of a version that
            this one does not read.
    """
    folder = Path(run_dir)
    summary = storage.read_summary(folder, storage.FIT)
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
    # whatever is wrong with it shows where it is evaluated
    with reading(folder / "checkpoint.pt"):
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
