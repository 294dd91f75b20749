"""Candidates for the formula of one unknown, looked for route by route."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from kanpde.interpret.network import read_edges
from kanpde.interpret.structure import (
    APPROXIMATE_ABOVE,
    DEVIATIONS_OFF,
    Found,
    Sampled,
    approximations,
    propose,
    ranked,
)

Note = Callable[[str], None]


class Search:
    """Candidates for one unknown, as far as they were looked for.

    Attributes:
        unknown: Its name.
        sampled: Its values, and where they were taken.
        say: Called with a line on what is being done.
        candidates: Formulas so far, each with its distance to the values, relative L2.
    """

    def __init__(self, unknown: str, sampled: Sampled, say: Note):
        self.unknown, self.sampled, self.say = unknown, sampled, say
        self.candidates: list[Found] = []
        self._routes = self._all()

    def _all(self) -> Iterator[Found]:
        """Structure first; then a network's edges; then what is merely near."""
        yield from propose(self.sampled)
        poor = max(APPROXIMATE_ABOVE, DEVIATIONS_OFF * self.sampled.noise)
        if min((error for _, error in self.candidates), default=1.0) > poor:
            self.say(f"{self.unknown}: a small KAN fitted to the values")
            yield from read_edges(self.sampled)
        if min((error for _, error in self.candidates), default=1.0) > poor:
            yield from approximations(self.sampled)

    def go_on(self, stop: float, deadline: float) -> None:
        """Look for candidates until one is near, or time is up (but never without any).

        Args:
            stop: The distance that is near enough.
            deadline: By `time.perf_counter`.
        """
        if min((error for _, error in self.candidates), default=1.0) < stop:
            return
        for form, error in self._routes:
            self.candidates.append((form, error))
            self.say(f"{self.unknown}: {form.route}, distance {error:.1e}")
            if error < stop or time.perf_counter() > deadline:
                return

    def best(self) -> list[Found]:
        """The best first."""
        return ranked(self.candidates, self.sampled.noise)
