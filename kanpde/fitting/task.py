"""What is to be learned: which columns of a table from which, and which rows for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.errors import DataError
from kanpde.geometry import Ranges
from kanpde.problem.tables import Records
from kanpde.training import DataRows, Measurements

Array = NDArray[np.float64]

TRAINING, HELD, TEST = 0, 1, 2
"""What a row is for: to be trained on; to choose the best state of the network; to be judged by and
nothing else."""

PARTS = ("training", "held", "test")

ROUNDING = 1e-12
"""Range of an input, over its size, below which it has too few digits to be brought to [-1, 1]."""

LEAST = 50
"""Training rows from which on some of them are held back."""


@dataclass(frozen=True)
class Task:
    """Inputs and targets by name, their values, and what each row is for.

    Attributes:
        name: Of the data.
        inputs: Names of the columns that are learned from.
        targets: Names of the columns that are learned.
        points: Values of the inputs, [rows, inputs].
        truth: Values of the targets, [rows, targets]: numbers, or the number of the class in one
            column.
        part: What each row is for, [rows]: TRAINING, HELD or TEST.
        bounds: Ranges of the inputs, by name, which the network's grid covers.
        classes: Their labels, none for numbers.
        center: What is taken off the truth, [targets], to bring it to mean 0 over the training
            rows.
        scale: What it is divided by then, [targets], to bring it to deviation 1 over these rows.
    """

    name: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    points: Array
    truth: Array
    part: NDArray[np.int64]
    bounds: Mapping[str, tuple[float, float]]
    classes: tuple[str, ...]
    center: Array
    scale: Array

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the network gives: the targets; for two classes the second's label, for
        more of them every label."""
        if not self.classes:
            return self.targets
        return tuple(
            f"{self.targets[0]} = {label}"
            for label in (self.classes[1:] if len(self.classes) == 2 else self.classes)
        )

    @property
    def domain(self) -> Ranges:
        """The product of the inputs' ranges."""
        return Ranges(self.bounds)

    def count(self, part: int) -> int:
        """How many rows are for a purpose.

        Args:
            part: TRAINING, HELD or TEST.
        """
        return int((self.part == part).sum())

    def measurements(self) -> Measurements:
        """As the trainer takes it: numbers scaled, labels as -1 and 1."""
        if self.classes:
            chosen = self.truth == np.arange(len(self.classes))
            values = np.where(chosen[:, 1:] if len(self.classes) == 2 else chosen, 1.0, -1.0)
        else:
            values = (self.truth - self.center) / self.scale
        rows = DataRows(torch.from_numpy(self.points), torch.from_numpy(values))
        training, held = (rows[torch.from_numpy(self.part == part)] for part in (TRAINING, HELD))
        return Measurements(
            self.domain,
            self.outputs,
            training,
            held,
            "logistic" if self.classes else "squared",
            self.name,
        )


def prepare(
    table: Records,
    targets: Sequence[str],
    inputs: Sequence[str] | None = None,
    classify: bool | None = None,
    test: float | Records = 0.2,
    held: float = 0.1,
    seed: int = 0,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Task:
    """Choose columns and rows.

    Args:
        table: The data.
        targets: Columns to learn.
        inputs: Columns to learn them from; all others where not given.
        classify: Whether the target is a class; where not given, a target of text is one.
        test: Share of the rows that only judge, drawn by seed and class, or a table of them.
        held: Share of the remaining rows by which states are chosen, if they are LEAST or more.
        seed: Of the drawing.
        bounds: Of inputs, by name; the data's own where not given.

    Raises:
        DataError: For columns that are not there, no numbers, or constant, for labels of one class,
            and for too few rows.
    """
    targets = tuple(targets)
    others = (name for name in table.columns if name not in targets)
    inputs = tuple(inputs) if inputs else tuple(others)
    for name in targets:
        _ = table[name]
    _check_names(table, inputs, targets)
    classify = any(table.is_text(name) for name in targets) if classify is None else classify
    if classify and len(targets) > 1:
        raise DataError(f"target: got {len(targets)} columns of classes; expected one")
    classes, truth = _truth(table, targets, classify)
    points = table.numbers(inputs)
    if isinstance(test, Records):
        columns = _same_classes(test, targets[0], classes)[:, None] if classify else None
        points = np.concatenate([points, test.numbers(inputs)])
        truth = np.concatenate([truth, test.numbers(targets) if columns is None else columns])
    part = _parts(table.rows, truth[:, 0] if classify else None, test, held, seed)
    center, scale = _scaling(table.name, targets, truth[part == TRAINING], classify)
    within = _bounds(table.name, inputs, points, bounds or {})
    return Task(table.name, inputs, targets, points, truth, part, within, classes, center, scale)


def _parts(
    rows: int, labels: np.ndarray | None, test: float | Records, held: float, seed: int
) -> np.ndarray:
    """What each row is for, [rows]: TRAINING, HELD or TEST. labels: the classes of the rows, of
    those of a table of test rows too, which come last."""
    rng = np.random.default_rng(seed)
    part = np.zeros(rows, dtype=np.int64)
    if isinstance(test, Records):
        part = np.concatenate([part, np.full(test.rows, TEST)])
    else:
        _draw(part, TEST, test, labels, rng, "test")
    if (part == TRAINING).sum() >= LEAST:
        _draw(part, HELD, held, labels, rng, "held")
    return part


def _scaling(
    name: str, targets: Sequence[str], trained: np.ndarray, classify: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the targets [rows, targets] that are trained on; 0 and 1 for classes.

    Raises DataError where there is nothing to learn from them.
    """
    if len(trained) < 2 or (classify and len(np.unique(trained)) < 2):
        raise DataError(
            f"{name}: {len(trained)} rows are left to train"
            f" on{' of one class' if len(trained) > 1 else ''}; expected more rows, or a smaller"
            " share to test on"
        )
    if classify:
        return np.zeros(1), np.ones(1)
    for target, deviation in zip(targets, trained.std(0), strict=True):
        if deviation == 0:
            raise DataError(
                f"{name}: target {target!r} has the same value in all rows that are trained on;"
                " there is nothing to learn"
            )
    return trained.mean(0), trained.std(0)


def _check_names(table: Records, inputs: Sequence[str], targets: Sequence[str]) -> None:
    if not targets:
        raise DataError(f"{table.name}: no target; expected the name of the column to learn")
    if not inputs:
        raise DataError(f"{table.name}: no column is left as an input besides {', '.join(targets)}")
    for name in inputs:
        if name in targets:
            raise DataError(f"input {name!r}: is the target; expected another column")
        if list(inputs).count(name) > 1:
            raise DataError(f"input {name!r}: is named twice")


def _truth(table: Records, targets: Sequence[str], classify: bool) -> tuple[tuple[str, ...], Array]:
    if not classify:
        return (), table.numbers(targets)
    classes, numbers = table.labels(targets[0])
    if len(classes) > max(2, table.rows // 2):
        raise DataError(
            f"{table.name}: column {targets[0]!r} has {len(classes)} classes in {table.rows} rows;"
            " expected labels that come again, or numbers to be learned as such"
        )
    return classes, numbers[:, None].astype(np.float64)


def _same_classes(test: Records, target: str, classes: Sequence[str]) -> Array:
    known, numbers = test.labels(target)
    for label in known:
        if label not in classes:
            raise DataError(
                f"{test.name}: column {target!r} has the label {label!r}, which is not among those"
                f" trained on: {', '.join(classes)}"
            )
    return np.array([classes.index(label) for label in known], dtype=np.float64)[numbers]


def _draw(
    part: NDArray[np.int64],
    to: int,
    share: float,
    labels: Array | None,
    rng: np.random.Generator,
    name: str,
) -> None:
    """Give a share of the training rows another purpose, of each class alike."""
    if not 0 <= share < 1:
        raise DataError(
            f"{name}: got {share:g}; expected a share of the rows, 0 or more and below 1"
        )
    groups = (
        [np.flatnonzero(part == TRAINING)]
        if labels is None
        else [np.flatnonzero((part == TRAINING) & (labels == label)) for label in np.unique(labels)]
    )
    for rows in groups:
        part[rng.permutation(rows)[: round(share * len(rows))]] = to


def _bounds(
    name: str, inputs: Sequence[str], points: Array, given: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    found = {}
    for column, values in zip(inputs, points.T, strict=True):
        low, high = given.get(column, (float(values.min()), float(values.max())))
        if not low < high:
            raise DataError(
                f"{name}: input {column!r} is {low:g} in all rows; expected values that differ, or"
                " another choice of inputs"
            )
        if high - low < ROUNDING * max(abs(low), abs(high)):
            raise DataError(
                f"{name}: input {column!r} is {low:g} in all rows but for {high - low:.1g}, its"
                f" rounding; expected values that differ, such as with {low:g} taken off"
            )
        outside = np.flatnonzero((values < low) | (values > high))
        if len(outside):
            raise DataError(
                f"{name}: row {outside[0] + 1}, column {column!r}: {values[outside[0]]:g} is"
                f" outside the bounds ({low:g}, {high:g})"
            )
        found[column] = (low, high)
    return found
