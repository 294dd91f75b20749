"""Measured values of unknowns at points: the data of an inverse problem."""

from __future__ import annotations

import sys
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
from kanpde.problem import tables as tables

SLACK = 1e-9
"""Share of an interval by which rounding may put a point beyond its end; it is moved onto it."""


@dataclass(frozen=True)
class Measurement:
    """Data bound to a domain: points [rows, dims] and values [rows, unknowns]; noise [rows,
    unknowns], standard deviations, None where not known."""

    name: str
    unknowns: tuple[str, ...]
    points: Float[Tensor, "rows dims"]
    values: Float[Tensor, "rows unknowns"]
    noise: Float[Tensor, "rows unknowns"] | None = None


class Data:
    """Measurements of unknowns at points of the domain, for `Problem(…, data=[…])`.

    source: a file (.csv, .npz, .h5; beside the problem's file or in the current folder), a mapping
    of arrays, or a data frame; or nothing, and arrays by keyword: `Data(x=…, t=…, u=…)`. Keywords
    say which column is which: `Data("rod.csv", x="position", t="time", u="temperature")`; a name
    without one is the column of that name. noise: standard deviation of the values' errors, a
    number, a column, an array, or a mapping of these by unknown; without it, it is taken to be the
    same everywhere and estimated from the misfit. Raises DataError, in one line, for what cannot be
    read, has no such column, is no finite number, or lies outside the domain.
    """

    def __init__(self, source: Any = None, *, noise: Any = None, **columns: Any):
        if not columns and source is None:
            raise DataError(
                "Data(…): got nothing; expected a file, a mapping or arrays, such as Data(x=…, t=…,"
                " u=…)"
            )
        arrays = {name: values for name, values in columns.items() if not isinstance(values, str)}
        if source is None and len(arrays) < len(columns):
            name, column = next((n, c) for n, c in columns.items() if isinstance(c, str))
            raise DataError(
                f"Data({name}={column!r}): names a column, but there is no table; expected"
                f" Data('file.csv', {name}={column!r}), or an array"
            )
        if source is not None and arrays:
            raise DataError(
                f"Data({next(iter(arrays))}=…): got an array beside a table; expected the name of a"
                " column"
            )
        if source is None:
            self.table, self.columns = (
                tables.read(arrays, "Data(…)"),
                {name: name for name in arrays},
            )
        else:
            self.table, self.columns = tables.read(_found(source)), dict(columns)
        self.noise = noise
        self.what = (
            f"Data({self.table.name})"
            if source is not None and isinstance(source, str | Path)
            else "Data(…)"
        )

    def __repr__(self) -> str:
        return f"{self.what}: {self.table.rows} rows"

    def names(self) -> tuple[str, ...]:
        """Everything that it names by keyword: coordinates and unknowns."""
        return tuple(self.columns)

    def bound(self, domain: Domain, unknowns: Sequence[str]) -> Measurement:
        """The measurements on a domain. Raises DataError."""
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
        measured = tuple(u for u in unknowns if u in self.columns or u in self.table.columns)
        if not measured:
            raise DataError(
                f"{self.what}: no column is an unknown ({listed(unknowns)}); it has"
                f" {listed(self.table.columns)}; say which one it is, such as {unknowns[0]}='…'"
            )
        points = torch.from_numpy(
            self.table.numbers([self.columns.get(x, x) for x in domain.coordinates])
        )
        values = torch.from_numpy(self.table.numbers([self.columns.get(u, u) for u in measured]))
        return Measurement(
            self.what, measured, _inside(points, domain, self.what), values, self._noise(measured)
        )

    def _noise(self, measured: Sequence[str]) -> Tensor | None:
        if self.noise is None:
            return None
        by_unknown = (
            dict(self.noise)
            if isinstance(self.noise, Mapping)
            else dict.fromkeys(measured, self.noise)
        )
        for u in [*by_unknown, *measured]:
            if u not in by_unknown or u not in measured:
                raise DataError(
                    f"{self.what}: got noise of {listed(by_unknown)}; expected one for each of the"
                    f" measured {listed(measured)}{nearest(u, measured)}"
                )
        found = np.stack([self._noise_of(u, by_unknown[u]) for u in measured], 1)
        bad = np.argwhere(~(np.isfinite(found) & (found > 0)))
        if len(bad):
            row, column = (int(i) for i in bad[0])
            raise DataError(
                f"{self.what}: the noise of {measured[column]!r} is {found[row, column]:g} in row"
                f" {row + 1}; expected a positive standard deviation"
            )
        return torch.from_numpy(found)

    def _noise_of(self, unknown: str, given: Any) -> np.ndarray:
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


def check_data(data: object) -> tuple[Data, ...]:
    """The data as a tuple. Raises ProblemError for anything else."""
    found = tuple(data) if isinstance(data, list | tuple) else (data,)
    for each in found:
        if not isinstance(each, Data):
            raise ProblemError(
                f"Problem(data=…): got {type(each).__name__}; expected Data(…), such as"
                " Data('measured.csv')"
            )
    return found


def _found(source: Any) -> Any:
    """A relative path beside the file that the data are named in, where there is such a file; else
    as it is."""
    if not isinstance(source, str | Path) or Path(source).is_absolute():
        return source
    frame = sys._getframe(2)
    beside = Path(str(frame.f_globals.get("__file__", "."))).parent / source
    return beside if beside.is_file() else source


def _inside(points: Tensor, domain: Domain, what: str) -> Tensor:
    """The points, those beyond an end by rounding moved onto it. Raises DataError that counts those
    further out."""
    bounds = points.new_tensor(list(domain.bounds.values()))
    low, high = bounds[:, 0], bounds[:, 1]
    slack = SLACK * (high - low)
    outside = ~((points >= low - slack) & (points <= high + slack)).all(1)
    if outside.any():
        rows = outside.nonzero()[:, 0].tolist()
        first = "; ".join(
            f"row {row + 1}:"
            f" {', '.join(f'{x}={float(v):g}' for x, v in zip(domain.coordinates, points[row], strict=True))}"
            for row in rows[:3]
        )
        raise DataError(
            f"{what}: {len(rows)} of {len(points)} rows lie outside of {domain!r}"
            f" ({first}{'; …' if len(rows) > 3 else ''})"
        )
    return points.clamp(low, high)
