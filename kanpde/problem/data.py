"""Measured values of unknowns at points: the data of an inverse problem."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import DataError, ProblemError, listed, nearest
from kanpde.geometry import Domain
from kanpde.machine.beside import beside_the_file
from kanpde.problem.table_files import read

SLACK_OF_A_POINT = 1e-9
"""Share of an interval by which rounding may put a point beyond its end; it is moved onto it."""

ROWS_SHOWN = 3
"""Rows that a message shows of those that lie outside of the domain."""


@dataclass(frozen=True)
class Measurement:
    """Data on a domain.

    Attributes:
        name: What messages call them.
        unknowns: What was measured.
        points: Where.
        values: What was found.
        noise: Standard deviations of the values' errors; None where they are not known.
    """

    name: str
    unknowns: tuple[str, ...]
    points: Float[Tensor, "rows dims"]
    values: Float[Tensor, "rows unknowns"]
    noise: Float[Tensor, "rows unknowns"] | None = None


class Data:
    """Measurements of unknowns at points of the domain, for `Problem(…, data=[…])`.

    Keywords say which column is which: `Data("rod.csv", x="position", t="time", u="temperature")`;
    a name without a keyword is the column of that name. Without a table, keywords give the arrays
    themselves: `Data(x=…, t=…, u=…)`.

    Args:
        source: A file (.csv, .npz, .h5), a mapping of arrays, or a data frame. A relative path is
            looked for beside the problem's file or the script first, then in the current folder.
        noise: Standard deviation of the values' errors: a number, the name of a column, an array
            [rows], or a mapping of these by unknown. Without it, it is taken to be the same
            everywhere and estimated from the misfit.
        **columns: By coordinate and unknown the name of a column, or an array.

    Raises:
        DataError: In one line, for what cannot be read; and, when a Problem is built, for columns
            that do not exist, values that are no finite numbers, and points outside the domain.
    """

    def __init__(self, source: Any = None, *, noise: Any = None, **columns: Any):
        _check_given(source, columns)
        if source is None:
            self.table = read(columns, "Data(…)")
            self.columns = {name: name for name in columns}
        else:
            self.table, self.columns = read(beside_the_file(source)), dict(columns)
        self.noise = noise
        named = source is not None and isinstance(source, str | Path)
        self.what = f"Data({self.table.name})" if named else "Data(…)"

    def __repr__(self) -> str:
        return f"{self.what}: {self.table.rows} rows"

    def names(self) -> tuple[str, ...]:
        """Everything that it names by keyword: coordinates and unknowns."""
        return tuple(self.columns)

    def bound(self, domain: Domain, unknowns: Sequence[str]) -> Measurement:
        """The measurements on a domain.

        Args:
            domain: Has the coordinates, and must hold the points.
            unknowns: What may have been measured.

        Raises:
            DataError: For columns that do not exist, values that are no finite numbers, and points
                outside the domain.
        """
        self._check_columns(domain, unknowns)
        measured = tuple(u for u in unknowns if u in self.columns or u in self.table.columns)
        if not measured:
            raise DataError(
                f"{self.what}: no column is an unknown ({listed(unknowns)}); it has"
                f" {listed(self.table.columns)}; say which one it is, such as {unknowns[0]}='…'"
            )
        points = torch.from_numpy(self._numbers(domain.coordinates))
        values = torch.from_numpy(self._numbers(measured))
        inside = _inside(points, domain, self.what)
        return Measurement(self.what, measured, inside, values, self._noise(measured))

    def within(self, coordinate: str, low: float, high: float) -> Data | None:
        """Those of the rows whose coordinate lies in an interval; None where there are none.

        Args:
            coordinate: Its name.
            low: The interval's lower end, which belongs to it.
            high: Its upper end, which belongs to it.

        Raises:
            DataError: Where there is no such column, or a value is no finite number.
        """
        values = self._numbers([coordinate])[:, 0]
        slack = SLACK_OF_A_POINT * (high - low)
        kept = (values >= low - slack) & (values <= high + slack)
        if kept.all():
            return self
        if not kept.any():
            return None
        found = copy.copy(self)
        found.table, found.noise = self.table.only(kept), _noise_of_rows(self.noise, kept)
        return found

    def _numbers(self, names: Sequence[str]) -> np.ndarray:
        """The columns of coordinates or unknowns, [rows, names]."""
        return self.table.numbers([self.columns.get(name, name) for name in names])

    def _check_columns(self, domain: Domain, unknowns: Sequence[str]) -> None:
        """Raise DataError for a keyword that means nothing, and a coordinate without a column."""
        known = (*domain.coordinates, *unknowns)
        for name in self.columns:
            if name not in known:
                raise DataError(
                    f"{self.what}: {name!r} is neither a coordinate ({listed(domain.coordinates)})"
                    f" nor an unknown ({listed(unknowns)}){nearest(name, known)}"
                )
        for x in domain.coordinates:
            if x not in self.columns and x not in self.table.columns:
                raise DataError(
                    f"{self.what}: no column {x!r}; it has {listed(self.table.columns)}; say which"
                    f" one it is, such as {x}={next(iter(self.table.columns))!r}"
                )

    def _noise(self, measured: Sequence[str]) -> Tensor | None:
        """Standard deviations [rows, measured]. Raises DataError."""
        if self.noise is None:
            return None
        given = (
            self.noise if isinstance(self.noise, Mapping) else dict.fromkeys(measured, self.noise)
        )
        for u in [*given, *measured]:
            if u not in given or u not in measured:
                raise DataError(
                    f"{self.what}: got noise of {listed(given)}; expected one for each of the"
                    f" measured {listed(measured)}{nearest(u, measured)}"
                )
        found = np.stack([self._noise_of(u, given[u]) for u in measured], 1)
        bad = np.argwhere(~(np.isfinite(found) & (found > 0)))
        if len(bad):
            row, column = (int(i) for i in bad[0])
            raise DataError(
                f"{self.what}: the noise of {measured[column]!r} is {found[row, column]:g} in row"
                f" {row + 1}; expected a positive standard deviation"
            )
        return torch.from_numpy(found)

    def _noise_of(self, unknown: str, given: Any) -> np.ndarray:
        """Standard deviations of one unknown, [rows]. Raises DataError."""
        if isinstance(given, Real):
            return np.full(self.table.rows, float(given))
        if isinstance(given, str):
            return self.table.numbers([given])[:, 0]
        found = np.asarray(given, dtype=np.float64)
        if found.shape != (self.table.rows,):
            raise DataError(
                f"{self.what}: noise of {unknown!r} has shape {list(found.shape)}; expected one"
                f" standard deviation for each of {self.table.rows} rows, or a number"
            )
        return found


def _check_given(source: object, columns: Mapping[str, object]) -> None:
    """Raise DataError unless there is a table and names of columns, or arrays alone."""
    if source is None and not columns:
        raise DataError(
            "Data(…): got nothing; expected a file, a mapping or arrays, such as Data(x=…, t=…,"
            " u=…)"
        )
    for name, column in columns.items():
        if source is None and isinstance(column, str):
            raise DataError(
                f"Data({name}={column!r}): names a column, but there is no table; expected"
                f" Data('file.csv', {name}={column!r}), or an array"
            )
        if source is not None and not isinstance(column, str):
            raise DataError(
                f"Data({name}=…): got an array beside a table; expected the name of a column"
            )


def check_data(data: object) -> tuple[Data, ...]:
    """The data as a tuple.

    Raises:
        ProblemError: For anything else.
    """
    found = tuple(data) if isinstance(data, list | tuple) else (data,)
    for each in found:
        if not isinstance(each, Data):
            raise ProblemError(
                f"Problem(data=…): got {type(each).__name__}; expected Data(…), such as"
                " Data('measured.csv')"
            )
    return found


def _noise_of_rows(noise: Any, kept: np.ndarray) -> Any:
    """The noise of some of the rows, in the form in which it was given."""
    if isinstance(noise, Mapping):
        return {u: _noise_of_rows(each, kept) for u, each in noise.items()}
    if noise is None or isinstance(noise, str | Real) or np.shape(noise) != kept.shape:
        return noise
    return np.asarray(noise)[kept]


def _inside(points: Tensor, domain: Domain, what: str) -> Tensor:
    """The points, those beyond an end by rounding moved onto it. Raises DataError that counts those
    further out."""
    bounds = points.new_tensor(list(domain.bounds.values()))
    low, high = bounds[:, 0], bounds[:, 1]
    slack = SLACK_OF_A_POINT * (high - low)
    outside = ~((points >= low - slack) & (points <= high + slack)).all(1)
    if outside.any():
        rows = outside.nonzero()[:, 0].tolist()
        shown = "; ".join(
            f"row {row + 1}: {_written(points[row], domain)}" for row in rows[:ROWS_SHOWN]
        )
        more = "; …" if len(rows) > ROWS_SHOWN else ""
        raise DataError(
            f"{what}: {len(rows)} of {len(points)} rows lie outside of {domain!r} ({shown}{more})"
        )
    return points.clamp(low, high)


def _written(point: Tensor, domain: Domain) -> str:
    """A point in words: "x=1.5, t=0.5"."""
    named = zip(domain.coordinates, point.tolist(), strict=True)
    return ", ".join(f"{x}={value:g}" for x, value in named)
