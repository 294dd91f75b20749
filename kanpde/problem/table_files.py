"""Where tables come from: CSV, NPZ and HDF5 files, mappings of arrays, and data frames."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kanpde.errors import DataError, first_line, listed, nearest
from kanpde.problem.tables import Table, first_names, number_of

Columns = dict[str, np.ndarray]

SEPARATORS = ",;\t"
"""What values of a line are separated by, the most frequent of them; spaces where there is none."""

UNREADABLE_ARCHIVE = (
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
)
"""What NumPy raises for files that are no archive, or a damaged one."""

UNREADABLE_HDF5 = (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError)
"""What h5py raises for files that are no HDF5, or a damaged one."""


def read(source: Any, name: str | None = None) -> Table:
    """A table from a file, a mapping of arrays, or a data frame.

    An array or data set of two dimensions [rows, k] gives k columns, X0, X1, … for X.

    Args:
        source: A path (.csv, .tsv, .txt, .npz, .h5, .hdf5), a mapping of arrays by name, or
            anything with `columns`; a Table stays as it is.
        name: What messages call the table, in place of the file's own name.

    Raises:
        DataError: In one line, for files that are not there or cannot be read, columns of unequal
            lengths, and no rows.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        return _checked(name or path.name, _from_file(path))
    called = name or "data"
    if isinstance(source, Mapping):
        return _checked(called, dict(_columns(source.items(), called)))
    if hasattr(source, "columns") and hasattr(source, "__getitem__"):
        named = ((str(key), source[key]) for key in source.columns)
        return _checked(called, dict(_columns(named, called)))
    raise DataError(
        f"data: got {type(source).__name__}; expected a path, a mapping of arrays by name, or a"
        " data frame"
    )


def _from_file(path: Path) -> Columns:
    """The columns of a file, read by its ending. Raises DataError."""
    kinds: dict[str, Callable[[Path], Columns]] = {
        ".csv": _csv,
        ".tsv": _csv,
        ".txt": _csv,
        ".npz": _npz,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
    }
    if path.suffix.lower() not in kinds:
        raise DataError(f"{path}: got a file ending in {path.suffix!r}; expected {listed(kinds)}")
    if not path.is_file():
        folder = sorted(path.parent.glob("*")) if path.parent.is_dir() else []
        beside = [p.name for p in folder if p.suffix.lower() in kinds]
        raise DataError(f"{path}: no such file{nearest(path.name, beside)}")
    return kinds[path.suffix.lower()](path)


def _checked(name: str, columns: Columns) -> Table:
    """The columns as a table. Raises DataError unless they are of one length, and not empty."""
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


def _columns(items: Iterable[tuple[str, Any]], name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Named columns from named arrays of one or two dimensions. Raises DataError."""
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
        parts = (values if values.ndim == 2 else values[:, None]).T
        for column, part in zip(_names(key, values), parts, strict=True):
            yield column, part if part.dtype.kind in "fiub" else _text(part)


def _names(key: str, values: np.ndarray) -> list[str]:
    """The names of an array's columns."""
    return [key] if values.ndim == 1 else [f"{key}{i}" for i in range(values.shape[1])]


def _text(values: np.ndarray) -> np.ndarray:
    """Anything that is no number by its type, bytes as text."""
    found = np.empty(len(values), dtype=object)
    found[:] = [
        v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()
    ]
    return found


def _csv(path: Path) -> Columns:
    """A file of separated values with names in its first line. Raises DataError.

    A first column without a name, as data frames write for their row numbers, is left out.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            lines = csv.reader(file, delimiter=_separator(first), skipinitialspace=True)
            names = [name.strip() for name in next(lines, [])]
            rows = [line for line in lines if any(field.strip() for field in line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
    _check_names(path, names)
    for row, line in enumerate(rows):
        if len(line) != len(names):
            raise DataError(
                f"{path}: row {row + 1} has {len(line)} values; expected {len(names)}, one for each"
                f" of {first_names(names)}"
            )
    return {name: _parsed([line[i] for line in rows]) for i, name in enumerate(names) if name}


def _separator(line: str) -> str:
    """What separates the values of a line: the most frequent of the usual ones, else a space."""
    counts = {mark: line.count(mark) for mark in SEPARATORS}
    mark = max(counts, key=counts.__getitem__)
    if counts[mark]:
        return mark
    return " " if " " in line.strip() else ","


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Raise DataError where the first line holds numbers, no name, or one name twice."""
    if names and all(number_of(name) is not None for name in names):
        raise DataError(f"{path}: its first line holds numbers; expected the names of the columns")
    for i, name in enumerate(names):
        if i == 0 and not name and len(names) > 1:
            continue
        if not name or name in names[:i]:
            came = f"the name {name!r} of column {names.index(name) + 1}" if name else "no name"
            raise DataError(f"{path}: column {i + 1} has {came}; expected another name for each")


def _parsed(texts: list[str]) -> np.ndarray:
    """A column as numbers where all of it are, else as text."""
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return _text(np.array(texts, dtype=object))


def _npz(path: Path) -> Columns:
    """All arrays of a NumPy archive. Raises DataError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(_columns(((key, arrays[key]) for key in arrays.files), str(path)))
    except UNREADABLE_ARCHIVE as error:
        raise DataError(f"{path}: cannot be read as NPZ ({first_line(error)})") from error


def _hdf5(path: Path) -> Columns:
    """All data sets, those in groups by their path. Raises DataError."""
    import h5py  # takes a while, and only these files need it

    found: Columns = {}

    def visit(key: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[key] = node[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except UNREADABLE_HDF5 as error:
        raise DataError(f"{path}: cannot be read as HDF5 ({first_line(error)})") from error
    return dict(_columns(found.items(), str(path)))
