"""What a training run leaves behind: one record a step, and why each stage ended."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import nan
from typing import Any, Protocol


@dataclass(frozen=True)
class Record:
    """One step of training.

    loss: mean squared residual over the collocation points (weighted soft terms included); fresh:
    the same on points that were not trained on, nan where it was not measured; error: relative L2
    against the exact solution (or, without one, nan), measured now and then; parameters: their
    number at this step; seconds: since training began; values: of the numbers in the equations that
    are to be found.
    """

    step: int
    stage: int
    seconds: float
    loss: float
    fresh: float = nan
    error: float = nan
    parameters: int = 0
    values: dict[str, float] = field(default_factory=dict)


COLUMNS = tuple(f.name for f in fields(Record) if f.name != "values")
"""What of a record is one number."""


@dataclass
class History:
    """All records of a run and, stage by stage, a title and the reason why it ended."""

    records: list[Record] = field(default_factory=list)
    stages: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False

    def plain(self) -> dict[str, Any]:
        """As a file holds it: one list a field of the records."""
        return {
            "records": {f.name: self.column(f.name) for f in fields(Record)},
            "stages": list(self.stages),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> History:
        """The history that `plain` made."""
        columns = plain["records"]
        return cls(
            [
                Record(**dict(zip(columns, row, strict=True)))
                for row in zip(*columns.values(), strict=True)
            ],
            [tuple(stage) for stage in plain["stages"]],
        )

    def column(self, name: str) -> list[float]:
        """One field of all records, in order."""
        return [getattr(r, name) for r in self.records]


class Observer(Protocol):
    """Somebody who watches a run: the command line's progress bars, a test, nobody."""

    def stage(self, index: int, count: int, title: str, steps: int) -> None:
        """Stage `index` of `count` begins; it takes at most `steps` steps."""

    def step(self, record: Record) -> None:
        """A step is done."""

    def message(self, text: str) -> None:
        """One line worth telling: points redrawn, a stage ended early and why, a restart chosen."""


class Silent:
    """The observer that says nothing."""

    def stage(self, index: int, count: int, title: str, steps: int) -> None: ...

    def step(self, record: Record) -> None: ...

    def message(self, text: str) -> None: ...
