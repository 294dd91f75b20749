"""The ranges of measured data: a box of any number of coordinates, on which nothing lays a grid."""

from __future__ import annotations

from collections.abc import Mapping

from kanpde.geometry.box import Box
from kanpde.geometry.domain import Interval, checked_interval


class Ranges(Box):
    """The product of named intervals, as many as there are columns.

    Args:
        intervals: (low, high) by column.

    Raises:
        ProblemError: For intervals that are not finite and increasing.
    """

    _many = None  # its sides are those of single columns, however many there are

    def __init__(self, intervals: Mapping[str, Interval]):
        self._intervals, self._vectors = dict(intervals), {}
        self._bounds = {
            name: checked_interval("Ranges", name, interval) for name, interval in intervals.items()
        }
