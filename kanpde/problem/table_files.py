"""Where tables come from: CSV, NPZ and HDF5 files, mappings of arrays, and data frames."""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kanpde.errors import DataError, first_line, listed, nearest
from kanpde.problem.tables import Records, first_names, number_of

Columns = dict[str, np.ndarray]

SEPARATORS = ",;\t"
"""What values of a line are separated by, the most frequent of them; spaces where there is none."""

COMMENT_MARKS = "#%"
"""What a line begins with that is a comment."""

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


def read(source: Any, name: str | None = None, decimal: str | None = None) -> Records:
    """A table from a file, a mapping of arrays, or a data frame.

    An array or data set of two dimensions [rows, k] gives k columns, X0, X1, … for X.

    Args:
        source: A path (.csv, .tsv, .txt, .npz, .h5, .hdf5), a mapping of arrays by name, or
            anything with `columns`; a Records stays as it is.
        name: What messages call the table, in place of the file's own name.
        decimal: "." or ",", the mark of decimal numbers in a file of text; by default what its
            numbers show.

    Raises:
        DataError: In one line, for files that are not there or cannot be read, columns of unequal
            lengths, and no rows.
    """
    if isinstance(source, Records):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        return _checked(name or path.name, _from_file(path, decimal))
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


def _from_file(path: Path, decimal: str | None) -> Columns:
    """The columns of a file, read by its ending. Raises DataError."""

    def text(path: Path) -> Columns:
        return _csv(path, decimal)

    kinds: dict[str, Callable[[Path], Columns]] = {
        ".csv": text,
        ".tsv": text,
        ".txt": text,
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


def _checked(name: str, columns: Columns) -> Records:
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
    return Records(name, columns)


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


def _csv(path: Path, decimal: str | None) -> Columns:
    """A file of separated values with names in its first line. Raises DataError.

    Lines that begin with # or % are comments, and are left out; so is a second line of units, and a
    first column without a name, as data frames write for their row numbers.
    """
    try:
        text = [line for line in _decoded(path).splitlines() if line.strip()]
        text = [line for line in text if not line.lstrip().startswith(tuple(COMMENT_MARKS))]
        mark = _separator(text[0] if text else "")
        lines = csv.reader(text, delimiter=mark, skipinitialspace=True)
        names = [name.strip() for name in next(lines, [])]
        rows = [line for line in lines if any(field.strip() for field in line)]
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
    _check_names(path, names)
    for row, line in enumerate(rows):
        if len(line) != len(names):
            raise DataError(
                f"{path}: row {row + 1} has {len(line)} values; expected {len(names)}, one for each"
                f" of {first_names(names)}"
            )
    decimal = decimal or _decimal_mark(path, (field for line in rows for field in line))
    rows = [[_with_point(field, decimal) for field in line] for line in rows]
    if len(rows) > 1 and _are_units(rows[0], rows[1]):
        rows = rows[1:]
    return {name: _parsed([line[i] for line in rows]) for i, name in enumerate(names) if name}


def _decoded(path: Path) -> str:
    """The text of a file, in UTF-8, or else in what spreadsheets in western Europe write."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _decimal_mark(path: Path, fields: Iterable[str]) -> str:
    """What separates decimals, as far as numbers with commas show. Raises DataError where they may
    be thousands as well."""
    found, unclear = set[str](), ""
    for field in map(str.strip, fields):
        if "," not in field or number_of(field.replace(",", "").replace(".", "")) is None:
            continue
        grouped = re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+", field)
        if grouped and field.count(",") == 1:
            unclear = unclear or field
        else:
            found.add("." if grouped or field.rfind(".") > field.rfind(",") else ",")
    if len(found) == 1:
        return found.pop()
    if found or unclear:
        shown = unclear or "its numbers"
        raise DataError(
            f"{path}: {shown!r} may be a decimal number or have thousands apart; say which by"
            " decimal=',' or decimal='.'"
        )
    return "."


def _with_point(field: str, decimal: str) -> str:
    """A number as Python writes it; anything else as it is."""
    thousands = "." if decimal == "," else ","
    grouped = re.fullmatch(rf"[-+]?\d{{1,3}}(\{thousands}\d{{3}})+", field.strip())
    if not grouped and "," not in field:
        return field
    turned = field.strip().replace(thousands, "").replace(decimal, ".")
    return field if number_of(turned) is None else turned


def _are_units(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether a row has no number although the one after it has nothing else."""
    numbers = [number_of(field) is not None for field in second]
    return all(numbers) and not any(number_of(field) is not None for field in first)


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
