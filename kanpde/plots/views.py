"""What a picture shows of fields of several coordinates: which two span it, where it cuts the
others, and on which scale an error is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from numpy.typing import NDArray

if TYPE_CHECKING:
    from kanpde.results.fields import Grid

Array = NDArray[np.float64]

_PEAKED = 30.0
"""An error whose peak is so many times its median is drawn by magnitude on a logarithmic scale."""


@dataclass(frozen=True)
class View:
    """What is drawn of a field.

    Attributes:
        axes: The coordinates that span the picture, to the right and upwards.
        index: Of all axes of the field: a whole number where it is cut, slices elsewhere.
        fixed: The fixed coordinates in words.
        equal: Whether both coordinates are lengths, and drawn on one scale.
    """

    axes: tuple[str, ...]
    index: tuple[int | slice, ...]
    fixed: str
    equal: bool


def views(grid: Grid, values: Array, time: str | None) -> Iterator[View]:
    """The views of one field: its plane, or three mid-planes in space of three dimensions.

    Args:
        grid: Nodes by coordinate.
        values: Of the field, on the grid: they say which planes show something.
        time: Which of the coordinates is time; a picture in space shows its end.
    """
    names = list(grid)
    space = [x for x in names if x != time]
    if len(names) == 1:
        pairs: list[tuple[str, ...]] = [(names[0],)]
    elif len(space) == 1 and time:
        pairs = [(time, space[0])]
    elif len(space) == 3:
        pairs = [(space[0], space[1]), (space[0], space[2]), (space[1], space[2])]
    else:
        pairs = [(space[0], space[1])]
    for shown in pairs:
        fixed = {
            x: len(grid[x]) - 1 if x == time else _plane(values, names.index(x))
            for x in names
            if x not in shown
        }
        index = tuple(fixed.get(x, slice(None)) for x in names)
        words = ", ".join(f"{x} = {grid[x][i]:.3g}" for x, i in fixed.items())
        yield View(shown, index, words, time not in shown)


def cut(view: View, grid: Grid, values: Array) -> Array:
    """The field on a view, its axes in the view's order.

    Args:
        view: What is drawn.
        grid: Nodes by coordinate.
        values: Of the field, on the grid.

    Returns:
        The values on the view, an axis each of its coordinates.
    """
    kept = [x for x, i in zip(grid, view.index, strict=True) if isinstance(i, slice)]
    found = values[view.index]
    return found if tuple(kept) == view.axes else found.T


def error_scale(error: Array) -> tuple[Array, Normalize, str]:
    """What is drawn of an error, its scale and its colours.

    It is signed on a diverging scale; where it is concentrated, as under a front, it is drawn by
    magnitude on a logarithmic one.

    Args:
        error: The error at nodes; NaN outside of the region.

    Returns:
        The values that are drawn, their scale, and the name of the colours.
    """
    size = np.abs(error)
    peak, median = float(np.nanmax(size)), float(np.nanmedian(size))
    if peak > 0 and peak > _PEAKED * median:
        low = max(peak * 1e-6, median * 0.1)
        return np.maximum(size, low), LogNorm(low, peak), "cividis"
    return error, Normalize(-peak or -1.0, peak or 1.0), "RdBu_r"


def _plane(values: Array, axis: int) -> int:
    """The middle plane, or, where the field (nearly) vanishes on it, the one on which it is
    largest."""
    others = tuple(a for a in range(values.ndim) if a != axis)
    size = np.sqrt(np.nan_to_num(np.nanmean(values**2, axis=others)))
    middle = len(size) // 2
    return middle if size[middle] >= 0.2 * size.max() else int(size.argmax())
