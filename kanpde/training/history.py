"""What a training run leaves behind: one record a step, and why each stage ended."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import isnan, nan
from typing import Any, Protocol


@dataclass(frozen=True)
class Record:
    """One step of training.

    Attributes:
        step: Number of the step, over all stages.
        stage: Number of its stage.
        seconds: Time since training began.
        loss: Mean squared residual over the collocation points (weighted soft terms included).
        fresh: The same on points that were not trained on; nan where it was not measured.
        error: Relative L2 error against the exact solution, measured now and then; nan without one.
        parameters: Number of parameters at this step.
        estimate: What the solution itself says of its relative error; nan where it says nothing.
        values: Values of the numbers in the equations that are to be found, by name.
        share: How much of all that is to be done is done, 0 to 1; nan where that is not known.
    """

    step: int
    stage: int
    seconds: float
    loss: float
    fresh: float = nan
    error: float = nan
    parameters: int = 0
    estimate: float = nan
    values: dict[str, float] = field(default_factory=dict)
    share: float = nan


SOMETIMES = ("estimate", "values", "share")
"""What only some ways to find a solution know."""

COLUMNS = tuple(f.name for f in fields(Record) if f.name not in SOMETIMES)
"""What of every record is one number."""


@dataclass
class History:
    """What was done in a run.

    Attributes:
        records: All records, in order.
        stages: Stage by stage, a title and the reason why it ended.
        interrupted: Whether the run was interrupted.
    """

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
        """The history that `plain` made.

        Args:
            plain: What `plain` gave.
        """
        columns = plain["records"]
        return cls(
            [
                Record(**dict(zip(columns, row, strict=True)))
                for row in zip(*columns.values(), strict=True)
            ],
            [tuple(stage) for stage in plain["stages"]],
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """What of all records is one number: those of every one, and the estimate where the
        solution has any."""
        known = any(not isnan(record.estimate) for record in self.records)
        return (*COLUMNS, "estimate") if known else COLUMNS

    def column(self, name: str) -> list[float]:
        """One field of all records, in order.

        Args:
            name: Name of the field.
        """
        return [getattr(r, name) for r in self.records]


class Observer(Protocol):
    """Somebody who watches a run: the command line's progress bars, a test, nobody."""

    def stage(self, index: int, count: int, title: str, steps: int) -> None:
        """A stage begins.

        Args:
            index: Its number, from 0 on.
            count: Number of all stages.
            title: What it is called.
            steps: Steps that it takes at most.
        """

    def step(self, record: Record) -> None:
        """A step is done.

        Args:
            record: What is known of it.
        """

    def message(self, text: str) -> None:
        """There is something worth telling: points redrawn, a stage ended early, a restart chosen.

        Args:
            text: One line that says what, and why.
        """


class Silent:
    """The observer that says nothing."""

    def stage(self, index: int, count: int, title: str, steps: int) -> None: ...

    def step(self, record: Record) -> None: ...

    def message(self, text: str) -> None: ...
