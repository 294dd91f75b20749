"""Tables of named columns: from CSV, NPZ and HDF5 files, mappings of arrays, and data frames.

Columns are kept as they came and become numbers when they are asked for, so that a column of text
is in nobody's way until it is used. Rows are counted from 1, the line of names left out.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.errors import DataError, first_line, listed, nearest

Array = NDArray[np.float64]

MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
"""Texts, in lower case, that stand for a value that is not there."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name. name: of the data, as messages and run folders call it."""

    name: str
    columns: Mapping[str, np.ndarray]

    @property
    def rows(self) -> int:
        """How many."""
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        """A column as it came. Raises DataError where there is none of that name."""
        if name not in self.columns:
            raise DataError(
                f"{self.name}: no column {name!r}; it has"
                f" {_some(self.columns)}{nearest(str(name), self.columns)}"
            )
        return self.columns[name]

    def is_text(self, name: str) -> bool:
        """Whether a column holds anything but numbers and missing values: labels, most likely."""
        column = self[name]
        return column.dtype == object and any(
            isinstance(v, str) and v.strip().lower() not in MISSING and _number(v) is None
            for v in column
        )

    def numbers(self, names: Sequence[str]) -> Array:
        """Columns as numbers, [rows, names]. Raises DataError for the first value that is missing
        or no finite number, by row and column."""
        return (
            np.stack([self._numbers(name) for name in names], 1)
            if names
            else np.empty((self.rows, 0))
        )

    def labels(self, name: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The classes of a column, in order, and the number of each row's class. Raises DataError
        for missing labels, or only one class."""
        column = self[name]
        texts = [_label(v) for v in column]
        for row, text in enumerate(texts):
            if text.strip().lower() in MISSING:
                raise DataError(
                    f"{self.name}: row {row + 1}, column {name!r}: the label is missing"
                )
        known = sorted(
            set(texts), key=lambda text: (_number(text) is None, _number(text) or 0.0, text)
        )
        if len(known) < 2:
            raise DataError(
                f"{self.name}: column {name!r} has labels of one class only, {known[0]!r}; expected"
                " at least two classes"
            )
        place = {text: i for i, text in enumerate(known)}
        return tuple(known), np.array([place[text] for text in texts])

    def _numbers(self, name: str) -> Array:
        column = self[name]
        if column.dtype != object:
            found = column.astype(np.float64)
        else:
            found = np.empty(len(column))
            for row, value in enumerate(column):
                number = _number(value)
                if number is None:
                    absent = value is None or str(value).strip().lower() in MISSING
                    came = (
                        "the value is missing"
                        if absent
                        else f"got {str(value)!r}; expected a number"
                    )
                    raise DataError(f"{self.name}: row {row + 1}, column {name!r}: {came}")
                found[row] = number
        if not np.isfinite(found).all():
            row = int(np.flatnonzero(~np.isfinite(found))[0])
            came = (
                "the value is missing (nan)"
                if np.isnan(found[row])
                else f"got {found[row]:g}; expected a finite number"
            )
            raise DataError(f"{self.name}: row {row + 1}, column {name!r}: {came}")
        return found


def read(source: Any, name: str | None = None) -> Table:
    """A table from a path (.csv, .tsv, .txt, .npz, .h5, .hdf5), a mapping of arrays, or a data
    frame (anything with `columns`).

    An array or data set of two dimensions [rows, k] gives k columns, X0, X1, … for X. name: in
    place of the file's own. Raises DataError, in one line, for files that are not there or cannot
    be read, columns of unequal lengths, and no rows.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        kinds: dict[str, Callable[[Path], Mapping[str, np.ndarray]]] = {
            ".csv": _csv,
            ".tsv": _csv,
            ".txt": _csv,
            ".npz": _npz,
            ".h5": _hdf5,
            ".hdf5": _hdf5,
        }
        if path.suffix.lower() not in kinds:
            raise DataError(
                f"{path}: got a file ending in {path.suffix!r}; expected {listed(kinds)}"
            )
        if not path.is_file():
            beside = (
                [p.name for p in sorted(path.parent.glob("*")) if p.suffix.lower() in kinds]
                if path.parent.is_dir()
                else []
            )
            raise DataError(f"{path}: no such file{nearest(path.name, beside)}")
        return _checked(name or path.name, kinds[path.suffix.lower()](path))
    if isinstance(source, Mapping):
        return _checked(name or "data", dict(_columns(source.items(), name or "data")))
    if hasattr(source, "columns") and hasattr(source, "__getitem__"):
        return _checked(
            name or "data",
            dict(_columns(((str(key), source[key]) for key in source.columns), name or "data")),
        )
    raise DataError(
        f"data: got {type(source).__name__}; expected a path, a mapping of arrays by name, or a"
        " data frame"
    )


def _checked(name: str, columns: Mapping[str, np.ndarray]) -> Table:
    if not columns:
        raise DataError(f"{name}: has no columns")
    lengths = {key: len(values) for key, values in columns.items()}
    first, rows = next(iter(lengths.items()))
    for key, length in lengths.items():
        if length != rows:
            raise DataError(
                f"{name}: column {key!r} has {length} rows and {first!r} has {rows}; expected as"
                " many in each"
            )
    if not rows:
        raise DataError(f"{name}: has no rows")
    return Table(name, columns)


def _columns(items: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Named columns from named arrays of one or two dimensions."""
    for key, given in items:
        try:
            values = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        except (TypeError, ValueError) as error:
            raise DataError(f"{name}: column {key!r} is no array ({error})") from None
        if values.ndim not in (1, 2):
            raise DataError(
                f"{name}: column {key!r} has shape {list(values.shape)}; expected one value a row,"
                " or [rows, columns]"
            )
        for column, part in zip(
            _names(key, values), (values if values.ndim == 2 else values[:, None]).T, strict=True
        ):
            yield column, part if part.dtype.kind in "fiub" else _text(part)


def _names(key: str, values: np.ndarray) -> list[str]:
    return [key] if values.ndim == 1 else [f"{key}{i}" for i in range(values.shape[1])]


def _text(values: np.ndarray) -> np.ndarray:
    """Anything that is no number by its type, bytes as text."""
    found = np.empty(len(values), dtype=object)
    found[:] = [
        v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()
    ]
    return found


def _csv(path: Path) -> dict[str, np.ndarray]:
    """A file of separated values with names in its first line, separated by commas, semicolons,
    tabs or spaces.

    A first column without a name, as data frames write for their row numbers, is left out.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            marks = {mark: first.count(mark) for mark in ",;\t"}
            mark = max(marks, key=marks.__getitem__)
            lines = csv.reader(
                file,
                delimiter=mark if marks[mark] else " " if " " in first.strip() else ",",
                skipinitialspace=True,
            )
            names = [name.strip() for name in next(lines, [])]
            rows = [line for line in lines if any(field.strip() for field in line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
    if names and all(_number(name) is not None for name in names):
        raise DataError(f"{path}: its first line holds numbers; expected the names of the columns")
    for i, name in enumerate(names):
        if i == 0 and not name and len(names) > 1:
            continue
        if not name or name in names[:i]:
            raise DataError(
                f"{path}: column {i + 1} has"
                f" {'no name' if not name else f'the name {name!r} of column {names.index(name) + 1}'};"
                " expected another name for each"
            )
    for row, line in enumerate(rows):
        if len(line) != len(names):
            raise DataError(
                f"{path}: row {row + 1} has {len(line)} values; expected {len(names)}, one for each"
                f" of {_some(names)}"
            )
    return {name: _parsed([line[i] for line in rows]) for i, name in enumerate(names) if name}


def _parsed(texts: list[str]) -> np.ndarray:
    """A column as numbers where all of it are, else as text."""
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return _text(np.array(texts, dtype=object))


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(_columns(((key, arrays[key]) for key in arrays.files), str(path)))
    except (
        OSError,
        ValueError,
        AttributeError,
        TypeError,
        KeyError,
        EOFError,
        RuntimeError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(f"{path}: cannot be read as NPZ ({first_line(error)})") from error


def _hdf5(path: Path) -> dict[str, np.ndarray]:
    """All data sets, those in groups by their path."""
    import h5py

    found: dict[str, np.ndarray] = {}

    def visit(key: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[key] = node[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise DataError(f"{path}: cannot be read as HDF5 ({first_line(error)})") from error
    return dict(_columns(found.items(), str(path)))


def _number(value: Any) -> float | None:
    """The number that a value or a text is; None where it is none."""
    try:
        return None if value is None or str(value).strip().lower() in MISSING else float(value)
    except (TypeError, ValueError):
        return None


def _label(value: Any) -> str:
    """The text of a label: 1.0, 1 and True as 1."""
    if value is None:
        return ""
    number = float(value) if isinstance(value, bool | np.bool_) else _number(value)
    return str(int(number)) if number is not None and number == int(number) else str(value).strip()


def _some(names: Any, most: int = 20) -> str:
    """Names by commas, the first of them where they are many."""
    names = list(names)
    return listed(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
