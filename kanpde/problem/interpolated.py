"""Functions of coordinates that go through tabulated values: cubic splines, or straight lines.

Splines run through all values with continuous second derivatives ("not a knot" at the ends; over a
period where one is given): de Boor, A Practical Guide to Splines (2001). In several coordinates
they are products of those of each, on a grid that need not be even.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import make_interp_spline
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from kanpde.errors import DataError, listed
from kanpde.machine.beside import beside_the_file
from kanpde.problem.table_files import read

DEGREES_BY_KIND = {"spline": 3, "linear": 1}
"""Of the pieces between values, by what the option calls them."""

MOST_TABULATED = 3
"""Coordinates of a table, at most."""

OUTSIDE = 1e-9
"""Of a table's width, how far beyond its ends a point may lie by rounding."""


_asked: ContextVar[list[tuple[Table, Tensor]] | None] = ContextVar("asked", default=None)
"""Which tables have been asked, and for which points [points, dims]; None while nobody listens."""


@contextmanager
def tables_asked() -> Iterator[list[tuple[Table, Tensor]]]:
    """Within it: the tables that are asked for values, each with the points."""
    found: list[tuple[Table, Tensor]] = []
    token = _asked.set(found)
    try:
        yield found
    finally:
        _asked.reset(token)


class Table:
    """A function that goes through the values of a table, for use in equations and conditions:
    `weather = Table("weather.csv", x="hours", y="outdoor")`, then `weather(t)`.

    Derivatives by coordinates are exact, as of any function. A spline is smooth, and is what suits
    measurements of something smooth; straight lines bend at every value, and solutions are less
    smooth there.

    Args:
        source: A path (.csv, .tsv, .txt, .npz, .h5, .hdf5), a mapping of arrays by name, a data
            frame, or an xarray.DataArray or Dataset. A relative path is looked for beside the
            problem's file or the script first, then in the current folder.
        x: The column of the coordinate, or of each coordinate in the order of the arguments, one to
            three. Of several, rows are the nodes of a grid, in any order.
        y: The column of the values.
        kind: "spline", cubic, or "linear".
        period: Of a table of one coordinate that repeats; None where it does not.
        decimal: "." or ",", the mark of decimal numbers in a file of text; by default what its
            numbers show.

    Attributes:
        name: Of the table, as messages call it.
        nodes: By coordinate, increasing.

    Raises:
        DataError: In one line, for files and columns that are not there, values that are missing,
            places that are there twice, and grids that have holes.
    """

    def __init__(
        self,
        source: Any,
        *,
        x: str | Sequence[str],
        y: str,
        kind: str = "spline",
        period: float | None = None,
        decimal: str | None = None,
    ):
        if kind not in DEGREES_BY_KIND:
            raise DataError(f"Table(kind={kind!r}): expected {listed(DEGREES_BY_KIND)}")
        names = (x,) if isinstance(x, str) else tuple(x)
        if not 1 <= len(names) <= MOST_TABULATED:
            raise DataError(
                f"Table(x=…): got {len(names)} coordinates; expected one to {MOST_TABULATED}"
            )
        if period is not None and (len(names) > 1 or not period > 0):
            raise DataError(
                f"Table(period={period!r}): expected a number above 0, with one coordinate"
            )
        records = read(beside_the_file(_framed(source)), decimal=decimal)
        self.name, self.kind, self.period, self._names = records.name, kind, period, names
        rows = records.numbers([*names, y])
        self.nodes, values = _grid(records.name, names, rows)
        degree = DEGREES_BY_KIND[kind]
        for axis, (one, nodes) in enumerate(zip(names, self.nodes, strict=True)):
            if len(nodes) <= degree:
                raise DataError(
                    f"{self.name}: column {one!r} has {len(nodes)} places; a {kind} takes at least"
                    f" {degree + 1}"
                )
            assert values.shape[axis] == len(nodes)
        if period is not None:
            self.nodes, values = self._closed(period, values)
        self._splines: list[np.ndarray] = []
        for axis, nodes in enumerate(self.nodes):
            ends = "periodic" if period is not None and degree > 1 else None
            spline = make_interp_spline(nodes, values, degree, bc_type=ends, axis=axis)
            values = np.moveaxis(spline.c, 0, axis)
            self._splines.append(spline.t)
        self._coefficients, self._degree = values, degree

    def __call__(self, *at: Tensor) -> Tensor:
        """The values at points.

        Args:
            *at: The coordinates, [points] each, in the order of `x`.

        Raises:
            DataError: Where a point lies outside the table, or there are more or fewer coordinates.
        """
        if len(at) != len(self._names):
            raise DataError(
                f"{self!r}: got {len(at)} coordinates; expected {len(self._names)},"
                f" {', '.join(self._names)}"
            )
        points = torch.stack(torch.broadcast_tensors(*map(torch.as_tensor, at)), -1)
        if (asked := _asked.get()) is not None:
            asked.append((self, points.detach()))
        found: Tensor = _Interpolated.apply(points, self, (0,) * len(at))
        return found

    def __repr__(self) -> str:
        return f"Table({self.name!r})"

    def on_points(
        self, points: Float[np.ndarray, "points dims"], orders: Sequence[int]
    ) -> Float[np.ndarray, " points"]:
        """Values or derivatives.

        Args:
            points: Where.
            orders: How often by every coordinate.

        Raises:
            DataError: Where a point lies outside the table.
        """
        weights, firsts = [], []
        for i, (knots, order) in enumerate(zip(self._splines, orders, strict=True)):
            inside = self._inside(i, points[:, i])
            if order > self._degree:
                return np.zeros(len(points))
            first, some = _local(knots, self._degree, inside, order)
            firsts.append(first)
            weights.append(some)
        found, reach = np.zeros(len(points)), np.arange(self._degree + 1)
        for offset in np.ndindex(*[len(reach)] * len(firsts)):
            place = tuple(first + k for first, k in zip(firsts, offset, strict=True))
            share = np.prod([w[:, k] for w, k in zip(weights, offset, strict=True)], 0)
            found += share * self._coefficients[place]
        return found

    def nodes_between(self, i: int, low: float, high: float) -> Float[np.ndarray, " nodes"]:
        """The values of a coordinate at which the function is less smooth than between them.

        Args:
            i: Number of the coordinate.
            low: Where to begin.
            high: Where to end.
        """
        nodes = self.nodes[i]
        if self.period is not None:
            turns = np.arange(
                np.floor((low - nodes[0]) / self.period), (high - nodes[0]) / self.period
            )
            nodes = (nodes[:-1] + self.period * turns[:, None]).ravel()
        return nodes[(nodes > low) & (nodes < high)]

    def _inside(self, i: int, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        nodes = self.nodes[i]
        low, high = nodes[0], nodes[-1]
        if self.period is not None:
            return low + (x - low) % self.period
        slack = OUTSIDE * (high - low)
        out = (x < low - slack) | (x > high + slack)
        if out.any():
            raise DataError(
                f"{self!r}: it is asked for {self._names[i]} = {x[out][0]:.6g}; it reaches from"
                f" {low:.6g} to {high:.6g}"
            )
        return np.clip(x, low, high)

    def _closed(
        self, period: float, values: Float[np.ndarray, " nodes"]
    ) -> tuple[tuple[np.ndarray], np.ndarray]:
        """Nodes and values with the first one repeated after a period."""
        (nodes,) = self.nodes
        width = nodes[-1] - nodes[0]
        if width > period * (1 + OUTSIDE):
            raise DataError(f"{self.name}: it is {width:.6g} wide, more than period={period:g}")
        if width < period * (1 - OUTSIDE):
            nodes, values = np.append(nodes, nodes[0] + period), np.append(values, values[0])
        return (nodes,), np.append(values[:-1], values[0])


class _Interpolated(torch.autograd.Function):
    """A table at points, with its own derivatives."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Table, orders: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(points)
        ctx.table, ctx.orders = table, orders
        with _disable_current_modes():
            flat = points.detach().cpu().double().reshape(-1, points.shape[-1]).numpy()
            found = torch.from_numpy(table.on_points(flat, orders))
        return found.reshape(points.shape[:-1]).to(points)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        (points,), (slope,) = ctx.saved_tensors, slopes
        parts = []
        for i in range(points.shape[-1]):
            orders = tuple(m + (k == i) for k, m in enumerate(ctx.orders))
            parts.append(slope * _Interpolated.apply(points, ctx.table, orders))
        return torch.stack(parts, -1), None, None


def _local(
    knots: Float[np.ndarray, " knots"],
    degree: int,
    x: Float[np.ndarray, " points"],
    order: int,
) -> tuple[np.ndarray, Float[np.ndarray, "points support"]]:
    """Of the B-splines that do not vanish at points, the number of the first and a derivative of
    all."""
    cell = np.clip(np.searchsorted(knots, x, "right") - 1, degree, len(knots) - degree - 2)
    found = np.ones((len(x), 1))
    for p in range(1, degree + 1):
        lower, found = found, np.zeros((len(x), p + 1))
        for k in range(p):
            # Function k of degree p - 1 is a part of two of degree p, by de Boor's recursion, or
            # by that of derivatives.
            begin, end = knots[cell - p + 1 + k], knots[cell + 1 + k]
            share = lower[:, k] / (end - begin)
            rising, falling = (x - begin, end - x) if p <= degree - order else (p, -p)
            found[:, k + 1] += rising * share
            found[:, k] += falling * share
    return cell - degree, found


def _framed(source: Any) -> Any:
    """Labelled arrays as data frames, a row a value."""
    if hasattr(source, "to_dataframe"):
        named = source if getattr(source, "name", "") is not None else source.rename("values")
        return named.to_dataframe().reset_index()
    return source


def _grid(
    name: str, names: Sequence[str], rows: Float[np.ndarray, "rows columns"]
) -> tuple[tuple[Float[np.ndarray, " nodes"], ...], Float[np.ndarray, " ..."]]:
    """The nodes along each coordinate, and the values on the grid of them."""
    nodes, places = [], []
    for column in rows.T[:-1]:
        found, place = np.unique(column, return_inverse=True)
        nodes.append(found)
        places.append(place.ravel())
    shape = tuple(len(found) for found in nodes)
    flat = np.ravel_multi_index(tuple(places), shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape)))
    where = np.unravel_index(int(np.argmax(counts > 1 if counts.max() > 1 else counts < 1)), shape)
    at = ", ".join(f"{x} = {found[k]:.6g}" for x, found, k in zip(names, nodes, where, strict=True))
    if counts.max() > 1:
        raise DataError(f"{name}: {at} is there {counts.max()} times; expected each place once")
    if not counts.all():
        raise DataError(
            f"{name}: {len(rows)} rows are no grid of {' x '.join(map(str, shape))} places: {at} is"
            " missing"
        )
    values = np.empty(int(np.prod(shape)))
    values[flat] = rows[:, -1]
    return tuple(nodes), values.reshape(shape)
