"""Comma-separated values: the fields, a row a node, and the history, a row a step."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kanpde.results.fields import nodes_of
from kanpde.results.variables import Variable
from kanpde.runs.atomic import write_text
from kanpde.training.history import History


def write(
    grid: dict[str, NDArray[np.float64]], fields: Sequence[Variable], history: History, stem: Path
) -> list[Path]:
    """Write the fields as STEM.csv, and the history as history.csv beside it.

    STEM.csv has coordinates first, all digits, and no nodes outside of the domain.

    Args:
        grid: The nodes by coordinate.
        fields: What there is on the grid, a column each.
        history: What was measured at each step of training.
        stem: Path of the first file without its ending.

    Returns:
        The files, that to open first.

    Raises:
        RunError: A file cannot be written.
    """
    values = np.stack([variable.values.ravel() for variable in fields], 1)
    rows = np.concatenate([nodes_of(grid), values], 1)[~np.isnan(values).all(1)]
    own, steps = stem.with_name(f"{stem.name}.csv"), stem.with_name("history.csv")
    write_text(own, _text([*grid, *(variable.name for variable in fields)], rows.tolist()))
    names = history.columns
    write_text(steps, _text(names, zip(*(history.column(name) for name in names), strict=True)))
    return [own, steps]


def _text(header: Sequence[str], rows: Iterable[Sequence[float]]) -> str:
    """Numbers as Python writes them, which loses no digit; nothing where there is none."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if isnan(value) else value for value in row] for row in rows])
    return text.getvalue()
