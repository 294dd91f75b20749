"""The work of a reference, counted and not timed, so that the same problem gives the same reference
on a busy machine."""

from __future__ import annotations

from math import inf

from kanpde.errors import ReferenceUnavailable
from kanpde.reference.grid import Grid

FILL = {1: lambda n: 4.4, 2: lambda n: 2.2 * n, 3: lambda n: 2.3 * n**2}
"""Nonzeros of LU factors a row, unknown and node of the separators' width, by space dimensions, on
n nodes along each; as measured."""


class OutOfWork(ReferenceUnavailable):
    """A computation is given up because it would take more work or memory than it may.

    Attributes:
        at: The time that a march has come to; None for anything else.
    """

    def __init__(self, message: str, at: float | None = None):
        super().__init__(message)
        self.at = at


class Work:
    """Seconds that the operations done so far take on one core of a server of 2026, by formulas
    fitted once to measurements.

    allowed: seconds after which OutOfWork is raised; now: where an integration in time has come to,
    for its message.
    """

    def __init__(self, allowed: float = inf):
        self.allowed, self.done, self.now = allowed, 0.0, ""

    def spend(self, seconds: float) -> None:
        """Raises OutOfWork when the allowance is used up."""
        self.done += seconds
        if self.done > self.allowed:
            where = f" at {self.now}" if self.now else ""
            raise OutOfWork(
                f"the work that it may take is used up{where} (a higher --effort allows more)"
            )

    def evaluated(self, values: int, partials: bool) -> None:
        """A residual from that many values of derivatives."""
        self.spend((3 if partials else 1) * (EVALUATION + VALUE * values))

    def laid(self, nodes: int) -> None:
        """An embedded grid of that many points."""
        self.spend(LAID * nodes)

    def factored(self, entries: int, size: int, complex_: bool) -> None:
        """An LU decomposition with that many nonzero entries in its factors; raises OutOfWork where
        they would not fit."""
        self.spend((2 if complex_ else 1) * factor_seconds(entries, size))

    def eliminated(self, size: int, complex_: bool) -> None:
        """An LU decomposition of a full matrix with that many rows."""
        self.spend((3 if complex_ else 1) * eliminated_seconds(size))

    def triangulated(self, rows: int, size: int) -> None:
        """A QR decomposition of a full matrix, with the orthogonal factor."""
        self.spend(6 * ELIMINATION * size**2 * (rows - size / 3))

    def substituted(self, size: int, complex_: bool) -> None:
        """One forward and backward substitution with it."""
        self.spend((2 if complex_ else 1) * (2e-5 + FULL_SUBSTITUTION * size**2))

    def solved(self, entries: int, complex_: bool) -> None:
        """One forward and backward substitution."""
        self.spend((2 if complex_ else 1) * SUBSTITUTION * entries)


LAID = 5e-5
"""Seconds for each point of an embedded grid: crossings, differences, fits."""

EVALUATION, VALUE, SUBSTITUTION = 3e-4, 8e-9, 2e-9
"""Seconds of a residual, of each value that it takes, and of each entry of the factors in a
substitution."""


ELIMINATION, FULL_ENTRY, FULL_SUBSTITUTION = 3.2e-11, 3.5e-8, 2.5e-9
"""Seconds of an LU decomposition of a full matrix over the cube of its size, of what else is done
to its entries over the square, and of a substitution over the square."""


def eliminated_seconds(size: int) -> float:
    """Of a real LU decomposition of a full matrix."""
    return 1e-4 + FULL_ENTRY * size**2 + ELIMINATION * size**3


def factor_entries(grid: Grid, fields: int, width: int) -> float:
    """Expected nonzeros of the LU factors of a system on a grid."""
    n, size = grid.nodes ** (1 / len(grid.names)), grid.nodes * fields
    return min(size * width * fields * FILL[len(grid.names)](n), size**2)


def factor_seconds(entries: float, size: int) -> float:
    """Of a real LU decomposition; a complex one takes twice as long."""
    return 1.6e-10 * entries**2 / size + 3e-8 * entries + 5e-4
