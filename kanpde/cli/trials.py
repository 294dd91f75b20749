"""The live table of a sweep: trials done, the best error by network, time left."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as Shown
from rich.text import Text

if TYPE_CHECKING:
    from kanpde.sweeps.conduct import Sweep
    from kanpde.sweeps.plan import Plan
    from kanpde.sweeps.rows import TrialRow


class Trials:
    """Watches a sweep. On a terminal the table stays in its place; elsewhere there is a line a
    trial."""

    def __init__(self, console: Console):
        self._console = console
        self._live = (
            Live(console=console, refresh_per_second=2, get_renderable=self._shown)
            if console.is_terminal
            else None
        )
        self._plan: Plan | None = None
        self._rows: list[TrialRow] = []
        self._before, self._where, self._jobs, self._began, self._folder = (
            0,
            "",
            1,
            time.monotonic(),
            Path(),
        )

    def __enter__(self) -> Trials:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None and self._live.is_started:
            self._live.stop()

    @property
    def planned(self) -> int:
        """How many trials there are to be."""
        return len(self._plan.trials) if self._plan else 0

    def begin(
        self, folder: Path, plan: Plan, rows: Sequence[TrialRow], where: str, jobs: int
    ) -> None:
        self._folder, self._plan, self._rows, self._where, self._jobs = (
            folder,
            plan,
            list(rows),
            where,
            jobs,
        )
        self._before, self._began = len(rows), time.monotonic()
        done = f", {self._before} of them there already" if rows else ""
        self._say(
            f"{len(plan.trials)} trials{done}; {where}; {plan.settings['points']:,} points,"
            f" {_listed(plan.settings['steps'])} steps"
        )
        self._say(f"folder    {folder}")
        if self._live is not None:
            self._live.start()

    def row(self, row: TrialRow) -> None:
        self._rows.append(row)
        if row.status == "failed":
            self._say(f"failed: {row.trial}: {row.reason}")
        elif self._live is None:
            self._say(
                f"{self._progress()}: {row.network}, seed {row.seed}: error {_number(row.error)},"
                f" {row.seconds:.1f} s"
            )

    def message(self, text: str) -> None:
        self._say(text)

    def interrupted(self) -> str:
        """What is said after Ctrl-C."""
        return (
            f"interrupted: {len(self._rows)} of {self.planned} trials are there{self.going_on()}"
            if self._plan
            else "interrupted"
        )

    def going_on(self) -> str:
        """How to go on, where there is something to go on with."""
        return f"; go on with: kanpde sweep --resume {self._folder}" if self._plan else ""

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}", style="dim", highlight=False, markup=False, soft_wrap=True)

    def _progress(self) -> str:
        best = min((row.error for row in self._rows if math.isfinite(row.error)), default=math.nan)
        left = self._left()
        return f"{len(self._rows)}/{self.planned} trials, best error {_number(best)}" + (
            "" if left is None else f", {_duration(left)} left"
        )

    def _left(self) -> float | None:
        """Seconds until the end: the work that is left, at the speed of what was done in this
        session, kind by kind."""
        session, plan = self._rows[self._before :], self._plan
        if not session or plan is None or len(self._rows) >= len(plan.trials):
            return None
        cost, had = (
            {trial.name: trial.cost for trial in plan.trials},
            {row.trial for row in self._rows},
        )

        def pace(rows: Sequence[TrialRow]) -> float:
            return sum(row.seconds for row in rows if row.status == "done") / sum(
                cost[row.trial] for row in rows
            )

        by_kind = {
            kind: pace(rows)
            for kind in plan.settings["networks"]
            if (rows := [row for row in session if row.kind == kind])
        }
        work = sum(
            trial.cost * by_kind.get(trial.kind, pace(session))
            for trial in plan.trials
            if trial.name not in had
        )
        busy = time.monotonic() - self._began
        overhead = busy * self._jobs / max(sum(row.seconds for row in session), 1e-9)
        return work / self._jobs * min(max(overhead, 1.0), 3.0)

    def _shown(self) -> Group:
        return Group(Text(f"  {self._progress()}"), by_network(self._rows, self._plan))


def by_network(rows: Sequence[TrialRow], plan: Plan | None = None) -> Shown:
    """One line a network: seeds done, best and median error, seconds."""
    table = Shown(box=None, header_style="bold", padding=(0, 2, 0, 2))
    for column in ("network", "parameters", "seeds", "best", "median", "seconds"):
        table.add_column(
            column,
            justify="left" if column == "network" else "right",
            no_wrap=column != "network",
            overflow="fold",
        )
    several = len({row.schedule for row in rows if row.grid == 0}) > 1
    groups: dict[tuple[str, int, str, str], int] = {}
    for one in plan.trials if plan else rows:
        key = (one.kind, one.parameters, one.network, one.schedule if several else "")
        groups[key] = groups.get(key, 0) + 1
    for (kind, parameters, network, schedule), count in groups.items():
        own = [
            r
            for r in rows
            if (r.kind, r.network) == (kind, network)
            and parameters in (r.parameters, 0)
            and (not several or r.schedule == schedule)
        ]
        done = [r for r in own if r.status == "done"]
        errors = [r.error for r in done if math.isfinite(r.error)]
        seconds = f"{median(r.seconds for r in done):.1f}" if done else ""
        shown = (_number(min(errors)), _number(median(errors))) if errors else ("", "")
        table.add_row(
            f"{network}{f', {schedule}' if schedule else ''}",
            _count(parameters or max((r.parameters for r in own), default=0)),
            f"{len(done)}/{count}",
            *shown,
            seconds,
        )
    return table


def show_plan(console: Console, plan: Plan) -> None:
    """The trials of a plan, one line for all seeds."""
    table = Shown(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("network", "parameters", "schedule"):
        table.add_column(
            column, justify="right" if column == "parameters" else "left", overflow="fold"
        )
    for network, parameters, schedule in dict.fromkeys(
        (t.network, t.parameters, t.schedule) for t in plan.trials
    ):
        table.add_row(network, _count(parameters), schedule)
    console.print(table)
    console.print(
        f"{len(plan.trials)} trials: seeds {_listed(plan.settings['seeds'])};"
        f" {plan.settings['points']:,} points",
        highlight=False,
    )


def show_sweep(console: Console, swept: Sweep, pictures: Sequence[Path]) -> None:
    """The table of a sweep that is over, the slopes, its failures, and where the files are."""
    from kanpde.sweeps.scaling import fit, series

    console.print()
    console.print(by_network(swept.rows))
    console.print()
    for name, rows in series(swept.done).items():
        law = fit(rows)
        if law is not None:
            console.print(
                f"slope     {name}: {law.slope:.1f} ± {law.uncertainty:.1f} over {law.range}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    verdicts = Counter(row.verdict for row in swept.done if row.verdict)
    if verdicts:
        counted = ", ".join(f"{count} {status}" for status, count in verdicts.most_common())
        console.print(f"verdicts  {counted}", markup=False, highlight=False, soft_wrap=True)
    failed = f", {len(swept.failed)} failed; --retry runs those again" if swept.failed else ""
    console.print(f"done      {len(swept.done)} trials{failed}", highlight=False, soft_wrap=True)
    console.print(
        f"pictures  {', '.join(path.name for path in pictures if path.suffix == '.png')}, and as"
        " .pdf and .svg",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"files     {swept.folder}", markup=False, soft_wrap=True)


def _count(parameters: int) -> str:
    """How many parameters; nothing where only the run tells."""
    return f"{parameters:,}" if parameters else ""


def _number(value: float) -> str:
    return f"{value:.1e}" if math.isfinite(value) else "-"


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
