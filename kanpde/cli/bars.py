"""Progress bars: the observer of the command line."""

from __future__ import annotations

import math
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from kanpde.training.history import Record


class Bars:
    """One progress bar a stage, with loss, true error and time left."""

    def __init__(self, console: Console):
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),
            TextColumn("loss {task.fields[loss]} error {task.fields[error]}{task.fields[values]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            refresh_per_second=5,
        )
        self._task: TaskID | None = None
        self._first = self._last = self._steps = 0
        self._error = "-"

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()
        self._progress.stop()

    def stage(self, index: int, count: int, title: str, steps: int) -> None:
        self._finish()
        self._first, self._steps = self._last, steps
        self._task = self._progress.add_task(
            f"{index + 1}/{count} {title}", total=steps, loss="-", error=self._error, values=""
        )

    def step(self, record: Record) -> None:
        self._last = record.step
        if record.error == record.error:  # it is measured now and then, and nan in between
            self._error = f"{record.error:.1e}"
        if self._task is not None:
            done = self._last - self._first
            if record.share == record.share:
                done = round(record.share * self._steps)
            self._progress.update(
                self._task,
                completed=done,
                loss=f"{record.loss:.1e}",
                error=self._error,
                values=_listed(record.values) + _estimated(record),
            )

    def message(self, text: str) -> None:
        self._progress.console.print(
            f"  {text}", style="dim", highlight=False, markup=False, soft_wrap=True
        )

    def _finish(self) -> None:
        """A stage that ended early is complete all the same."""
        if self._task is not None:
            steps = max(self._last - self._first, 1)
            self._progress.update(self._task, total=steps, completed=steps)
            self._progress.stop_task(self._task)
            self._task = None


def _estimated(record: Record) -> str:
    """What the solution says of its own error, where it says anything."""
    return "" if math.isnan(record.estimate) else f" estimate {record.estimate:.1e}"


def _listed(values: dict[str, float], most: int = 4) -> str:
    """The parameters that are being found, such as " nu 0.0123": the first few."""
    return "".join(f" {name} {value:.5g}" for name, value in list(values.items())[:most])
