"""What was learned from a table: a function of its inputs, how well it does on each part of the
rows, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.errors import DataError, listed, nearest
from kanpde.fitting.task import PARTS, TEST, Task
from kanpde.networks.trial_space import NetworkSolution
from kanpde.problem.table_files import read
from kanpde.provenance import provenance
from kanpde.results.fields import evaluate
from kanpde.results.result import Drawing, plain
from kanpde.training.history import History

Array = NDArray[np.float64]

FORMAT = "kanpde fit 1"


@dataclass(eq=False)
class Fit:
    """A network fitted to data; call it with inputs by name.

    Attributes:
        task: What was to be learned: the rows, and what each of them is for.
        solution: The network with the ranges of its inputs.
        history: How training went, step by step.
        settings: Seed, device, precision, schedule and the like, by name.
        seconds: Of training.
        run_dir: The run folder, where it was written to one.
        provenance: Versions and machine that it was made with.
    """

    task: Task
    solution: NetworkSolution
    history: History
    settings: dict[str, Any]
    seconds: float
    run_dir: Path | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.provenance = self.provenance or provenance(str(self.settings.get("device", "cpu")))
        about = {
            "network": self.solution.describe(),
            "parameters": self.solution.parameters,
            "title": f"{listed(self.task.targets)} of {self.task.name}",
        }
        self.settings = {**self.settings, **about}

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{key} {value:.4g}"
            for key, value in self.scores["test" if self.task.count(TEST) else "training"].items()
        )
        return (
            f"Fit({self.name}: {self.settings['network']}, {self.settings['parameters']}"
            f" parameters; {shown})"
        )

    @property
    def name(self) -> str:
        """Name of the data."""
        return Path(self.task.name).stem

    def __call__(self, **inputs: Any) -> Any:
        """Values at inputs by name, numbers or arrays that broadcast together.

        Args:
            **inputs: Every input of the data, by name.

        Returns:
            An array of the shape that the inputs broadcast to, or a number for numbers. Of several
            targets it is a dict of these by name; of classes it is the labels.

        Raises:
            DataError: Inputs are missing, unknown, do not broadcast, or lie outside the ranges of
                the data.
        """
        for name in inputs:
            if name not in self.task.inputs:
                raise DataError(
                    f"fit({name}=…): no such input; they are"
                    f" {listed(self.task.inputs)}{nearest(name, self.task.inputs)}"
                )
        missing = [name for name in self.task.inputs if name not in inputs]
        if missing:
            raise DataError(
                f"fit(…): {missing[0]!r} is missing; expected"
                f" {', '.join(f'{x}=…' for x in self.task.inputs)}"
            )
        try:
            columns = np.broadcast_arrays(
                *(np.asarray(inputs[name], dtype=np.float64) for name in self.task.inputs)
            )
        except (TypeError, ValueError) as error:
            raise DataError(
                "fit(…): expected numbers or arrays that broadcast together"
                f" ({str(error).splitlines()[0]})"
            ) from None
        points = self._inside(np.stack([column.ravel() for column in columns], 1))
        shape = columns[0].shape
        if self.task.classes:
            return np.array(self.task.classes)[self.probabilities(points).argmax(1)].reshape(shape)[
                ()
            ]
        found = {
            name: column.reshape(shape)[()]
            for name, column in zip(self.task.targets, self.values(points).T, strict=True)
        }
        return found if len(found) > 1 else next(iter(found.values()))

    def predict(self, data: Any) -> Any:
        """Values for the rows of a table, as calling the fit gives them.

        Args:
            data: A path, a mapping or a data frame with the inputs' columns.

        Returns:
            An array [rows]; of several targets a dict of these by name; of classes the labels.

        Raises:
            DataError: A column is missing, or its values do not fit.
        """
        points = read(data).numbers(self.task.inputs)
        return self(**dict(zip(self.task.inputs, points.T, strict=True)))

    def values(self, points: Array) -> Array:
        """The targets at points; for classes what the network gives, the logarithm of the odds.

        Args:
            points: Where, [rows, inputs].

        Returns:
            The values, [rows, targets]; for classes [rows, outputs], one output for two classes.
        """
        found = (
            evaluate(
                self.solution, torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64))
            )
            .cpu()
            .double()
            .numpy()
        )
        return found if self.task.classes else self.task.center + self.task.scale * found

    def probabilities(self, points: Array) -> Array:
        """The probability of each class at points.

        Args:
            points: Where, [rows, inputs].

        Returns:
            The probabilities, [rows, classes].
        """
        odds = 0.5 * (1 + np.tanh(0.5 * self.values(points)))
        both = np.concatenate([1 - odds, odds], 1) if len(self.task.classes) == 2 else odds
        return both / np.maximum(both.sum(1, keepdims=True), np.finfo(float).tiny)

    @cached_property
    def predicted(self) -> Array:
        """For the rows of the task: the targets [rows, targets], or the number of the most probable
        class in one column."""
        if self.task.classes:
            return self.probabilities(self.task.points).argmax(1)[:, None].astype(np.float64)
        return self.values(self.task.points)

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """By part of the rows: rmse and r2, over all targets together, or accuracy; those without
        rows are left out."""
        found = {}
        for code, part in enumerate(PARTS):
            rows = self.task.part == code
            if rows.any():
                found[part] = _score(
                    self.predicted[rows], self.task.truth[rows], bool(self.task.classes)
                )
        return found

    @cached_property
    def drawing(self) -> Drawing:
        """The network as arrays."""
        network = self.solution.network
        edges = tuple(
            (np.asarray(e.inputs, float), np.asarray(e.outputs, float)) for e in network.edges()
        )
        return Drawing(
            self.solution.describe(),
            tuple(network.widths),
            self.task.inputs,
            self.task.outputs,
            edges,
        )

    def summary(self) -> dict[str, Any]:
        """The object of `--json` and summary.json: plain values, and None where a number is not
        known or not finite."""
        task, history = self.task, self.history
        found = {
            "format": FORMAT,
            "data": task.name,
            "inputs": task.inputs,
            "targets": task.targets,
            "classes": task.classes or None,
            "rows": {part: task.count(code) for code, part in enumerate(PARTS)},
            "network": self.settings["network"],
            "parameters": self.settings["parameters"],
            **self.scores,
            "seconds": self.seconds,
            "run_dir": str(self.run_dir) if self.run_dir else None,
            "seed": self.settings.get("seed"),
            "loss": history.records[-1].loss if history.records else None,
            "steps": len(history.records),
            "stages": [{"title": title, "ended": reason} for title, reason in history.stages],
            "interrupted": history.interrupted,
            "settings": self.settings,
            "provenance": self.provenance,
        }
        return {key: plain(value) for key, value in found.items()}

    def save(self, out: str | Path = "results") -> Path:
        """Write a new run folder `out/<data>/<date-time-seed>/`, and set `run_dir` to it.

        Args:
            out: Where run folders lie.

        Returns:
            The folder.

        Raises:
            RunError: The folder cannot be written.
        """
        from kanpde.fitting.folder import write  # it reads fits as well

        return write(self, Path(out))

    def _inside(self, points: Array) -> Array:
        for i, (name, (low, high)) in enumerate(self.task.bounds.items()):
            slack = 1e-9 * (high - low)
            outside = np.flatnonzero(
                ~((points[:, i] >= low - slack) & (points[:, i] <= high + slack))
            )
            if len(outside):
                raise DataError(
                    f"fit({name}=…): {points[outside[0], i]:g} is outside {name}=({low:g},"
                    f" {high:g}), the range of the data (bounds= makes it wider)"
                )
        low, high = np.array(list(self.task.bounds.values())).T
        return points.clip(low, high)


def _score(found: Array, truth: Array, classes: bool) -> dict[str, float]:
    if classes:
        return {"accuracy": float((found == truth).mean())}
    error, spread = np.mean((found - truth) ** 2), np.mean((truth - truth.mean(0)) ** 2)
    return {
        "rmse": float(np.sqrt(error)),
        "r2": float(1 - error / spread) if spread > 0 else float("nan"),
    }
