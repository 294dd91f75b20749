"""Somebody who watches a sweep: the command line's live table, a test, nobody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kanpde.sweeps.plan import Plan
from kanpde.sweeps.rows import TrialRow


class Watcher(Protocol):
    """What a sweep tells while it is carried out."""

    def begin(
        self, folder: Path, plan: Plan, rows: Sequence[TrialRow], where: str, jobs: int
    ) -> None:
        """The trials of the plan that have no row yet are about to be carried out.

        Args:
            folder: The sweep's folder.
            plan: All trials.
            rows: Those that are there already.
            where: Who does the work, in words.
            jobs: Trials at a time.
        """

    def row(self, row: TrialRow) -> None:
        """A trial is done, or failed.

        Args:
            row: Its row.
        """

    def message(self, text: str) -> None:
        """There is one line worth telling.

        Args:
            text: The line.
        """


class Unwatched:
    """The watcher that says nothing."""

    def begin(
        self, folder: Path, plan: Plan, rows: Sequence[TrialRow], where: str, jobs: int
    ) -> None: ...

    def row(self, row: TrialRow) -> None: ...

    def message(self, text: str) -> None: ...
