"""The work of a reference, counted and not timed, so that the same problem gives the same reference on a busy machine."""

from __future__ import annotations

from math import inf

from kanpde.errors import ReferenceUnavailable


class OutOfWork(ReferenceUnavailable):
    """A computation is given up because it would take more work than it is allowed."""


class Work:
    """Seconds that the operations done so far take on two cores of 2026, by formulas fitted once to measurements.

    allowed: seconds after which OutOfWork is raised.
    """

    def __init__(self, allowed: float = inf):
        self.allowed, self.done = allowed, 0.0

    def spend(self, seconds: float) -> None:
        """Raises OutOfWork when the allowance is used up."""
        self.done += seconds
        if self.done > self.allowed:
            raise OutOfWork(f"more than {self.allowed:.0f} s of work")

    def evaluated(self, values: int, partials: bool) -> None:
        """A residual from that many values of derivatives."""
        self.spend((3 if partials else 1) * (1.5e-4 + 8e-9 * values))

    def factored(self, entries: int, size: int, complex_: bool) -> None:
        """An LU decomposition with that many nonzero entries."""
        self.spend((4 if complex_ else 1) * (1.2e-9 * entries**2 / size * 0.25 + 2e-8 * entries))

    def solved(self, entries: int, complex_: bool) -> None:
        """One forward and backward substitution."""
        self.spend((2 if complex_ else 1) * 2.5e-9 * entries)
