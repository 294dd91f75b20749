"""Tables of named columns.

Columns are kept as they came and become numbers when they are asked for, so that a column of text
is in nobody's way until it is used. Rows are counted from 1, the line of names left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from kanpde.errors import DataError, listed, nearest

TEXTS_FOR_MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
"""Texts, in lower case, that stand for a value that is not there."""

NAMES_SHOWN = 20
"""Names of columns that a message lists."""


@dataclass(frozen=True)
class Records:
    """Columns of equal length by name.

    Attributes:
        name: Of the data, as messages and run folders call it.
        columns: Arrays [rows] of numbers, or of anything, by name.
    """

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
                f" {first_names(self.columns)}{nearest(str(name), self.columns)}"
            )
        return self.columns[name]

    def only(self, kept: NDArray[np.bool_]) -> Records:
        """The table of some of the rows.

        Args:
            kept: True for those that stay, [rows].
        """
        return Records(self.name, {name: column[kept] for name, column in self.columns.items()})

    def is_text(self, name: str) -> bool:
        """Whether a column holds anything but numbers and missing values: labels, most likely."""
        column = self[name]
        return column.dtype == object and any(
            isinstance(v, str) and not _is_missing(v) and number_of(v) is None for v in column
        )

    def numbers(self, names: Sequence[str]) -> Float[np.ndarray, "rows names"]:
        """Columns as numbers.

        Args:
            names: Of the columns.

        Raises:
            DataError: For the first value that is missing or no finite number; the message names
                row and column.
        """
        if not names:
            return np.empty((self.rows, 0))
        return np.stack([self._numbers(name) for name in names], 1)

    def labels(self, name: str) -> tuple[tuple[str, ...], Int[np.ndarray, " rows"]]:
        """A column as classes.

        Args:
            name: Of the column.

        Returns:
            The classes, numbers before texts, in order; and the number of each row's class.

        Raises:
            DataError: For missing labels, or only one class.
        """
        texts = [_label(v) for v in self[name]]
        for row, text in enumerate(texts):
            if _is_missing(text):
                raise DataError(
                    f"{self.name}: row {row + 1}, column {name!r}: the label is missing"
                )
        known = sorted(
            set(texts), key=lambda text: (number_of(text) is None, number_of(text) or 0.0, text)
        )
        if len(known) < 2:
            raise DataError(
                f"{self.name}: column {name!r} has labels of one class only, {known[0]!r}; expected"
                " at least two classes"
            )
        place = {text: i for i, text in enumerate(known)}
        return tuple(known), np.array([place[text] for text in texts])

    def _numbers(self, name: str) -> Float[np.ndarray, " rows"]:
        column = self[name]
        found = column.astype(np.float64) if column.dtype != object else self._parsed(name, column)
        if not np.isfinite(found).all():
            row = int(np.flatnonzero(~np.isfinite(found))[0])
            came = f"got {found[row]:g}; expected a finite number"
            if np.isnan(found[row]):
                came = "the value is missing (nan)"
            raise DataError(f"{self.name}: row {row + 1}, column {name!r}: {came}")
        return found

    def _parsed(self, name: str, column: Shaped[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """Anything as numbers. Raises DataError."""
        found = np.empty(len(column))
        for row, value in enumerate(column):
            number = number_of(value)
            if number is None:
                came = f"got {str(value)!r}; expected a number"
                if value is None or _is_missing(value):
                    came = "the value is missing"
                raise DataError(f"{self.name}: row {row + 1}, column {name!r}: {came}")
            found[row] = number
        return found


def number_of(value: Any) -> float | None:
    """The number that a value or a text is; None where it is none."""
    try:
        return None if value is None or _is_missing(value) else float(value)
    except (TypeError, ValueError):
        return None


def _is_missing(value: object) -> bool:
    """Whether a value, written as text, says that there is none."""
    return str(value).strip().lower() in TEXTS_FOR_MISSING


def _label(value: Any) -> str:
    """The text of a label: 1.0, 1 and True as 1."""
    if value is None:
        return ""
    number = float(value) if isinstance(value, bool | np.bool_) else number_of(value)
    return str(int(number)) if number is not None and number == int(number) else str(value).strip()


def first_names(names: Iterable[str]) -> str:
    """Names by commas, the first of them where they are many."""
    found = list(names)
    more = len(found) - NAMES_SHOWN
    return listed(found[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
