"""Fields as levels of time on a grid of space, in the order that VTK and XDMF count nodes: the
first coordinate fastest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kanpde.errors import RunError
from kanpde.results.variables import Variable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """Fields on a grid of space, at levels of time.

    Attributes:
        names: The coordinates of space.
        axes: The nodes of three coordinates, one node at 0 where there are fewer.
        times: The times of the levels, [levels]; None for a steady field.
        fields: What there is on the grid.
    """

    names: tuple[str, ...]
    axes: tuple[Array, Array, Array]
    times: Array | None
    fields: tuple[Variable, ...]

    @property
    def count(self) -> int:
        """How many levels."""
        return 1 if self.times is None else len(self.times)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Nodes along z, y and x."""
        x, y, z = self.axes
        return len(z), len(y), len(x)

    def level(self, index: int) -> Iterator[tuple[str, Array]]:
        """The fields at one time.

        Args:
            index: Number of the level.

        Yields:
            Names and values [z, y, x].
        """
        for variable in self.fields:
            values = variable.values if self.times is None else variable.values[..., index]
            yield variable.name, np.ascontiguousarray(values.T.reshape(self.shape))


def levels(
    grid: dict[str, Array], time: str | None, fields: tuple[Variable, ...], kind: str
) -> Levels:
    """Put fields on a grid into levels.

    Args:
        grid: The nodes by coordinate, time last where there is one.
        time: Which coordinate is time, if any.
        fields: What there is on the grid.
        kind: The format that it is for, which the message names.

    Raises:
        RunError: There are more than three coordinates of space.
    """
    space = [x for x in grid if x != time]
    if len(space) > 3:
        raise RunError(
            f"{kind}: got fields of {len(space)} coordinates of space, and its files hold at most"
            " 3; expected csv, or run.h5 itself"
        )
    axes = [grid[x] for x in space] + [np.zeros(1)] * (3 - len(space))
    return Levels(
        tuple(space), (axes[0], axes[1], axes[2]), None if time is None else grid[time], fields
    )
