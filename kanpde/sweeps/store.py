"""The folder of a sweep: sweep.json with the plan, sweep.h5 and sweep.csv with the table, and a run
folder a trial.

Every file is written beside its place, brought to the disk and moved there, so that each is whole
whenever the sweep is killed. The run folders are the truth: the table is made again from them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import fields
from math import isfinite
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from kanpde.errors import RunError
from kanpde.runs.atomic import replace_file
from kanpde.runs.safe_reading import DAMAGE, opened
from kanpde.sweeps.rows import Differences, StageRow, SweepTable, TrialRow

TABLE_FORMAT = "kanpde sweep table 1"

_DTYPES: dict[str, Any] = {"str": h5py.string_dtype(), "int": np.int64, "float": np.float64}
_LEFT_OUT = ("stages",)


def write(folder: Path, table: SweepTable) -> None:
    """Write sweep.h5 and sweep.csv, each in one step.

    Args:
        folder: The sweep's folder.
        table: What they hold.

    Raises:
        RunError: A file cannot be written.
    """
    write_file(folder / "sweep.h5", lambda file: _write_arrays(table, file))
    write_file(folder / "sweep.csv", lambda file: _write_csv(table, file))


def read(folder: str | Path) -> SweepTable:
    """The table of a sweep, as it was when the last trial ended.

    Args:
        folder: The sweep's folder.

    Returns:
        All rows that were written, and the finite differences.

    Raises:
        RunError: The folder holds no sweep, or a damaged one.
    """
    path = Path(folder) / "sweep.h5"
    if not path.is_file():
        raise RunError(
            f"{folder}: no sweep.h5 in it, so it is no sweep; expected a folder such as"
            " results/poisson2d/sweep-20261124-093000"
        )
    try:
        with opened(path) as file:
            if file.attrs.get("format") != TABLE_FORMAT:
                raise RunError(
                    f"{path}: is no table of a kanpde sweep (format {file.attrs.get('format')!r};"
                    f" expected {TABLE_FORMAT!r})"
                )
            stages = _columns(file["stages"], StageRow)
            owners = file["stages"]["trial"].asstr()[:].tolist()
            rows = [
                TrialRow(
                    **row,
                    stages=tuple(
                        StageRow(**s)
                        for s, owner in zip(stages, owners, strict=True)
                        if owner == row["trial"]
                    ),
                )
                for row in _columns(file["trials"], TrialRow)
            ]
            differences = tuple(
                Differences(**row) for row in _columns(file["differences"], Differences)
            )
            return SweepTable(tuple(rows), differences, json.loads(file.attrs["about"]))
    except DAMAGE as error:
        raise RunError(
            f"{path}: cannot be read, so it is damaged or not one of kanpde"
            f" ({type(error).__name__}: {str(error)[:120]})"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in one step.

    Args:
        path: The file.
        value: What it is to hold, plain values.

    Raises:
        RunError: It cannot be written.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_file(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Args:
        path: The file.

    Raises:
        RunError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from error


def write_file(path: Path, produce: Callable[[IO[bytes]], object]) -> None:
    """Write a file in one step.

    Args:
        path: The file.
        produce: Writes the content to the file object that it is called with.

    Raises:
        RunError: It cannot be written.
    """
    try:
        replace_file(path, produce)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def _write_arrays(table: SweepTable, to: IO[bytes]) -> None:
    with h5py.File(to, "w", track_order=True) as file:
        file.attrs["format"] = TABLE_FORMAT
        file.attrs["about"] = json.dumps(table.about, ensure_ascii=False)
        for key, value in table.about.get("provenance", {}).items():
            if value is not None:
                file.attrs[key] = value
        _write_columns(file.create_group("trials"), TrialRow, table.rows)
        stages = [(row.trial, stage) for row in table.rows for stage in row.stages]
        group = file.create_group("stages")
        group.create_dataset(
            "trial",
            data=[trial for trial, _ in stages],
            dtype=h5py.string_dtype(),
            shape=(len(stages),),
        )
        _write_columns(group, StageRow, [stage for _, stage in stages])
        _write_columns(file.create_group("differences"), Differences, table.differences)


def _write_columns(group: h5py.Group, kind: type, rows: Any) -> None:
    """One dataset a field, [rows]."""
    for f in fields(kind):
        if f.name not in _LEFT_OUT:
            group.create_dataset(
                f.name,
                data=[getattr(row, f.name) for row in rows],
                dtype=_DTYPES[str(f.type)],
                shape=(len(rows),),
            )


def _columns(group: h5py.Group, kind: type) -> list[dict[str, Any]]:
    """The rows that a group of datasets holds; fields that it lacks keep their defaults."""
    names = [f.name for f in fields(kind) if f.name not in _LEFT_OUT and f.name in group]
    columns = [
        (
            group[name].asstr()[:].tolist()
            if h5py.check_string_dtype(group[name].dtype)
            else group[name][:].tolist()
        )
        for name in names
    ]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _write_csv(table: SweepTable, to: IO[bytes]) -> None:
    names = [f.name for f in fields(TrialRow) if f.name not in _LEFT_OUT]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    for row in table.rows:
        values = [getattr(row, name) for name in names]
        writer.writerow(["" if isinstance(v, float) and not isfinite(v) else v for v in values])
    to.write(text.getvalue().encode())
